"""Whatever was edited before, a build judges as a build from nothing does, and publishes what that publishes."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from support.checked import CONTRACT, ROWS, checked_project, checks, rows
from support.inprocess import Ran, build
from support.projects import SampleProject

CONTRACTS = (
    CONTRACT,
    CONTRACT.replace('"warn"', '"error"'),
    CONTRACT.replace('"held"', '"held", "lost"'),
    CONTRACT.replace('key = ["id"]', 'key = ["id", "note"]'),
    "",
)
QUERIES = ("SELECT * FROM raw", "SELECT * FROM raw WHERE amount > 10", "SELECT * FROM raw ORDER BY amount DESC")
VALUES: dict[str, list[Any]] = {
    "id": [1, 2, 3, None],
    "customer": [1, 2, 9, None],
    "status": ["open", "held", "lost", None],
    "amount": [1, 30, 300],
}


def edit(project: SampleProject, chance: random.Random) -> str:
    what = chance.choice(["data", "data", "people", "contract", "query"])
    if what == "data":
        columns = chance.sample(sorted(VALUES), 2)
        rows(project, **{name: [chance.choice(VALUES[name]) for _ in ROWS["id"]] for name in columns})
    elif what == "people":
        project.parquet("people", {"id": chance.choice([[1, 2], [1, 2, 9], [2]])})
    else:
        project.sql("orders", chance.choice(CONTRACTS) + chance.choice(QUERIES))
    return what


def outcome(ran: Ran) -> dict[str, object]:
    """What a build found, whatever it had to run for it: which products failed, for what; what each check came to."""
    failed = {name for name, status in ran.statuses.items() if status in {"failed", "skipped"}}
    found = {name: (one["failing"], one["message"], one["severity"]) for name, one in checks(ran).items()}
    return {"failed": failed, "checks": found, "status": ran.document["status"]}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_incremental_judges_as_clean(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    project = checked_project(tmp_path / "edited")
    build(project)
    last = {name: project.product(name) for name in ("customers", "orders", "totals")}
    for number in range(8):
        what = edit(project, chance)
        fresh = SampleProject.copy_of(project.root, tmp_path / f"fresh {number}")
        clean = build(fresh, "-k", expect=None)
        incremental = build(project, "-k", expect=clean.code)
        assert outcome(incremental) == outcome(clean), (number, what)
        for name, status in incremental.statuses.items():
            good = status not in {"failed", "skipped"}
            last[name] = fresh.product(name) if good else last[name]
            assert project.product(name).equals(last[name]), (number, what, name)
        again = build(project, "-k", expect=clean.code)
        assert again.executed == {name for name, one in checks(again).items() if one["status"] == "executed"} == set()
        shutil.rmtree(fresh.root)
