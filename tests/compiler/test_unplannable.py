"""What the engine cannot plan is told in SQL's terms and at a place in the text, whatever is wrong."""

from __future__ import annotations

import itertools
import random

import pytest

from compiler.engine_errors.planning import INTERNALS
from compiler.errors import SqlError
from support.compiling import TestCompiler
from support.unplannable import SHAPES, TABLES, calls, casts, operators

KINDS = {"calls": calls, "operators": operators, "casts": casts, "shapes": lambda: iter(SHAPES)}
SOME = 60
"""Queries of each kind that the suite tries; the soak tries all, some 25,000."""


def tried(kind: str, sql: str, compiler: TestCompiler) -> str | None:
    """Return what is wrong with how a query is refused, and None also for one that is not."""
    try:
        compiler.compile(sql)
    except SqlError as error:
        ours = error.code not in {"engine", "type"}  # where a hint may name a type of the engine, to be written
        said = error.message if ours else f"{error.message} | {error.hint}"
        if INTERNALS.search(said):
            return f"{kind}: {sql}: {said}"
        if error.line != 1 or error.column is None or not 1 <= error.column <= len(sql):
            return f"{kind}: {sql}: at {error.line}:{error.column}"
        if error.code == "engine" and error.column == 1:
            return f"{kind}: {sql}: {said}: no place"
        if error.code == "engine" and "the engine cannot run" in error.message:
            return f"{kind}: {sql}: nothing is told"
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_some(kind: str) -> None:
    every = list(KINDS[kind]())
    compiler = TestCompiler(TABLES)
    chosen = random.Random(f"{kind} 16").sample(every, min(SOME, len(every)))
    assert [wrong for sql in chosen if (wrong := tried(kind, sql, compiler))] == []


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_all(kind: str) -> None:
    compiler = TestCompiler(TABLES)
    wrong = [told for sql in KINDS[kind]() if (told := tried(kind, sql, compiler))]
    assert list(itertools.islice(wrong, 20)) == []


PLACED = {
    "SELECT abs(t.i) AS a, «abs(t.s) AS b, abs(t.f) AS c FROM t": "'abs' cannot be called with TEXT",
    "SELECT t.i + t.k AS a, t.i + «t.s AS b FROM t": "BIGINT + TEXT cannot be computed",
    "SELECT «reverse(named_struct('a', t.i)) AS a FROM t": "'reverse' cannot be called with (STRUCT(a BIGINT))",
    "SELECT q.b FROM (SELECT abs(t.i) AS a, «abs(t.s) AS b FROM t) AS q": "'abs' cannot be called with TEXT",
    "SELECT t.i FROM t WHERE t.i IN (1, 2) AND «t.o IN (1, 2)": (
        "IN compares BOOLEAN with BIGINT, which cannot be compared"
    ),
    "SELECT CASE WHEN t.o THEN 1 ELSE 2 END AS a, CASE WHEN «t.o THEN t.d ELSE t.f END AS b FROM t": (
        "the branches of CASE are DATE and DOUBLE, which have no common type"
    ),
    "SELECT CAST(t.i AS TEXT) AS a, CAST(«t.d AS BOOLEAN) AS b FROM t": "DATE cannot be cast to BOOLEAN",
    "WITH q AS (SELECT t.i, t.s FROM t) SELECT u.i FROM u WHERE EXISTS (SELECT 1 FROM q WHERE q.i = u.i AND «q.s * u.k > 1)": (  # noqa: E501
        "TEXT * INT cannot be computed"
    ),
    "SELECT t.i FROM t WHERE t.s = 'x' AND t.i = «'x'": "'x' is not a value of BIGINT",
}


@pytest.mark.parametrize("marked", PLACED)
def test_of_several_parts_the_wrong_one_is_named(marked: str) -> None:
    with pytest.raises(SqlError) as raised:
        TestCompiler(TABLES).compile(marked.replace("«", ""))
    found = raised.value
    operand = marked.index("«") + 1
    assert found.message == PLACED[marked]
    assert found.column is not None
    assert abs(found.column - operand) <= len("t.i + "), (found.column, operand)
