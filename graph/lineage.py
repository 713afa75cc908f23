"""Column lineage through all rules: walks up to a column's origins, and down to the columns made from it.

Plain data: compilation recorded the edges of each product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from compiler.analysis.edges import Edge, Kind


class Name(NamedTuple):
    """A column of a product or source."""

    table: str
    column: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


@dataclass(frozen=True)
class Step:
    """A column that a walk has reached, perhaps in both kinds."""

    name: Name
    kind: Kind
    """`value` if the values of one of the two columns flow into the other, `control` if somewhere on the way they only
    decide about rows."""
    expression: str
    """The expression of the last edge."""
    depth: int
    """The number of rules on the shortest such path."""
    via: int | None
    """The position of the step before it; None at the beginning."""


class Rows(NamedTuple):
    """Which rows a table has: what decides about them decides about every column of each product that reads it."""

    table: str


class Link(NamedTuple):
    """An edge between two columns."""

    source: Name
    target: tuple[str, str | None]
    """Its column is None if the edge concerns every column."""
    kind: Kind
    expression: str


_Node = Name | Rows
_Next = Callable[[_Node], Iterable[tuple[_Node, Edge]]]


@dataclass(frozen=True)
class Lineage:
    """The column lineage of a whole project."""

    columns: Mapping[str, tuple[str, ...]]
    """The columns of each product, and of each source that a rule reads."""
    edges: Mapping[str, tuple[Edge, ...]]
    """The edges of each product."""
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The inputs of each product, including those of which only the number of rows matters, which has no edge."""

    def upstream(self, name: Name, depth: int | None = None) -> list[Step]:
        """Return the columns that a column depends on, nearest first."""
        return _walk(name, self._read_by, depth)

    def upstream_of_rows(self, table: str, depth: int | None = None) -> list[Step]:
        """Return the columns that every column of a product depends on, because they decide about rows."""
        return _walk(Rows(table), self._read_by, depth)

    def upstream_of_values(self, name: Name, depth: int | None = None) -> list[Step]:
        """Return the other columns that a column depends on."""
        return _walk(name, lambda other: self._into.get(name, ()) if other is name else self._read_by(other), depth)

    def downstream(self, name: Name, depth: int | None = None) -> list[Step]:
        """Return the columns that depend on a column, nearest first."""
        return _walk(name, self._readers_of, depth)

    def sources(self, steps: Iterable[Step]) -> list[Name]:
        """Return the source columns among those of a walk up."""
        return sorted({step.name for step in steps if step.name.table not in self.edges})

    def links(self, names: Iterable[Name]) -> list[Link]:
        """Return the edges among some columns."""
        wanted = set(names)
        tables = {name.table for name in wanted}
        return [
            Link(Name(edge.input, edge.column), (product, edge.output), edge.kind, edge.expression)
            for product in sorted(tables & set(self.edges))
            for edge in self.edges[product]
            if (edge.input, edge.column) in wanted and (edge.output is None or (product, edge.output) in wanted)
        ]

    def table_links(self) -> dict[tuple[str, str], Kind | None]:
        """Return which table is read by which product: `value` if any value flows, None if rows are only counted."""
        found: dict[tuple[str, str], Kind | None] = {
            (entry, product): None for product, entries in self.inputs.items() for entry in entries
        }
        for product, edges in self.edges.items():
            for edge in edges:
                if found.get((edge.input, product)) != "value":
                    found[edge.input, product] = edge.kind
        return found

    def _read_by(self, node: _Node) -> list[tuple[_Node, Edge]]:
        """Return what a column, or the rows of a table, depend on by the rule of that table alone."""
        table = node.table
        own = self._into.get(node, ()) if isinstance(node, Name) else ()
        counted = [_counted(one) for one in self.inputs.get(table, ()) if one in self.edges]
        return [*own, *self._into.get((table, None), ()), *counted]

    def _readers_of(self, node: _Node) -> list[tuple[_Node, Edge]]:
        """Return what depends on a column, or on the rows of a table, by the rule of one product."""
        if isinstance(node, Rows):
            edges = [(product, _counted(node.table)[1]) for product in self._counted_by.get(node.table, ())]
        else:
            edges = self._out_of.get(node, [])
        found: list[tuple[_Node, Edge]] = []
        for product, edge in edges:
            outputs = self.columns[product] if edge.output is None else (edge.output,)
            found += [(Name(product, output), edge) for output in outputs]
            if edge.output is None:
                found.append((Rows(product), edge))
        return found

    @cached_property
    def _counted_by(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for product, entries in self.inputs.items():
            for entry in entries:
                found.setdefault(entry, []).append(product)
        return found

    @cached_property
    def _into(self) -> dict[tuple[str, str | None], list[tuple[Name, Edge]]]:
        into: dict[tuple[str, str | None], list[tuple[Name, Edge]]] = {}
        for product, edges in self.edges.items():
            for edge in edges:
                into.setdefault((product, edge.output), []).append((Name(edge.input, edge.column), edge))
        return into

    @cached_property
    def _out_of(self) -> dict[tuple[str, str], list[tuple[str, Edge]]]:
        out_of: dict[tuple[str, str], list[tuple[str, Edge]]] = {}
        for product, edges in self.edges.items():
            for edge in edges:
                out_of.setdefault((edge.input, edge.column), []).append((product, edge))
        return out_of


def _counted(table: str) -> tuple[Rows, Edge]:
    """Return the rows of an input, and the edge from them to all that a product makes of it."""
    return Rows(table), Edge(None, table, "", "control", f"rows of {table}")


def _walk(start: _Node, after: _Next, depth: int | None) -> list[Step]:
    """Walk in rounds, nearest first, reaching each column at most once by values and once by control.

    Rows of tables are gone through and no steps: a column that is reached by them comes after the one before them.
    """
    steps: list[Step] = []
    seen: set[tuple[_Node, Kind]] = {(start, "value"), (start, "control")}
    ahead: list[tuple[_Node, Kind, int | None]] = [(start, "value", None)]
    rounds = 0
    while ahead and (depth is None or rounds < depth):
        rounds += 1
        found: list[Step] = []
        rows: list[tuple[_Node, Kind, int | None]] = []
        for node, kind, position in ahead:
            for other, edge in after(node):
                reached: Kind = "value" if kind == edge.kind == "value" else "control"
                if (other, reached) in seen:
                    continue
                seen.add((other, reached))
                if isinstance(other, Rows):
                    rows.append((other, reached, position))
                else:
                    found.append(Step(other, reached, edge.expression, rounds, position))
        found.sort(key=lambda step: (step.kind != "value", step.name))
        ahead = [(step.name, step.kind, number) for number, step in enumerate(found, len(steps))]
        ahead += rows  # last, since what is reached by a column, too, comes after that
        steps += found
    return steps
