"""A query and a rewrite of it that keeps its meaning share one identity, nearly always; and they do mean the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from properties.judge import Tally, identity, judged, told_apart
from properties.rewrites import CLASSES, rewritten

SUITE_REWRITES = 90
SOAK_REWRITES = 20_000
SOAK_PARTS = 20
FLOOR = 0.9
"""Of the rate at which rewrites unify, a few points below what it is."""
EVERY = 5
"""One rewrite in so many is executed: a rewrite that changes the meaning is a mistake of its class."""


def check(start: int, wanted: int, tally: Tally) -> None:
    for case, name, sql, compiled in judged(start, wanted, CLASSES, rewritten, tally):
        tally.merged[name] += identity(compiled) == identity(case.compiled)
        if tally.tried.total() % EVERY == 0:
            found = told_apart(case, compiled, sql, range(3))
            assert found is None, f"{name} changes the meaning of query {case.seed}, {found}\n{case.sql}\n{sql}"


@pytest.mark.slow
def test_rewrites_unify() -> None:
    assert len(CLASSES) > 90
    tally = Tally()
    check(1, SUITE_REWRITES, tally)
    assert tally.rate() >= FLOOR, tally.table("rewrite")
    assert tally.refused.total() < SUITE_REWRITES / 20, tally.table("rewrite")


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_many_rewrites_unify(tmp_path: Path) -> None:
    tally = Tally()
    for part in range(1, SOAK_PARTS + 1):
        check(100_000 * part, SOAK_REWRITES * part // SOAK_PARTS, tally)
    table = tally.table("rewrite")
    (tmp_path / "rewrites.txt").write_text(table)
    print(table)  # noqa: T201 — what the soak is run for
    assert set(tally.tried) == set(CLASSES), "a class that applies nowhere proves nothing"
    assert tally.rate() >= FLOOR, table
