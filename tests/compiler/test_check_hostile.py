"""Texts that tools write, or nobody should: each gets findings with a place in it, and in good time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from compiler.lint.check import World
from support.checking import findings, fix, world

LIMIT = 20.0
"""Seconds of processor time."""

TEXTS = {
    "10,000 in IN": f"SELECT id FROM orders WHERE id IN ({', '.join(map(str, range(10_000)))})",
    "10,000 columns": f"SELECT {', '.join(f'amount + {n} AS c{n}' for n in range(10_000))} FROM orders AS o",
    "10,000 unknown columns": f"SELECT {', '.join(f'amuont{n} AS c{n}' for n in range(10_000))} FROM orders AS o",
    "200 unions": " UNION ALL ".join(f"SELECT amount FROM orders WHERE id = {n}" for n in range(200)),
    "500 CTEs": "WITH "
    + ", ".join(f"q{n} AS (SELECT id FROM {f'q{n - 1}' if n else 'orders'})" for n in range(500))
    + " SELECT id FROM q0",
    "100 queries in one another": "SELECT id FROM (" * 100 + "SELECT id FROM orders" + ") AS q" * 100,
    "100,000 parentheses": f"SELECT {'(' * 100_000}id{')' * 100_000} AS a FROM orders",
    "1,000 parentheses": f"SELECT {'(' * 1000}id{')' * 1000} AS a FROM orders",
    "a comment of 1 MB": f"SELECT id -- {'x' * 1_000_000}\nFROM orders",
    "a string of 1 MB": f"SELECT '{'x' * 1_000_000}' AS s, id FROM orders",
    "50,000 suppressions": "-- rules: ignore[R005]\n" * 50_000 + "SELECT id FROM orders",
    "an unterminated string": "SELECT id, 'abc FROM orders",
    "an unterminated name": 'SELECT id, "abc FROM orders',
    "an unterminated comment": "SELECT id /* FROM orders",
    "an unterminated parenthesis": "SELECT (id FROM orders",
    "nothing": "",
    "blanks": " \r\n\t ",
    "only a comment": "-- nothing",
    "a semicolon": ";",
    "controls": "SELECT \x01\x02\x1b[31m FROM orders",
    "surprising letters": "SELECT ïd, 表.名 FROM orders AS 表 WHERE 名 = '🦆'",
    "lone surrogates are no text, but this is": "SELECT id AS \u202e FROM orders",
    "CR alone": "SELECT\rid\rFROM\rorders",
    "a dollar": "SELECT $ FROM orders",
    "a template": "SELECT {{ column }} FROM {{ ref('orders') }}",
    "several statements": "SELECT id FROM orders; SELECT id FROM orders",
    "a mark in the middle": "SELECT \ufeffid FROM orders",
}  # fmt: skip


def _cases() -> Iterator[Any]:
    """Every text with schemas and, if it is quickly done, also without; the long ones without are for the soak."""
    for name, text in TEXTS.items():
        yield pytest.param(name, world(), id=f"{name}-schemas", marks=[pytest.mark.slow] * (len(text) > 10_000))
        yield pytest.param(name, World(), id=f"{name}-none", marks=[pytest.mark.soak] * (len(text) > 100_000))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "against"), list(_cases()))
def test_a_text_gets_findings_with_places_in_it_in_good_time(name: str, against: World) -> None:
    text = TEXTS[name]
    began = time.process_time()
    found = findings(text, against)
    assert time.process_time() - began < LIMIT
    lines = text.split("\n")
    assert found
    for one in found:
        assert 1 <= one.place.line <= len(lines)
        assert 1 <= one.place.column <= len(lines[one.place.line - 1]) + 1


@pytest.mark.slow
def test_a_deep_rule_is_fixed_in_good_time() -> None:
    began = time.process_time()
    after = fix(TEXTS["100 queries in one another"], "R001")
    assert time.process_time() - began < LIMIT
    assert "R001" not in {one.code for one in findings(after)}
