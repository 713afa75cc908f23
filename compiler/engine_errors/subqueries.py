"""The engine's errors about subqueries that it cannot run, in SQL's terms."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlglot import exp

from compiler.engine_errors.advice import Advice, Adviser, Refusal, aggregates, is_below, is_within

_JOIN = "rewrite it as a join to a query grouped by the columns that it compares"


def _unplanned(match: re.Match[str], refusal: Refusal) -> Advice:
    """Word the error for a part of the plan that cannot be executed."""
    kind = match["kind"]
    query = refusal.query
    if kind in {"Exists", "InSubquery", "SetComparison", "ScalarSubquery"}:
        return _subquery(kind, query)
    if kind == "OuterReferenceColumn":
        lateral = tuple(query.find_all(exp.Lateral))
        if lateral:
            hint = "write a join; for the first rows of each group, number them with ROW_NUMBER() and filter"
            return Advice(
                "LATERAL over a query with LIMIT, a set operation or no table cannot be run", hint, lateral[:1]
            )
        return Advice("a subquery that refers to the outer query cannot be run here", _JOIN, _correlated(query)[:1])
    if kind == "WindowFunction":
        windows = [
            one
            for one in query.find_all(exp.Window)
            if one.find_ancestor(exp.Where, exp.Having, exp.Group, exp.Join, exp.Select)
            and is_within(one, exp.Where, exp.Having, exp.Group, exp.Join)
        ]
        where = _clause(windows[0]) if windows else "WHERE"
        hint = "filter with QUALIFY" if where in {"WHERE", "HAVING"} else "compute it in a CTE"
        return Advice(f"a window function cannot be used in {where}", hint, tuple(windows[:1]))
    if kind == "AggregateFunction":
        found = [one for one in aggregates(query) if is_within(one, exp.Where, exp.Group, exp.Join)]
        where = _clause(found[0]) if found else "this place"
        return Advice(f"an aggregate cannot be used in {where}", "compute it in a CTE", tuple(found[:1]))
    if kind == "Wildcard":
        stars = [one for one in query.find_all(exp.Star) if isinstance(one.parent, exp.Func)]
        return Advice("only COUNT can take * as its argument", "write COUNT(*), or name a column", tuple(stars[:1]))
    if kind == "GroupingSet":
        sets = tuple(query.find_all(exp.GroupingSets, exp.Rollup, exp.Cube))
        hint = "compute the key in a CTE, and group by its column"
        return Advice("the engine cannot group by sets with such a computed key", hint, sets[:1])
    return Advice("the engine cannot run a part of this query", None, ())


def _clause(node: exp.Expr) -> str:
    clause = node.find_ancestor(exp.Where, exp.Having, exp.Group, exp.Join)
    names: dict[type[exp.Expr], str] = {exp.Where: "WHERE", exp.Having: "HAVING", exp.Group: "GROUP BY", exp.Join: "ON"}
    return names[type(clause)] if clause is not None else "this place"


_DISTINCT = "write LEFT JOIN (SELECT DISTINCT …) AS q ON …, and test a column of q for NULL"
_IS: dict[str, tuple[str, tuple[type[exp.Expr], ...]]] = {
    "Exists": ("EXISTS", (exp.Exists,)),
    "InSubquery": ("IN with a subquery", (exp.In, exp.EQ, exp.NEQ)),
    "SetComparison": ("ANY or ALL with a subquery", (exp.Any, exp.All)),
    "ScalarSubquery": ("a scalar subquery", (exp.Subquery,)),
}


def _subquery(kind: str, query: exp.Query) -> Advice:
    what, kinds = _IS[kind]
    found = [one for one in query.find_all(*kinds) if _is_subquery(one)]
    # Of several candidates, one in a place where the engine takes none, or a correlated one, comes first.
    found.sort(key=lambda one: (not _is_odd(one), not _is_correlated(one)))
    node = found[0] if found else None
    correlated = node is not None and _is_correlated(node)
    place = _standing(node) if node is not None else ""
    if kind == "ScalarSubquery" and correlated and node is not None:
        return _scalar(node, place)
    hints = {
        "Exists": _DISTINCT,
        "InSubquery": _DISTINCT,
        "SetComparison": "compare with MIN or MAX of the subquery",
        "ScalarSubquery": "write it as a join",
    }
    return Advice(
        f"{'a correlated ' if correlated and kind != 'ScalarSubquery' else ''}{what} cannot be run{place}",
        hints[kind],
        (node,) if node else (),
    )


def _scalar(node: exp.Expr, place: str) -> Advice:
    if node.find(exp.Limit) is not None:
        hint = "take MIN or MAX, or number the rows with ROW_NUMBER() in a join"
        return Advice(f"a correlated subquery with LIMIT cannot be run{place}", hint, (node,))
    if node.find(exp.SetOperation) is not None:
        return Advice(f"a correlated subquery with a set operation cannot be run{place}", _JOIN, (node,))
    inside = _tables_inside(node)
    outer = [column for column in node.find_all(exp.Column) if column.table and column.table not in inside]
    if all(isinstance(column.find_ancestor(exp.Predicate, exp.Select), exp.EQ) for column in outer):
        return Advice(f"a correlated subquery cannot be run{place}", _JOIN, (node,))
    return Advice(f"a correlated subquery{place} can compare with the outer query only by =", _JOIN, (node,))


def _standing(node: exp.Expr) -> str:
    """Return the place of a subquery, in words."""
    around: exp.Expr | None = node
    while around is not None and not isinstance(around.parent, exp.Select | None):
        if isinstance(around, exp.Or):
            return " under OR"
        if isinstance(around, exp.Join):
            return " in ON"
        if isinstance(around, exp.AggFunc):
            return " inside an aggregate"
        if isinstance(around, exp.Group):
            return " in GROUP BY"
        around = around.parent
    if isinstance(around, exp.Join):
        return " in ON"
    if isinstance(around, exp.Group):
        return " in GROUP BY"
    return " in the SELECT list" if around is not None and around.arg_key == "expressions" else ""


def _is_odd(node: exp.Expr) -> bool:
    return _standing(node) != ""


def _is_subquery(node: exp.Expr) -> bool:
    if isinstance(node, exp.In):
        return node.args.get("query") is not None
    if isinstance(node, exp.EQ | exp.NEQ):
        return isinstance(node.expression, exp.Any | exp.All)
    return not (
        isinstance(node, exp.Subquery)
        and isinstance(node.parent, exp.From | exp.Join | exp.Lateral | exp.In | exp.Exists)
    )


def _is_correlated(node: exp.Expr) -> bool:
    """Whether a column inside the query belongs to no table inside it."""
    inside = _tables_inside(node)
    left = node.this if isinstance(node, exp.In) else None
    return any(
        column.table not in inside
        for column in node.find_all(exp.Column)
        if column.table and not is_below(column, left)
    )


def _tables_inside(node: exp.Expr) -> set[str]:
    return {source.alias_or_name for source in node.find_all(exp.Table, exp.Subquery, exp.Values, exp.Unnest)}


def _correlated(query: exp.Query) -> tuple[exp.Expr, ...]:
    kinds = (exp.Exists, exp.In, exp.Subquery, exp.Any, exp.All)
    found = [one for one in query.find_all(*kinds) if _is_subquery(one) and _is_correlated(one)]
    return tuple(sorted(found, key=lambda one: -sum(1 for _ in _around(one))))


def _around(node: exp.Expr) -> Iterable[exp.Expr]:
    around = node.parent
    while around is not None:
        if isinstance(around, exp.Select):
            yield around
        around = around.parent


def _lost_column(match: re.Match[str], refusal: Refusal) -> Advice:
    """Word the error for a column that the engine lost when it rewrote subqueries."""
    column = match["column"].rpartition(".")[2].strip('"')
    table = match["column"].rpartition(".")[0].strip('"')
    limits = [one for one in refusal.query.find_all(exp.Limit, exp.Offset) if one.find(exp.Column)]
    if limits:
        return Advice("LIMIT and OFFSET need a whole number, not a column", None, tuple(limits[:1]))
    uses = [
        one
        for one in _correlated(refusal.query)
        if any(each.name == column and each.table == table for each in one.find_all(exp.Column))
    ]
    joined = [one for one in uses if is_within(one, exp.Join)]
    if joined:
        return Advice(
            "a correlated subquery in ON cannot be run",
            "move the condition to WHERE, or write a join",
            tuple(joined[:1]),
        )
    message = "a subquery that refers to an outer query in this way cannot be run"
    if uses and len(list(_around(uses[0]))) > 1:
        message = "a subquery cannot refer to a query two levels above it"
    return Advice(message, _JOIN, tuple(uses[:1]) or _correlated(refusal.query)[:1])


def _about_correlated(message: str, hint: str) -> Adviser:
    def advise(_: re.Match[str], refusal: Refusal) -> Advice:
        every = _correlated(refusal.query)
        found = [one for one in every if isinstance(one, exp.Subquery)] or every
        return Advice(message, hint, tuple(found[:1]))

    return advise


def _misplaced(_: re.Match[str], refusal: Refusal) -> Advice:
    found = [
        one
        for one in refusal.query.find_all(exp.Exists, exp.In, exp.Subquery, exp.Any, exp.All)
        if _is_subquery(one) and is_within(one, exp.Order, exp.Window, exp.Join, exp.Group, exp.Limit)
    ]
    return Advice(
        "a subquery cannot be used here", "compute it as a column of a CTE, and refer to that", tuple(found[:1])
    )


def _columns(_: re.Match[str], refusal: Refusal) -> Advice:
    found = [
        one
        for one in refusal.query.find_all(exp.In, exp.Subquery, exp.Any, exp.All)
        if _is_subquery(one) and (inner := one.find(exp.Select)) is not None and len(inner.selects) > 1
    ]
    return Advice(
        "a subquery that is compared with a value must return one column",
        "select one column; for several write EXISTS",
        tuple(found[:1]),
    )


def _doubled(_: re.Match[str], refusal: Refusal) -> Advice:
    hint = "name the columns in a CTE that selects each once"
    return Advice(
        "the engine gives two columns the same name when it plans this query", hint, _correlated(refusal.query)[:1]
    )


ADVISERS: tuple[tuple[str, Adviser], ...] = (
    (
        r"(?:Physical plan does not support logical expression|Unsupported LIMIT expression: Some\() ?(?P<kind>\w+)",
        _unplanned,
    ),
    (r"Too many columns! The subquery should only return one column", _columns),
    (
        r"[Cc]orrelated scalar subquery must be aggregated",
        _about_correlated(
            "a correlated scalar subquery could return several rows", "aggregate inside it: MIN(…), MAX(…)"
        ),
    ),
    (
        r"A GROUP BY clause in a scalar correlated subquery",
        _about_correlated(
            "a correlated scalar subquery cannot be grouped by its own columns",
            "leave GROUP BY out, or write a join to the grouped query",
        ),
    ),
    (r"(?:subquery can only be used in|[Ss]ubquery can only be used in)", _misplaced),
    (
        (
            r"rojections require unique expression names|contains duplicate|duplicate unqualified field|dupli"
            r"cate qualified field|mbiguous reference"
        ),
        _doubled,
    ),
    (r"No field named (?P<column>\S+?)\.?(?= |$)", _lost_column),
)
"""Pattern of the engine's error → the function that words it; the first match counts."""
