"""A tree that was sent to another process as data is the one that was parsed, with its positions and comments."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

from sqlglot import exp

from compiler.sql.dialect import parse
from compiler.tree.packing import packed, unpacked
from support.pairs import load_pairs

MADE_BY_HAND = (
    "SELECT /* first */ t.a AS x, -- of t\n t.b[1] AS y FROM t AS t WHERE t.a IN (1, NULL, TRUE) AND t.d = $day",
    "SELECT CAST(t.a AS DECIMAL(10, 2)) AS a, t.* EXCEPT (b) FROM t AS t UNION ALL SELECT * FROM (VALUES (1)) AS v(a)",
    "SELECT SUM(t.a) FILTER (WHERE t.b) OVER (ORDER BY t.c ROWS 1 PRECEDING) AS s, COUNT(*) AS n FROM t AS t",
)


def texts() -> Iterator[str]:
    yield from MADE_BY_HAND
    for number, pair in enumerate([*load_pairs("equal"), *load_pairs("unequal")]):
        if number % 10 == 0:
            yield pair.first


def contents_of(node: exp.Expr) -> list[Any]:
    """Everything that a tree holds."""
    own = (node._meta or None, node.comments or None, node._type)  # noqa: SLF001 — their properties make what is not there
    found: list[Any] = [type(node), node.arg_key, node.index, own]
    for key, value in node.args.items():
        for one in value if isinstance(value, list) else [value]:
            assert not isinstance(one, exp.Expr) or one.parent is node
            found.append((key, type(value), contents_of(one) if isinstance(one, exp.Expr) else one))
    return found


def test_a_tree_comes_back_as_it_was() -> None:
    seen = 0
    for text in texts():
        tree = parse(text)
        before = contents_of(tree)
        rows = packed(tree)
        assert rows is not None, text
        again = unpacked(pickle.loads(pickle.dumps(rows)))  # noqa: S301 — our own
        assert contents_of(again) == before, text
        assert contents_of(tree) == before, text
        seen += 1
    assert seen > 50


def test_what_no_text_is_parsed_to_is_not_sent() -> None:
    tree = parse("SELECT t.a AS a FROM t AS t")
    tree.args["limit"] = object()
    assert packed(tree) is None
    tree = parse("SELECT t.a AS a FROM t AS t")
    tree.selects[0].type = "INT"
    assert packed(tree) is None
