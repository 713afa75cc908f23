"""A fault of the engine where a subquery reads a table around it that is called like a column of the subquery's own."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.engine_sql.workarounds.join_names import recursive_references
from compiler.engine_sql.workarounds.subqueries.naming import Fresh, point
from compiler.names.lexical import item_name

_WITH_FIELDS = ("struct", "map")
"""In the names of types whose values are read by name, and of functions that make them."""


def set_apart_hidden_tables(query: exp.Query, facts: Facts) -> exp.Query:
    """… AS info WHERE EXISTS (… p.info … = info.id) → … AS "~1" WHERE EXISTS (… p.info … = "~1".id), in place.

    To DataFusion 55 info.id is a field of the column info, if the subquery has one, and not a column of the table info
    around it: another value where there is such a field, and an error where there is none.
    """
    if len(facts.nodes(query, exp.Select)) == 1:
        return query
    references = facts.names(query).references
    outer = [reference for reference in references if reference.distance]
    columns = {part.name for column in facts.nodes(query, exp.Column) for part in column.parts[1:]} if outer else set()
    hidden = {id(one.item): one.item for one in outer if item_name(one.item) in columns}
    bare = recursive_references(query, facts) if hidden else set()
    fresh = Fresh(query) if hidden else None
    for item in hidden.values():
        alias = item.args.get("alias")
        if fresh is None or id(item) in bare or not isinstance(alias, exp.TableAlias) or alias.this is None:
            continue
        name = fresh.name()
        alias.set("this", exp.to_identifier(name, quoted=True))
        for reference in references:
            if reference.item is item:
                point(reference.column, name, reference.column.parts[1].name)
    return query


def may_have_hidden_tables(tree: exp.Query, facts: Facts) -> bool:
    """Whether a subquery may have read a field of its own in place of a column around it, whatever tables are called.

    Without structs and maps there was an error, and no table. A subquery may be a join in a canonical tree.
    """
    if len(facts.nodes(tree, exp.Table, exp.Unnest, exp.Lateral)) < 2:  # noqa: PLR2004 — a query and one around it
        return False
    read = {(one.item.name, one.column.parts[1].name) for one in facts.names(tree).references}
    types = [
        column.type
        for name, schema in facts.schemas.items()
        for column in schema.columns
        if (name, column.name) in read
    ]
    made = [f"{one.key} {one.name}".lower() for one in facts.nodes(tree, exp.Func)]
    return any(word in one for one in (*types, *made) for word in _WITH_FIELDS)
