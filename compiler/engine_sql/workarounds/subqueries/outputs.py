"""Other names for the outputs of a query."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from compiler.engine_sql.workarounds.subqueries.naming import aliased
from compiler.tree.walk import find_all

_SEEING_OUTPUTS = ("order", "having", "qualify", "distinct")
"""Clauses in which a column without a table is an output."""


def name_outputs(query: exp.Query, names: Sequence[str]) -> None:
    """SELECT u.b + 1 FROM u ORDER BY u.b → SELECT u.b + 1 AS name FROM u ORDER BY u.b, in place.

    names: as many as the query has columns. The branches of a set operation get the same ones.
    """
    while isinstance(query, exp.Subquery):
        query = query.this
    if isinstance(query, exp.SetOperation):
        _rename(query, dict(zip(query.named_selects, names, strict=False)))
        name_outputs(query.left, names)
        name_outputs(query.right, names)
        return
    assert isinstance(query, exp.Select)
    _rename(query, {item.alias_or_name: name for item, name in zip(query.selects, names, strict=False)})
    query.set("expressions", [aliased(item.unalias(), name) for item, name in zip(query.selects, names, strict=True)])


def _rename(query: exp.Query, names: dict[str, str]) -> None:
    for key in _SEEING_OUTPUTS:
        clause = query.args.get(key)
        for one in find_all(clause, exp.Column) if isinstance(clause, exp.Expr) else ():
            if not one.table and one.name in names and one.find_ancestor(exp.Select, exp.SetOperation) is query:
                one.this.set("this", names[one.name])
