"""Columns without a table that belong to an outer query, but that SQLGlot's `qualify` gives to none or to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from compiler.names.lexical import Names, Scope, item_name
from compiler.names.name_meaning import Sight
from compiler.names.resolve import fold
from compiler.names.unaliased_tables import MARK
from compiler.schema import Schema

_MAY_MEAN_OUTPUTS = frozenset({"group", "having", "qualify", "order"})
"""The clauses of a SELECT in which a name without a table may be an output's."""


@dataclass(frozen=True)
class OuterColumn:
    """A column without a table, and the FROM item of an outer query that has it; between: the queries within that.

    holders: several if USING or NATURAL merged their columns.
    """

    column: exp.Column
    holders: tuple[exp.Expr, ...]
    between: tuple[Scope, ...]

    def shadows(self, names: Names) -> Iterator[tuple[exp.Expr, str]]:
        """Yield the nearer FROM items of a holder's name, with other names for them.

        FROM t AS q … (SELECT 1 FROM u AS q WHERE a = 1), where t has a: `qualify` writes q.a, which would be u's.
        """
        numbers = {id(item): number for number, item in enumerate(names.items)}
        for name in map(item_name, self.holders):
            for scope in self.between:
                if name is not None and name in scope:
                    yield scope[name], f"{name}{MARK}o{numbers[id(scope[name])]}"

    def qualify(self, renamed: Mapping[int, str]) -> None:
        """HAVING a > 1 → HAVING q.a > 1, in place, if `qualify` leaves it, or takes it for an output's name.

        A column of several holders becomes COALESCE(q.a, p.a). renamed: the names that FROM items will have, by id.
        """
        names = [renamed.get(id(holder)) or item_name(holder) for holder in self.holders]
        if None in names:
            return
        tables = [exp.to_identifier(name, quoted=True) for name in names]
        if len(tables) > 1:
            first, *others = [exp.Column(this=self.column.this.copy(), table=table) for table in tables]
            self.column.replace(exp.Coalesce(this=first, expressions=others))
        elif _clause(self.column) in {"having", "qualify"} or _is_output(self.column):
            self.column.set("table", tables[0])


def outer_columns(names: Names, schemas: Mapping[str, Schema]) -> Iterator[OuterColumn]:
    """Yield the columns without a table that certainly belong to an outer query. `schemas`: of the inputs."""
    within = [(column, scopes) for column, scopes in names.bare if len(scopes) > 1]
    sight = Sight(names, schemas) if within else None
    for column, scopes in within:
        select = column.find_ancestor(exp.Select)
        if sight is None or select is None or not isinstance(column.this, exp.Identifier):
            continue
        if _clause(column) in _MAY_MEAN_OUTPUTS and _is_output(column):
            continue
        meaning = sight.meaning(column, scopes)
        if meaning.kind in {"column", "merged"} and meaning.distance:
            yield OuterColumn(column, meaning.holders, scopes[: meaning.distance])


def _is_output(column: exp.Column) -> bool:
    """Whether the column's own SELECT has an output of its name."""
    select = column.find_ancestor(exp.Select)
    outputs = select.selects if select is not None else []
    return any(isinstance(item, exp.Alias) and fold(item.args["alias"]) == fold(column.this) for item in outputs)


def _clause(column: exp.Column) -> str:
    """Return the clause of its SELECT that contains a column."""
    node: exp.Expr = column
    while node.parent is not None and not isinstance(node.parent, exp.Select):
        node = node.parent
    return node.arg_key or ""
