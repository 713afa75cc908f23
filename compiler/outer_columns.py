"""Columns without a table that belong to an outer query, where SQLGlot's `qualify` gives them to none or to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from compiler.lexical import Names, Scope, item_name
from compiler.name_meaning import Sight
from compiler.resolve import fold
from compiler.schema import Schema
from compiler.unnamed import MARK


@dataclass(frozen=True)
class OuterColumn:
    """A column without a table, and the FROM item of an outer query that has it; between: the queries within that."""

    column: exp.Column
    holder: exp.Expr
    between: tuple[Scope, ...]

    def shadows(self, names: Names) -> Iterator[tuple[exp.Expr, str]]:
        """Yield the nearer FROM items of the holder's name, with other names for them.

        FROM t AS q … (SELECT 1 FROM u AS q WHERE a = 1), where t has a: `qualify` writes q.a, which would be u's.
        """
        name = item_name(self.holder)
        numbers = {id(item): number for number, item in enumerate(names.items)}
        for scope in self.between:
            if name is not None and name in scope:
                yield scope[name], f"{name}{MARK}o{numbers[id(scope[name])]}"

    def qualify(self, renamed: str | None) -> None:
        """HAVING a > 1 → HAVING q.a > 1, in place, in the clauses that `qualify` leaves as they are.

        renamed: the name that the holder will have, None for its own.
        """
        name = renamed or item_name(self.holder)
        if name is not None and _clause(self.column) in {"having", "qualify"}:
            self.column.set("table", exp.to_identifier(name, quoted=True))


def outer_columns(names: Names, schemas: Mapping[str, Schema]) -> Iterator[OuterColumn]:
    """Yield the columns without a table that certainly belong to an outer query. `schemas`: of the inputs."""
    within = [(column, scopes) for column, scopes in names.bare if len(scopes) > 1]
    sight = Sight(names, schemas) if within else None
    for column, scopes in within:
        select = column.find_ancestor(exp.Select)
        if sight is None or select is None or not isinstance(column.this, exp.Identifier):
            continue
        if any(
            isinstance(item, exp.Alias) and fold(item.args["alias"]) == fold(column.this) for item in select.selects
        ):
            continue  # HAVING and ORDER BY may mean the output
        meaning = sight.meaning(column, scopes)
        if meaning.kind == "column" and meaning.distance:
            yield OuterColumn(column, meaning.holders[0], scopes[: meaning.distance])


def _clause(column: exp.Column) -> str:
    """Return the clause of its SELECT that a column stands in."""
    node: exp.Expr = column
    while node.parent is not None and not isinstance(node.parent, exp.Select):
        node = node.parent
    return node.arg_key or ""
