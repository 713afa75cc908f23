"""Rewrites of a bound query after which SQLGlot's qualification reads its names as the engine does.

Each rewrite keeps the query's meaning and removes one construct that SQLGlot would misread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sqlglot import exp

from compiler.names.lexical import Names, is_semi_joined, item_name, resolve_names
from compiler.names.outer_columns import outer_columns
from compiler.names.parenthesised_joins import derive_parenthesised_joins
from compiler.names.resolve import fold
from compiler.names.unaliased_tables import MARK, name_derived_tables
from compiler.schema import Schema
from compiler.tree.positions import located
from compiler.tree.walk import find_all, has, is_bare_subquery

_CLAUSES = ("with_", "order", "limit", "offset")
"""The arguments of clauses that are allowed around the parentheses of a query."""
_FURTHER_GROUPS = ("grouping_sets", "rollup", "cube", "all")
"""The arguments of GROUP BY besides expressions."""


def prepare(query: exp.Query, schemas: Mapping[str, Schema]) -> exp.Query:
    """Return the rewritten `query`, which is consumed; `schemas` are those of its inputs.

    Raises `SqlError` if two tables have one alias.
    """
    query = without_parentheses(query)
    _drop_empty_groups(query)
    derive_parenthesised_joins(query)
    name_derived_tables(query)
    _wrap_renamed_tables(query)
    _wrap_renamed_orders(query)
    _set_apart_names(query, schemas)
    _open_static_terms(query)
    _set_apart_fields(query)
    return query


def _set_apart_fields(query: exp.Query) -> None:
    """SELECT b.info.id FROM b, a AS info → SELECT (b.info).id FROM b, a AS info, in place.

    `qualify` takes the column info for the table of that name, be it one of a query around.
    """
    if not any(column.args.get("db") for column in find_all(query, exp.Column)):
        return
    names = resolve_names(query)
    called = {item_name(item) for item in names.items}
    for reference in names.references:
        table, name, *fields = reference.column.parts
        if fields and isinstance(name, exp.Identifier) and fold(name) in called:
            column = exp.Column(this=name.copy(), table=table.copy())
            reference.column.replace(exp.Dot.build([column, *(field.copy() for field in fields)]))


def as_written(name: str) -> str:
    """Return a name without the suffix that `prepare` added, for messages."""
    return name.partition(MARK)[0] or name


def drop_recursive_columns(query: exp.Query) -> None:
    """WITH RECURSIVE r(n) AS (SELECT 1 AS n UNION ALL …) → WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL …).

    By then `qualify` has named the outputs of the static term, from which the engine takes the names. A list
    of names beside them would have to be renamed along with them.
    """
    for cte in find_all(query, exp.CTE):
        columns = cte.args["alias"].columns
        if columns and [column.name for column in columns] == cte.this.named_selects:
            cte.args["alias"].set("columns", None)
        elif columns:
            raise located(
                cte, f"'{cte.alias}' has columns other than those it names", hint="name them in its first SELECT"
            )


def without_parentheses(query: exp.Query, *, derive: bool = True) -> exp.Query:
    """(SELECT a AS x FROM t) ORDER BY x LIMIT 1 → SELECT a AS x FROM t ORDER BY x LIMIT 1, in place.

    A query that has such clauses of its own becomes a derived table, or stays as it is if not `derive`. To SQLGlot's
    scopes parentheses are not a query, so nothing explains the names in clauses around them.
    """
    holders = find_all(query, exp.Subquery, exp.CTE)
    for around in holders:
        body = around.this
        clauses = {key: around.args[key] for key in _CLAUSES if around.args.get(key)}
        if not clauses or not isinstance(body, exp.Query):
            continue
        taken = any(body.args.get(key) for key in _CLAUSES)
        if taken and not derive:
            continue
        for key in clauses:
            around.set(key, None)
        if taken:
            derived = body.subquery("parentheses", copy=False)
            holders.append(derived)
            body = exp.select(exp.Star()).from_(derived, copy=False)
            around.set("this", body)
        for key, clause in clauses.items():
            body.set(key, clause)
    for holder in holders:
        while is_bare_subquery(holder.this) and isinstance(holder.this.this, exp.Query):
            holder.set("this", holder.this.this)
    while is_bare_subquery(query) and isinstance(query.this, exp.Query):
        query = query.this.pop()
    return query


def _drop_empty_groups(query: exp.Query) -> None:
    """GROUP BY (), t.a → GROUP BY t.a. Alone, GROUP BY () → nothing, with HAVING COUNT(*) >= 0 if nothing else groups.

    The engine does not support (). It is one group of all rows, even of none, as in a query with only an aggregate.
    """
    for group in find_all(query, exp.Group):
        select = group.parent
        kept = [key for key in group.expressions if not isinstance(key, exp.Tuple) or key.expressions]
        if len(kept) == len(group.expressions) or not isinstance(select, exp.Select):
            continue
        group.set("expressions", kept)
        if kept or any(group.args.get(key) for key in _FURTHER_GROUPS):
            continue
        select.set("group", None)
        if not _aggregates(select):
            having = select.args.get("having")
            counted = exp.GTE(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(0))
            condition = exp.and_(counted, having.this, copy=False) if having is not None else counted
            select.set("having", exp.Having(this=condition))


def _aggregates(select: exp.Select) -> bool:
    """Whether a query without GROUP BY holds an aggregate, and so is one group."""
    clauses = [*select.selects, *(select.args[key] for key in ("having", "qualify", "order") if select.args.get(key))]
    return any(
        one.find_ancestor(exp.Window, exp.Select) is select
        for clause in clauses
        for one in find_all(clause, exp.AggFunc)
    )


def _wrap_renamed_tables(query: exp.Query) -> None:
    """FROM c AS q(a, b) → FROM (SELECT * FROM c AS q) AS q(a, b).

    `qualify` makes aliases of the names of a derived table's columns, but leaves those of a table, which then are names
    that nothing in the query's tree explains.
    """
    for table in find_all(query, exp.Table):
        alias = table.args.get("alias")
        if not isinstance(table.this, exp.Identifier) or not alias or not alias.columns:
            continue
        bare = table.copy()
        bare.set("alias", exp.TableAlias(this=alias.this.copy()))
        bare.set("joins", None)
        inner = exp.select(exp.Star()).from_(bare, copy=False)
        table.replace(exp.Subquery(this=inner, alias=alias, joins=table.args.get("joins")))


def _wrap_renamed_orders(query: exp.Query) -> None:
    """(SELECT b AS x FROM t ORDER BY x LIMIT 1) AS q(a) → (SELECT * FROM (SELECT b AS x … LIMIT 1) AS q) AS q(a).

    `qualify` gives a renamed query's outputs their new names, and its ORDER BY, HAVING or QUALIFY would look for the
    old ones, or find another column under them.
    """
    for node in find_all(query, exp.CTE, exp.Subquery):
        alias, body = node.args.get("alias"), node.this
        if not isinstance(alias, exp.TableAlias) or not alias.columns or not isinstance(body, exp.Query):
            continue
        if isinstance(node, exp.CTE) and isinstance(node.parent, exp.With) and node.parent.recursive:
            continue
        if has(body, exp.Order, exp.Having, exp.Qualify, exp.Distinct):
            inner = exp.Subquery(alias=exp.TableAlias(this=alias.this.copy()))
            body.replace(exp.select(exp.Star()).from_(inner, copy=False))
            inner.set("this", body)  # the same node, because others of the list can be inside it


def _open_static_terms(query: exp.Query) -> None:
    """WITH RECURSIVE r AS ((WITH s AS (…) SELECT …) UNION ALL …) → WITH RECURSIVE s AS (…), r AS (… UNION ALL …).

    In place, once all CTE names are unique. To SQLGlot a static term in parentheses is not that of its CTE:
    when names are numbered, references to the CTE get a different number from the CTE.
    """
    for with_ in find_all(query, exp.With):
        if not with_.recursive:
            continue
        ctes: list[exp.Expr] = []
        for cte in with_.expressions:
            body = cte.this
            if isinstance(body, exp.SetOperation):
                ctes += _taken_ctes(body)
                _open_static_term(body)
            ctes.append(cte)
        with_.set("expressions", ctes)


def _taken_ctes(body: exp.SetOperation) -> list[exp.Expr]:
    """Return the CTEs of a recursive CTE's static term, which no longer has them."""
    taken: list[exp.Expr] = []
    pending: list[exp.Expr] = [body]
    for node in pending:
        own = node.args.get("with_")
        if own is not None:
            taken += own.expressions
            node.set("with_", None)
        if isinstance(node, exp.SetOperation):
            pending += [node.this] if node is body else [node.this, node.expression]
        elif isinstance(node, exp.Subquery):
            pending.append(node.this)
    return taken


def _open_static_term(body: exp.SetOperation) -> None:
    inner = body.this.unnest() if is_bare_subquery(body.this) else body.this
    if isinstance(inner, exp.SetOperation) or (inner is not body.this and any(inner.args.get(key) for key in _CLAUSES)):
        body.set("this", exp.select(exp.Star()).from_(inner.subquery("parentheses", copy=False), copy=False))
    else:
        body.set("this", inner)


def _set_apart_names(query: exp.Query, schemas: Mapping[str, Schema]) -> None:
    """Rename the CTEs and aliases that SQLGlot's scopes would confuse with others, and all references to them."""
    names = resolve_names(query)
    columns = {column for schema in schemas.values() for column in schema.names}
    ctes = find_all(query, exp.CTE)
    ordering = _ordering_names(query)
    renamed = _apart_ctes(ctes, ordering)
    renamed |= _apart_items(query, names, columns, ordering)
    outer = list(outer_columns(names, schemas))
    renamed = {**{id(item): new for one in outer for item, new in one.shadows(names)}, **renamed}
    for reference in names.references:
        if id(reference.item) in renamed:
            _rename(reference.column.parts[0], renamed[id(reference.item)])
    for one in outer:
        one.qualify(renamed)
    for item in names.items:
        if id(item) in renamed:
            _rename_item(item, renamed[id(item)])
    for table, cte in names.tables:
        if id(cte) in renamed:
            _rename(table.this, renamed[id(cte)])
    for cte in ctes:
        if id(cte) in renamed:
            _rename(cte.args["alias"].this, renamed[id(cte)])


def _apart_ctes(ctes: list[exp.CTE], ordering: set[str]) -> dict[int, str]:
    """Return new names, by the node's id.

    * Of several CTEs of one name, all but the first.
    * A CTE whose name ORDER BY uses for an output: SQLGlot takes that for the whole of the table.
    """
    renamed: dict[int, str] = {}
    seen: set[str] = set()
    for number, cte in enumerate(ctes):
        name = fold(cte.args["alias"].this)
        if name in seen or name in ordering:
            renamed[id(cte)] = f"{name}{MARK}c{number}"
        seen.add(name)
    return renamed


def _apart_items(query: exp.Query, names: Names, columns: set[str], ordering: set[str]) -> dict[int, str]:
    """Return new aliases, by the node's id.

    * An alias that is also the name of a CTE which it does not refer to: in a subquery SQLGlot takes it for the CTE.
    * The right side of a semi-join, if another FROM item has the same alias.
    * A derived table's alias that ORDER BY uses for an output, as with CTEs.
    * An alias that is also the name of a column, if it is the right side of a semi-join or is used two queries
      further in: there SQLGlot reads alias.column as a field of that column.
    """
    columns = columns | {alias.alias for alias in find_all(query, exp.Alias)}
    columns |= {fold(name) for alias in find_all(query, exp.TableAlias) for name in alias.columns}
    ctes = {fold(cte.args["alias"].this) for cte in find_all(query, exp.CTE)}
    targets = {id(table): fold(cte.args["alias"].this) for table, cte in names.tables}
    distant = {id(reference.item) for reference in names.references if reference.distance > 1}
    counts = Counter(item_name(item) for item in names.items)
    renamed: dict[int, str] = {}
    for number, item in enumerate(names.items):
        name = item_name(item)
        if name is None:
            continue
        semi = is_semi_joined(item)
        hidden = (name in columns and (semi or id(item) in distant)) or (semi and counts[name] > 1)
        misread = name in ordering and not item.args.get("db")
        if hidden or misread or (name in ctes and targets.get(id(item)) != name):
            renamed[id(item)] = f"{name}{MARK}{number}"
        elif id(item) in targets and not item.alias:
            renamed[id(item)] = name  # the CTE may get another name, under which its columns would not be found
    return renamed


def _ordering_names(query: exp.Query) -> set[str]:
    """Return the names without a table in ORDER BY and DISTINCT ON."""
    return {
        fold(column.this)
        for order in find_all(query, exp.Order, exp.Distinct)
        for column in find_all(order, exp.Column)
        if not column.table and isinstance(column.this, exp.Identifier)
    }


def _rename_item(item: exp.Expr, name: str) -> None:
    alias = item.args.get("alias")
    if isinstance(alias, exp.TableAlias) and isinstance(alias.this, exp.Identifier):
        _rename(alias.this, name)
    else:
        item.set("alias", exp.TableAlias(this=exp.Identifier(this=name, quoted=True)))


def _rename(identifier: exp.Expr, name: str) -> None:
    identifier.set("this", name)
    identifier.args["quoted"] = True
