"""Semi-joins: IN, = ANY, EXISTS, SEMI and ANTI JOIN become EXISTS if they filter alike."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.canonical.grouping import is_plain_group
from compiler.canonical.item_keys import columns_of_items
from compiler.canonical.joins import (
    conjuncts,
    is_left_deep,
    items_of,
    joined_selects,
    row_order_is_open,
    set_where,
    where_terms,
)
from compiler.canonical.outer_joins import has_plain_nulls, rejects_null
from compiler.canonical.predicate_facts import looks_up_bits
from compiler.names.lexical import item_name
from compiler.sql.encode import blind_key, encode
from compiler.tree.walk import has

_PLAIN = {"expressions", "from_", "joins", "where"}


def drop_inner_distinct(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop DISTINCT if only the existence of a row counts.

    x IN (SELECT DISTINCT b.y FROM b), x IN (SELECT b.y FROM b GROUP BY b.y, b.z) → x IN (SELECT b.y FROM b)
    EXISTS (SELECT DISTINCT b.y FROM b) → EXISTS (SELECT 1 FROM b);  x = ANY (SELECT …) → x IN (SELECT …)

    ANY is IN only as a term of WHERE: within another expression the engine never yields NULL for IN.
    """
    nodes = facts.nodes(query, exp.In, exp.Exists, exp.EQ)
    if not any(_tested(node) for node in nodes) or not facts.of(query, row_order_is_open):
        return query
    types = facts.types(query)
    terms = {id(term) for select in facts.nodes(query, exp.Select) for term in _tests(select)}
    for node in nodes:
        select = _tested(node)
        if select is None:
            continue
        if isinstance(node, exp.EQ):
            if id(node) not in terms:
                continue
            kind = types.of(select.selects[0])
            if types.is_exact(node.this) and types.of(node.this) == kind and len(select.selects) == 1:
                node.replace(exp.In(this=node.this, query=exp.Subquery(this=select)))
        distinct = select.args.get("distinct")
        if distinct is not None and not distinct.args.get("on") and _is_plain(select, {"distinct"}):
            select.set("distinct", None)
        if _groups_alone(select):
            select.set("group", None)
        if (
            isinstance(node, exp.Exists)
            and _is_plain(select)
            and all(isinstance(item.unalias(), exp.Column) for item in select.selects)
        ):
            select.set("expressions", [exp.Literal.number(1)])
    return query


def spell_semi_joins(query: exp.Query, facts: Facts) -> exp.Query:
    """Filter by EXISTS.

    FROM a SEMI JOIN b ON p → FROM a WHERE EXISTS (SELECT 1 FROM b WHERE p);  ANTI JOIN → NOT EXISTS
    WHERE a.x IN (SELECT b.y FROM b WHERE p) → WHERE EXISTS (SELECT 1 FROM b WHERE p AND b.y = a.x)
    FROM a LEFT JOIN b ON b.y = a.x WHERE b.y IS NULL → FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.y = a.x)

    In a filter NULL and FALSE are equal, so IN is EXISTS; NOT IN is NOT EXISTS only if neither side can be NULL. An IN
    stays unless the sides certainly have one type, whose equality is that of values.
    """
    if not facts.has(query, exp.In) and not facts.of(query, joined_selects):
        return query
    if not facts.of(query, row_order_is_open) or facts.of(query, looks_up_bits):
        return query
    for select in facts.of(query, joined_selects):
        if is_left_deep(select):
            _move_joins(select)
    _spell_missing(query, facts)
    _spell_in(query, facts)
    return query


def repeats_a_list(query: exp.Query, facts: Facts) -> bool:
    """Whether one IN (SELECT …) may occur twice in a SELECT, not both times as a term of WHERE.

    (x NOT IN (SELECT b.y FROM b) AND p) OR (x NOT IN (SELECT b.y FROM b) AND q)

    If both have one text, aliases included, the engine makes one term of WHERE of them, in which a NULL in b.y counts.
    """
    nodes = [node for node in facts.nodes(query, exp.In) if node.args.get("query")]
    if len(nodes) < 2:  # noqa: PLR2004 — nothing to repeat
        return False
    terms = {id(term) for select in facts.nodes(query, exp.Select) for term in _tests(select)}
    found: dict[tuple[object, ...], list[bool]] = {}
    for node in nodes:
        tables = sorted(table.name for table in node.args["query"].find_all(exp.Table))
        key = (id(node.find_ancestor(exp.Select)), blind_key(node.this), *tables)
        found.setdefault(key, []).append(id(node) in terms)
    return any(len(places) > 1 and not all(places) for places in found.values())


def _tested(node: exp.Expr) -> exp.Select | None:
    """The SELECT of a node that tests whether a row or value is among its rows."""
    body: object = None
    if isinstance(node, exp.In):
        body = node.args.get("query")
    elif isinstance(node, exp.Exists):
        body = node.this
    elif isinstance(node, exp.EQ) and isinstance(node.expression, exp.Any) and isinstance(node.this, exp.Column):
        body = node.expression.this
    while isinstance(body, exp.Subquery) and not any(value for key, value in body.args.items() if key != "this"):
        body = body.this
    return body if isinstance(body, exp.Select) else None


def _tests(select: exp.Select) -> list[exp.Expr]:
    """The terms of WHERE, without the NOT before some of them."""
    return [term.this if isinstance(term, exp.Not) else term for term in where_terms(select)]


def _is_plain(select: exp.Select, more: set[str] | frozenset[str] = frozenset()) -> bool:
    """Whether a SELECT has only the clauses of a filter and a projection, which neither aggregates nor unnests."""
    if any(value for key, value in select.args.items() if key not in _PLAIN | more) or not select.args.get("from_"):
        return False
    return not any(has(item, exp.AggFunc, exp.Window, *exp.SET_RETURNING_FUNCTIONS) for item in select.selects)


def _groups_alone(select: exp.Select) -> bool:
    """Whether a SELECT groups by columns and makes nothing of the groups."""
    group = select.args.get("group")
    if group is None or not _is_plain(select, {"group"}) or not is_plain_group(group):
        return False
    return all(
        isinstance(one, exp.Column) for one in (*group.expressions, *(item.unalias() for item in select.selects))
    )


def _move_joins(select: exp.Select) -> None:
    """Turn the semi-joins of a SELECT into filters: no join after them drops or adds rows."""
    terms: list[exp.Expr] = []
    kept: list[exp.Expr] = []
    for join in select.args["joins"]:
        if join.kind not in {"SEMI", "ANTI"} or join.args["on"].find(exp.Query) is not None:
            kept.append(join)
            continue
        inner = exp.Select(
            expressions=[exp.Literal.number(1)],
            from_=exp.From(this=join.this),
            where=exp.Where(this=join.args["on"]),
        )
        found: exp.Expr = exp.Exists(this=inner)
        terms.append(exp.Not(this=found) if join.kind == "ANTI" else found)
    if terms:
        select.set("joins", kept)
        set_where(select, [*where_terms(select), *terms])


def _spell_missing(query: exp.Query, facts: Facts) -> None:
    """LEFT JOIN b ON b.y = a.x WHERE b.y IS NULL keeps the rows without a match: with a match, b.y is not NULL."""
    selects = [select for select in facts.of(query, joined_selects) if is_left_deep(select)]
    if not selects:
        return
    owned, types = facts.of(query, columns_of_items), facts.types(query)
    for select in selects:
        for join in list(select.args["joins"]):
            if join.side != "LEFT" or join.kind or join.args["on"].find(exp.Query) is not None:
                continue
            columns = owned.get(id(join.this), [])
            inside = {id(column) for column in join.args["on"].find_all(exp.Column)}
            outside = [column for column in columns if id(column) not in inside]
            if len(outside) != 1 or not _is_missing(select, outside[0]):
                continue
            key = outside[0].name
            strict = {
                id(column)
                for column in columns
                if column.name == key and id(column) in inside and has_plain_nulls(types.of(column))
            }
            if not any(_is_equality_of(term, strict) for term in conjuncts(join.args["on"])):
                continue
            terms = [term for term in where_terms(select) if not _is_null_test(term, outside[0])]
            inner = exp.Select(
                expressions=[exp.Literal.number(1)],
                from_=exp.From(this=join.this),
                where=exp.Where(this=join.args["on"]),
            )
            select.set("joins", [other for other in select.args["joins"] if other is not join])
            set_where(select, [*terms, exp.Not(this=exp.Exists(this=inner))])


def _is_equality_of(term: exp.Expr, columns: set[int]) -> bool:
    """Whether a term is an equality that is true only if the columns, given by id, are not NULL."""
    return isinstance(term, exp.EQ) and rejects_null(term, lambda column: id(column) in columns)


def _is_missing(select: exp.Select, column: exp.Column) -> bool:
    return any(_is_null_test(term, column) for term in where_terms(select))


def _is_null_test(term: exp.Expr, column: exp.Column) -> bool:
    return isinstance(term, exp.Is) and isinstance(term.expression, exp.Null) and term.this is column


def _spell_in(query: exp.Query, facts: Facts) -> None:
    if not any(node.args.get("query") for node in facts.nodes(query, exp.In)):
        return
    types = facts.types(query)
    changes: list[tuple[exp.Expr, exp.Select, exp.Column]] = []
    for select in facts.nodes(query, exp.Select):
        terms = where_terms(select)
        for term in terms:
            node = term.this if isinstance(term, exp.Not) else term
            inner = _tested(node) if isinstance(node, exp.In) else None
            value = _only_column(inner) if inner is not None else None
            if inner is None or value is None or not isinstance(node.this, exp.Column):
                continue
            if not types.is_exact(value) or types.of(value) != types.of(node.this):
                continue
            if node is not term and not (
                _is_never_null(node.this, terms) and _is_never_null(value, where_terms(inner))
            ):
                continue
            hidden = {item_name(item) for item in items_of(inner)}
            if None not in hidden and node.this.table and node.this.table not in hidden:
                changes.append((node, inner, value))
    for node, inner, value in changes:
        inner.set("expressions", [exp.Literal.number(1)])
        set_where(inner, [*where_terms(inner), exp.EQ(this=value, expression=node.this)])
        node.replace(exp.Exists(this=inner))


def _only_column(select: exp.Select) -> exp.Column | None:
    """The one column that a plain SELECT picks."""
    if not _is_plain(select) or len(select.selects) != 1 or (select.args.get("joins") and not is_left_deep(select)):
        return None
    value = select.selects[0].unalias()
    return value if isinstance(value, exp.Column) else None


def _is_never_null(column: exp.Column, terms: list[exp.Expr]) -> bool:
    """Whether WHERE requires a column not to be NULL."""
    return any(
        isinstance(term, exp.Not)
        and isinstance(term.this, exp.Is)
        and isinstance(term.this.expression, exp.Null)
        and isinstance(term.this.this, exp.Column)
        and encode(term.this.this) == encode(column)
        for term in terms
    )
