"""Faults of the engine in aggregates that yield a row for no rows: without GROUP BY, or with an empty grouping set.

DataFusion 55 moves a filter below an aggregate if all its columns are group keys, also one without any column. Below an
aggregate without keys it then empties the input, and the one row that the filter should drop is there, of nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.names.lexical import Names
from compiler.sql.encode import encode
from compiler.tree.walk import children, find_all

_MOST_ROWS = str((1 << 63) - 1)
_DEEPEST = 50


def keep_filters_above_totals(query: exp.Query, facts: Facts) -> exp.Query:
    """Put a limit that drops nothing where filters must not pass, in place.

    SELECT m.n FROM (SELECT COUNT(*) AS n FROM t) AS m WHERE (SELECT COUNT(*) FROM u) > 5
    → SELECT m.n FROM (SELECT COUNT(*) AS n FROM t LIMIT 9223372036854775807) AS m WHERE (SELECT COUNT(*) FROM u) > 5

    SELECT COUNT(*) AS n FROM t HAVING (SELECT COUNT(*) FROM u) > 5
    → SELECT COUNT(*) AS n FROM t HAVING CASE WHEN COUNT(*) >= 0 THEN COALESCE((SELECT …) > 5, FALSE) END
    """
    totals = [select for select in facts.nodes(query, exp.Select) if is_total(select)]
    outside = _with_outside_columns(query, facts) if totals else set()
    for select in totals:
        _guard_having(select)
        if id(select) not in outside and _is_joined(select) and not _is_limited(select):
            select.set("limit", exp.Limit(expression=exp.Literal.number(_MOST_ROWS)))
            if isinstance(select.parent, exp.SetOperation):  # where the engine takes a LIMIT for that of the whole
                around = exp.Subquery()
                select.replace(around)
                around.set("this", select)
    return query


def may_have_passed_totals(tree: exp.Query, facts: Facts) -> bool:
    """Whether a filter without columns, all things considered, is above an aggregate that yields a row for no rows.

    What the engine moved below the aggregate before it was kept from it; see `compiler.engine_sql.corrections`.
    """
    totals = [select for select in facts.nodes(tree, exp.Select) if is_total(select)]
    if not totals or (totals == [tree] and tree.args.get("having") is None):
        return False
    if any(may_be_null_everywhere(node.this) for node in facts.nodes(tree, exp.Having)):
        return True
    constants = _Constants(facts.names(tree))
    filters = [node.this for node in facts.nodes(tree, exp.Where, exp.Having)]
    filters += [join.args["on"] for join in facts.nodes(tree, exp.Join) if join.args.get("on") is not None]
    return any(constants.is_constant(term) for whole in filters for term in _terms(whole))


def is_total(select: exp.Select) -> bool:
    """Whether a SELECT yields a row where it reads none."""
    group = select.args.get("group")
    if group is not None:
        sets = any(group.args.get(key) for key in ("grouping_sets", "rollup", "cube"))
        return sets or any(isinstance(key, exp.GroupingSets | exp.Rollup | exp.Cube) for key in group.expressions)
    if select.args.get("having") is not None:
        return True
    order = select.args.get("order")
    return any(map(_aggregates, [*select.selects, *([order] if order is not None else [])]))


class _Constants:
    """Tells which expressions have one value in all rows of a query, whatever its tables hold."""

    def __init__(self, names: Names) -> None:
        self._items = {id(reference.column): reference.item for reference in names.references}
        self._ctes = {id(table): cte for table, cte in names.tables}

    def is_constant(self, node: exp.Expr, depth: int = 0) -> bool:
        """Whether an expression has no column, or only such as are constant themselves. In doubt, it may be."""
        if depth > _DEEPEST:
            return True
        parts = list(_within(node))
        if any(isinstance(part, exp.AggFunc | exp.Window) for part in parts):
            return False
        return all(self._is_constant_column(part, depth) for part in parts if isinstance(part, exp.Column))

    def _is_constant_column(self, column: exp.Column, depth: int) -> bool:
        item = self._items.get(id(column))
        body = self._ctes.get(id(item), item)
        if not isinstance(body, exp.Subquery | exp.CTE):
            return False
        made = [
            output
            for select in find_all(body, exp.Select)
            for output in select.selects
            if output.alias_or_name == column.parts[1].name
        ]
        return any(self.is_constant(output.unalias(), depth + 1) for output in made)


def _terms(condition: exp.Expr) -> list[exp.Expr]:
    return list(condition.flatten()) if isinstance(condition, exp.And) else [condition]


def _guard_having(select: exp.Select) -> None:
    """Make each condition of HAVING depend on an aggregate, if the engine could find that it reads no column.

    Of NOT k = k it makes k IS NULL AND NULL. A constant alone it reads rightly, unless that is NULL.
    """
    having = select.args.get("having")
    terms = _terms(having.this) if having is not None else []
    for term in terms:
        nodes = list(_within(term))
        if any(isinstance(node, exp.Exists) or _is_in_query(node) for node in nodes):
            continue
        constant = not any(isinstance(node, exp.AggFunc | exp.Column) for node in nodes)
        computed = len(terms) > 1 or any(isinstance(node, exp.Func | exp.Query) for node in nodes)
        if (constant and computed) or may_be_null_everywhere(term):
            counted = exp.GTE(this=exp.Count(this=exp.Star(), big_int=True), expression=exp.Literal.number(0))
            branch = exp.If(this=counted)
            term.replace(exp.Case(ifs=[branch]))
            branch.set("true", exp.Coalesce(this=term, expressions=[exp.false()]))


def may_be_null_everywhere(condition: exp.Expr) -> bool:
    """Whether a part of a condition may be NULL in all rows: where NULL is written, or a thing compared with itself."""
    compared = find_all(condition, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
    return any(not isinstance(null.parent, exp.Is) for null in find_all(condition, exp.Null)) or any(
        encode(node.this) == encode(node.expression) for node in compared
    )


def _is_in_query(node: exp.Expr) -> bool:
    return isinstance(node, exp.In) and node.args.get("query") is not None


def _within(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the nodes of an expression, queries in it as they are."""
    pending = [node]
    while pending:
        one = pending.pop()
        yield one
        if not isinstance(one, exp.Query):
            pending += children(one)


def _aggregates(part: exp.Expr) -> bool:
    """Whether an aggregate of this very query, and not the call of a window, is in a part of it."""
    pending = [part]
    while pending:
        node = pending.pop()
        if isinstance(node, exp.Query):
            continue
        if isinstance(node, exp.AggFunc):
            return True
        if isinstance(node, exp.Window):
            call = node.this
            while isinstance(call, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
                call = call.this
            pending += [*children(call), *(child for child in children(node) if child is not node.this)]
        else:
            pending += children(node)
    return False


def _is_joined(select: exp.Select) -> bool:
    """Whether a SELECT, or the set operation whose branch it is, is a derived table, a CTE or a list, as IN has it."""
    holder = select.parent
    while isinstance(holder, exp.SetOperation) or (isinstance(holder, exp.Subquery) and _is_branch(holder)):
        holder = holder.parent
    return isinstance(holder, exp.CTE | exp.In | exp.Any | exp.All) or (
        isinstance(holder, exp.Subquery) and isinstance(holder.parent, exp.From | exp.Join | exp.In | exp.Any | exp.All)
    )


def _is_branch(subquery: exp.Subquery) -> bool:
    return isinstance(subquery.parent, exp.SetOperation | exp.Subquery)


def _is_limited(select: exp.Select) -> bool:
    return any(select.args.get(part) is not None for part in ("limit", "offset", "fetch"))


def _with_outside_columns(query: exp.Query, facts: Facts) -> set[int]:
    """Return the queries, by id, with a column of one around them: the engine cannot join them if they are limited."""
    found: set[int] = set()
    for reference in facts.names(query).references:
        owner = reference.item.find_ancestor(exp.Select)
        node = reference.column.find_ancestor(exp.Select, exp.SetOperation)
        while node is not None and node is not owner:
            found.add(id(node))
            node = node.find_ancestor(exp.Select, exp.SetOperation)
    return found
