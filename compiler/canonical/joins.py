"""Joins: one spelling for each kind, one place for the predicates of inner joins."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.analysis.types import INTEGERS, Types
from compiler.canonical.facts import Facts
from compiler.canonical.ordering import is_constant_output
from compiler.canonical.predicate_facts import looks_up_bits, terms_of
from compiler.sql.encode import encode
from compiler.sql.functions import function_name, is_float_sensitive

_INEXACT = ("float", "struct", "list", "map")
"""The prefixes of the names of types whose equal values can differ in their bits."""
_ITEM_ARGUMENTS = {"this", "alias", "db", "catalog"}


def spell_joins(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop the words without meaning.

    a INNER JOIN b ON p → a JOIN b ON p;  a LEFT OUTER JOIN b → a LEFT JOIN b;  a, b → a CROSS JOIN b

    A comma binds more loosely than JOIN: a, b RIGHT JOIN c keeps every row of c once for each row of a, a CROSS JOIN b
    RIGHT JOIN c keeps it once. So a comma stays before a RIGHT or FULL JOIN, and before any JOIN if the order of
    rows counts.
    """
    holders = {id(join.parent): join.parent for join in facts.nodes(query, exp.Join)}
    for holder in holders.values():
        joins: list[exp.Join] = holder.args.get("joins") or [] if holder is not None else []
        rigid = _has_join_after_comma(joins) and not facts.of(query, row_order_is_open)
        kept = False
        for join in reversed(joins):
            kind, side = join.kind, join.side
            constrained = join.args.get("on") is not None or join.args.get("using")
            if (kind == "INNER" and constrained) or (kind == "OUTER" and side):
                join.set("kind", None)
            elif not kind and not side and not join.method and not constrained and not _is_lateral(join):
                if not (kept or rigid):
                    join.set("kind", "CROSS")
                kept = False
            kept |= side in {"RIGHT", "FULL"}
    return query


def pull_inner_predicates(query: exp.Query, facts: Facts) -> exp.Query:
    """Put the predicates of inner joins into WHERE, and inner joins in parentheses beside the others.

    FROM a JOIN b ON a.x = b.x WHERE p → FROM a CROSS JOIN b WHERE p AND a.x = b.x
    FROM a JOIN (b LEFT JOIN c ON q) ON p → FROM a CROSS JOIN b LEFT JOIN c ON q WHERE p

    Only if every join of the SELECT is inner, LEFT, SEMI or ANTI: a filter of its left side then filters its rows.
    """
    selects = [select for select in facts.of(query, joined_selects) if is_left_deep(select)]
    if not selects or not facts.of(query, row_order_is_open) or facts.of(query, looks_up_bits):
        return query
    for select in selects:
        terms = _flatten_items(select)
        for join in select.args["joins"]:
            if is_inner(join) and join.args.get("on") is not None:
                terms += conjuncts(join.args["on"])
                join.set("on", None)
                join.set("kind", "CROSS")
        terms = [term for term in terms if not (isinstance(term, exp.Boolean) and term.this)]
        if terms:
            set_where(select, [*where_terms(select), *terms])
    return query


def joined_selects(query: exp.Query, facts: Facts) -> list[exp.Select]:
    """Every SELECT that joins, innermost first."""
    return [select for select in reversed(facts.nodes(query, exp.Select)) if select.args.get("joins")]


def is_left_deep(select: exp.Select) -> bool:
    """Whether all joins of a SELECT keep the rows that pass a filter of their left side, and no item sees another."""
    if select.args.get("laterals") or select.args.get("pivots"):
        return False
    return _is_item(select.args["from_"].this) and all(_is_plain_join(join) for join in select.args["joins"])


def is_inner(join: exp.Join) -> bool:
    """Whether a join is a cross join or an inner one."""
    return not join.side and join.kind in {"", "CROSS", "INNER"}


def conjuncts(node: exp.Expr) -> list[exp.Expr]:
    """Return the terms of an AND, in order."""
    return list(terms_of(node, exp.And))


def where_terms(select: exp.Select) -> list[exp.Expr]:
    """Return the terms of WHERE."""
    where = select.args.get("where")
    return conjuncts(where.this) if where is not None else []


def set_where(select: exp.Select, terms: list[exp.Expr]) -> None:
    """Make the terms, which can be anywhere in the tree, the WHERE of a SELECT."""
    select.set("where", exp.Where(this=conjoined(terms)) if terms else None)


def conjoined(terms: list[exp.Expr]) -> exp.Expr:
    """Combine terms by AND. The nodes are moved."""
    tied = terms[0]
    for term in terms[1:]:
        tied = exp.And(this=tied, expression=term)
    return tied


def row_order_is_open(query: exp.Query, facts: Facts) -> bool:
    """Whether the order in which joins yield rows cannot affect the result, so that joins may be rewritten.

    It can if something takes the first rows, if floats are summed, and if -0.0 and 0.0 are one group, of
    which either is kept. Ties of the outermost ORDER BY are part of the result as well.
    """
    if facts.is_order_dependent(query) or not _is_ordered_in_full(query):
        return False
    kinds = (exp.Select, exp.With, exp.Group, exp.SetOperation, exp.Func)
    nodes = [node for node in facts.nodes(query, *kinds) if _may_be_sensitive(node)]
    if not nodes:
        return True
    types = facts.types(query)
    return all(_is_order_free(node, types) for node in nodes)


def is_exactly_grouped(kind: str | None) -> bool:
    """Whether equal values of a type are the same value."""
    return kind is not None and not kind.startswith(_INEXACT)


def _may_be_sensitive(node: exp.Expr) -> bool:
    if isinstance(node, exp.Select):
        return bool(node.args.get("distinct"))
    if isinstance(node, exp.With | exp.Group | exp.SetOperation | exp.Min | exp.Max | exp.Sum | exp.Avg):
        return True
    return isinstance(node, exp.Func) and is_float_sensitive(function_name(node) or "")


def _is_order_free(node: exp.Expr, types: Types) -> bool:
    grouped: list[exp.Expr] = []
    if isinstance(node, exp.With):
        return not node.recursive
    if isinstance(node, exp.Group):
        others = any(value for key, value in node.args.items() if key != "expressions")
        if others or any(isinstance(key, exp.Literal) for key in node.expressions):
            return False
        grouped = node.expressions
    elif isinstance(node, exp.Select) and node.args.get("distinct"):
        grouped = node.selects
    elif isinstance(node, exp.SetOperation) and (node.args.get("distinct") or not isinstance(node, exp.Union)):
        branches = (node.this, node.expression)
        if not all(isinstance(branch, exp.Select) for branch in branches):
            return False
        grouped = [item for branch in branches for item in branch.selects]
    elif isinstance(node, exp.Min | exp.Max):
        grouped = [node.this]
    elif isinstance(node, exp.Sum | exp.Avg):
        kind = types.of(node.this) or ""
        return kind.startswith("decimal") or (isinstance(node, exp.Sum) and kind in INTEGERS)
    elif isinstance(node, exp.Func):
        return False
    return all(is_exactly_grouped(types.of(item)) for item in grouped)


def _is_ordered_in_full(query: exp.Query) -> bool:
    order = query.args.get("order")
    if order is None:
        return True
    if not isinstance(query, exp.Select):
        return False
    keys = {encode(ordered.this) for ordered in order.expressions}
    names = {key.name for ordered in order.expressions if isinstance(key := ordered.this, exp.Column) and not key.table}
    return all(
        item.alias_or_name in names or encode(item.unalias()) in keys or is_constant_output(item.unalias())
        for item in query.selects
    )


def _flatten_items(select: exp.Select) -> list[exp.Expr]:
    """Take inner-joined items out of their parentheses; return the predicates that joined them to the others."""
    terms: list[exp.Expr] = []
    if not any(map(_nested_joins, items_of(select))):
        return terms
    from_ = select.args["from_"]
    first, nested = _opened(from_.this)
    from_.set("this", first)
    joins: list[exp.Expr] = list(nested)
    for join in select.args["joins"]:
        if is_inner(join) and _nested_joins(join.this):
            item, nested = _opened(join.this)
            on = join.args.get("on")
            terms += conjuncts(on) if on is not None else []
            joins += [exp.Join(this=item, kind="CROSS"), *nested]
        else:
            joins.append(join)
    select.set("joins", joins)
    return terms


def _opened(item: exp.Expr) -> tuple[exp.Expr, list[exp.Join]]:
    joins = _nested_joins(item)
    if not joins:
        return item, []
    inner = item.this
    inner.set("joins", None)
    return inner, joins


def _nested_joins(item: exp.Expr) -> list[exp.Join]:
    """The joins inside an item in parentheses."""
    if isinstance(item, exp.Subquery) and isinstance(item.this, exp.Table):
        return list(item.this.args.get("joins") or [])
    return []


def _is_plain_join(join: exp.Join) -> bool:
    if any(value for key, value in join.args.items() if key not in {"this", "on", "kind", "side"}):
        return False
    constrained = join.args.get("on") is not None
    if join.kind in {"SEMI", "ANTI"}:
        return join.side in {"", "LEFT"} and constrained and _is_item(join.this, nested=False)
    if join.side == "LEFT":
        return not join.kind and constrained and _is_item(join.this, nested=False)
    return is_inner(join) and (constrained or join.kind == "CROSS") and _is_item(join.this)


def _is_item(item: exp.Expr, *, nested: bool = True) -> bool:
    """Whether an item of FROM is a table, a derived table, or in parentheses items that a SELECT may join as well."""
    if nested and _nested_joins(item):
        inner = item.this
        bare = not any(value for key, value in item.args.items() if key != "this")
        return bare and _has_plain_arguments(inner, {"joins"}) and all(map(_is_plain_join, inner.args["joins"]))
    if isinstance(item, exp.Table):
        return isinstance(item.this, exp.Identifier) and _has_plain_arguments(item)
    return isinstance(item, exp.Subquery) and isinstance(item.this, exp.Query) and _has_plain_arguments(item)


def _has_plain_arguments(item: exp.Expr, more: set[str] | frozenset[str] = frozenset()) -> bool:
    alias = item.args.get("alias")
    if not isinstance(alias, exp.TableAlias) or alias.args.get("columns"):
        return False
    return all(not value for key, value in item.args.items() if key not in _ITEM_ARGUMENTS | more)


def _has_join_after_comma(joins: list[exp.Join]) -> bool:
    commas = [not any(join.args.get(key) for key in ("kind", "side", "method", "on", "using")) for join in joins]
    return True in commas and not all(commas[commas.index(True) :])


def _is_lateral(join: exp.Join) -> bool:
    return isinstance(join.this, exp.Lateral | exp.Unnest)


def items_of(select: exp.Select) -> Iterator[exp.Expr]:
    """The FROM items of a SELECT without parentheses, in order."""
    yield select.args["from_"].this
    for join in select.args.get("joins") or []:
        yield join.this
