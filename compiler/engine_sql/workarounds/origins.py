"""Which columns of tables a value may be made of: what the engine sees in one place once it has merged queries."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.tree.walk import find_all, has

Origin = tuple[str, str]
"""A table's name and that of a column."""


class Origins:
    """The origins of the values of one query; columns that are compared for equality have those of both."""

    def __init__(self, query: exp.Query, facts: Facts) -> None:
        names = facts.names(query)
        self._owners = {id(reference.column): reference.item for reference in names.references}
        self._bodies = {id(table): cte.this for table, cte in names.tables}
        self._bodies |= {id(item): item.this for item in names.items if isinstance(item, exp.Subquery)}
        self._known: dict[tuple[int, str], frozenset[Origin]] = {}
        self._constant: dict[tuple[int, str], bool] = {}
        self._joined: dict[Origin, set[Origin]] = {}
        for node in facts.nodes(query, exp.EQ, exp.NullSafeEQ):
            if isinstance(node.this, exp.Column) and isinstance(node.expression, exp.Column):
                self._join(self._of(node))

    def of(self, node: exp.Expr) -> frozenset[Origin]:
        """Return the origins of an expression's value; none if it is constant."""
        return frozenset().union(*(self._joined.get(origin, {origin}) for origin in self._of(node)))

    def may_be_constant(self, node: exp.Expr) -> bool:
        """Whether the engine may make an expression one of a constant, but NULL, in a SELECT that it is made of."""
        if has(node, exp.Query, exp.AggFunc, exp.Window, exp.Interval):
            return False
        columns = list(find_all(node, exp.Column))
        if not columns:
            return not isinstance(node.unalias(), exp.Null)
        return any(map(self._may_be_constant, columns)) or _may_choose_a_constant(node)

    def _may_be_constant(self, column: exp.Column) -> bool:
        item = self._owners.get(id(column))
        body = self._bodies.get(id(item)) if item is not None else None
        if item is None or body is None:
            return False
        key = (id(item), column.parts[-1].name)
        if key not in self._constant:
            self._constant[key] = False  # of a recursive CTE
            self._constant[key] = any(map(self.may_be_constant, list(_outputs(body, key[1]))))
        return self._constant[key]

    def _join(self, origins: frozenset[Origin]) -> None:
        merged = set().union(*(self._joined.get(origin, {origin}) for origin in origins))
        for origin in merged:
            self._joined[origin] = merged

    def _of(self, node: exp.Expr) -> frozenset[Origin]:
        return frozenset().union(*(self._of_column(column) for column in find_all(node, exp.Column)))

    def _of_column(self, column: exp.Column) -> frozenset[Origin]:
        item = self._owners.get(id(column))
        if item is None:
            return frozenset({("", column.name)})
        name = column.parts[1].name
        body = self._bodies.get(id(item))
        if body is None:
            return frozenset({(item.name, name)})
        if (id(item), name) not in self._known:
            self._known[id(item), name] = frozenset({("", name)})  # of a recursive CTE
            outputs = list(_outputs(body, name))
            self._known[id(item), name] = frozenset().union(*map(self._of, outputs))
        return self._known[id(item), name]


def _outputs(body: exp.Expr, name: str) -> Iterator[exp.Expr]:
    """Yield the expressions that make an output of a query: one in each branch."""
    query = body.unnest()
    if isinstance(query, exp.SetOperation):
        place = query.named_selects.index(name) if name in query.named_selects else None
        pending = [query.this, query.expression]
        while pending:
            branch = pending.pop().unnest()
            if isinstance(branch, exp.SetOperation):
                pending += [branch.this, branch.expression]
            elif isinstance(branch, exp.Select) and place is not None and place < len(branch.selects):
                yield branch.selects[place]
    elif isinstance(query, exp.Select):
        yield from (item for item in query.selects if item.alias_or_name == name)


def _may_choose_a_constant(node: exp.Expr) -> bool:
    """Whether a value is chosen from several, and which one may be certain beforehand."""
    values = (value for call in find_all(node, exp.Coalesce) for value in (call.this, *call.expressions[:-1]))
    conditions = (branch.this for case in find_all(node, exp.Case) for branch in case.args["ifs"])
    return any(not has(one, exp.Column) for one in (*values, *conditions))
