"""Compiled rules, and how the index remembers them: a head that every plan reads, a body that a run does."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlglot.expressions import Query

from cache.index import Index
from cache.records import Product
from compiler.canonical import named_tree
from compiler.compile import Compiled
from compiler.edges import Edge, to_record
from compiler.schema import Column, Schema
from compiler.shape import Shape
from graph.node import Node
from rules.load import COMPILER, Check, Rule

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class CompiledRule:
    """A compiled rule as the rest of the pipeline needs it; its SQL and canonical AST stay in the index (`body`).

    table: its schema as the index has it. checks: of its product.
    """

    rule: Rule
    node: Node
    scans: Mapping[str, tuple[str, ...]]
    table: Mapping[str, Any]
    memo: str
    checks: tuple[CompiledCheck, ...] = ()

    @property
    def all(self) -> tuple[CompiledRule, ...]:
        """The rule and its checks."""
        return self, *(one.compiled for one in self.checks)

    @cached_property
    def schema(self) -> Schema:
        """The schema of the rule's product."""
        return schema_of(self.table)


@dataclass(frozen=True)
class CompiledCheck:
    """A compiled check: a rule whose product are the failing rows."""

    check: Check
    compiled: CompiledRule


def nodes_of_checks(compiled: Mapping[str, CompiledRule], names: Iterable[str]) -> dict[str, Node]:
    """Return the nodes of all checks of some products, by the names of the checks."""
    found = (one.compiled.node for name in names if name in compiled for one in compiled[name].checks)
    return {node.name: node for node in found}


@dataclass(frozen=True)
class Body:
    """The large facts of a compiled rule: the SQL that is executed, its meaning, the encoded canonical AST.

    See `compiler.compile.Compiled`.
    """

    sql: str
    meaning: str
    canonical: bytes


def load_body(index: Index, memo: str) -> Body:
    """Return the large facts of a compiled rule."""
    record = json.loads(zlib.decompress(index.compiled_body(memo)))
    return Body(record["sql"], record["meaning"], record["canonical"].encode())


def last_shape(index: Index, last: Product) -> Shape | None:
    """Return the shape of the rule in a product's last state; None where another version of the compiler made it."""
    head = index.compiled_heads([last.memo]).get(last.memo) if last.record["compiler"] == COMPILER else None
    return _shape(head["shape"]) if head is not None else None


def canonical_tree(index: Index, memo: str, inputs: Sequence[str]) -> Query:
    """Return the canonical AST of a compiled rule, with the names of its inputs."""
    return named_tree(load_body(index, memo).canonical, inputs)


def describe_edit(index: Index, memo: str, inputs: Sequence[str], last: Product) -> tuple[str, ...]:
    """Say in sentences how a compiled rule's query was edited since a product's last state; () if it cannot be told."""
    from compiler.diff import describe

    heads = index.compiled_heads([last.memo])
    if last.memo not in heads:
        return ()
    before = canonical_tree(index, last.memo, heads[last.memo]["inputs"])
    return describe(before, canonical_tree(index, memo, inputs))


def to_records(compiled: Compiled) -> tuple[Any, bytes, Any]:
    """Return what the index remembers of a compiled rule: head, body and lineage."""
    large = {"sql": compiled.sql, "meaning": compiled.meaning, "canonical": compiled.canonical.decode()}
    body = json.dumps(large, ensure_ascii=False)
    lineage = {"columns": compiled.schema.names, **to_record(compiled.lineage)}
    return _to_head(compiled), zlib.compress(body.encode()), lineage


def _to_head(compiled: Compiled) -> dict[str, Any]:
    return {
        "fingerprint": compiled.fingerprint,
        "inputs": compiled.inputs,
        "reads": compiled.reads,
        "scans": compiled.scans,
        "parts": compiled.parts,
        "volatile": bool(compiled.traits.volatile) or bool(compiled.parts["volatile"]),
        "order_dependent": compiled.traits.order_dependent or compiled.traits.float_sensitive,
        "ordered": compiled.traits.ordered or compiled.parts["tier"] == 2,  # noqa: PLR2004
        "schema": schema_record(compiled.schema),
        "shape": {
            "rows": compiled.shape.rows,
            "columns": compiled.shape.columns,
            "open": sorted(compiled.shape.open),
            "open_rows": compiled.shape.open_rows,
            "in_order": compiled.shape.in_order,
        },
    }


def from_head(
    rule: Rule, memo: str, head: Mapping[str, Any], edges: Callable[[], tuple[Edge, ...]], *, one_partition: bool
) -> CompiledRule:
    """Return a compiled rule as its head tells; edges: its column lineage, read when it is asked for."""
    scans = {name: tuple(columns) for name, columns in head["scans"].items()}
    node = Node(
        name=rule.name,
        fingerprint=head["fingerprint"],
        inputs=tuple(head["inputs"]),
        reads=tuple(tuple(columns) for columns in head["reads"]),
        dependencies=tuple(scans),
        parts=head["parts"],
        volatile=head["volatile"],
        order_dependent=head["order_dependent"],
        ordered=head["ordered"],
        keeps_order=one_partition and head["shape"]["in_order"] and head["parts"]["tier"] != 2,  # noqa: PLR2004
        shape=_shape(head["shape"]),
        edges=edges,
    )
    return CompiledRule(rule, node, scans, head["schema"], memo)


def _shape(record: Mapping[str, Any]) -> Shape:
    return Shape(
        rows=record["rows"],
        columns=record["columns"],
        open=frozenset(record["open"]),
        open_rows=record["open_rows"],
        in_order=record["in_order"],
    )


def schema_record(schema: Schema) -> dict[str, Any]:
    """Return a schema as plain data; `schema_of` reads it."""
    columns = [[column.name, column.type] for column in schema.columns]
    return {"columns": columns, "arrow": base64.b64encode(schema.arrow).decode()}


def schema_of(record: Mapping[str, Any]) -> Schema:
    """Return a schema that the index has."""
    return Schema(tuple(Column(*column) for column in record["columns"]), base64.b64decode(record["arrow"]))
