"""Recursive CTEs that the engine may compute wrongly."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from compiler.engine_errors.refused_part import ctes_in_sight
from compiler.errors import SqlError
from compiler.names.lexical import Names
from compiler.schema import Schema
from compiler.tree.positions import located
from compiler.tree.walk import find_all, stands_in

_NESTED = {"list<": "a list", "struct<": "a struct", "map<": "a map"}


def require_flat_recursion(
    query: exp.Query, names_of: Callable[[exp.Query], Names], schema_of: Callable[[exp.Query], Schema]
) -> None:
    """Refuse WITH RECURSIVE r AS (SELECT t.l … UNION SELECT …) where l is a list, a struct or a map.

    To find out which rows are new DataFusion 55 compares them with those of earlier batches, and takes different nested
    values for equal. names_of, schema_of: of a query, the executed form; a static term without a schema is left to what
    plans the whole. Raises `SqlError` at the column of the static term.
    """
    candidates = [
        cte
        for with_ in find_all(query, exp.With)
        if with_.recursive
        for cte in with_.expressions
        if isinstance(cte.this, exp.Union) and cte.this.args.get("distinct")
    ]
    if not candidates:
        return
    references = names_of(query).tables
    for cte in candidates:
        reads_itself = any(made_by is cte and stands_in(table, cte) for table, made_by in references)
        static = cte.this.this
        if not reads_itself or not isinstance(static, exp.Select):
            continue
        try:
            schema = schema_of(_alone(static))
        except SqlError:
            continue
        for column, item in zip(schema.columns, static.selects, strict=True):
            kind = next((word for prefix, word in _NESTED.items() if column.type.startswith(prefix)), None)
            if kind is not None:
                message = f"column '{column.name}' is {kind}, which can make a recursive UNION lose rows"
                hint = "write UNION ALL, and end the recursion with WHERE"
                raise located(item, message, hint=hint, code="unsupported")


def _alone(static: exp.Select) -> exp.Query:
    alone = static.copy()
    ctes = ctes_in_sight(static)
    if ctes:
        recursive = any(cte.parent is not None and cte.parent.args.get("recursive") for cte in ctes)
        own = alone.args.get("with_")
        inner = own.expressions if own is not None else []
        alone.set("with_", exp.With(expressions=[*(cte.copy() for cte in ctes), *inner], recursive=recursive))
    return alone
