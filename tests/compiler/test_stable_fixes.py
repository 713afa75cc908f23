"""A fix of another dialect's SQL is made once: what it writes is found by no check again."""

from __future__ import annotations

import pytest

from compiler.lint.check import World, check_rule
from compiler.lint.edits import fixed
from compiler.lint.findings import Found
from compiler.sql.foreign_table import DIALECTS
from support.dialect_proofs import call, exact_rows
from support.translating import world

ARGUMENTS = {"l": "[v.n, v.m, NULL]", "r": "[v.m, 3]", "z": "v.k", "i": "INTERVAL '3 days'"}
CONSTANTS = {"strftime": "%Y-%m-%d", "regexp_full_match": "a.*"}


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_fix_is_made_once(dialect: str) -> None:
    around = world(dialect)
    again = []
    for row in exact_rows(dialect):
        text = f"SELECT {call(row, CONSTANTS, ARGUMENTS)} AS x FROM v"
        once, _ = fixed(text, _found(text, around), around)
        twice, _ = fixed(once, _found(once, around), around)
        if once not in {text, twice}:
            again.append((text, once, twice))
    assert not again, "\n".join(map(str, again))


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("duckdb", "string_split(v.s, lower(v.t))"),  # string_to_array in it is DuckDB's too, with another meaning
        ("duckdb", "upper(to_hex(v.n))"),
        ("duckdb", "list_contains([v.n, NULL], CAST(v.x AS INT))"),
        ("snowflake", "date_part('epoch', v.a)"),
        ("spark", "chr(CAST(v.q AS INT) + 1)"),
        ("spark", "array_contains(array(v.n, 2), v.m / 2)"),
        ("bigquery", "v.n >> 2"),
        ("bigquery", "min(v.x)"),
        ("bigquery", "least(v.x, ieee_divide(0, 0), v.n)"),
        ("postgres", "to_hex(CAST(v.n AS INT))"),
        ("postgres", "v.s SIMILAR TO 'a%b_'"),
        ("postgres", "CAST(v.s AS TIMESTAMP)"),
    ],
)
def test_what_a_fix_wrote_is_not_fixed_again(dialect: str, text: str) -> None:
    around = world(dialect)
    texts = [f"SELECT {text} AS x FROM v"]
    while len(texts) < 6 and (found := _found(texts[-1], around)):
        texts.append(fixed(texts[-1], found, around)[0])
    assert not _found(texts[-1], around), texts
    foreign = [one for one in check_rule(texts[-1], around).found if one.code >= "R030"]
    assert not foreign, (texts, foreign)


def _found(text: str, around: World) -> list[Found]:
    return [one for one in check_rule(text, around).found if one.fix is not None and one.fix.translates]


@pytest.mark.parametrize(
    "text",
    [
        "(CAST(date_trunc('minute', v.b) AS DATE) - CAST(date_trunc('minute', v.a) AS DATE)) / 60",
        "(v.n - v.m % v.k) / v.k",
        "(v.n - v.n % v.m) / v.k",
        "(v.n - v.n) / 60",
    ],
)
def test_a_division_that_may_leave_a_remainder_is_found(text: str) -> None:
    found = check_rule(f"SELECT {text} AS x FROM v", world("duckdb")).found
    assert "R016" in {one.code for one in found}
