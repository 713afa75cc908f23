"""Internal names: table aliases, CTE names and inner columns are numbered, so that renaming one changes nothing."""

from __future__ import annotations

import re

from sqlglot import exp
from sqlglot.optimizer.canonicalize_internal_names import canonicalize_internal_names

from compiler.canonical.facts import Facts
from compiler.canonical.numbers import plain_numbers
from compiler.names.lexical import Names

_APART = "~"
_INTERNAL = re.compile(r"~c?\d+|_t\d+")
_CLAUSES = (
    "expressions", "from_", "joins", "laterals", "where", "group", "having", "qualify", "windows", "order", "limit",
    "offset", "with_",
)  # fmt: skip


def number_names(query: exp.Query, facts: Facts) -> exp.Query:
    """Number internal names in the order in which scopes are visited.

    SELECT o.a AS a FROM (SELECT x.b AS a FROM "input"."t" AS x) AS o
    → SELECT _t1._c0 AS a FROM (SELECT _t0.b AS _c0 FROM "input"."t" AS _t0) AS _t1
    """
    names = facts.names(query)
    numbers = plain_numbers(query, facts)
    with facts.renaming(query, columns=True):
        if numbers is not None:
            for identifier, name in numbers:
                _rename(identifier, name)
        else:
            _rename_all(names)
            query = canonicalize_internal_names(query)
            _point_to_items(names)
    return query


def order_arguments(query: exp.Query, facts: Facts) -> exp.Query:
    """Keep the clauses of each SELECT in the order of its text, because the inputs get their positions in that order.

    A pass that gives a SELECT its first WHERE or joins puts them last.
    """
    for select in facts.nodes(query, exp.Select):
        present = [key for key in select.args if key in _CLAUSES]
        if present != sorted(present, key=_CLAUSES.index):
            clauses = {key: select.args.pop(key) for key in present}
            for key in sorted(present, key=_CLAUSES.index):
                select.set(key, clauses[key])
    return query


def set_apart(query: exp.Query, facts: Facts) -> None:
    """Give every FROM item and every CTE a name that is unique in the query.

    SQLGlot renames one scope after the other, and takes a CTE that is merely in scope for an alias of the same name
    that belongs to an outer query. With unique names it confuses neither these, nor a name it has given
    in an inner scope with one that is still in an outer scope.
    """
    names = facts.names(query)
    named = [node for node in (*names.items, *names.ctes) if node.args.get("alias") is not None]
    given = [node.args["alias"].this for node in named]
    known = {name.name for name in given if isinstance(name, exp.Identifier) and _INTERNAL.fullmatch(name.name)}
    if len(known) < len(given):
        with facts.renaming(query, columns=False):
            _rename_all(names)


def _rename_all(names: Names) -> None:
    aliases: dict[int, str] = {}
    for number, item in enumerate(names.items):
        alias = item.args.get("alias")
        if alias is not None and isinstance(alias.this, exp.Identifier):
            aliases[id(item)] = f"{_APART}{number}"
    for reference in names.references:
        _rename(reference.column.args["table"], aliases[id(reference.item)])
    for item in names.items:
        if id(item) in aliases:
            _rename(item.args["alias"].this, aliases[id(item)])
    ctes = {id(cte): f"{_APART}c{number}" for number, cte in enumerate(names.ctes)}
    for table, cte in names.tables:
        _rename(table.this, ctes[id(cte)])
    for cte in names.ctes:
        _rename(cte.args["alias"].this, ctes[id(cte)])


def _point_to_items(names: Names) -> None:
    """Call each FROM item that a column refers to by its alias.

    SQLGlot takes a reading of a CTE, to which a lateral query refers, for the CTE itself.
    """
    for reference in names.references:
        alias = reference.item.args["alias"].this
        _rename(reference.column.args["table"], alias.name)


def _rename(identifier: exp.Expr, name: str) -> None:
    identifier.set("this", name)
    identifier.args["quoted"] = True
