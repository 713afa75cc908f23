"""What names mean by SQL's scoping rules alone: which FROM item an alias refers to, which CTE a table refers to.

SQLGlot's scopes are not enough for that: there a CTE that is merely in sight can stand for an alias of an outer query,
and the right side of a semi-join for nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from compiler.positions import located
from compiler.resolve import fold

CTEs = Mapping[str, exp.CTE]


@dataclass(frozen=True)
class Reference:
    """A column, the FROM item its first part names, and how many queries further out that item stands."""

    column: exp.Column
    item: exp.Expr
    distance: int


@dataclass
class Names:
    """What the names of one query mean.

    references: of columns with a table. free: columns whose first part is no alias in sight. items: every FROM item.
    tables: those that refer to a CTE, with it.
    """

    references: list[Reference] = field(default_factory=list)
    free: list[exp.Column] = field(default_factory=list)
    items: list[exp.Expr] = field(default_factory=list)
    tables: list[tuple[exp.Table, exp.CTE]] = field(default_factory=list)


def resolve_names(query: exp.Query) -> Names:
    """Resolve every name of `query`. Raises `SqlError` where one alias stands for two FROM items of a SELECT."""
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


Scope = Mapping[str, exp.Expr]


def _visit(node: exp.Expr, scopes: tuple[Scope, ...], ctes: CTEs, names: Names) -> None:
    """Visit what is no FROM item; `scopes` are the aliases in sight, innermost query first."""
    ctes = _with(node, scopes, ctes, names)
    if isinstance(node, exp.Column):
        _column(node, scopes, names)
        return
    if isinstance(node, exp.Select):
        items = _items(node)
        scope: dict[str, exp.Expr] = {}
        for item in items:
            name = item_name(item)
            if name is not None and name in scope:
                raise located(item, f"two tables are called '{name}' here", hint="give one another alias", code="duplicate-alias")
            if name is not None:
                scope[name] = item
        inner = (scope, *scopes)
        names.items += items
        for item in items:
            _item(item, inner, scopes, ctes, names)
        scopes = inner
    known = {id(item) for item in items} if isinstance(node, exp.Select) else set()
    for key, value in node.args.items():
        if key != "with_":
            for child in value if isinstance(value, list) else (value,):
                if isinstance(child, exp.Expr):
                    _around(child, known, scopes, ctes, names)


def _around(node: exp.Expr, items: set[int], scopes: tuple[Scope, ...], ctes: CTEs, names: Names) -> None:
    """Visit the parts of FROM and JOIN that are no FROM item themselves: ON, and what parentheses hold."""
    if not items or not isinstance(node, exp.From | exp.Join | exp.Table | exp.Subquery):
        _visit(node, scopes, ctes, names)
        return
    own = id(node) in items
    for key, value in node.args.items():
        if own and key != "joins":
            continue
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, exp.Expr) and not (id(child) in items and not child.args.get("joins")):
                _around(child, items, scopes, ctes, names)


def _items(select: exp.Select) -> list[exp.Expr]:
    from_ = select.args.get("from_")
    found: list[exp.Expr] = []
    for clause in ([from_] if from_ is not None else []) + (select.args.get("joins") or []):
        _collect(clause.this, found)
    return found


def _collect(item: exp.Expr, found: list[exp.Expr]) -> None:
    if isinstance(item, exp.Subquery) and not isinstance(item.this, exp.Query):
        _collect(item.this, found)  # parentheses around a join
    elif isinstance(item, exp.Subquery) and isinstance(item.this, exp.Subquery) and not item.alias:
        _collect(item.this, found)
    elif isinstance(item, exp.Paren):
        _collect(item.this, found)
    else:
        found.append(item)
    for join in item.args.get("joins") or []:
        _collect(join.this, found)


def _item(item: exp.Expr, inner: tuple[Scope, ...], outer: tuple[Scope, ...], ctes: CTEs, names: Names) -> None:
    if isinstance(item, exp.Table) and isinstance(item.this, exp.Identifier):
        if not item.args.get("db") and (cte := ctes.get(fold(item.this))) is not None:
            names.tables.append((item, cte))
        return
    # Only a LATERAL item, and the arguments of a table function, see what stands beside them.
    scopes = outer if isinstance(item, exp.Subquery) else inner
    if isinstance(item, exp.Subquery):
        ctes = _with(item, scopes, ctes, names)
    for key, value in item.args.items():
        if key not in {"joins", "alias", "with_"}:
            for child in value if isinstance(value, list) else (value,):
                if isinstance(child, exp.Expr):
                    _visit(child, scopes, ctes, names)


def _with(node: exp.Expr, scopes: tuple[Scope, ...], ctes: CTEs, names: Names) -> CTEs:
    """Visit the CTEs of a query and return what is in sight after them."""
    with_ = node.args.get("with_")
    if with_ is None:
        return ctes
    seen = dict(ctes)
    for cte in with_.expressions:
        name, body = fold(cte.args["alias"].this), cte.this
        if with_.recursive and isinstance(body, exp.SetOperation):
            _visit(body.this, scopes, seen, names)
            _visit(body.expression, scopes, {**seen, name: cte}, names)
        else:
            _visit(body, scopes, dict(seen), names)
        seen[name] = cte
    return seen


def _column(column: exp.Column, scopes: tuple[Scope, ...], names: Names) -> None:
    root = column.parts[0]
    if root is column.this or not isinstance(root, exp.Identifier):
        return
    name = fold(root)
    for distance, scope in enumerate(scopes):
        if name in scope:
            names.references.append(Reference(column, scope[name], distance))
            return
    names.free.append(column)
