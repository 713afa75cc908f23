"""Facts about a SELECT itself, not the queries within it: whether it is grouped, which items yield rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlglot import exp

ROWS_OF_A_SET = (exp.Explode, exp.Unnest, *exp.SET_RETURNING_FUNCTIONS)
"""Calls that turn one row into several, or none."""


def own_nodes(node: exp.Expr, *kinds: type[exp.Expr]) -> Iterator[exp.Expr]:
    """Yield the nodes of some kinds that belong to the query itself, not to one within it."""
    for found in node.walk(prune=lambda inner: isinstance(inner, exp.Query)):
        if isinstance(found, kinds):
            yield found


def is_aggregated(select: exp.Select) -> bool:
    """Whether a SELECT has one row for each group, or one for all of its input."""
    others = (select.args.get(key) for key in ("having", "order", "qualify"))
    parts = [*select.selects, *(part for part in others if isinstance(part, exp.Expr))]
    calls = (call for part in parts for call in own_nodes(part, exp.AggFunc))
    return select.args.get("group") is not None or not all(map(_has_over, calls))


def visible_ctes(query: exp.Query) -> tuple[list[exp.CTE], bool]:
    """Return the CTEs that a query within a tree sees, its own included, and whether a WITH of theirs is recursive."""
    found: list[exp.CTE] = []
    recursive = False
    node: exp.Expr | None = query
    inner: exp.Expr | None = None
    while node is not None:
        with_ = node.args.get("with_")
        if isinstance(with_, exp.With):
            recursive = recursive or bool(with_.recursive)
            listed = list(with_.expressions)
            at = next((place for place, cte in enumerate(listed) if cte is inner), len(listed))
            found = [*listed[:at], *found]
        if isinstance(node, exp.CTE):
            inner = node
        node = node.parent
    return found, recursive


def yields_rows(item: exp.Expr) -> bool:
    """Whether a select item decides the number of rows."""
    return next(own_nodes(item, *ROWS_OF_A_SET), None) is not None


def is_key_of_all(select: exp.Select, item: exp.Expr) -> bool:
    """Whether a select item is a key of GROUP BY ALL, as each is that aggregates nothing."""
    group = select.args.get("group")
    if group is None or not group.args.get("all"):
        return False
    return all(map(_has_over, own_nodes(item, exp.AggFunc)))


def has_only(node: exp.Expr, parts: Collection[str]) -> bool:
    """Whether a node has no parts but some of these."""
    return all(key in parts for key, value in node.args.items() if value)


def only_read(select: exp.Select, parts: Collection[str]) -> exp.Query | None:
    """Return the derived table that is all a SELECT reads, if the SELECT has no parts but some of these."""
    from_ = select.args.get("from_")
    source = from_.this if from_ is not None else None
    if not has_only(select, parts) or not isinstance(source, exp.Subquery) or not has_only(source, {"this", "alias"}):
        return None
    alias, query = source.args.get("alias"), source.this
    return query if isinstance(query, exp.Query) and alias is not None and not alias.args.get("columns") else None


def _has_over(call: exp.Expr) -> bool:
    node = call.parent
    while isinstance(node, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
        node = node.parent
    return isinstance(node, exp.Window)
