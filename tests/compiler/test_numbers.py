"""Plain names are numbered as SQLGlot numbers them, and only plain ones."""

from __future__ import annotations

from functools import partial

import pytest
from sqlglot import exp
from sqlglot.optimizer.canonicalize_internal_names import canonicalize_internal_names

from compiler.canonical.facts import Facts
from compiler.canonical.names import set_apart
from compiler.canonical.numbers import plain_numbers
from compiler.errors import SqlError
from compiler.names.qualify import InputSchemas, qualified
from compiler.names.resolve import bind_tables
from compiler.sql.dialect import parse
from compiler.sql.encode import encode
from compiler.tree.big_stack import with_deep_stack
from compiler.tree.walk import bare_copy
from rules.storage.types import to_schema
from support.databases import TABLES
from support.pairs import load_pairs
from support.tpcds import RULES
from support.tpcds import schemas as tpcds_schemas

UNUSUAL = {
    "a recursive CTE": "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT r.n + 1 FROM r) SELECT r.n AS n FROM r",
    "columns by name": "SELECT q.a AS a FROM (SELECT 1 AS a, 2 AS b UNION ALL BY NAME SELECT 3 AS b, 4 AS a) AS q",
    "a list of columns": "SELECT q.x AS x FROM (SELECT 1 AS a) AS q(x)",
    "values": "SELECT v.a AS a FROM (VALUES (1)) AS v(a)",
    "a lateral query": "SELECT l.b AS b FROM t AS t CROSS JOIN LATERAL (SELECT t.a AS b) AS l",
    "a name from nowhere": "SELECT x.a AS a FROM t AS t",
}


def numbered(tree: exp.Query) -> exp.Query | None:
    found = plain_numbers(tree, Facts({}))
    for identifier, name in found or ():
        identifier.set("this", name)
        identifier.args["quoted"] = True
    return tree if found is not None else None


@pytest.mark.parametrize("sql", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_not_plain_is_left_to_sqlglot(sql: str) -> None:
    assert plain_numbers(parse(sql), Facts({})) is None


@pytest.mark.slow
def test_the_numbers_are_those_that_sqlglot_gives() -> None:
    suites = [
        (
            TABLES,
            [text for kind in ("equal", "unequal") for pair in load_pairs(kind) for text in (pair.first, pair.second)],
        ),
        (tpcds_schemas(), [rule.read_text(encoding="utf-8") for rule in RULES]),
    ]
    plain = others = refused = 0

    def check(sql: str, schemas: InputSchemas) -> bool:
        query = parse(sql)
        bind_tables(query, {name.lower(): name for name in schemas.known}.get, schemas.known)
        query = qualified(query, schemas)
        expected = bare_copy(query)
        set_apart(expected, Facts({}))
        found = numbered(query)
        if found is not None:
            assert encode(found) == encode(canonicalize_internal_names(expected)), sql
        return found is not None

    for tables, texts in suites:
        schemas = InputSchemas()
        for name, table in tables.items():
            schemas.add(name, to_schema(table))
        for text in texts:
            try:
                is_plain = with_deep_stack(partial(check, text, schemas))
            except SqlError:
                refused += 1
                continue
            plain, others = (plain + 1, others) if is_plain else (plain, others + 1)
    assert plain > 10 * others > 0
    assert refused < 5, "a pair may hold a text that is no rule"
