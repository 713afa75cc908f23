"""Names that are new to a query, and the references of its own names."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from compiler.names.lexical import Names
from compiler.tree.walk import find_all

PREFIX = "~"
"""How names begin that `Fresh` hands out."""
CODE = "unsupported"
"""Of errors about subqueries that the engine cannot run in any form."""


class Fresh:
    """Hands out names that no table, column or alias of a query has."""

    def __init__(self, query: exp.Query) -> None:
        self._taken = {name.name for name in find_all(query, exp.Identifier)}
        self._count = 0

    def name(self) -> str:
        """Return a name that it has not returned before."""
        while True:
            self._count += 1
            name = f"{PREFIX}{self._count}"
            if name not in self._taken:
                return name

    def names(self, count: int) -> list[str]:
        """Return as many names."""
        return [self.name() for _ in range(count)]


def column(table: str, name: str) -> exp.Column:
    """Return a column of a FROM item."""
    return exp.column(name, table=table, quoted=True)


def aliased(value: exp.Expr, name: str) -> exp.Alias:
    """Return a value as an item of a SELECT list; SQLGlot notes the name of a scalar subquery on the subquery."""
    if isinstance(value, exp.Subquery):
        value.set("alias", None)
    return exp.Alias(this=value, alias=exp.to_identifier(name, quoted=True))


def owners(names: Names) -> dict[int, exp.Expr]:
    """Return the FROM item of each column, by the column's id."""
    return {id(reference.column): reference.item for reference in names.references}


def target(reference: exp.Column) -> tuple[str, str]:
    """Return the alias and the column that a column names; what follows are fields."""
    alias, name = reference.parts[:2]
    return alias.name, name.name


def point(reference: exp.Column, table: str, name: str) -> None:
    """Let a column, fields and all, be read from another FROM item, in place."""
    parts = reference.parts
    for part, text in zip(parts, (table, name), strict=False):
        part.set("this", text)
        part.args["quoted"] = True


def mentions(tree: exp.Expr, table: str) -> bool:
    """Whether a column in a tree is one of the table of this name."""
    return any(len(one.parts) > 1 and one.parts[0].name == table for one in find_all(tree, exp.Column))


def redirect(trees: Iterable[exp.Expr], table: str, to: str) -> None:
    """Let all columns of a table be read from another one, in place."""
    for tree in trees:
        for one in find_all(tree, exp.Column):
            if len(one.parts) > 1 and one.parts[0].name == table:
                point(one, to, one.parts[1].name)


def not_distinct(pairs: Iterable[tuple[exp.Expr, exp.Expr]]) -> list[exp.Expr]:
    """Return terms that hold where both of each pair are one value or both NULL."""
    return [exp.NullSafeEQ(this=left, expression=right) for left, right in pairs]


def conjunction(terms: Iterable[exp.Expr]) -> exp.Expr | None:
    """Return terms joined by AND, None where there is none."""
    joined: exp.Expr | None = None
    for term in terms:
        part = exp.Paren(this=term) if isinstance(term, exp.Or) else term
        joined = part if joined is None else exp.And(this=joined, expression=part)
    return joined
