"""Windows that both engines compute alike: those whose value does not depend on the order of rows that tie.

ROW_NUMBER, LAG, LEAD and frames of ROWS do where rows tie in the ORDER BY of their window. Spark finds that out by the
neighbours of each row, and the rule is then run locally.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from sqlglot import exp

from compiler.spark.aggregates import aggregate
from compiler.spark.numbers import call, cast_to, is_certain, or_locally
from compiler.spark.refusal import RefusedError
from compiler.spark.types import SparkTypes, Write
from compiler.sql.functions import function_name

_RANKS = frozenset({"rank", "dense_rank"})
_NEIGHBOURS = frozenset({"lag", "lead"})
_MOST_ROWS = 1000
_WINDOW = {"this", "partition_by", "order", "spec", "over"}
_AGGREGATES = (exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Count, exp.Filter)


def window(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """Write a function with OVER. Raises `RefusedError`."""
    unknown = next((key for key, value in node.args.items() if value and key not in _WINDOW), None)
    if unknown is not None:
        raise RefusedError(f"{unknown.strip('_').upper()} of a window is not known to mean the same there")
    over = _Over(node, types, write)
    function, name = node.this, function_name(node.this) or ""
    if isinstance(function, _AGGREGATES):
        return _aggregated(function, over, types, write)
    if over.frame is not None:
        raise RefusedError(f"a frame of {name or type(function).__name__.upper()} is not known to mean the same there")
    if name in _RANKS and not function.expressions and over.keys:
        return cast_to(over.of(call(name)), "int64")
    if name == "row_number" and not function.expressions and over.keys:
        return or_locally(cast_to(over.of(call(name)), "int64"), exp.not_(over.ties()))
    if name in _NEIGHBOURS and over.keys:
        return _neighbour(function, name, over, write)
    shown = name or type(function).__name__.upper()
    raise RefusedError(f"the function {shown} with this OVER is not known to mean the same there")


def _aggregated(function: exp.Expr, over: _Over, types: SparkTypes, write: Write) -> exp.Expr:
    """Write an aggregate of a window. What is written may be arithmetic of several aggregates."""
    counted = function.this.this if isinstance(function, exp.Filter) else function.this
    if isinstance(counted, exp.Distinct):
        raise RefusedError("an aggregate of DISTINCT values with OVER is not known to mean the same there")
    is_by_rows = over.frame is not None and over.frame.args.get("kind") == "ROWS"
    if is_by_rows and not over.keys:
        raise RefusedError("a frame of rows without an order is not known to mean the same there")
    holder = exp.Paren(this=aggregate(function, types, write))
    for one in list(holder.find_all(exp.AggFunc)):
        if one.find_ancestor(exp.AggFunc) is None:
            one.replace(over.of(one.copy()))
    return or_locally(holder.this, exp.not_(over.ties())) if is_by_rows else holder.this


def _neighbour(function: exp.Expr, name: str, over: _Over, write: Write) -> exp.Expr:
    """LAG(x, n): certain where the row ties with none, and where those at the ends of the way do not."""
    value, *rest = function.expressions
    count = rest[0] if rest else exp.Literal.number(1)
    if len(rest) > 1 or not (isinstance(count, exp.Literal) and count.is_int and 0 < int(count.name) <= _MOST_ROWS):
        raise RefusedError(f"{name.upper()} with a default, or a number that is not written out, is not known there")
    steps = int(count.name)
    found = over.of(call(name, write(value), exp.Literal.number(steps)))
    at = [over.of(call(name, over.key(), exp.Literal.number(step))) for step in (steps - 1, steps, steps + 1) if step]
    ties = [over.ties(), *(_same(one, other) for one, other in itertools.pairwise(at))]
    return or_locally(found, exp.not_(exp.Paren(this=exp.or_(*ties))))


class _Over:
    """The clause after OVER, written for Spark. keys: of its ORDER BY; frame: None where it is the default one."""

    def __init__(self, node: exp.Expr, types: SparkTypes, write: Write) -> None:
        order = node.args.get("order")
        self._partition = [_certain(one, types, write, "PARTITION BY") for one in node.args.get("partition_by") or ()]
        self.keys: Sequence[exp.Ordered] = [
            exp.Ordered(
                this=_certain(key.this, types, write, "ORDER BY"),
                desc=bool(key.args.get("desc")),
                nulls_first=bool(key.args.get("nulls_first")),
            )
            for key in (order.expressions if order is not None else ())
        ]
        self.frame = _frame(node.args.get("spec"))

    def of(self, function: exp.Expr) -> exp.Window:
        """Return a function of this window."""
        order = exp.Order(expressions=[key.copy() for key in self.keys]) if self.keys else None
        is_framed = self.frame is not None and isinstance(function, exp.AggFunc)
        return exp.Window(
            this=function,
            partition_by=[one.copy() for one in self._partition],
            order=order,
            spec=self.frame.copy() if self.frame is not None and is_framed else None,
        )

    def key(self) -> exp.Expr:
        """Return the values by which a row is ordered, as one."""
        return call("struct", *(key.this.copy() for key in self.keys))

    def ties(self) -> exp.Expr:
        """Return whether a row ties with its neighbours: NULLs tie too, and where there is no neighbour none does."""
        sides = [_same(self.key(), self.of(call(name, self.key()))) for name in ("lag", "lead")]
        return exp.Paren(this=exp.or_(*sides))


def _same(one: exp.Expr, other: exp.Expr) -> exp.Expr:
    """Return whether two keys are the same; that of a row which is not there is NULL, and the same as none."""
    there = exp.Not(this=exp.Is(this=other.copy(), expression=exp.Null()))
    return exp.Paren(this=exp.and_(there, exp.NullSafeEQ(this=one.copy(), expression=other.copy())))


def _certain(node: exp.Expr, types: SparkTypes, write: Write, what: str) -> exp.Expr:
    if not is_certain(node, types):
        kind = types.of(node) or "an uncertain type"
        raise RefusedError(f"{what} of {kind} in a window is not known to mean the same there")
    return write(node)


def _frame(spec: exp.Expr | None) -> exp.WindowSpec | None:
    """Return a frame from the first row to the current one, or to the last; None for that of RANGE, the usual one."""
    if spec is None:
        return None
    kind, start, end = (str(spec.args.get(key) or "").upper() for key in ("kind", "start", "end"))
    sides = str(spec.args.get("start_side") or "").upper(), str(spec.args.get("end_side") or "").upper()
    is_from_first = (start, sides[0]) == ("UNBOUNDED", "PRECEDING") and not spec.args.get("exclude")
    is_known = (end == "CURRENT ROW" and not sides[1]) or (end, sides[1]) == ("UNBOUNDED", "FOLLOWING")
    if kind not in {"ROWS", "RANGE"} or not is_from_first or not is_known:
        raise RefusedError(f"the frame {spec.sql()} is not known to mean the same there")
    if end == "CURRENT ROW":
        return exp.WindowSpec(kind=kind, start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW")
    ends = {"start": "UNBOUNDED", "start_side": "PRECEDING", "end": "UNBOUNDED", "end_side": "FOLLOWING"}
    return exp.WindowSpec(kind="RANGE", **ends)  # all rows of the partition, in whatever order
