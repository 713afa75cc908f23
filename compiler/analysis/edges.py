"""The edges of column lineage as plain data, which can be read back without a SQL parser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Kind = Literal["value", "control"]


class Edge(NamedTuple):
    """An output column depends on an input's column.

    output: None means every output column. kind: `value` where the input column's values become part of the
    output column's; `control` where they only decide which rows there are, or which values go together. expression:
    where the query says so, from the output inwards.
    """

    output: str | None
    input: str
    column: str
    kind: Kind
    expression: str


def to_record(edges: Iterable[Edge]) -> dict[str, Any]:
    """Return edges as JSON, each expression once: a WHERE concerns many columns."""
    expressions: dict[str, int] = {}
    rows = [
        [edge.output, edge.input, edge.column, edge.kind, expressions.setdefault(edge.expression, len(expressions))]
        for edge in edges
    ]
    return {"expressions": list(expressions), "edges": rows}


def from_record(record: Mapping[str, Any]) -> tuple[Edge, ...]:
    """Return the edges that were passed to `to_record`."""
    expressions = record["expressions"]
    return tuple(
        Edge(output, table, column, kind, expressions[number])
        for output, table, column, kind, number in record["edges"]
    )
