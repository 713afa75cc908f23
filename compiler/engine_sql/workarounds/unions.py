"""Read the branches of a UNION in one order, where the order shows."""

from __future__ import annotations

from sqlglot import exp

from compiler.analysis.floats import Floats
from compiler.analysis.traits import shows_row_order
from compiler.canonical.facts import Facts
from compiler.sql.functions import WindowFunction, function_name, functions, is_float_sensitive
from compiler.tree.walk import nodes

_OUTER = ("with_", "order", "limit", "offset", "fetch")
"""What may follow a UNION, and applies to all of it."""


def read_unions_in_order(query: exp.Query, facts: Facts) -> exp.Query:
    """`a UNION ALL b` → the rows of a, then those of b, by the number of the branch and of the row in it.

        SELECT k FROM (SELECT k, ROW_NUMBER() OVER (ORDER BY branch, row) AS place
                       FROM (SELECT k, 0 AS branch, ROW_NUMBER() OVER () AS row FROM a UNION ALL …)) WHERE place > 0

    DataFusion 55 runs the branches side by side, also with one partition, and takes rows as they come: sums of floats,
    LIMIT, ties, and whatever else shows the order of rows, would differ from run to run. The condition on the number
    keeps the engine from dropping it, and the order with it. Where nothing but ORDER BY at the end shows the order, it
    gets every output as a further key instead. A UNION that refers to an outer query, or is in a recursive CTE, stays.
    """
    if not shows_union_order(query, facts):
        return query
    if query.args.get("order") is not None and not _values_show_order(query, facts) and _all_sort(query, facts):
        for place in range(1, len(query.named_selects) + 1):
            query.args["order"].append("expressions", exp.Ordered(this=exp.Literal.number(place), nulls_first=False))
        return query
    references = [(id(reference.column), id(reference.item)) for reference in facts.names(query).references]
    recursive = {
        id(node)
        for with_ in facts.nodes(query, exp.With)
        if with_.recursive
        for cte in with_.expressions
        for node in nodes(cte)
    }
    for union in reversed(facts.nodes(query, exp.Union)):  # inner ones first
        if id(union) in recursive or _is_numbered_with_another(union) or not _has_plain_names(union):
            continue
        within = {id(node) for node in nodes(union)}
        if any(column in within and item not in within for column, item in references):
            continue
        ordered = _in_order(union)
        if union is query:
            query = ordered
    return query


def shows_union_order(query: exp.Query, facts: Facts) -> bool:
    """Whether the order in which the engine takes the branches of a UNION can show in values, or is the product's."""
    if not facts.has(query, exp.Union):
        return False
    return query.args.get("order") is not None or _values_show_order(query, facts)


def _values_show_order(query: exp.Query, facts: Facts) -> bool:
    """Whether the order of rows can show in anything but ORDER BY, and what LIMIT takes by it, at the end."""
    last = [query.args.get(part) for part in ("limit", "offset", "fetch")] if query.args.get("order") else []
    if any(shows_row_order(node) and not any(node is part for part in last) for node in nodes(query)):
        return True
    calls = [call for call in facts.nodes(query, exp.Func) if is_float_sensitive(function_name(call) or "")]
    if not calls:
        return False
    floats = Floats(facts.names(query), facts.schemas)
    return any(not isinstance(call, exp.Sum | exp.Avg) or floats.may_be(call) for call in calls)


def _all_sort(query: exp.Query, facts: Facts) -> bool:
    """Whether every output certainly is of a type that can be sorted: whether there is no map anywhere."""
    if any("map<" in column.type for schema in facts.schemas.values() for column in schema.columns):
        return False
    called = {function_name(call) for call in facts.nodes(query, exp.Func)} - {None}
    return all(name in functions() and "map" not in name for name in called if name is not None)


def _is_numbered_with_another(union: exp.Union) -> bool:
    parent = union.parent
    return isinstance(parent, exp.Union) and _has_plain_names(_whole(parent)) and _continues(union, parent)


def _whole(union: exp.Union) -> exp.Union:
    while isinstance(union.parent, exp.Union) and _continues(union, union.parent):
        union = union.parent
    return union


def _continues(branch: exp.Expr, union: exp.Union) -> bool:
    """Whether the branches of a branch of a UNION can be numbered with the others."""
    return (
        isinstance(branch, exp.Union)
        and (bool(union.args.get("distinct")) or not branch.args.get("distinct"))
        and bool(branch.args.get("by_name")) == bool(union.args.get("by_name"))
        and not any(branch.args.get(part) for part in _OUTER)
    )


def _has_plain_names(union: exp.Union) -> bool:
    """Whether the columns of a UNION and of its branches have names of their own, as many in each as it takes."""
    columns = union.named_selects
    own = [leaf.named_selects for leaf in _numbered(union)[0]]
    by_name = bool(union.args.get("by_name"))
    return all(len(set(names)) == len(names) for names in (columns, *own)) and (
        by_name or all(len(names) == len(columns) for names in own)
    )


def _numbered(union: exp.Union) -> tuple[list[exp.Query], list[exp.Union]]:
    """Return the branches that are numbered, from left to right, and the operations that put them together."""
    leaves: list[exp.Query] = []
    inner: list[exp.Union] = [union]
    pending: list[exp.Expr] = [union.expression, union.this]
    while pending:
        node = pending.pop()
        if isinstance(node, exp.Union) and _continues(node, union):
            inner.append(node)
            pending += [node.expression, node.this]
        else:
            assert isinstance(node, exp.Query)
            leaves.append(node)
    return leaves, inner


def _in_order(union: exp.Union) -> exp.Select:
    """Put a SELECT that reads a UNION in order in its place, and return it."""
    columns, distinct = union.named_selects, bool(union.args.get("distinct"))
    branch, row, place = (_free(name, columns) for name in ("branch", "row", "place"))
    last = {part: union.args[part] for part in _OUTER if union.args.get(part)}
    stand_in = exp.Select()
    union.replace(stand_in)
    leaves, operations = _numbered(union)
    for operation in operations:
        operation.set("distinct", value=False)
    for part in last:
        union.set(part, None)
    for number, leaf in enumerate(leaves):
        own = leaf.named_selects
        numbered = exp.select(
            *_columns(own, "part", own if union.args.get("by_name") else columns),
            exp.alias_(exp.Literal.number(number), branch, quoted=True),
            exp.alias_(_row_number(), row, quoted=True),
        )
        leaf.replace(numbered)
        body = leaf if any(leaf.args.get(part) for part in _OUTER) else leaf.unnest()
        assert isinstance(body, exp.Query)
        numbered.from_(body.subquery("part", copy=False), copy=False)
    order = [exp.Ordered(this=exp.column(name, table="parts", quoted=True)) for name in (branch, row)]
    placed = exp.select(
        *_columns(columns, "parts"), exp.alias_(_row_number(exp.Order(expressions=order)), place, quoted=True)
    ).from_(union.subquery("parts", copy=False), copy=False)
    whole = exp.select(*_columns(columns, "placed")).from_(placed.subquery("placed", copy=False), copy=False)
    number_ = exp.column(place, table="placed", quoted=True)
    whole.where(exp.GT(this=number_, expression=exp.Literal.number(0)), copy=False)
    if distinct:
        inner = whole.distinct(copy=False).subquery("distinct_rows", copy=False)
        whole = exp.select(*_columns(columns, "distinct_rows")).from_(inner, copy=False)
    for part, value in last.items():
        whole.set(part, value)
    stand_in.replace(whole)
    return whole


def _columns(names: list[str], table: str, aliases: list[str] | None = None) -> list[exp.Expr]:
    return [
        exp.alias_(exp.column(name, table=table, quoted=True), alias, quoted=True)
        for name, alias in zip(names, aliases or names, strict=True)
    ]


def _row_number(order: exp.Order | None = None) -> exp.Window:
    return exp.Window(this=WindowFunction(this="row_number"), order=order, over="OVER")


def _free(name: str, taken: list[str]) -> str:
    folded = {each.lower() for each in taken}
    while name in folded:
        name += "_"
    return name
