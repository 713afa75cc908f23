"""Give a product one order of rows, the same in every run and on every machine."""

from __future__ import annotations

from sqlglot import exp

from compiler.schema import Schema
from compiler.sql.functions import ScalarFunction
from compiler.tree.walk import has


def has_open_order(query: exp.Query) -> bool:
    """Whether the engine hands the rows over in an order that differs from run to run, although SQL allows any.

    It runs the branches of a UNION side by side, even with one partition, and takes rows as they come. Its readers'
    keys would then differ between two machines that computed the same table.
    """
    return query.args.get("order") is None and has(query, exp.Union)


def in_canonical_order(query: exp.Query, key: tuple[str, ...], schema: Schema, *, is_unique: bool = False) -> exp.Query:
    """Order the product by its key, then by every other column, so that even a key with duplicates leaves one order.

    is_unique: whether the key has no duplicates, so that it alone is enough.
    """
    columns = {column.name: exp.column(column.name, table="product", quoted=True) for column in schema.columns}
    # Maps cannot be compared, but their entries can.
    values = {
        column.name: ScalarFunction(this="map_entries", expressions=[columns[column.name].copy()])
        if column.type.startswith("map<")
        else columns[column.name].copy()
        for column in schema.columns
    }
    order = [*key, *(name for name in columns if name not in key and not is_unique)]
    wrapped = exp.select(*columns.values()).from_(query.copy().subquery("product"))
    return wrapped.order_by(*(exp.Ordered(this=values[name], desc=False, nulls_first=False) for name in order))
