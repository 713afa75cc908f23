"""How many rows a query is run in at once: large batches for large queries, unless the profile says how many."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from support.inprocess import Ran, build
from support.projects import SampleProject

LARGE, SMALL = 4_000_000, 3_999_999
PROFILES = "\n[profiles.own]\nbatch_size = 4096\n\n[profiles.limited]\nmemory_limit_mb = 4096\n"
GROUPS = "SELECT t.k AS k, COUNT(*) AS n FROM {0} AS t WHERE t.k >= (SELECT MIN(u.k) FROM {0} AS u) GROUP BY t.k"
"""The subquery is why no part is run by itself."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    project = SampleProject(tmp_path_factory.mktemp("batches"), sources=["large", "small"], toml=PROFILES)
    keys = np.arange(LARGE, dtype=np.int32) // 2
    for name, rows in (("large", LARGE), ("small", SMALL)):
        project.parquet(name, {"k": keys[:rows]})
    return project


def batch_size(project: SampleProject, ran: Ran, name: str) -> int:
    kept = project.root / ".rules/evidence" / ran.document["build"] / name / "settings.json"
    return int(json.loads(kept.read_text())["settings"]["datafusion.execution.batch_size"])


@pytest.mark.slow
def test_large_queries_are_run_in_large_batches(large: SampleProject, tmp_path: Path) -> None:
    project = SampleProject.copy_of(large.root, tmp_path / "copy")
    for name in ("large", "small"):
        project.sql(f"of_{name}", GROUPS.format(name))
    first = build(project, "--evidence", "full")
    assert (batch_size(project, first, "of_large"), batch_size(project, first, "of_small")) == (65_536, 16_384)
    tables = {one["name"]: one["artifact"] for one in first.document["products"]}
    for profile, rows in (("own", 4096), ("limited", 32_768)):
        again = build(project, "--force", "*", "--evidence", "full", "--profile", profile)
        assert batch_size(project, again, "of_large") == rows
        assert {one["name"]: one["artifact"] for one in again.document["products"]} == tables


@pytest.mark.slow
def test_a_table_that_shows_its_batches_is_made_in_those_of_the_profile(large: SampleProject, tmp_path: Path) -> None:
    project = SampleProject.copy_of(large.root, tmp_path / "copy")
    project.sql(
        "total", "SELECT SUM(t.k / 7.0e0) AS total FROM large AS t WHERE t.k >= (SELECT MIN(u.k) FROM large AS u)"
    )
    assert batch_size(project, build(project, "--evidence", "full"), "total") == 32_768
