"""Compiling many rules in processes of their own: it gives what compiling here gives, and tells the same errors."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from support.generated import make_project
from support.projects import SampleProject

SIZE = 75
"""Enough for helpers to be started."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    project = make_project(tmp_path_factory.mktemp("ahead") / "project", SIZE)
    assert project.build()["summary"]["failed"] == 0
    return project


def remembered(project: SampleProject, table: str) -> dict[str, tuple[Any, ...]]:
    with sqlite3.connect(project.root / ".rules" / "index.sqlite") as index:
        return {row[0]: row[1:] for row in index.execute(f"SELECT * FROM {table}")}


@pytest.mark.slow
def test_what_is_remembered_is_the_same_to_the_byte(built: SampleProject, tmp_path: Path) -> None:
    alone = SampleProject.copy_of(built.root, tmp_path / "alone")
    alone.build("--profile", "dev_debug")  # one job, so no helper
    for table in ("compiled", "schemas"):
        ahead = remembered(built, table)
        assert len(ahead) > SIZE / 2
        assert ahead == remembered(alone, table)


def test_nothing_is_left_to_compile_afterwards(built: SampleProject) -> None:
    assert built.plan()["summary"]["clean"] == SIZE
    assert built.cli("build").stdout.startswith("nothing to do")


@pytest.mark.slow
def test_errors_are_those_of_the_rules_and_stop_only_their_readers(built: SampleProject, tmp_path: Path) -> None:
    broken = SampleProject.copy_of(built.root, tmp_path / "broken")
    broken.sql("stg_003", "SELECT s.id, s.nothing AS val FROM s3 AS s")
    done = broken.cli("build")
    assert done.returncode == 1
    assert "stg_003.sql:1:" in done.stderr
    assert "nothing" in done.stderr
    results = SampleProject.statuses(broken.build("-k", expect=1))
    assert results["stg_003"] == "failed"
    assert set(results.values()) >= {"skipped", "executed"}


@pytest.mark.slow
def test_what_was_compiled_before_a_failure_is_not_compiled_again(built: SampleProject, tmp_path: Path) -> None:
    broken = SampleProject.copy_of(built.root, tmp_path / "broken")
    broken.sql("agg_000", "SELECT s.nothing AS x FROM s0 AS s")
    assert broken.cli("build").returncode == 1
    broken.sql("agg_000", "SELECT COUNT(*) AS x FROM s0 AS s")
    before = set(remembered(broken, "compiled"))
    assert broken.plan()["summary"]["run"] == SIZE
    assert len(set(remembered(broken, "compiled")) - before) <= 1
