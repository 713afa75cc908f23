"""An edit in the midst of a long expression is told: what is shown is the part that differs."""

from pathlib import Path

import pytest

from support.inprocess import run
from support.projects import SampleProject

LONG = " ".join(f"WHEN r.n = {number} THEN 'number {number}'" for number in range(40))
CONDITION = " OR ".join(f"(r.n > {number} AND r.m < {number})" for number in range(40))


@pytest.mark.parametrize(
    ("before", "after", "old", "new"),
    [
        (f"SELECT CASE {LONG} END AS x FROM raw AS r", "THEN 'number 35'", "'number 35'", "'another'"),
        (f"SELECT r.n FROM raw AS r WHERE {CONDITION}", "r.m < 35", "m < 35", "m < 70"),
        (f"SELECT r.n FROM raw AS r GROUP BY r.n HAVING MAX(CASE {LONG} END) = 'a'", "'number 35'", "35'", "x'"),
    ],
)
def test_a_long_expression(tmp_path: Path, before: str, after: str, old: str, new: str) -> None:
    sample = SampleProject(tmp_path / "p", sources=["raw"])
    sample.parquet("raw", {"n": [1], "m": [2]})
    sample.sql("kept", before)
    run(sample, "build")
    sample.edit("rules/kept.sql", after, after.replace(old, new))
    told = run(sample, "diff", "--json").document["rules"][0]["edits"]
    assert len(told) == 1
    one, _, other = told[0].partition(" → ")
    assert old in one
    assert new in other
    assert len(told[0]) < 500
    assert "query changed" not in run(sample, "plan").stdout
