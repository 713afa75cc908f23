"""What passes are told of a tree is true of it as it is: an answer lasts until something changes, and no longer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.canonical.form import PASSES
from compiler.canonical.names import number_names, set_apart
from compiler.names.lexical import resolve_names
from compiler.names.qualify import InputSchemas, pruned, qualified
from compiler.names.resolve import bind_tables
from compiler.sql.dialect import parse
from compiler.sql.encode import encode
from compiler.tree.big_stack import with_deep_stack
from rules.storage.types import to_schema
from support.databases import TABLES
from support.pairs import load_pairs

EDITS: dict[str, Callable[[exp.Query], object]] = {
    "set": lambda query: query.find(exp.Literal).set("this", "2"),  # type: ignore[union-attr]
    "set to nothing": lambda query: query.set("where", None),
    "append": lambda query: query.find(exp.In).append("expressions", exp.Literal.number(9)),  # type: ignore[union-attr]
    "replace": lambda query: query.find(exp.Column).replace(exp.Null()),  # type: ignore[union-attr]
    "pop": lambda query: query.find(exp.Where).pop(),  # type: ignore[union-attr]
    "a node in a new one": lambda query: query.find(exp.EQ).replace(exp.Not(this=exp.Null())),  # type: ignore[union-attr]
}


def nodes(query: exp.Query) -> list[int]:
    return [id(node) for node in query.walk() if not isinstance(node, exp.Identifier)]


def asked(facts: Facts, query: exp.Query) -> list[int]:
    return [id(node) for node in facts.nodes(query, exp.Expr)]


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_every_edit_is_noticed(edit: Callable[[exp.Query], object]) -> None:
    query = parse("SELECT q.a AS a FROM (SELECT 1 AS a, 'x' AS b) AS q WHERE q.a IN (1, 2) AND q.b = 'x'")
    facts = Facts({})
    states: list[int] = []
    question = lambda tree, _facts: states.append(len(nodes(tree)))  # noqa: E731 — a question is known by its identity
    facts.of(query, question)
    facts.of(query, question)
    assert len(states) == 1
    edit(query)
    assert asked(facts, query) == nodes(query)
    facts.of(query, question)
    assert len(states) == 2


def test_another_query_has_answers_of_its_own() -> None:
    facts = Facts({})
    first, second = parse("SELECT 1 AS a"), parse("SELECT 1 AS a")
    assert asked(facts, first) == nodes(first)
    assert asked(facts, second) == nodes(second)


def test_names_that_stay_keep_the_answers_and_names_that_change_do_not() -> None:
    query = parse("SELECT q.a AS a FROM (SELECT 1 AS a) AS q")
    facts = Facts({})
    identifiers = list(query.find_all(exp.Identifier))
    states: list[str] = []
    question = lambda tree, _facts: states.append(tree.sql())  # noqa: E731 — a question is known by its identity
    for name in ("q", "q", "r"):
        facts.of(query, question)
        with facts.renaming(query, columns=True):
            for identifier in identifiers:
                if identifier.name in {"q", "r"}:
                    identifier.set("this", "other")
                    identifier.set("this", name)
    facts.of(query, question)
    assert states == ["SELECT q.a AS a FROM (SELECT 1 AS a) AS q", "SELECT r.a AS a FROM (SELECT 1 AS a) AS r"]


def encoded(query: exp.Query, _facts: Facts) -> bytes:
    return encode(query)


def test_nodes_and_what_their_names_mean_are_kept_while_names_change() -> None:
    query = parse("SELECT q.a AS a FROM (SELECT 1 AS a) AS q")
    facts = Facts({})
    found, names = asked(facts, query), facts.names(query)
    types = facts.types(query)
    set_apart(query, facts)
    assert query.sql() == 'SELECT "~0".a AS a FROM (SELECT 1 AS a) AS "~0"'
    assert asked(facts, query) == found
    assert facts.names(query) is names
    assert facts.types(query) is types, "no column has another name"
    number_names(query, facts)
    assert query.sql() == 'SELECT "_t0"."_c0" AS a FROM (SELECT 1 AS "_c0") AS "_t0"'
    assert facts.names(query) is names
    assert facts.types(query) is not types
    assert facts.types(query).of(query.selects[0]) == "int64"


@pytest.mark.slow
def test_no_pass_changes_a_tree_unnoticed() -> None:
    """The trees of all pairs, pass by pass: after each, what the facts say without being told is what is there."""
    schemas = InputSchemas()
    for name, table in TABLES.items():
        schemas.add(name, to_schema(table))
    names = {name.lower(): name for name in TABLES}
    kept = 0

    def check(sql: str) -> None:
        nonlocal kept
        query = parse(sql)
        bind_tables(query, names.get, schemas.known)
        query = pruned(qualified(query, schemas))
        facts = Facts(schemas.known)
        for rewrite in PASSES * 2:
            told = facts.of(query, encoded)
            query = rewrite(query, facts)
            facts.notice(query)
            hash(query)
            assert asked(facts, query) == nodes(query), rewrite.__name__
            assert facts.of(query, encoded) == encode(query), rewrite.__name__
            assert facts.names(query) == resolve_names(query), rewrite.__name__
            kept += facts.of(query, encoded) is told

    for pair in load_pairs("unequal")[::4]:
        with_deep_stack(partial(check, pair.first))
    assert kept > 1000
