"""A fix writes names so that they are names again: whatever they are called, it holds, and is not offered once more."""

from __future__ import annotations

import random

import pytest

from compiler.lint.check import World
from compiler.lint.edits import _meaning, fixed
from compiler.names.qualify import InputSchemas
from compiler.schema import Column, Schema
from compiler.sql.dialect import DIALECT
from support.checking import findings

QUERIES = (
    "SELECT {c} FROM {t}",
    "SELECT {c}, b FROM {t} AS {a} WHERE {c} > 1 ORDER BY {c}",
    "SELECT * FROM {t}",
    "SELECT {a}.* FROM {t} AS {a}",
    "SELECT * FROM (SELECT {c} FROM {t}) AS {a}",
    "WITH {a} AS (SELECT {c} FROM {t}), unused AS (SELECT 1 AS x) SELECT {c} FROM {a}",
    "WITH {a} AS (SELECT 1 AS x) SELECT b FROM {t}",
    "SELECT b, count(*) AS n FROM {t} GROUP BY b, {c} HAVING max({c}) > 1",
    "SELECT x.b FROM {t} AS x WHERE EXISTS (SELECT 1 FROM {t} AS {a} WHERE x.b = {c})",
    "SELECT CASE WHEN {c} > 1 THEN b END AS r FROM {t} UNION ALL SELECT {c} FROM {t} AS {a}",
    "SELECT * EXCEPT ({c}) FROM {t} AS {a}",
    "SELECT * REPLACE (b AS {c}) FROM {t}",
    "SELECT sum(b) OVER (PARTITION BY {c}) AS s FROM {t}",
    "SELECT * FROM {t} AS {a} JOIN (SELECT b AS z FROM {t}) AS y ON {a}.{c} = z",
)
ODD = ("Mixed Case", "zoë", "a.b", 'a"b', "--x", "1a", "_t0")
RESERVED = sorted(word.lower() for word in DIALECT.Tokenizer.KEYWORDS if word.replace("_", "").isalpha())
# Words that were written without quotes where they mean something else, and a sample of the rest.
SOME = ("select", "true", "case", "all", "rollup", "values", "end", *random.Random(16).sample(RESERVED, 3))


def _world(table: str, column: str) -> World:
    schemas = InputSchemas()
    columns = dict.fromkeys((column, "b"), "int64")
    schemas.add(table, Schema(tuple(Column(name, kind) for name, kind in columns.items()), b""))
    return World(schemas, {table: table}.get, (table,), {}, {})


def require_settled(word: str, *, thorough: bool = False) -> int:
    """Fix queries in which `word` is the name of a column, a table, an alias or of all; return how many had fixes."""
    count = 0
    spellings = {'"' + word.replace('"', '""') + '"': word}
    if word.isidentifier() and word.isascii():
        spellings |= {word.upper(): word.lower(), **({word: word.lower()} if thorough else {})}
    for written, name in spellings.items():
        apart = ((written, "plain", "k"), ("c", written, "k"), ("c", "plain", written))
        for column, table, alias in ((written,) * 3, *(apart if thorough else ())):
            world = _world(name if table == written else table, name if column == written else column)
            for query in QUERIES:
                text = query.format(c=column, t=table, a=alias)
                found = [one.found for one in findings(text, world)]
                before = _meaning(text, world)
                if before is None or not any(one.fix for one in found):
                    continue
                after, refused = fixed(text, found, world)
                assert not refused, (text, after)
                assert _meaning(after, world) == before, (text, after)
                assert not [one for one in findings(after, world) if one.found.fix], (text, after)
                count += 1
    return count


@pytest.mark.slow
@pytest.mark.parametrize("word", [*SOME, *ODD])
def test_fixes_hold_and_are_offered_once(word: str) -> None:
    assert require_settled(word) > 0


@pytest.mark.soak
@pytest.mark.parametrize("start", range(8))
def test_fixes_hold_for_every_reserved_word(start: int) -> None:
    assert sum(require_settled(word, thorough=True) for word in RESERVED[start::8]) > 0
