"""Kinds of the expressions of a query as it is written, by way of the qualified query, which knows their columns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from sqlglot import exp

from compiler.dialects.kinds import Kinds
from compiler.names.lexical import resolve_names
from compiler.schema import Schema
from compiler.sql.functions import function_name
from compiler.tree.walk import find_all


class WrittenKinds(Kinds):
    """Kinds of expressions as written; a column has the type of the one at its place in the qualified query."""

    def __init__(self, executed: exp.Query | None, schemas: Mapping[str, Schema]) -> None:
        """executed: the qualified query, which is looked at once something is asked: of most queries nothing is."""
        self._executed, self._schemas = executed, schemas

    def is_output(self, column: exp.Column) -> bool:
        """Whether a name as written is an output of its own query, as in ORDER BY."""
        start = column.this.meta.get("start") if column.this._meta else None  # noqa: SLF001 — `.meta` would make one
        known = self._at.get(start) if start is not None else None
        return known is not None and not known.table

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of the columns of all inputs that are known, in lower case."""
        tables = find_all(self._executed, exp.Table) if self._executed is not None else []
        known = [schema for table in tables if (schema := self._schemas.get(table.name)) is not None]
        return frozenset(name.lower() for schema in known for name in schema.names)

    @cached_property
    def _qualified(self) -> Kinds | None:
        return Kinds(resolve_names(self._executed), self._schemas) if self._executed is not None else None

    @cached_property
    def _series(self) -> set[str]:
        """Aliases of generate_series and range over integers, whose one column is an integer."""
        tables = find_all(self._executed, exp.Table) if self._executed is not None else []
        return {table.alias for table in tables if _is_series(table)}

    @cached_property
    def _at(self) -> dict[int, exp.Column]:
        """The columns of the qualified query by where they are written."""
        found: dict[int, exp.Column] = {}
        for column in find_all(self._executed, exp.Column) if self._executed is not None else []:
            start = column.this.meta.get("start") if column.this._meta else None  # noqa: SLF001 — `.meta` would make one
            if start is not None:
                found.setdefault(start, column)
        return found

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
