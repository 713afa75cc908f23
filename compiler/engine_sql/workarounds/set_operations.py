"""Faults of the engine in UNION, EXCEPT and INTERSECT."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from compiler.canonical.facts import Facts


def name_branches_alike(query: exp.Query, facts: Facts) -> exp.Query:
    """SELECT a AS x … UNION SELECT b AS y … → SELECT a AS x … UNION SELECT b AS x …, in place: the first names all.

    DataFusion 55 drops a branch that it knows to be empty. Where that is the first, the columns get the names of the
    next, and the query fails or yields columns of other names.
    """
    for operation in facts.nodes(query, exp.SetOperation):  # outer ones first: the left branch of the right is named
        if operation.args.get("by_name"):
            continue
        names, branch = operation.left.named_selects, operation.right
        own = branch.named_selects
        if own == names or len(own) != len(names):
            continue
        inner = branch.unnest()
        assert isinstance(inner, exp.Query)
        if isinstance(inner, exp.Select) and not _sees_outputs(inner):
            inner.set("expressions", _named(inner.selects, names))
        else:
            columns = [exp.column(name, table="branch", quoted=True) for name in own]
            derived = inner.subquery("branch", copy=False)  # which still holds the operations that are to come
            operation.set("expression", exp.select(*_named(columns, names)).from_(derived, copy=False))
    return query


def _sees_outputs(select: exp.Select) -> bool:
    """Whether a name in a clause of a SELECT can be that of an output."""
    distinct = select.args.get("distinct")
    on = isinstance(distinct, exp.Distinct) and distinct.args.get("on") is not None
    return on or any(select.args.get(part) is not None for part in ("order", "having", "qualify"))


def _named(items: Iterable[exp.Expr], names: list[str]) -> list[exp.Expr]:
    return [exp.alias_(item.unalias(), name, quoted=True) for item, name in zip(items, names, strict=True)]
