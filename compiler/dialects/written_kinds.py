"""Kinds of the expressions of a query as it is written, by way of the qualified query, which knows their columns."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from compiler.dialects.kinds import Kinds
from compiler.names.lexical import resolve_names
from compiler.schema import Schema
from compiler.sql.functions import function_name
from compiler.tree.walk import find_all


class WrittenKinds(Kinds):
    """Kinds of expressions as written; a column has the type of the one at its place in the qualified query."""

    def __init__(self, executed: exp.Query | None, schemas: Mapping[str, Schema]) -> None:
        self._qualified = Kinds(resolve_names(executed), schemas) if executed is not None else None
        self._at: dict[int, exp.Column] = {}
        self._series = (
            {table.alias for table in executed.find_all(exp.Table) if _is_series(table)} if executed else set()
        )
        """Aliases of generate_series and range over integers, whose one column is an integer."""
        for column in find_all(executed, exp.Column) if executed is not None else []:
            start = column.this.meta.get("start") if column.this._meta else None  # noqa: SLF001 — `.meta` would make one
            if start is not None:
                self._at.setdefault(start, column)

    def _column(self, column: exp.Column) -> str | None:
        start = column.this.meta.get("start") if column.this._meta else None  # noqa: SLF001 — `.meta` would make one
        known = self._at.get(start) if start is not None else None
        if known is not None and known.table in self._series:
            return "int64"
        return self._qualified.of(known) if self._qualified is not None and known is not None else None


def _is_series(table: exp.Table) -> bool:
    call = table.this
    name = function_name(call) if isinstance(call, exp.Func) else None
    return name in {"generate_series", "range"} and all(
        isinstance(one, exp.Literal) and one.is_int for one in call.args.get("expressions") or []
    )
