"""Which call is being written at a place, and where its parameters are."""

from __future__ import annotations

import pytest

from rules.engine.signatures import Signature, signatures
from rules.lsp.signatures import Call, call_at, shown


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("SELECT substr(|", Call("substr", 0)),
        ("SELECT SUBSTR(a, b, |c) FROM t", Call("substr", 2)),
        ("SELECT f(g(1, 2), |", Call("f", 1)),
        ("SELECT f(g(1, |", Call("g", 1)),
        ("SELECT f(',(', |", Call("f", 1)),
        ("SELECT f('it''s', \"a,(b\", |", Call("f", 2)),
        ("SELECT f(1 /* , ( */, -- , (\n |", Call("f", 1)),
        ("SELECT f([1, 2], |", Call("f", 1)),
        ("SELECT f([1, |", None),
        ("SELECT f(1, (2 + |", None),
        ("SELECT f(1)|", None),
        ("SELECT f($$it's,($$, |", Call("f", 1)),
        ("SELECT f($a$ $$ |", None),
        ("SELECT f($low, $high|", Call("f", 1)),
        ("SELECT f('|", None),
        ("SELECT f('a|", None),
        ("SELECT f('a'|", Call("f", 0)),
        ("SELECT f(1 -- |", None),
        ("SELECT f(1 /* |", None),
        ("SELECT f(1 - |", Call("f", 0)),
        ("SELECT f(1; |", None),
        ("|", None),
        ("WHERE x IN (|", Call("in", 0)),
    ],
)
def test_the_call_at_a_place(text: str, call: Call | None) -> None:
    assert call_at(text.replace("|", ""), text.index("|")) == call


@pytest.mark.parametrize(
    ("syntax", "parameters"),
    [
        ("substr(str, start_pos[, length])", ["str", "start_pos", "length"]),
        ("now()", []),
        ("pi", []),
        ("coalesce(expression1[, ..., expression_n])", ["expression1", "expression_n"]),
        ("percentile(p [, centroids]) WITHIN GROUP (ORDER BY e)", ["p", "centroids"]),
        ("array_agg(expression [ORDER BY expression])", ["expression", "ORDER BY expression"]),
    ],
)
def test_the_parameters_of_a_signature(syntax: str, parameters: list[str]) -> None:
    found = shown(Call("f", 0), {"f": Signature(syntax, "")})
    assert found is not None
    assert [syntax[start:end] for start, end in found.parameters] == parameters


def test_an_argument_beyond_the_last_is_none_of_them_unless_that_repeats() -> None:
    known = {"one": Signature("one(a)", ""), "many": Signature("many(a[, ..., z])", "")}
    beyond, repeated = shown(Call("one", 3), known), shown(Call("many", 9), known)
    assert beyond is not None
    assert beyond.argument is None
    assert repeated is not None
    assert repeated.argument == 1
    assert shown(Call("nothing", 0), known) is None


def test_every_signature_of_the_engine_can_be_shown() -> None:
    known = signatures()
    assert known["date_trunc"].syntax == "date_trunc(precision, expression)"
    for name in known:
        one = shown(Call(name, 0), known)
        assert one is not None
        assert all(one.text[start:end].strip() for start, end in one.parameters)
