"""Compiling many rules in processes of their own: it gives what compiling here gives, and tells the same errors."""

from __future__ import annotations

import contextlib
import json
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
    with contextlib.closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as index:
        return {row[0]: row[1:] for row in index.execute(f"SELECT * FROM {table}")}


@pytest.mark.slow
def test_what_is_remembered_is_the_same_to_the_byte(built: SampleProject, tmp_path: Path) -> None:
    alone = SampleProject.copy_of(built.root, tmp_path / "alone")
    alone.build("--profile", "dev_debug")  # one job, so no helper
    for table in ("compiled", "schemas", "parsed"):
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


@pytest.mark.slow
def test_texts_are_parsed_ahead_as_they_are_here(built: SampleProject, tmp_path: Path) -> None:
    fresh = [SampleProject.copy_of(built.root, tmp_path / name) for name in ("ahead", "alone")]
    for project in fresh:
        project.sql("stg_004", "SELECT s.id AS id\nFROM s4 AS s WHERE (s.val > 1")
        project.sql("stg_007", "-- /// rule\n-- kye = 3\n-- ///\nSELECT s.id FROM s2 AS s")
    with (fresh[1].root / "rules.toml").open("a", encoding="utf-8") as file:
        file.write("[profiles.prod_fast]\njobs = 1\n")
    ahead, alone = (json.loads(one.cli("check", "--json").stdout)["findings"] for one in fresh)
    assert ahead == alone
    assert {("rules/stg_004.sql", 2), ("rules/stg_007.sql", 2)} <= {(one["path"], one["line"]) for one in ahead}
    records = [set(remembered(one, "parsed")) for one in fresh]
    texts = [{key for key in one if not key.startswith("check ")} for one in records]
    assert texts[0] == texts[1]
    assert len(texts[0]) == SIZE - 2
