"""The part of a query that the engine's error is about, found by planning parts: the engine reports no places.

Each candidate part is planned alone over the FROM of its query: `SELECT part FROM …`. The refused part is the innermost
one with the same error. A part costs under a millisecond, and only failing parts are examined.
Many parts are planned side by side, and halved: `SELECT part, part, … FROM …`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sqlglot import exp

Probe = Callable[[exp.Query], str | None]
"""Query → the engine's error about it, or None if it can be planned."""

_FEW = 24
"""The most parts that are tried one by one."""
_MOST = 400
"""The most queries that are planned; if they do not suffice, the error is placed at the clause."""


def refused(query: exp.Query, candidates: Iterable[exp.Expr], refusal: str, probe: Probe) -> exp.Expr | None:
    """Return which of some nodes of `query` causes the engine's error `refusal`; None if that cannot be determined."""
    found = in_order(query, candidates)
    if len(found) == 1:
        return found[0]
    if len(found) > _FEW and (halved := _Halving(found, refusal, probe).refused()) is not None:
        return halved
    for node in found[:_MOST]:
        alone = _alone([node])
        if alone is not None and probe(alone) == refusal:
            return node
    return None


class _Halving:
    """The search for the refused one of many nodes, in the order of `in_order`."""

    def __init__(self, nodes: list[exp.Expr], refusal: str, probe: Probe) -> None:
        self._refusal = refusal
        self._probe = probe
        self._left = _MOST
        self._tops: dict[int, list[exp.Expr]] = {}
        self._below: dict[int, list[exp.Expr]] = {}
        known = {id(node) for node in nodes}
        for node in nodes:
            select = node.find_ancestor(exp.Select)
            if select is None:
                continue
            around = node.parent
            while around is not None and around is not select and id(around) not in known:
                around = around.parent
            if around is None or around is select:
                self._tops.setdefault(id(select), []).append(node)
            else:
                self._below.setdefault(id(around), []).append(node)

    def refused(self) -> exp.Expr | None:
        """Return the node, inner queries first."""
        return next((one for tops in self._tops.values() if (one := self._among(tops)) is not None), None)

    def _among(self, nodes: list[exp.Expr]) -> exp.Expr | None:
        """Return the refused one among disjoint nodes of one query, or a part of it."""
        plain = [node for node in nodes if node.find(exp.AggFunc, exp.Query) is None]
        found = self._first(plain)
        others = (one for one in nodes if one.find(exp.AggFunc, exp.Query) is not None)  # not together
        return found or next((one for node in others if (one := self._first([node])) is not None), None)

    def _first(self, nodes: list[exp.Expr]) -> exp.Expr | None:
        alone = _alone(nodes) if nodes and self._left > 0 else None
        if alone is None:
            return None
        self._left -= 1
        answer = self._probe(alone)
        if answer is None:
            return None
        if len(nodes) > 1:
            middle = len(nodes) // 2
            return self._first(nodes[:middle]) or self._first(nodes[middle:])
        inside = self._among(self._below.get(id(nodes[0]), []))
        return inside or (nodes[0] if answer == self._refusal else None)


def in_order(query: exp.Query, nodes: Iterable[exp.Expr]) -> list[exp.Expr]:
    """Return nodes of a query: those of inner queries first, nested nodes before outer ones, else as in the text."""
    places = {id(node): place for place, node in enumerate(_postorder(query))}
    known = [node for node in nodes if id(node) in places]
    return sorted(known, key=lambda node: (-_depth(node), places[id(node)]))


def _postorder(tree: exp.Expr) -> list[exp.Expr]:
    found, pending = [], [tree]
    while pending:
        node = pending.pop()
        found.append(node)
        pending += node.iter_expressions()
    return found[::-1]


def _depth(node: exp.Expr) -> int:
    """Return how many queries are around a node."""
    depth = 0
    around = node.parent
    while around is not None:
        depth += isinstance(around, exp.Select)
        around = around.parent
    return depth


def _alone(nodes: Sequence[exp.Expr]) -> exp.Query | None:
    """Return the query that computes only some nodes of one query."""
    select = nodes[0].find_ancestor(exp.Select)
    if select is None:
        return None
    items = [exp.alias_(node.copy(), f"x{number or ''}", quoted=True) for number, node in enumerate(nodes)]
    alone = exp.Select(expressions=items)
    tables = _tables(select)
    around = select.find_ancestor(exp.Select)
    while around is not None:  # a correlated query refers to these
        known = {table.alias_or_name for table in tables}
        if not _reads(around, select):
            tables += [table for table in _tables(around) if table.alias_or_name not in known]
        around = around.find_ancestor(exp.Select)
    if tables:
        alone.set("from_", exp.From(this=tables[0].copy()))
        alone.set("joins", [exp.Join(this=table.copy(), kind="CROSS") for table in tables[1:]])
    ctes = ctes_in_sight(select)
    if ctes:
        recursive = any(cte.parent is not None and cte.parent.args.get("recursive") for cte in ctes)
        alone.set("with_", exp.With(expressions=[cte.copy() for cte in ctes], recursive=recursive))
    return alone


def _tables(select: exp.Select) -> list[exp.Expr]:
    """Return the items of FROM."""
    first = select.args.get("from_")
    joined = [join.this for join in select.args.get("joins") or ()]
    return ([first.this] if first is not None else []) + joined + list(select.args.get("laterals") or ())


def _reads(select: exp.Select, inner: exp.Select) -> bool:
    """Whether `inner` is in the FROM or the WITH of `select`, and so sees none of its tables."""
    around: exp.Expr | None = inner
    while around is not None and around.parent is not select:
        around = around.parent
    return around is not None and around.arg_key in {"from_", "joins", "laterals", "with_"}


def ctes_in_sight(select: exp.Select) -> list[exp.CTE]:
    """Return the CTEs that a query sees, except those that it is part of."""
    found: list[exp.CTE] = []
    inside: exp.Expr | None = select
    around: exp.Expr | None = select
    while around is not None:
        with_ = around.args.get("with_") if isinstance(around, exp.Query) else None
        if with_ is not None:
            seen = []
            for cte in with_.expressions:
                if cte is inside:
                    break
                seen.append(cte)
            found = [*seen, *found]
        if isinstance(around, exp.CTE):
            inside = around
        around = around.parent
    return found
