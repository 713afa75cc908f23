"""Lexical resolution by SQL's scoping rules alone: the FROM item of each alias, the CTE of each table name.

SQLGlot's scopes are not enough for that: they can take a CTE that is merely in scope for an alias of an outer query,
and the right side of a semi-join for nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from sqlglot import exp

from compiler.names.resolve import fold
from compiler.tree.positions import located
from compiler.tree.walk import LEAVES, is_comma

_ONLY_WITH = frozenset({"with_"})
_SOURCES = frozenset({"with_", "from_", "joins"})

CTEs = Mapping[str, exp.CTE]
Scope = Mapping[str, exp.Expr]
"""Alias → the FROM item it refers to."""


@dataclass(frozen=True)
class Reference:
    """A column, the FROM item its first part names, and how many queries further out that item is."""

    column: exp.Column
    item: exp.Expr
    distance: int


@dataclass
class Names:
    """The meanings of the names in one query."""

    references: list[Reference] = field(default_factory=list)
    """The columns with a table."""
    free: list[exp.Column] = field(default_factory=list)
    """The columns whose first part is not an alias in scope."""
    bare: list[tuple[exp.Column, tuple[Scope, ...]]] = field(default_factory=list, compare=False)
    """The columns without a table, each with the aliases in scope, innermost query first. These do not follow when
    aliases change, so they take no part in comparisons."""
    items: list[exp.Expr] = field(default_factory=list)
    """Every FROM item."""
    ctes: list[exp.CTE] = field(default_factory=list)
    """Every CTE."""
    tables: list[tuple[exp.Table, exp.CTE]] = field(default_factory=list)
    """The tables that refer to a CTE, with that CTE."""


def resolve_names(query: exp.Query) -> Names:
    """Resolve every name of `query`. Raises `SqlError` if two FROM items of a SELECT have one alias."""
    names = Names()
    _visit(query, (), {}, names)
    return names


def item_name(item: exp.Expr) -> str | None:
    """Return the name by which a FROM item is known to its query."""
    alias = item.args.get("alias")
    identifier = alias.this if isinstance(alias, exp.TableAlias) else None
    if identifier is None and isinstance(item, exp.Table):
        identifier = item.this
    return fold(identifier) if isinstance(identifier, exp.Identifier) else None


def is_semi_joined(item: exp.Expr) -> bool:
    """Whether a FROM item is on the right side of a semi- or anti-join, so that the query does not have its columns.

    t SEMI JOIN (u JOIN v ON …) ON …: both u and v are.
    """
    node: exp.Expr = item
    while (around := node.parent) is not None:
        if isinstance(around, exp.Join):
            if is_semi_join(around):
                return True
            around = around.parent  # the left side of the join
        if around is None or not (isinstance(around, exp.Join) or is_parenthesised(around) or around.args.get("joins")):
            return False
        if isinstance(around, exp.Query) and not is_parenthesised(around):
            return False
        node = around
    return False


def is_semi_join(join: exp.Join) -> bool:
    """Whether a join only filters the rows of its left side."""
    return join.kind in {"SEMI", "ANTI"}


def is_parenthesised(item: exp.Expr) -> bool:
    """Whether a FROM item is in parentheses, alone or as several joined ones."""
    return isinstance(item, exp.Paren) or (isinstance(item, exp.Subquery) and not isinstance(item.this, exp.Query))


def _visit(node: exp.Expr, scopes: tuple[Scope, ...], ctes: CTEs, names: Names) -> None:
    """Visit a node that is not a FROM item; `scopes` are the aliases in scope, innermost query first."""
    if isinstance(node, exp.Column):
        _column(node, scopes, names)
        return
    ctes = _with(node, scopes, ctes, names)
    done = _ONLY_WITH
    if isinstance(node, exp.Select):
        items, joins = from_items(node)
        everything = _scope(items)
        # Only its own ON sees the right side of a semi-join; elsewhere its name can mean that of an outer query.
        visible = {name: item for name, item in everything.items() if not is_semi_joined(item)}
        inner = (visible, *scopes)
        for item in items:
            _item(item, inner, scopes, ctes, names)
        for join in joins:
            seen = visible
            if len(visible) < len(everything):
                seen = {name: item for name, item in everything.items() if name in visible or _is_within(join, item)}
            before = len(names.references)
            _visit_arguments(join, {"this", "using"}, (seen, *scopes), ctes, names)
            _require_own_segment(join, items, names.references[before:])
        names.items += items
        scopes, done = inner, _SOURCES
    _visit_arguments(node, done, scopes, ctes, names)


def _is_within(join: exp.Join, item: exp.Expr) -> bool:
    """Whether a FROM item is on the right side of a join, or beside it in its parentheses."""
    left = join.parent
    beside = left.parent if left is not None and not isinstance(left, exp.Select) else None
    node: exp.Expr | None = item
    while node is not None and not isinstance(node, exp.Select):
        if node is join.this or (node is beside and is_parenthesised(node)):
            return True
        node = node.parent
    return False


def _visit_arguments(
    node: exp.Expr, done: AbstractSet[str], scopes: tuple[Scope, ...], ctes: CTEs, names: Names
) -> None:
    for key, value in node.args.items():
        if key not in done:
            for child in value if isinstance(value, list) else (value,):
                if isinstance(child, exp.Expr) and type(child) not in LEAVES:
                    _visit(child, scopes, ctes, names)


def from_items(select: exp.Select) -> tuple[list[exp.Expr], list[exp.Join]]:
    """Return the FROM items of a SELECT and its joins, including those in parentheses."""
    items: list[exp.Expr] = []
    joins: list[exp.Join] = []

    def collect(item: exp.Expr) -> None:
        if is_parenthesised(item):
            collect(item.this)
        else:
            items.append(item)
        for join in item.args.get("joins") or []:
            joins.append(join)
            collect(join.this)

    from_ = select.args.get("from_")
    if from_ is not None:
        collect(from_.this)
    for join in select.args.get("joins") or []:
        joins.append(join)
        collect(join.this)
    return items, joins


def _scope(items: list[exp.Expr]) -> Scope:
    scope: dict[str, exp.Expr] = {}
    for item in items:
        name = item_name(item)
        if name is None:
            continue
        if name in scope:
            raise located(
                item,
                f"two tables are called '{name}' here",
                hint="give one of them another alias",
                code="duplicate-alias",
            )
        scope[name] = item
    return scope


def _require_own_segment(join: exp.Join, items: list[exp.Expr], references: list[Reference]) -> None:
    """Refuse an ON that uses a table beyond a comma: FROM a, b JOIN c ON a.x = c.x.

    A comma binds more loosely than JOIN, so to the engine such a name means an outer query's table, or nothing.
    """
    siblings = join.parent.args["joins"] if join.parent is not None else []
    position = next((index for index, sibling in enumerate(siblings) if sibling is join), 0)
    commas = [index for index in range(position) if is_comma(siblings[index])]
    if not commas:
        return
    segment = {id(node) for sibling in siblings[commas[-1] : position + 1] for node in sibling.walk()}
    own = {id(item) for item in items}
    for reference in references:
        if id(reference.item) in own and id(reference.item) not in segment:
            raise located(
                reference.column,
                f"'{item_name(reference.item)}' cannot be seen here: it is beyond a comma, which joins last",
                hint="write CROSS JOIN instead of the comma",
                code="unknown-table",
            )


def _item(item: exp.Expr, inner: tuple[Scope, ...], outer: tuple[Scope, ...], ctes: CTEs, names: Names) -> None:
    if isinstance(item, exp.Table) and isinstance(item.this, exp.Identifier):
        if not item.args.get("db") and (cte := ctes.get(fold(item.this))) is not None:
            names.tables.append((item, cte))
        return
    # A derived table does not see the items beside it; LATERAL and the arguments of a table function do.
    derived = isinstance(item, exp.Subquery)
    scopes = outer if derived else inner
    if derived:
        ctes = _with(item, scopes, ctes, names)
    _visit_arguments(item, {"joins", "alias", "with_"}, scopes, ctes, names)


def _with(node: exp.Expr, scopes: tuple[Scope, ...], ctes: CTEs, names: Names) -> CTEs:
    """Visit the CTEs of a query and return the names in scope after them."""
    with_ = node.args.get("with_")
    if with_ is None:
        return ctes
    seen = dict(ctes)
    for cte in with_.expressions:
        name, body = fold(cte.args["alias"].this), cte.this
        names.ctes.append(cte)
        if with_.recursive and isinstance(body, exp.SetOperation):
            # The engine plans the static term before the CTE exists, the recursive term after.
            inner = _with(body, scopes, dict(seen), names)
            _visit(body.this, scopes, inner, names)
            _visit(body.expression, scopes, {**inner, name: cte}, names)
        else:
            _visit(body, scopes, dict(seen), names)
        seen[name] = cte
    return seen


def _column(column: exp.Column, scopes: tuple[Scope, ...], names: Names) -> None:
    root = column.parts[0]
    if not isinstance(root, exp.Identifier):
        return
    if root is column.this:
        names.bare.append((column, scopes))
        return
    name = fold(root)
    for distance, scope in enumerate(scopes):
        if name in scope:
            names.references.append(Reference(column, scope[name], distance))
            return
    names.free.append(column)
