"""A query and a mutation of it never share an identity, unless no database and no plan tells the two apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.compiled import Compiled
from properties.judge import DATABASES, Case, Tally, identity, judged, one_plan, told_apart
from properties.mutations import CLASSES, mutated

SUITE_MUTATIONS = 60
SOAK_MUTATIONS = 20_000
SOAK_PARTS = 20
CEILING = 0.12
"""Of the share of mutations that are none: more of them, and the mutations would prove little."""
SUITE_CEILING = 0.25
"""The same for as few as the suite tries, of which it is a twelfth to a sixth by chance."""


def check(start: int, wanted: int, tally: Tally) -> None:
    for case, name, sql, compiled in judged(start, wanted, CLASSES, mutated, tally):
        if identity(compiled) == identity(case.compiled):
            tally.merged[name] += 1
            tally.notes.append(checked_merge(case, name, sql, compiled))


def checked_merge(case: Case, name: str, sql: str, compiled: Compiled) -> str:
    """Assert that nothing tells two queries of one identity apart; return what there is to say of them."""
    found = told_apart(case, compiled, sql, range(DATABASES))
    assert found is None, f"{name} of query {case.seed} shares its result, which differs {found}\n{case.sql}\n{sql}"
    proof = "one plan" if one_plan(case.compiled, compiled) else "one result"
    return f"{name}, query {case.seed}: {proof}\n{case.compiled.sql}\n{sql}\n"


@pytest.mark.slow
def test_mutations_are_told_apart() -> None:
    assert len(CLASSES) > 80
    tally = Tally()
    check(50_000, SUITE_MUTATIONS, tally)
    assert tally.rate() <= SUITE_CEILING, tally.table("mutation")


@pytest.mark.slow
def test_a_wrong_merge_would_be_seen() -> None:
    """Were every mutation merged, the databases would tell most of them apart."""
    tally = Tally()
    seen = [
        told_apart(case, compiled, sql, range(DATABASES)) is not None
        for case, _, sql, compiled in judged(1, 15, CLASSES, mutated, tally)
        if identity(compiled) != identity(case.compiled)
    ]
    assert sum(seen) > len(seen) * 0.6


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_many_mutations_are_told_apart(tmp_path: Path) -> None:
    tally = Tally()
    for part in range(1, SOAK_PARTS + 1):
        check(100_000 * part, SOAK_MUTATIONS * part // SOAK_PARTS, tally)
    table = tally.table("mutation")
    (tmp_path / "mutations.txt").write_text(table)
    (tmp_path / "equivalent_mutations.txt").write_text("\n".join(tally.notes))
    print(table)  # noqa: T201 — what the soak is run for
    assert set(tally.tried) == set(CLASSES), "a class that applies nowhere proves nothing"
    assert tally.rate() <= CEILING, table
