"""Profiles through the command line: settings that cost speed or memory do not change what a table says."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from support.projects import SampleProject

ROWS = 1_000_000
TIGHT = "\n[profiles.memory_tight]\nmemory_limit_mb = 40\n"
RANKED = """SELECT t.i, t.g, RANK() OVER (PARTITION BY t.g ORDER BY t.s, t.i) AS place
FROM t AS t
"""


def test_a_sort_of_more_than_the_memory_allowed_spills_and_gives_the_same_table(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "project", sources=["t"], toml=TIGHT)
    generator = np.random.default_rng(0)
    project.parquet(
        "t",
        {
            "i": generator.integers(0, 1 << 40, ROWS),
            "g": generator.integers(0, 8, ROWS),
            "s": [f"word {number:08}" for number in generator.integers(0, 100_000, ROWS)],
        },
    )
    project.sql("ranked", RANKED)
    whole = project.build()["products"][0]
    assert whole["status"] == "executed"
    tight = project.build("--profile", "memory_tight", "--force", "ranked")["products"][0]
    assert (tight["status"], tight["artifact"], tight["changed"]) == ("executed", whole["artifact"], False)
