"""A fault of the engine where its two plans do not agree on whether a column can be NULL."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.passes.facts import Facts


def hide_truth_tests(query: exp.Query, facts: Facts) -> exp.Query:
    """SELECT DISTINCT x IS TRUE AS c → SELECT DISTINCT GREATEST(x IS TRUE) AS c, in place; likewise below UNION.

    DataFusion 55 says in its logical plan that x IS TRUE is never NULL and in its physical plan that it may be, and
    fails where it compares the two: at an aggregation, which DISTINCT becomes. GREATEST may be NULL in both.
    """
    tests = [node for node in facts.nodes(query, exp.Is) if isinstance(node.expression, exp.Boolean)]
    if not tests or not facts.has(query, exp.Distinct, exp.SetOperation):
        return query
    for value in list({id(value): value for test in tests for value in _output(test)}.values()):
        call = exp.Anonymous(this="greatest")
        value.replace(call)
        call.set("expressions", [value])
    return query


def _output(test: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the output, or the value of a COUNT(DISTINCT …), that a test makes, alone or with other conditions."""
    node = test
    while isinstance(node.parent, exp.Connector | exp.Not | exp.Paren):
        node = node.parent
    place = node.parent
    if isinstance(place, exp.Alias) and isinstance(place.parent, exp.Select):
        if place.arg_key == "expressions" and place.parent.args.get("group") is None:
            yield node
    elif isinstance(place, exp.Distinct) and isinstance(place.parent, exp.Count):
        yield node
