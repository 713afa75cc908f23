"""Faults of the engine in the ON of a join: comparisons it does not orient, NULL-safe keys beside others."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from compiler.analysis.types import INTEGERS, Types
from compiler.canonical.facts import Facts
from compiler.canonical.joins import conjuncts
from compiler.engine_sql.workarounds.origins import Origins
from compiler.names.lexical import from_items
from compiler.tree.walk import find_all, has

_SWAPPED: dict[type[exp.Expr], type[exp.Binary]] = {
    exp.EQ: exp.EQ,
    exp.NEQ: exp.NEQ,
    exp.LT: exp.GT,
    exp.GT: exp.LT,
    exp.LTE: exp.GTE,
    exp.GTE: exp.LTE,
    exp.NullSafeEQ: exp.NullSafeEQ,
    exp.NullSafeNEQ: exp.NullSafeNEQ,
}
_VOLATILE = (exp.Anonymous, exp.Rand, exp.Query)
"""What may yield another value, or cost much, when it is evaluated twice."""
_DEFAULTS: Mapping[str | None, exp.Expr] = {
    "integer": exp.Literal.number(0),
    "string": exp.Literal.string(""),
    "bool": exp.false(),
}
"""A value of each type to compare in the place of NULL."""


def put_columns_first(query: exp.Query, facts: Facts) -> exp.Query:
    """Put the column on the left of a comparison, in place.

    a LEFT JOIN b ON a.k = b.k AND 2 = a.k → a LEFT JOIN b ON a.k = b.k AND a.k = 2

    Also 2 < a.k → a.k > 2, 2 IN (a.k) → a.k = 2, 2 BETWEEN a.k AND b.k → a.k <= 2 AND b.k >= 2. DataFusion 55 puts the
    column first in filters, but not in ON, nor where the other side becomes a literal later, as in 1 + 1 = a.k. A
    predicate then meets itself spelled otherwise, be it one that was inferred for the other table: k = 2 AND 2 = k is
    a contradiction to it, and k >= 2 AND 2 < k the same as k >= 2.
    """
    for node in facts.nodes(query, exp.In, exp.Between, *_SWAPPED)[::-1]:
        if (rewritten := _oriented(node)) is not None:
            node.replace(rewritten)
    return query


def _oriented(node: exp.Expr) -> exp.Expr | None:
    """Return a comparison with its column on the left, in parentheses, or None if that is how it is."""
    if isinstance(node, exp.In):
        items = node.expressions
        single = len(items) == 1 and not node.args.get("query") and not node.args.get("unnest")
        if single and not _is_column(node.this) and _is_column(items[0]):
            return exp.paren(exp.EQ(this=items[0].copy(), expression=node.this.copy()), copy=False)
        return None
    if isinstance(node, exp.Between):
        subject, low, high = node.this, node.args["low"], node.args["high"]
        if _is_column(subject) or has(subject, *_VOLATILE) or not (_is_column(low) or _is_column(high)):
            return None
        sides = (
            _swapped(exp.GTE(this=subject.copy(), expression=low.copy())),
            _swapped(exp.LTE(this=subject.copy(), expression=high.copy())),
        )
        return exp.paren(exp.And(this=sides[0], expression=sides[1]), copy=False)
    if type(node) in _SWAPPED and not _is_column(node.this) and _is_column(node.expression):
        return _swapped(node.copy())
    return None


def _swapped(node: exp.Expr) -> exp.Expr:
    if _is_column(node.this) or not _is_column(node.expression):
        return node
    return _SWAPPED[type(node)](this=node.expression, expression=node.this)


def _is_column(node: exp.Expr) -> bool:
    """Whether an operand is a column, be it in parentheses or cast, which the engine can take away again."""
    while isinstance(node, exp.Paren | exp.Cast):
        node = node.this
    return isinstance(node, exp.Column | exp.Dot)


def key_null_safe_joins(query: exp.Query, facts: Facts) -> exp.Query:
    """Put an equality beside IS NOT DISTINCT FROM in ON, in place.

    a JOIN b ON a.k IS NOT DISTINCT FROM b.k WHERE a.x = b.x
    → a JOIN b ON key AND a.k IS NOT DISTINCT FROM b.k WHERE a.x = b.x

    The key is COALESCE(a.k, 0) = COALESCE(b.k, 0), or (a.k IS NULL) = (b.k IS NULL) where there is no such value.
    DataFusion 55 joins by IS NOT DISTINCT FROM where ON has no equality, and then takes those of WHERE for NULL-safe
    too. Where a further join has no equality (CROSS JOIN, ON a.y < c.y), it takes IS NOT DISTINCT FROM for one, and
    loses the rows with NULL. Beside an equality in ON it is a filter. Likewise IS NOT DISTINCT FROM in WHERE and
    HAVING, which it moves into a join below, through derived tables and groups: that takes the equalities of other
    joins along.
    """
    found = [join for join in facts.nodes(query, exp.Join) if isinstance(join.args.get("on"), exp.Expr)]
    found = [join for join in found if any(_is_null_safe(term) for term in _terms(join))]
    filters = _null_safe_filters(query, facts)
    if not found and not filters:
        return query
    joined = {id(term) for join in found for term in _terms(join)}
    others = [node for node in facts.nodes(query, exp.EQ, exp.In, exp.Any) if id(node) not in joined]
    if len(facts.nodes(query, exp.Join)) == 1 and not any(has(node, exp.Column) for node in others):
        return query
    owners = _owners(query, facts)
    types = facts.types(query)
    for join in found:
        select = join.find_ancestor(exp.Select)
        terms = _terms(join)
        if select is None or any(isinstance(term, exp.EQ) and _joins(term, join, owners) for term in terms):
            continue
        keys = [_comparison(term) for term in terms if _is_null_safe(term) and _joins(term, join, owners)]
        if not keys:
            continue
        join.set("on", exp.and_(_key(keys[0], types), join.args["on"], copy=False))
    for term in filters:
        select = term.find_ancestor(exp.Select)
        items = {id(item) for item in from_items(select)[0]} if isinstance(select, exp.Select) else set()
        node = _comparison(term)
        sides = [{owners.get(id(one)) for one in find_all(side, exp.Column)} for side in (node.this, node.expression)]
        if all(side and side <= items for side in sides):  # not with a column of a query around it
            held = exp.Paren()
            key = _key(node, types)
            term.replace(held)
            held.set("this", exp.And(this=key, expression=term))
    return query


def _null_safe_filters(query: exp.Query, facts: Facts) -> list[exp.Expr]:
    """Return the terms IS NOT DISTINCT FROM of WHERE and HAVING in a query that joins tables somewhere."""
    filters = facts.nodes(query, exp.Where, exp.Having) if facts.has(query, exp.Join) else []
    terms = [term.unnest() for one in filters if isinstance(one.parent, exp.Select) for term in conjuncts(one.this)]
    return [term for term in terms if _is_null_safe(term) and not has(term, exp.AggFunc, exp.Query)]


def _key(node: exp.Expr, types: Types) -> exp.Expr:
    """Return an equality that holds wherever two sides are not distinct."""
    left, right = (side.copy() for side in (node.this, node.expression))
    kinds = {types.of(node.this), types.of(node.expression)}
    kind = kinds.pop() if len(kinds) == 1 else None
    default = "integer" if kind in INTEGERS else kind
    if default in _DEFAULTS:
        return exp.EQ(
            this=exp.Coalesce(this=left, expressions=[_DEFAULTS[default].copy()]),
            expression=exp.Coalesce(this=right, expressions=[_DEFAULTS[default].copy()]),
        )
    return exp.EQ(
        this=exp.paren(exp.Is(this=left, expression=exp.null())),
        expression=exp.paren(exp.Is(this=right, expression=exp.null())),
    )


def _terms(join: exp.Join) -> list[exp.Expr]:
    return [part.unnest() for term in conjuncts(join.args["on"].unnest()) for part in conjuncts(term.unnest())]


def _is_null_safe(term: exp.Expr) -> bool:
    return isinstance(term, exp.NullSafeEQ) or (
        isinstance(term, exp.Not) and isinstance(term.this.unnest(), exp.NullSafeNEQ)
    )


def _comparison(term: exp.Expr) -> exp.Expr:
    return term.this.unnest() if isinstance(term, exp.Not) else term


def _owners(query: exp.Query, facts: Facts) -> dict[int, int]:
    """The FROM item of each column, by ids."""
    return {id(reference.column): id(reference.item) for reference in facts.names(query).references}


def _joins(term: exp.Expr, join: exp.Join, owners: dict[int, int]) -> bool:
    """Whether one side of a comparison reads the joined table alone, and the other reads others alone."""
    node = _comparison(term)
    own = id(join.this)
    sides = [{owners.get(id(column)) for column in find_all(side, exp.Column)} for side in (node.this, node.expression)]
    return all(sides) and any(one == {own} and own not in other for one, other in (sides, sides[::-1]))


def may_have_met_swapped(tree: exp.Query, facts: Facts) -> bool:
    """Whether a predicate may have met one that the engine took for another, see `put_columns_first`.

    Two equalities with a constant, or two bounds on one side, of one value; or an equality with one of a column that
    another table is joined by. The canonical form does not tell on which side the author wrote the constant.
    """
    terms = [term for condition in conditions(tree, facts) for term in conjuncts(condition)]
    joined = facts.has(tree, exp.Join)
    compared = [one for term in terms for one in _constant_comparisons(term)]
    # A literal the engine puts on the right itself, but not in ON; and not what becomes one later.
    if not compared or not (joined or any(not isinstance(constant, exp.Literal) for _, _, constant in compared)):
        return False
    origins = Origins(tree, facts)
    for place, (kind, side, _) in enumerate(compared):
        here = origins.of(side)
        if kind == "=" and joined and len(here) > 1:
            return True
        if any(kind == other and here & origins.of(one) for other, one, _ in compared[:place]):
            return True
    return False


def conditions(tree: exp.Query, facts: Facts) -> list[exp.Expr]:
    """Return all that filters rows: WHERE, HAVING, QUALIFY and ON."""
    found = [node.this for node in facts.nodes(tree, exp.Where, exp.Having, exp.Qualify)]
    return found + [
        join.args["on"] for join in facts.nodes(tree, exp.Join) if isinstance(join.args.get("on"), exp.Expr)
    ]


def _constant_comparisons(term: exp.Expr) -> list[tuple[str, exp.Expr, exp.Expr]]:
    """Return a term's comparisons with a constant: their kind, what is compared, the constant."""
    if isinstance(term, exp.Between):
        return [(">", term.this, term.args["low"]), ("<", term.this, term.args["high"])]
    if not isinstance(term, exp.EQ | exp.LT | exp.LTE | exp.GT | exp.GTE):
        return []
    kind = "=" if isinstance(term, exp.EQ) else "<" if isinstance(term, exp.LT | exp.LTE) else ">"
    left, right = term.this, term.expression
    if has(left, exp.Column) and not has(right, exp.Column):
        return [(kind, left, right)]
    if has(right, exp.Column) and not has(left, exp.Column):
        return [({"<": ">", ">": "<"}.get(kind, kind), right, left)]
    return []


def may_join_null_safe(tree: exp.Query, facts: Facts) -> bool:
    """Whether two tables of a query may be joined by IS NOT DISTINCT FROM."""
    null_safe = facts.nodes(tree, exp.NullSafeEQ, exp.NullSafeNEQ)
    compares = any(has(node.this, exp.Column) and has(node.expression, exp.Column) for node in null_safe)
    return compares and facts.has(tree, exp.Join)


def may_have_joined_null_safe(tree: exp.Query, facts: Facts) -> bool:
    """Whether two tables are joined by IS NOT DISTINCT FROM and by an equality, see `key_null_safe_joins`."""
    return may_join_null_safe(tree, facts) and facts.has(tree, exp.EQ, exp.In, exp.Any)


def may_have_filtered_null_safe(tree: exp.Query, facts: Facts) -> bool:
    """Whether IS NOT DISTINCT FROM is in a WHERE or HAVING, above a join by an equality, see `key_null_safe_joins`."""
    if not may_have_joined_null_safe(tree, facts):
        return False
    return any(has(where.this, exp.NullSafeEQ, exp.NullSafeNEQ) for where in facts.nodes(tree, exp.Where, exp.Having))
