"""CASE in a predicate: a test of its result becomes a CASE of truth values, and that a condition in a filter."""

from __future__ import annotations

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.canonical.folding import truth_of
from compiler.canonical.predicate_facts import is_constant, looks_up_bits, never_fails, one_kind
from compiler.tree.walk import has

_COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_MOST_BRANCHES = 8
_FALSE, _TRUE = False, True


def test_each_branch(query: exp.Query, facts: Facts) -> exp.Query:
    """Compare the constants that a CASE yields where they are written, not its result.

    CASE WHEN p THEN 'a' ELSE 'b' END = 'a' → CASE WHEN p THEN TRUE ELSE FALSE END
    CASE WHEN p THEN 'a' END IS NULL → CASE WHEN p THEN FALSE ELSE TRUE END
    CASE WHEN p THEN NULL ELSE a END IS NULL → CASE WHEN p THEN TRUE ELSE a IS NULL END
    NOT CASE WHEN p THEN TRUE ELSE FALSE END → CASE WHEN p THEN FALSE ELSE TRUE END
    """
    cases = [case for case in facts.nodes(query, exp.Case) if _yields_constants(case) or _yields_columns(case)]
    if not cases or facts.of(query, looks_up_bits):
        return query
    types = facts.types(query)
    for case in cases[::-1]:
        test = case.parent
        if isinstance(test, exp.Not) and _is_of_truths(case):
            for value in _values(case):
                if not isinstance(value, exp.Null):
                    value.replace(_negated(value))
            test.replace(case)
        elif isinstance(test, (*_COMPARED, exp.In, exp.Is)) and (truths := _truths(case, test, types)) is not None:
            for branch, truth in zip(case.args["ifs"], truths[:-1], strict=True):
                branch.set("true", truth)
            case.set("default", truths[-1])
            test.replace(case)
    return query


def filter_of_case(case: exp.Case, types: Types) -> exp.Expr | None:
    """Return a condition that filters as a CASE of truth values does, for which NULL is FALSE; None if there is none.

    CASE WHEN p THEN TRUE WHEN q THEN FALSE ELSE TRUE END → p OR NOT (q IS TRUE);  CASE WHEN p THEN r END → p AND r;
    CASE WHEN p THEN r ELSE s END → (p AND r) OR (NOT (p IS TRUE) AND s)

    A condition is computed for all rows, what is inside a CASE only for some: so not if something in it may fail.
    """
    if case.this is not None or len(case.args["ifs"]) > _MOST_BRANCHES or types.of(case) != "bool":
        return None
    branches = [(branch.this, branch.args["true"]) for branch in case.args["ifs"]]
    default = case.args.get("default")
    parts = [part for branch in branches for part in branch]
    parts += [] if default is None else [default]
    if not all(types.of(part) == "bool" or isinstance(part, exp.Null) for part in parts):
        return None
    if not all(never_fails(types, part) for part in parts[1:]) or has(case, exp.Query):
        return None
    rest = _truth(default)
    for condition, value in reversed(branches):
        taken = _truth(value)
        if taken is _TRUE:
            rest = condition.copy() if rest is _FALSE else exp.Or(this=condition.copy(), expression=_node(rest))
            continue
        if rest is not _FALSE:
            untaken = exp.Not(this=exp.Is(this=condition.copy(), expression=exp.Boolean(this=True)))
            rest = untaken if rest is _TRUE else exp.And(this=untaken, expression=_node(rest))
        if not isinstance(taken, bool):
            both = exp.And(this=condition.copy(), expression=taken.copy())
            rest = both if rest is _FALSE else exp.Or(this=both, expression=_node(rest))
    return _node(rest)


def _truth(value: exp.Expr | None) -> exp.Expr | bool:
    if value is None or isinstance(value, exp.Null):
        return False
    return bool(value.this) if isinstance(value, exp.Boolean) else value


def _node(truth: exp.Expr | bool) -> exp.Expr:  # noqa: FBT001 — one of the values, no option
    if isinstance(truth, bool):
        return exp.Boolean(this=truth)
    return truth.copy() if truth.parent is not None else truth


def _values(case: exp.Case) -> list[exp.Expr]:
    default = case.args.get("default")
    return [*(branch.args["true"] for branch in case.args["ifs"]), *([] if default is None else [default])]


def _yields_constants(case: exp.Case) -> bool:
    return case.this is None and all(map(is_constant, _values(case)))


def _yields_columns(case: exp.Case) -> bool:
    """Whether a CASE yields columns and literals, or tests of whether they are NULL."""
    plain = (exp.Column, exp.Null, exp.Literal, exp.Boolean)
    return case.this is None and all(isinstance(value, plain) or _is_null_test(value) for value in _values(case))


def _is_null_test(value: exp.Expr) -> bool:
    test = value.this if isinstance(value, exp.Not) else value
    return isinstance(test, exp.Is) and isinstance(test.this, exp.Column) and isinstance(test.expression, exp.Null)


def _is_of_truths(case: exp.Case) -> bool:
    return all(isinstance(value, exp.Boolean | exp.Null) or _is_null_test(value) for value in _values(case))


def _negated(truth: exp.Expr) -> exp.Expr:
    if isinstance(truth, exp.Boolean):
        return exp.Boolean(this=not truth.this)
    return truth.this.copy() if isinstance(truth, exp.Not) else exp.Not(this=truth.copy())


def _truths(case: exp.Case, test: exp.Expr, types: Types) -> list[exp.Expr] | None:
    """Return what a test says of each value of a CASE, of the missing ELSE too; None if that is not certain."""
    values = _values(case)
    if isinstance(test, exp.Is):
        return _missing(case, test, types)
    if not _yields_constants(case):
        return None
    if isinstance(test, exp.In):
        others = test.expressions
        if test.this is not case or not others or any(test.args.get(key) for key in ("query", "unnest", "field")):
            return None
    else:
        others = [test.expression if test.this is case else test.this]
    if not all(is_constant(one) and not isinstance(one, exp.Null) for one in others):
        return None
    if not one_kind(types, [*values, *others]) or all(isinstance(value, exp.Null) for value in values):
        return None
    truths: list[exp.Expr] = []
    for value in [*values, *([exp.Null()] if case.args.get("default") is None else [])]:
        if isinstance(value, exp.Null):
            truths.append(exp.Null())
            continue
        found = [
            truth_of(exp.EQ if isinstance(test, exp.In) else type(test), value, one)
            if isinstance(test, exp.In) or test.this is case
            else truth_of(type(test), one, value)
            for one in others
        ]
        if None in found:
            return None
        truths.append(exp.Boolean(this=any(found)))
    return truths


def _missing(case: exp.Case, test: exp.Is, types: Types) -> list[exp.Expr] | None:
    """Return whether each value of a CASE is NULL, the missing ELSE too; a cast that may fail is no such value."""
    values = [*_values(case), *([exp.Null()] if case.args.get("default") is None else [])]
    if not isinstance(test.expression, exp.Null) or any(isinstance(value, exp.Cast) for value in values):
        return None
    if _yields_constants(case):
        return [exp.Boolean(this=isinstance(value, exp.Null)) for value in values]
    kinds = {types.of(value) for value in values if not isinstance(value, exp.Null)}
    if len(kinds) != 1 or None in kinds:
        return None  # a value that is cast to the type of another may fail
    return [
        exp.Is(this=value.copy(), expression=exp.Null())
        if isinstance(value, exp.Column)
        else exp.Boolean(this=isinstance(value, exp.Null))
        for value in values
    ]
