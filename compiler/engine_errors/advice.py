"""What the engine says, taken apart, and what the author reads; finding the parts of a query that may be meant."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from compiler.sql import functions


@dataclass(frozen=True)
class Refusal:
    """What the engine says. text: without what surrounds it. function, given: the call, as far as it is named."""

    text: str
    query: exp.Query
    function: str | None = None
    given: str | None = None
    candidates: str | None = None


@dataclass(frozen=True)
class Advice:
    """What the author reads. nodes: those that it may be about; which of several it is, planning them shows."""

    message: str
    hint: str | None = None
    nodes: tuple[exp.Expr, ...] = ()


Adviser = Callable[["re.Match[str]", Refusal], Advice]


LONGEST = 120
"""Characters of a list of signatures that still helps."""


def calls(query: exp.Query, name: str) -> tuple[exp.Expr, ...]:
    """Return the calls of a function, else all calls: the engine calls some functions by another of their names."""
    every = [
        node
        for node in query.find_all(exp.Func)
        if functions.function_name(node) is not None and not isinstance(node, exp.Window)
    ]
    named = [node for node in every if functions.function_name(node) == name.lower()]
    return tuple(named or every)


def of_kind(query: exp.Query, *kinds: type[exp.Expr]) -> tuple[exp.Expr, ...]:
    """Return the nodes of some kinds."""
    return tuple(query.find_all(*kinds))


def literals(query: exp.Query, value: str) -> tuple[exp.Expr, ...]:
    """Return the literals of a value; else what may compute it from literals."""
    found = tuple(one for one in query.find_all(exp.Literal) if one.this == value)
    if len(found) > 1:  # alone each is correct: what is around it is wrong
        return tuple(one.parent for one in found if one.parent is not None)
    return found or of_kind(query, exp.Cast, exp.TryCast, exp.Func, exp.Binary, exp.In, exp.Between)


def plain(message: str, hint: str | None, *kinds: type[exp.Expr]) -> Adviser:
    """Return an adviser with one sentence about nodes of some kinds."""
    return lambda _, refusal: Advice(message, hint, tuple(refusal.query.find_all(*kinds)) if kinds else ())


def aggregates(query: exp.Query) -> list[exp.Expr]:
    """Return the calls of aggregates, GROUPING among them."""
    return [*query.find_all(exp.AggFunc), *(one for one in query.find_all(exp.Func) if is_grouping(one))]


def is_grouping(node: exp.Expr) -> bool:
    """Whether a node calls GROUPING."""
    return functions.function_name(node) == "grouping"


def is_within(node: exp.Expr, *kinds: type[exp.Expr]) -> bool:
    """Whether a node of these kinds is around `node` and within its own query."""
    return isinstance(node.find_ancestor(*kinds, exp.Select), kinds)


def is_below(node: exp.Expr, top: exp.Expr | None) -> bool:
    """Whether a node is `top` or below it."""
    around: exp.Expr | None = node
    while around is not None and top is not None:
        if around is top:
            return True
        around = around.parent
    return False
