"""Ibis expressions → SQLGlot ASTs: Ibis's own DataFusion compiler, with corrections for the engine.

Ibis registers Python functions in its connection for some operations (parts of times and of URLs), which are missing
here. Those that the engine itself can express are expressed so; the others are refused by name.
"""

from __future__ import annotations

from typing import Any, ClassVar

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
from ibis.backends.sql.compilers.datafusion import DataFusionCompiler
from ibis.common.exceptions import IbisError
from sqlglot import exp

from compiler.errors import SqlError
from compiler.ibis.tree import adopted
from compiler.tree.big_stack import with_deep_stack


def compile_expression(expression: Any, *, fuse: bool = True) -> exp.Query:
    """Return the query of an Ibis expression over unbound tables, as if it had been parsed. Raises `SqlError`.

    fuse: whether consecutive operations become one SELECT if possible; the meaning is the same.
    """
    _require_plain(expression)

    def work() -> exp.Query:
        usual = ibis.options.sql.fuse_selects
        ibis.options.sql.fuse_selects = fuse
        try:
            return adopted(ENGINE_COMPILER.to_sqlglot(expression))
        finally:
            ibis.options.sql.fuse_selects = usual

    try:
        return with_deep_stack(work)
    except (IbisError, NotImplementedError, ValueError) as error:
        message = f"Ibis cannot compile this for the engine: {str(error).splitlines()[0]}"
        raise SqlError(message, hint="write this part as SQL: rules.sql(…)", code="ibis") from error


def engine_tree(expression: Any, params: Any = None) -> exp.Query:
    """Return the query of an Ibis expression over tables of any kind. Raises `SqlError`."""
    return with_deep_stack(lambda: adopted(ENGINE_COMPILER.to_sqlglot(expression, params=params)))


def _require_plain(expression: Any) -> None:
    """Refuse an expression that is not made only of the rule's inputs. Names of tables in memory are random, too."""
    found = expression.op().find((ops.InMemoryTable, ops.DatabaseTable, ops.SQLQueryResult, ops.SQLStringView))
    for node in found:
        if isinstance(node, ops.InMemoryTable):
            raise SqlError("a rule cannot contain a table in memory", hint="make it a source, or rules.sql('VALUES …')")
        raise SqlError("a rule reads only its parameters", hint="name the input as a parameter of the function")


class _Compiler(DataFusionCompiler):  # type: ignore[misc] # Ibis ships no types
    """The differences from Ibis's compiler, operation by operation."""

    __slots__ = ()
    # Ibis turns these into methods of every class that has them, replacing those below; these are inherited.
    SIMPLE_OPS: ClassVar[dict[Any, str]] = {}
    UNSUPPORTED_OPS: ClassVar[tuple[Any, ...]] = ()

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: Any) -> Any:  # noqa: N802 — Ibis's names
        """DATE '2024-01-01', TIMESTAMP '…': Ibis writes a date as the timestamp date_trunc('day', '…')."""
        if dtype.is_date():
            return exp.cast(exp.Literal.string(value.isoformat()), "DATE")
        if dtype.is_timestamp() and dtype.scale in {None, 6}:
            kind = "TIMESTAMP" if dtype.timezone is None else "TIMESTAMPTZ"
            return exp.cast(exp.Literal.string(value.isoformat(sep=" ")), kind)
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_Aggregate(self, op: Any, *, parent: Any, groups: Any, metrics: Any) -> Any:  # noqa: ARG002, N802
        """GROUP BY the expressions themselves, which the engine supports."""
        select = exp.select(*self._cleanup_names(groups), *self._cleanup_names(metrics)).from_(parent)
        keys = [key if not isinstance(key, exp.Literal) else exp.Paren(this=key) for key in groups.values()]
        return select.group_by(*(key.copy() for key in keys)) if keys else select

    def visit_Divide(self, op: Any, *, left: Any, right: Any) -> Any:  # noqa: N802
        """A / b of floats unchanged: Ibis would treat all types as it treats integers."""
        floats = op.left.dtype.is_floating() or op.right.dtype.is_floating()
        return exp.Div(this=_enclosed(left), expression=_enclosed(right), typed=floats)

    def visit_Cast(self, op: Any, *, arg: Any, to: Any) -> Any:  # noqa: N802
        """CAST to decimals and to timestamps of microseconds, as an author would write it."""
        plain = to.is_decimal() or (to.is_timestamp() and to.scale in {None, 6} and not op.arg.dtype.is_numeric())
        if plain and (to.is_decimal() or to.timezone in {None, "UTC"}):
            return self.cast(arg, to)
        return super().visit_Cast(op, arg=arg, to=to)

    def visit_Round(self, op: Any, *, arg: Any, digits: Any) -> Any:  # noqa: N802
        """Round without a cast if the result is already a float."""
        if op.dtype.is_floating() and op.arg.dtype.is_floating():
            return self.f.round(arg, digits)
        return super().visit_Round(op, arg=arg, digits=digits)

    def visit_Date(self, op: Any, *, arg: Any) -> Any:  # noqa: ARG002, N802
        """CAST(x AS DATE): date_trunc gives a timestamp."""
        return self.cast(arg, dt.date)

    def visit_StringConcat(self, op: Any, *, arg: Any) -> Any:  # noqa: ARG002, N802
        """X || y, which is NULL if one of them is."""
        first, *rest = arg
        for part in rest:
            first = exp.DPipe(this=_enclosed(first), expression=_enclosed(part))
        return first

    def visit_ExtractMinute(self, op: Any, *, arg: Any) -> Any:  # noqa: ARG002, N802
        """date_part('minute', x)."""
        return self.f.date_part("minute", arg)

    def visit_ExtractHour(self, op: Any, *, arg: Any) -> Any:  # noqa: ARG002, N802
        """date_part('hour', x)."""
        return self.f.date_part("hour", arg)

    def visit_ExtractSecond(self, op: Any, *, arg: Any) -> Any:  # noqa: ARG002, N802
        """CAST(floor(date_part('second', x)) AS INT): the engine's own includes the fractions of x."""
        return self.cast(self.f.floor(self.f.date_part("second", arg)), dt.int32)

    def visit_ExtractEpochSeconds(self, op: Any, *, arg: Any) -> Any:  # noqa: ARG002, N802
        """CAST(floor(date_part('epoch', x)) AS BIGINT)."""
        return self.cast(self.f.floor(self.f.date_part("epoch", arg)), dt.int64)

    def visit_ExtractMillisecond(self, op: Any, *, arg: Any) -> Any:  # noqa: ARG002, N802
        """CAST(floor(date_part('millisecond', x)) AS INT) % 1000: the engine's own includes the seconds."""
        return self.cast(self.f.floor(self.f.date_part("millisecond", arg)), dt.int32) % 1_000

    def visit_ExtractMicrosecond(self, op: Any, *, arg: Any) -> Any:  # noqa: ARG002, N802
        """CAST(floor(date_part('microsecond', x)) AS INT) % 1000000: likewise."""
        return self.cast(self.f.floor(self.f.date_part("microsecond", arg)), dt.int32) % 1_000_000

    def visit_Sign(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        """signum(x)."""
        return self.cast(self.f.anon.signum(arg), op.dtype)

    def visit_HashBytes(self, op: Any, *, arg: Any, how: Any) -> Any:  # noqa: ARG002, N802
        """digest(x, 'sha256')."""
        return self.f.digest(arg, how)

    def visit_HexDigest(self, op: Any, *, arg: Any, how: Any) -> Any:  # noqa: ARG002, N802
        """encode(digest(x, 'sha256'), 'hex')."""
        return self.f.encode(self.f.digest(arg, how), "hex")

    def visit_StringToDate(self, op: Any, *, arg: Any, format_str: Any) -> Any:  # noqa: ARG002, N802
        """to_date(x, '%d.%m.%Y')."""
        return self.f.anon.to_date(arg, format_str)

    def visit_TimestampFromYMDHMS(self, op: Any, **parts: Any) -> Any:  # noqa: N802
        """CAST('2024-…' AS TIMESTAMP): the function that Ibis calls declares a time zone, then returns none."""
        return self.cast(super().visit_TimestampFromYMDHMS(op, **parts).expressions[0], dt.Timestamp(scale=6))

    def visit_ArrayMax(self, op: Any, *, arg: Any) -> Any:  # noqa: ARG002, N802
        """array_max(x)."""
        return self.f.array_max(arg)

    def visit_ArrayMin(self, op: Any, *, arg: Any) -> Any:  # noqa: ARG002, N802
        """array_min(x)."""
        return self.f.array_min(arg)

    def visit_ArrayIndex(self, op: Any, *, arg: Any, index: Any) -> Any:  # noqa: N802
        """X[3]; Ibis computes the 3."""
        if _is_natural(op.index):
            return exp.Bracket(this=arg, expressions=[exp.Literal.number(op.index.value + 1)])
        return super().visit_ArrayIndex(op, arg=arg, index=index)

    def visit_Substring(self, op: Any, *, arg: Any, start: Any, length: Any) -> Any:  # noqa: N802
        """substr(x, 3, 2); Ibis tests whether the 3 is negative."""
        if _is_natural(op.start):
            return self.f.anon.substr(arg, op.start.value + 1, *([] if length is None else [length]))
        return super().visit_Substring(op, arg=arg, start=start, length=length)


def _is_natural(op: Any) -> bool:
    return isinstance(op, ops.Literal) and op.value is not None and op.value >= 0


def _enclosed(operand: exp.Expr) -> exp.Expr:
    return exp.Paren(this=operand) if isinstance(operand, exp.Binary) else operand


ENGINE_COMPILER = _Compiler()
"""Has no state."""
