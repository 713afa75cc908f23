"""Faults of the engine where a column is constant below an outer join or grouping sets, which put NULLs beside it.

DataFusion 55 goes on taking such a column for constant above them. It drops it from the keys of a sort, so that ORDER
BY and LIMIT forget it, and takes rows for sorted that are not: window functions then see wrong partitions, and GROUP
BY and DISTINCT yield a group twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.canonical.joins import conjuncts
from compiler.engine_sql.workarounds.hiding import hide, make_uncertain
from compiler.engine_sql.workarounds.totals import is_total
from compiler.names.lexical import from_items
from compiler.tree.walk import branches, children, has

_COMPARISONS = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ)


def forget_constants(query: exp.Query, facts: Facts) -> exp.Query:
    """Hide from the engine what makes a column constant below an outer join or grouping sets, in place.

    z LEFT JOIN (SELECT t.v FROM t WHERE t.v = 10) AS q … ORDER BY q.v
    → z LEFT JOIN (SELECT t.v FROM t WHERE GREATEST(t.v) = 10) AS q … ORDER BY q.v

    Likewise in ON. A constant output becomes CASE WHEN random() >= 0 THEN 10 END, which is the same to all but the
    engine's planner, and so does an output of an aggregate without GROUP BY, as it has one row. ON FALSE, by
    which all columns of a side are NULL, is hidden likewise. Only where an order, groups or the partitions of a window
    are asked for.
    """
    if not _is_exposed(query, facts):
        return query
    below = _below(query, facts)
    conditions = [join.args["on"] for join in facts.nodes(query, exp.Join) if join.side and join.args.get("on")]
    for select in below:
        conditions += [part.this for key in ("where", "having", "qualify") if (part := select.args.get(key))]
        conditions += [join.args["on"] for join in select.args.get("joins") or [] if join.args.get("on")]
        for item in select.selects:
            value = item.unalias()
            known = _is_constant(value) or _is_of_one_row(select)
            if isinstance(item, exp.Alias) and known and not isinstance(value, exp.Null):
                make_uncertain(value)
    for condition in conditions:
        if isinstance(condition.parent, exp.Join) and _is_constant(condition) and condition != exp.true():
            make_uncertain(condition)
    for operand in _compared({id(one): one for one in conditions}.values(), every=_has_sets(query, facts)):
        hide(operand)
    return query


def may_have_kept_constants(tree: exp.Query, facts: Facts) -> bool:
    """Whether a rule's order or windows may have been wrong for a constant; see `compiler.engine_sql.corrections`."""
    if not _is_exposed(tree, facts):
        return False
    conditions = [node.this for node in facts.nodes(tree, exp.Where, exp.Having, exp.Qualify)]
    conditions += [join.args["on"] for join in facts.nodes(tree, exp.Join) if join.args.get("on")]
    selects = [select for select in facts.nodes(tree, exp.Select) if select is not tree]
    outputs = [item.unalias() for select in selects for item in select.selects]
    compared = any(True for _ in _compared(conditions, every=_has_sets(tree, facts)))
    return compared or any(_is_constant(value) and not isinstance(value, exp.Null) for value in outputs)


def may_have_kept_single_rows(tree: exp.Query, facts: Facts) -> bool:
    """Whether a rule's order or windows may have been wrong for a table of one row.

    See `compiler.engine_sql.corrections`.
    """
    return _is_exposed(tree, facts) and any(
        select is not tree and _is_of_one_row(select) for select in facts.nodes(tree, exp.Select)
    )


def _is_of_one_row(select: exp.Select) -> bool:
    return select.args.get("group") is None and is_total(select)


def _is_exposed(query: exp.Query, facts: Facts) -> bool:
    """Whether rows are put in order, or in groups, above an outer join or grouping sets."""
    outer = any(join.side in {"LEFT", "RIGHT", "FULL"} for join in facts.nodes(query, exp.Join))
    if not outer and not _has_sets(query, facts):
        return False
    if facts.has(query, exp.Order, exp.Distinct, exp.SetOperation):
        return True
    groups = len(facts.nodes(query, exp.Group))
    return groups > (not outer) or any(window.args.get("partition_by") for window in facts.nodes(query, exp.Window))


def _has_sets(query: exp.Query, facts: Facts) -> bool:
    return facts.has(query, exp.Rollup, exp.Cube, exp.GroupingSets)


def _below(query: exp.Query, facts: Facts) -> list[exp.Select]:
    """Return the SELECTs below an outer join, on either side, or below grouping sets."""
    ctes = {id(table): cte for table, cte in facts.names(query).tables}
    found: dict[int, exp.Select] = {}

    def enter(item: exp.Expr) -> None:
        body = ctes[id(item)].this if id(item) in ctes else item.this if isinstance(item, exp.Subquery) else None
        for select in branches(body) if body is not None else ():
            if id(select) not in found:
                found[id(select)] = select
                for inner in from_items(select)[0]:
                    enter(inner)

    for select in facts.nodes(query, exp.Select):
        items = from_items(select)[0]
        group = select.args.get("group")
        if group is not None and has(group, exp.Rollup, exp.Cube, exp.GroupingSets):
            found.setdefault(id(select), select)
            for item in items:
                enter(item)
        for join in select.args.get("joins") or []:
            if join.side and join.kind not in {"SEMI", "ANTI"}:  # a plan may fail for one on the other side, too
                for item in items:
                    enter(item)
    return list(found.values())


def _compared(conditions: Iterable[exp.Expr], *, every: bool) -> Iterator[exp.Expr]:
    """Yield what terms compare with a constant; every: also with another column, which grouping sets part from it."""
    for condition in conditions:
        for term in conjuncts(condition):
            bare = term.unnest()
            if isinstance(bare, exp.Between):
                sides = [(bare.this, [bare.args["low"], bare.args["high"]])]
            elif isinstance(bare, exp.In) and bare.expressions:
                sides = [(bare.this, bare.expressions)]
            elif isinstance(bare, _COMPARISONS) and not isinstance(bare.expression, exp.Any | exp.All):
                sides = [(bare.this, [bare.expression]), (bare.expression, [bare.this])]
            else:
                continue
            for value, others in sides:
                columns = every and isinstance(bare, exp.EQ) and isinstance(others[0], exp.Column)
                if isinstance(value, exp.Column) and (columns or all(map(_is_constant, others))):
                    yield value
                    break


def _is_constant(node: exp.Expr) -> bool:
    pending = [node]
    while pending:
        one = pending.pop()
        if isinstance(one, exp.Column | exp.Query | exp.AggFunc | exp.Window | exp.Star | exp.UDTF):
            return False
        pending += children(one)
    return True
