"""Write the executed form so that the engine gives the right rows, and the same ones in the same order anywhere."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from compiler.schema import Schema
from compiler.tree import find_all, has


def has_open_order(query: exp.Query) -> bool:
    """Whether the engine hands the rows over in an order that differs from run to run, although SQL allows any.

    It runs the branches of a UNION side by side, even with one partition, and takes rows as they come. Its readers'
    keys would then differ between two machines that computed the same table.
    """
    return query.args.get("order") is None and has(query, exp.Union)


def name_branches_alike(query: exp.Query) -> bool:
    """SELECT a AS x … UNION SELECT b AS y … → SELECT a AS x … UNION SELECT b AS x …, in place: the first names all.

    Returns whether there was anything to name.

    DataFusion 55 drops a branch that it knows to be empty. Where that is the first, the columns get the names of the
    next, and the query fails or yields columns of other names.
    """
    found = False
    for operation in find_all(query, exp.SetOperation):  # outer ones first: the left branch of the right side is named
        if operation.args.get("by_name"):
            continue
        names, branch = operation.left.named_selects, operation.right
        own = branch.named_selects
        if own == names or len(own) != len(names):
            continue
        found = True
        inner = branch.unnest()
        assert isinstance(inner, exp.Query)
        if isinstance(inner, exp.Select) and not _sees_outputs(inner):
            inner.set("expressions", _named(inner.selects, names))
        else:
            columns = [exp.column(name, table="branch", quoted=True) for name in own]
            derived = inner.subquery("branch", copy=False)  # which still holds the operations that are to come
            operation.set("expression", exp.select(*_named(columns, names)).from_(derived, copy=False))
    return found


def _sees_outputs(select: exp.Select) -> bool:
    """Whether a clause of a SELECT stands where a name can be that of an output."""
    distinct = select.args.get("distinct")
    on = isinstance(distinct, exp.Distinct) and distinct.args.get("on") is not None
    return on or any(select.args.get(part) is not None for part in ("order", "having", "qualify"))


def _named(items: Iterable[exp.Expr], names: list[str]) -> list[exp.Expr]:
    return [exp.alias_(item.unalias(), name, quoted=True) for item, name in zip(items, names, strict=True)]


def mirror_right_joins(query: exp.Query) -> bool:
    """FROM a RIGHT JOIN b ON p → FROM b LEFT JOIN a ON p, in place, where it is a query's first join.

    Returns whether there was any.

    DataFusion 55 loses rows of `a RIGHT JOIN b … WHERE a.x IS NULL` over Parquet when b has a column x too: it lets the
    filter choose row groups of b. The mirrored join is not affected.
    """
    found = False
    for select in find_all(query, exp.Select):
        joins, source = select.args.get("joins"), select.args.get("from_")
        if not joins or source is None:
            continue
        join, first = joins[0], source.this
        plain = (exp.Table, exp.Subquery)
        if join.side != "RIGHT" or join.kind not in {"", "OUTER"} or join.method or not join.args.get("on"):
            continue
        if isinstance(first, plain) and isinstance(join.this, plain) and not first.args.get("joins"):
            second = join.this
            source.set("this", second)
            join.set("this", first)
            join.set("side", "LEFT")
            found = True
    return found


def in_canonical_order(query: exp.Query, key: tuple[str, ...], schema: Schema) -> exp.Query:
    """Order the product by its key, then by every other column, so that even a key with duplicates leaves one order."""
    columns = [exp.column(column.name, table="product", quoted=True) for column in schema.columns]
    sortable = [column.name for column in schema.columns if not column.type.startswith("map<")]
    order = [*key, *(name for name in sortable if name not in key)]
    wrapped = exp.select(*columns).from_(query.copy().subquery("product"))
    return wrapped.order_by(
        *(
            exp.Ordered(this=exp.column(name, table="product", quoted=True), desc=False, nulls_first=False)
            for name in order
        )
    )
