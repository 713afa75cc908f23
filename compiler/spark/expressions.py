"""The allow list: each kind of expression that both engines compute alike, and how it is written for Spark.

Whatever is not in `ALLOWED` or `FUNCTIONS` is refused by name. Each entry is there because
`tests/services/test_spark_translation.py` runs it on both engines over values that go wrong easily, and compares.

Spark runs with `spark.sql.ansi.enabled` off: integers then wrap around on overflow, as DataFusion's do. What that mode
would turn into NULL, where DataFusion fails (a lossy cast, a division by zero), is not on the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from compiler.spark import moments
from compiler.spark.aggregates import aggregate
from compiler.spark.alike import same
from compiler.spark.arithmetic import absolute, arithmetic, division, negation, remainder
from compiler.spark.casts import cast
from compiler.spark.comparisons import between, comparison, is_test, membership, nullif, require_common_type
from compiler.spark.numbers import call, cast_to
from compiler.spark.refusal import RefusedError
from compiler.spark.texts import TEXTS
from compiler.spark.types import COUNTED, Entry, SparkTypes, Write, is_known
from compiler.spark.windows import window
from compiler.sql.functions import function_name


def written(node: exp.Expr, types: SparkTypes, query: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Return an expression for Spark. query: writes a query within. Raises `RefusedError`."""
    write = ALLOWED.get(type(node))
    if write is not None:
        return write(node, types, lambda one: written(one, types, query))
    name = function_name(node) or ""
    if name in FUNCTIONS:
        return FUNCTIONS[name](node, types, lambda one: written(one, types, query))
    if isinstance(node, exp.Subquery):
        return exp.Subquery(this=query(node.this))
    if isinstance(node, exp.Exists):
        return exp.Exists(this=query(node.this))
    shown = f"the function {name}" if name else f"the construct {type(node).__name__.upper()}"
    raise RefusedError(f"{shown} is not known to mean the same there")


def _column(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    del write
    kind = types.of(node)
    if not is_known(kind) or (kind == COUNTED and types.is_input(node)):
        raise RefusedError(f"the type of column {node.name}{f', {kind},' if kind else ''} is not one of both engines")
    return node.copy()


def _literal(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    del write
    kind = types.of(node)
    if kind is None:
        raise RefusedError(f"the number {node.name} is too large")
    if kind == "string":
        return exp.Literal.string(node.name)
    return cast_to(exp.Literal.string(node.name), kind)


def _concatenation(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    if types.of(node) != "string":
        raise RefusedError("|| of other values than strings is not known to mean the same there")
    return exp.Paren(this=exp.DPipe(this=write(node.this), expression=write(node.expression), safe=True))


def _like(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    pattern = node.expression
    if types.of(node.this) != "string" or not (isinstance(pattern, exp.Literal) and "\\" not in pattern.name):
        raise RefusedError("LIKE is only known to mean the same with a pattern that is written out, without \\")
    return same(node, types, write)


def _case(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    kind = types.of(node)
    if kind is None:
        raise RefusedError(f"{type(node).__name__.upper()} of several types is not known to mean the same there")

    def value(one: exp.Expr) -> exp.Expr:
        return write(one) if isinstance(one, exp.Null) or types.of(one) == kind else cast_to(write(one), kind)

    if isinstance(node, exp.Coalesce):
        return exp.Coalesce(this=value(node.this), expressions=[value(one) for one in node.expressions])
    if node.this is not None:
        for branch in node.args["ifs"]:
            require_common_type(node, [node.this, branch.this], types)
    branches = [exp.If(this=write(one.this), true=value(one.args["true"])) for one in node.args["ifs"]]
    operand, default = node.args.get("this"), node.args.get("default")
    found = exp.Case(ifs=branches, this=write(operand) if operand is not None else None)
    if default is not None:
        found.set("default", value(default))
    return found


def _grouping(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`grouping(c)` of one column of a ROLLUP."""
    del types
    if len(node.expressions) != 1:
        raise RefusedError("grouping of several columns is not known to mean the same there")
    return cast_to(call("grouping", write(node.expressions[0])), "int32")


ALLOWED: Mapping[type[exp.Expr], Entry] = {
    exp.Column: _column, exp.Literal: _literal, exp.Null: same, exp.Boolean: same, exp.Paren: same,
    exp.And: same, exp.Or: same, exp.Not: same, exp.Is: is_test, exp.Between: between, exp.In: membership,
    exp.Like: _like, exp.EQ: comparison, exp.NEQ: comparison, exp.LT: comparison, exp.LTE: comparison,
    exp.GT: comparison, exp.GTE: comparison, exp.NullSafeEQ: comparison, exp.NullSafeNEQ: comparison,
    exp.Add: arithmetic, exp.Sub: arithmetic, exp.Mul: arithmetic, exp.Div: division, exp.Mod: remainder,
    exp.Neg: negation, exp.DPipe: _concatenation, exp.Coalesce: _case, exp.Case: _case, exp.If: same,
    exp.Cast: cast, exp.Sum: aggregate, exp.Avg: aggregate, exp.Min: aggregate, exp.Max: aggregate,
    exp.Count: aggregate, exp.Filter: aggregate, exp.Window: window,
}  # fmt: skip
FUNCTIONS: Mapping[str, Entry] = {
    **TEXTS, "date_part": moments.date_part, "date_trunc": moments.date_trunc, "make_date": moments.make_date,
    "grouping": _grouping, "abs": absolute, "nullif": nullif,
}  # fmt: skip
"""Functions of the engine, by their names there."""
