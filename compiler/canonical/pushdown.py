"""Filters on the keys of a grouped or distinct derived table, and a bare projection around it, move into it.

Filters sink here because they cannot rise: a grouped query is never merged into the one around it
(compiler.canonical.merging). Each step takes a term or a SELECT away from an outer query, so the process ends.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.aggregates import added_up_in_two_steps
from compiler.canonical.facts import Facts
from compiler.canonical.merging import (
    Uses,
    add_condition,
    has_exact_equalities,
    is_derived,
    is_plain_join,
    is_scalar,
    may_substitute,
    substitute,
)
from compiler.canonical.names import set_apart
from compiler.canonical.numbers import has_plain_sources
from compiler.names.qualify import blank_exists, pruned
from compiler.sql.encode import encode
from compiler.tree.walk import find_all, has

_MANY_ROWS = (exp.UDTF, exp.Explode, exp.Anonymous)


def push_filters_under_keys(query: exp.Query, facts: Facts) -> exp.Query:
    """Move filters on group keys and on distinct columns below the grouping.

    SELECT d.a, d.n FROM (SELECT t.a AS a, COUNT(*) AS n FROM t GROUP BY t.a) AS d WHERE d.a = 1
    → SELECT d.a, d.n FROM (SELECT t.a AS a, COUNT(*) AS n FROM t WHERE t.a = 1 GROUP BY t.a) AS d

    A group keeps one of its rows' keys, so a filter sees the same before and after only if equal keys are the same
    bits: not for floats. A filter that mentions no key would empty a total that has one row on no rows.
    """
    if not facts.has(query, exp.Subquery) or any(with_.recursive for with_ in facts.nodes(query, exp.With)):
        return query
    set_apart(query, facts)
    types = facts.types(query)
    for select in facts.nodes(query, exp.Select):
        where = select.args.get("where")
        if where is None or select.args.get("from_") is None or select.args.get("laterals"):
            continue
        keys = _keys_in_reach(select, types)
        if keys:
            _sink(select, keys, types)
    return query


def absorb_projections(query: exp.Query, facts: Facts) -> exp.Query:
    """Merge a query that only projects another with it, even if that is grouped, windowed or distinct.

    SELECT d.n + 1 AS m FROM (SELECT t.a AS a, COUNT(*) AS n FROM t GROUP BY t.a) AS d
    → SELECT COUNT(*) + 1 AS m FROM t GROUP BY t.a
    SELECT d.a AS a, d.one AS one FROM (SELECT t.a AS a, 1 AS one FROM t) AS d → SELECT t.a AS a, 1 AS one FROM t

    DISTINCT needs all its columns, and so does a total, which would not be a total without its aggregates.
    """
    uses = Uses.of_items(query, facts)
    if uses is None:
        return query
    types = facts.types(query)
    split = added_up_in_two_steps(query, facts)
    for outer in reversed(facts.nodes(query, exp.Select)):
        if not _merely_projects(outer):
            continue
        item = outer.args["from_"].this
        inner = item.this
        if id(inner) in split or not _may_absorb(outer, inner, uses.of(item.alias), types):
            continue
        outputs = {output.alias: output.this for output in inner.selects}
        substitute(uses.of(item.alias), outputs, uses)
        inner.set("expressions", outer.expressions)
        if outer is query:
            inner.pop()
            query = inner
        else:
            outer.replace(inner)
    return query


def drop_true_terms(query: exp.Query, facts: Facts) -> exp.Query:
    """Write TRUE for a term of WHERE that compares a literal with itself, which merging leaves behind.

    SELECT t.a AS a FROM t WHERE 'x' = 'x' AND p → SELECT t.a AS a FROM t WHERE TRUE AND p
    """
    for where in facts.nodes(query, exp.Where):
        terms: list[exp.Expr] = []
        _flatten(where.this, terms)
        for term in terms:
            if isinstance(term, exp.EQ) and _are_one_literal(term.this, term.expression):
                term.replace(exp.Boolean(this=True))
    return query


def prune_columns(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop the columns of derived tables and CTEs that are no longer read: a copy of a CTE may need fewer.

    SELECT d.a FROM (SELECT t.a AS a, t.b AS b FROM t LIMIT 3) AS d → SELECT d.a FROM (SELECT t.a AS a FROM t …) AS d
    """
    if not facts.has(query, exp.Subquery, exp.CTE):
        return query
    set_apart(query, facts)
    for exists in facts.nodes(query, exp.Exists):
        blank_exists(exists)
    if facts.of(query, _all_is_read):
        return query
    return pruned(query)


def _all_is_read(query: exp.Query, facts: Facts) -> bool:
    """Whether every CTE and every column of a derived table or CTE certainly is read: then nothing can be dropped.

    Each is read from further out, and there nothing is dropped either.
    """
    if not facts.of(query, has_plain_sources):
        return False
    names = facts.names(query)
    bodies = {id(item): item.this for item in names.items if isinstance(item, exp.Subquery)}
    bodies |= {id(table): cte.this for table, cte in names.tables}
    if not {id(cte.this) for cte in names.ctes} <= {id(body) for body in bodies.values()}:
        return False
    read: dict[int, set[str]] = {}
    for reference in names.references:
        if id(reference.item) in bodies:
            read.setdefault(id(bodies[id(reference.item)]), set()).add(reference.column.name)
    return all(output.alias_or_name in read.get(id(body), ()) for body in bodies.values() for output in body.selects)


def _are_one_literal(left: exp.Expr, right: exp.Expr) -> bool:
    if not isinstance(left, exp.Literal) or not isinstance(right, exp.Literal) or left.name != right.name:
        return False
    return (left.is_string and right.is_string) or (left.is_int and right.is_int)


def _keys_in_reach(select: exp.Select, types: Types) -> dict[str, tuple[exp.Select, dict[str, exp.Expr]]]:
    """Return, by alias, the grouped FROM items all of whose rows come through, with the keys a filter may use."""
    joins = list(select.args.get("joins") or [])
    if not all(is_plain_join(join) and not join.side and join.kind not in {"SEMI", "ANTI"} for join in joins):
        return {}
    found = {}
    for item in (select.args["from_"].this, *(join.this for join in joins)):
        if is_derived(item) and isinstance(item.this, exp.Select) and (keys := _keys(item.this, types)):
            found[item.alias] = (item.this, keys)
    return found


def _keys(inner: exp.Select, types: Types) -> dict[str, exp.Expr]:
    known = {"expressions", "from_", "joins", "where", "group", "having", "distinct"}
    group, distinct = inner.args.get("group"), inner.args.get("distinct")
    if any(value for key, value in inner.args.items() if key not in known) or (group is None and distinct is None):
        return {}
    if inner.args.get("from_") is None or (distinct is not None and distinct.args.get("on") is not None):
        return {}
    outputs = [output for output in inner.selects if isinstance(output, exp.Alias)]
    if len(outputs) < len(inner.selects) or any(
        has(output, *_MANY_ROWS, exp.Window, exp.Query, exp.Subquery) for output in outputs
    ):
        return {}
    if group is not None:
        if any(value for key, value in group.args.items() if key != "expressions"):
            return {}
        grouped = {encode(key) for key in group.expressions}
        keys = [output for output in outputs if encode(output.this) in grouped]
    else:
        if inner.args.get("having") is not None or any(has(output, exp.AggFunc) for output in outputs):
            return {}
        keys = outputs
    return {
        output.alias: output.this
        for output in keys
        if has(output, exp.Column) and is_scalar(output) and types.is_exact(output.this)
    }


def _sink(select: exp.Select, keys: dict[str, tuple[exp.Select, dict[str, exp.Expr]]], types: Types) -> None:
    kept: list[exp.Expr] = []
    terms: list[exp.Expr] = []
    _flatten(select.args["where"].this, terms)
    sunk: list[tuple[exp.Select, exp.Expr]] = []
    for term in terms:
        columns = find_all(term, exp.Column)
        tables = {column.table for column in columns}
        found = keys.get(columns[0].table) if len(tables) == 1 else None
        if (
            found is None
            or not is_scalar(term)
            or not has_exact_equalities(term, types)
            or not all(column.name in found[1] and not column.args.get("db") for column in columns)
            or not may_substitute([(column, 0) for column in columns], found[1], types)
        ):
            kept.append(term)
            continue
        sunk.append((found[0], term))
    if not sunk:
        return
    for inner, term in sunk:
        below = exp.Where(this=term.copy())
        outputs = {output.alias: output.this for output in inner.selects}
        for column in find_all(below, exp.Column):
            column.replace(outputs[column.name].copy())
        add_condition(inner, below.this)
    select.set("where", None)
    for term in reversed(kept):
        add_condition(select, term)


def _flatten(node: exp.Expr, terms: list[exp.Expr]) -> None:
    if isinstance(node, exp.And):
        _flatten(node.this, terms)
        _flatten(node.expression, terms)
    else:
        terms.append(node)


def _merely_projects(outer: exp.Select) -> bool:
    if any(value for key, value in outer.args.items() if key not in {"expressions", "from_"}):
        return False
    if outer.args.get("from_") is None or not is_derived(outer.args["from_"].this):
        return False
    return all(isinstance(output, exp.Alias) and is_scalar(output) for output in outer.expressions)


def _may_absorb(outer: exp.Select, inner: exp.Query, columns: list[tuple[exp.Column, int]], types: Types) -> bool:
    known = {"expressions", "from_", "joins", "where", "group", "having", "qualify", "distinct"}
    if not isinstance(inner, exp.Select) or any(value for key, value in inner.args.items() if key not in known):
        return False
    if inner.args.get("from_") is None or not all(isinstance(output, exp.Alias) for output in inner.expressions):
        return False
    if any(has(output, *_MANY_ROWS, exp.Query, exp.Subquery, exp.Star) and not _is_count(output)
           for output in inner.expressions):  # fmt: skip
        return False
    # A name without a table means one of the outputs that are about to be dropped.
    if any(not column.table for column in find_all(inner, exp.Column)):
        return False
    outputs = {output.alias: output.this for output in inner.selects}
    if len(outputs) < len(inner.selects) or any(column.name not in outputs for column, _ in columns):
        return False
    used = {column.name for column, _ in columns}
    if inner.args.get("distinct") is not None:
        bare = all(isinstance(output.this, exp.Column) for output in outer.expressions)
        return inner.args["distinct"].args.get("on") is None and bare and used == set(outputs)
    group = inner.args.get("group")
    if group is not None and group.args.get("all"):  # each output is a key, be it read or not
        return False
    total = group is None and has(inner, exp.AggFunc)
    if total and used != set(outputs):
        return False
    if group is None:  # to GROUP BY 1 a constant among the outputs is more than a value
        columns = [pair for pair in columns if not _is_bare_constant(outer, pair[0], outputs)]
    return may_substitute(columns, outputs, types)


def _is_bare_constant(outer: exp.Select, column: exp.Column, outputs: Mapping[str, exp.Expr]) -> bool:
    """Whether a column is a constant of the derived table that `outer` yields as it is."""
    output = column.parent
    return isinstance(output, exp.Alias) and output.parent is outer and outputs[column.name].find(exp.Column) is None


def _is_count(output: exp.Expr) -> bool:
    """Whether the only star in an output is that of COUNT(*)."""
    return not has(output, *_MANY_ROWS, exp.Query, exp.Subquery) and all(
        isinstance(star.parent, exp.Count) for star in find_all(output, exp.Star)
    )
