"""Outer joins: made narrower if a filter drops the rows they add; one side and one place for their predicates."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.canonical.item_keys import Owned, columns_of_items
from compiler.canonical.join_order import is_confused
from compiler.canonical.joins import (
    conjoined,
    conjuncts,
    is_exactly_grouped,
    is_left_deep,
    items_of,
    joined_selects,
    row_order_is_open,
    where_terms,
)
from compiler.canonical.merging import has_exact_equalities
from compiler.tree.walk import find_all, has

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul)

_MOST_TELLING = 8
"""A term of more tables than this is not examined once for each of them."""

Test = Callable[[exp.Column], bool]


def turn_right_joins(query: exp.Query, facts: Facts) -> exp.Query:
    """Write a first RIGHT JOIN as a LEFT JOIN.

    FROM a RIGHT JOIN b ON p → FROM b LEFT JOIN a ON p

    Only in the outermost SELECT, with a WHERE that does not read a: DataFusion 55 applies a.x IS NULL above RIGHT JOIN
    to the column x of b as well, if there is one, and above a LEFT JOIN it does not.
    """
    selects = [select for select in facts.of(query, joined_selects) if select is query and _starts_right(select)]
    if not selects or not facts.of(query, row_order_is_open):
        return query
    for select in selects:
        from_, join = select.args["from_"], select.args["joins"][0]
        left, right = from_.this, join.this
        from_.set("this", right)
        join.set("this", left)
        join.set("side", "LEFT")
    return query


def narrow_outer_joins(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop early the rows that WHERE drops because they have NULL for a whole table.

    FROM a LEFT JOIN b ON p WHERE b.x > 1 → FROM a JOIN b ON p WHERE b.x > 1
    FROM a FULL JOIN b ON p WHERE a.x > 1 → FROM a LEFT JOIN b ON p WHERE a.x > 1

    Not a FULL JOIN, nor a RIGHT JOIN that is not the first, whose filter the engine may take for one on b.
    """
    selects = [select for select in facts.of(query, joined_selects) if select.args.get("where") and _has_outer(select)]
    if not selects or not facts.of(query, row_order_is_open):
        return query
    owned, types = facts.of(query, columns_of_items), facts.types(query)
    for select in selects:
        before = [select.args["from_"].this]
        wanted = _required(select, owned, types)
        for join in select.args["joins"]:
            keeps_left = join.side in {"LEFT", "FULL"}
            keeps_right = join.side in {"RIGHT", "FULL"}
            needs_right = id(join.this) in wanted
            needs_left = any(id(item) in wanted for item in before)
            mirrored = len(before) == 1 and not keeps_left  # a first RIGHT JOIN is executed as a LEFT JOIN
            trusted = not keeps_right or mirrored or not is_confused(query, select, before, join.this, owned, facts)
            if trusted and join.side and not join.kind and not join.method and join.args.get("on") is not None:
                keeps_left, keeps_right = keeps_left and not needs_right, keeps_right and not needs_left
                if (side := _SIDES[keeps_left, keeps_right]) != join.args["side"]:
                    join.set("side", side)
            before.append(join.this)
    return query


_SIDES = {(True, True): "FULL", (True, False): "LEFT", (False, True): "RIGHT", (False, False): None}


def merge_optional_filters(query: exp.Query, facts: Facts) -> exp.Query:
    """Move the filter of an optional derived table, which only picks columns, to the join's condition.

    FROM a LEFT JOIN (SELECT b.k AS k FROM b WHERE b.f) AS q ON a.k = q.k → FROM a LEFT JOIN b ON a.k = b.k AND b.f

    No equality of floats may end up beside another: the engine makes lists of them, which compare bits.
    """
    selects = [
        select
        for select in facts.of(query, joined_selects)
        if not _by_name(select) and any(_is_mergeable(join) for join in select.args["joins"])
    ]
    if not selects or not facts.of(query, row_order_is_open):
        return query
    owned, types = facts.of(query, columns_of_items), facts.types(query)
    for select in selects:
        for join in select.args["joins"]:
            if not _is_mergeable(join):
                continue
            where = join.this.this.args.get("where")
            if where is not None and not has_exact_equalities(where, types):
                continue
            if not any(column.args.get("db") for column in owned.get(id(join.this), ())):
                _merge(join, owned)
    return query


def drop_key_coalesce(query: exp.Query, facts: Facts) -> exp.Query:
    """Read the key of a LEFT JOIN from the side that is kept: if that is NULL, so is the other.

    SELECT COALESCE(a.k, b.k) FROM a LEFT JOIN b ON a.k = b.k → SELECT a.k FROM a LEFT JOIN b ON a.k = b.k
    """
    found = [node for node in facts.nodes(query, exp.Coalesce) if _is_pair(node)]
    if not found:
        return query
    types = facts.types(query)
    for node in found:
        select = node.find_ancestor(exp.Select)
        on = node.find_ancestor(exp.Join)
        if select is None or (on is not None and on.parent is select):
            continue
        kept, optional = node.this, node.expressions[0]
        kind = types.of(kept)
        if has_plain_nulls(kind) and kind == types.of(optional) and _joins_by(select, kept, optional):
            node.replace(kept)
    return query


def _is_pair(node: exp.Coalesce) -> bool:
    columns = [node.this, *node.expressions]
    plain = all(isinstance(column, exp.Column) and not column.args.get("db") for column in columns)
    return plain and len(columns) == 2  # noqa: PLR2004 — the two keys


def _joins_by(select: exp.Select, kept: exp.Column, optional: exp.Column) -> bool:
    """Whether a LEFT JOIN of the SELECT joins the second column's table by equality of both columns."""
    keys = {(kept.table, kept.name), (optional.table, optional.name)}
    if kept.table == optional.table or not select.args.get("joins") or not is_left_deep(select):
        return False
    return any(
        isinstance(term, exp.EQ) and {_key(term.this), _key(term.expression)} == keys
        for join in select.args["joins"]
        if join.side == "LEFT" and not join.kind and join.this.alias_or_name == optional.table
        for term in conjuncts(join.args["on"])
    )


def _key(node: exp.Expr) -> tuple[str, str] | None:
    return (node.table, node.name) if isinstance(node, exp.Column) and not node.args.get("db") else None


def rejects_null(term: exp.Expr, of: Test) -> bool:
    """Whether a predicate is never true if all columns that `of` accepts are NULL."""
    if isinstance(term, exp.And):
        return rejects_null(term.this, of) or rejects_null(term.expression, of)
    if isinstance(term, exp.Or):
        return rejects_null(term.this, of) and rejects_null(term.expression, of)
    if isinstance(term, exp.Is):
        return isinstance(term.expression, exp.Boolean) and is_strict(term.this, of)
    if isinstance(term, exp.Not) and isinstance(term.this, exp.Is):
        return isinstance(term.this.expression, exp.Null) and is_strict(term.this.this, of)
    return is_strict(term, of)


def is_strict(node: exp.Expr, of: Test) -> bool:
    """Whether an expression is NULL if all columns that `of` accepts are NULL."""
    if isinstance(node, exp.Column):
        return of(node)
    if isinstance(node, exp.Not | exp.Neg):
        return is_strict(node.this, of)
    if type(node) is exp.Cast:
        return is_strict(node.this, of)
    if isinstance(node, exp.Between):
        return is_strict(node.this, of) and all(_is_scalar(node.args[key]) for key in ("low", "high"))
    if isinstance(node, exp.In):
        listed = bool(node.expressions) and not node.args.get("query") and not node.args.get("unnest")
        return listed and all(map(_is_scalar, node.expressions)) and is_strict(node.this, of)
    if isinstance(node, (*_COMPARISONS, *_ARITHMETIC)):
        sides = (node.this, node.expression)
        return all(map(_is_scalar, sides)) and any(is_strict(side, of) for side in sides)
    return False


def _is_scalar(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column | exp.Literal | exp.Boolean | exp.Neg | exp.Cast | exp.Binary) and not has(
        node, exp.Query, exp.Any, exp.All, exp.Tuple, exp.Interval
    )


def _required(select: exp.Select, owned: Owned, types: Types) -> set[int]:
    """The FROM items of which a row must exist, because WHERE drops rows with NULL for all their columns."""
    items = {id(column): id(item) for item in items_of(select) for column in owned.get(id(item), ())}
    required: set[int] = set()
    for term in where_terms(select):
        mentioned = {items[id(column)] for column in find_all(term, exp.Column) if id(column) in items}
        if len(mentioned) <= _MOST_TELLING:
            required |= {item for item in mentioned - required if rejects_null(term, _columns_of(item, items, types))}
    return required


def _columns_of(item: int, items: dict[int, int], types: Types) -> Test:
    """Accept the columns of one item that are of a type whose comparisons with NULL are NULL for certain."""
    return lambda column: items.get(id(column)) == item and has_plain_nulls(types.of(column))


def has_plain_nulls(kind: str | None) -> bool:
    """Whether any comparison of a value of the type with NULL is certainly NULL: it is not a struct, list or map."""
    return is_exactly_grouped(kind) or kind in {"float16", "float32", "float64"}


def _has_outer(select: exp.Select) -> bool:
    joins = select.args["joins"]
    bare = all(isinstance(item, exp.Table) or isinstance(item.this, exp.Query) for item in items_of(select))
    return (
        bare and any(join.side in {"LEFT", "RIGHT", "FULL"} and not join.kind for join in joins) and not _is_odd(select)
    )


def _is_odd(select: exp.Select) -> bool:
    """Whether a SELECT has commas, laterals or nested joins, whose scopes are not one after the other."""
    if select.args.get("laterals") or select.args.get("pivots"):
        return True
    for join in select.args["joins"]:
        if not any(join.args.get(key) for key in ("kind", "side", "on")) or join.method or join.args.get("using"):
            return True
    return any(
        not isinstance(item, exp.Table | exp.Subquery)
        or not isinstance(item.args.get("alias"), exp.TableAlias)
        or bool(item.args.get("joins"))
        for item in items_of(select)
    )


def _starts_right(select: exp.Select) -> bool:
    join = select.args["joins"][0]
    if join.side != "RIGHT" or join.kind or join.args.get("on") is None:
        return False
    first = select.args["from_"].this.alias_or_name
    filters = [select.args[key] for key in ("where", "qualify") if select.args.get(key)]
    if any(column.table == first for node in filters for column in find_all(node, exp.Column)):
        return False
    return not _is_odd(select)


def _by_name(select: exp.Select) -> bool:
    return any(join.args.get("using") or join.method for join in select.args["joins"])


def _is_mergeable(join: exp.Join) -> bool:
    if join.side != "LEFT" or join.kind or join.method or join.args.get("on") is None:
        return False
    item = join.this
    if not isinstance(item, exp.Subquery) or not isinstance(item.this, exp.Select):
        return False
    if any(value for key, value in item.args.items() if key not in {"this", "alias"}) or item.args["alias"].columns:
        return False
    inner = item.this
    if any(value for key, value in inner.args.items() if key not in {"expressions", "from_", "where", "kind"}):
        return False
    from_ = inner.args.get("from_")
    if from_ is None or inner.args.get("kind"):
        return False
    table = from_.this
    if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
        return False
    alias = table.args.get("alias")
    if not isinstance(alias, exp.TableAlias) or alias.columns:
        return False
    if any(value for key, value in table.args.items() if key not in {"this", "alias", "db"}):
        return False
    where = inner.args.get("where")
    if where is not None and has(where, exp.Query):
        return False
    columns = [*(node.unalias() for node in inner.selects), *(find_all(where, exp.Column) if where is not None else ())]
    return all(isinstance(column, exp.Column) and column.table == alias.name for column in columns)


def _merge(join: exp.Join, owned: Owned) -> None:
    """Replace a mergeable derived table by its table, under the alias that its readers know."""
    item, inner = join.this, join.this.this
    table, name = inner.args["from_"].this, item.args["alias"].this
    outputs = {node.alias_or_name: node.unalias().this for node in inner.selects}
    for column in owned.get(id(item), ()):
        column.set("this", outputs[column.name].copy())
    where = inner.args.get("where")
    if where is not None:
        for column in find_all(where, exp.Column):
            column.set("table", name.copy())
        join.set("on", conjoined([*conjuncts(join.args["on"]), *conjuncts(where.this)]))
    table.set("alias", exp.TableAlias(this=name))
    join.set("this", table)
