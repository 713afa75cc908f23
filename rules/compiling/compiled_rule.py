"""Compiled rules, and their form in the index: a head that every plan reads, a body that a run reads."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlglot.expressions import Query

from cache.errors import DamagedIndexError
from cache.index import Index
from cache.records import Product
from compiler.analysis.edges import Edge, to_record
from compiler.analysis.shape import Shape
from compiler.canonical.form import named_tree
from compiler.compiled import Compiled, Tier
from compiler.fingerprint import fingerprint
from compiler.schema import Schema, schema_of, schema_record
from compiler.tree.big_stack import with_deep_stack
from graph.node import Node
from rules.loading.rules import COMPILER, Check, Rule

if TYPE_CHECKING:
    from compiler.diff.edit_script import EditScript


@dataclass(frozen=True)
class CompiledRule:
    """A compiled rule as the rest of the pipeline needs it; its SQL and canonical AST stay in the index (`body`).

    table: its schema as the index stores it. checks: those of its product.
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

    @property
    def is_sensitive(self) -> bool:
        """Whether settings that move rows, or divide them otherwise, can change the product."""
        return "partitions" in self.node.parts["settings"]

    def made_with(self, settings: Mapping[str, object]) -> CompiledRule:
        """Return the rule under the fingerprint that it has if these settings make its product."""
        if not self.is_sensitive or dict(settings) == self.node.parts["settings"]:
            return self
        parts = {**self.node.parts, "settings": dict(settings)}
        return replace(self, node=replace(self.node, parts=parts, fingerprint=fingerprint(parts)))

    @cached_property
    def schema(self) -> Schema:
        """The schema of the rule's product."""
        return schema_of(self.table)


@dataclass(frozen=True)
class CompiledCheck:
    """A compiled check: a rule whose product is the failing rows."""

    check: Check
    compiled: CompiledRule


@dataclass(frozen=True)
class CompiledContract:
    """The compiled checks of a source. rule: its contract, which has no query."""

    rule: Rule
    checks: tuple[CompiledCheck, ...]


def nodes_of_checks(owners: Iterable[CompiledRule | CompiledContract]) -> dict[str, Node]:
    """Return the nodes of all checks of some products and sources, by the names of the checks."""
    found = (one.compiled.node for owner in owners for one in owner.checks)
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
    """Return the large facts of a compiled rule. Raises KeyError if they are not known, and `DamagedIndexError`."""
    try:
        record = json.loads(zlib.decompress(index.compiled_body(memo)))
    except (ValueError, zlib.error) as error:
        raise DamagedIndexError(f"the index is damaged: a compiled rule cannot be read: {error}") from error
    return Body(record["sql"], record["meaning"], record["canonical"].encode())


def last_shape(index: Index, last: Product) -> Shape | None:
    """Return the shape of the rule in a product's last state; None if another version of the compiler made it."""
    head = index.compiled_heads([last.memo]).get(last.memo) if last.record.compiler == COMPILER else None
    return _shape(head["shape"]) if head is not None else None


def canonical_tree(index: Index, memo: str, inputs: Sequence[str]) -> Query:
    """Return the canonical AST of a compiled rule, with the names of its inputs."""
    return with_deep_stack(lambda: named_tree(load_body(index, memo).canonical, inputs))


class Comparer:
    """The edits of compiled rules' queries since products' last states. Each is compared once."""

    def __init__(self, index: Index) -> None:
        """index: the memos of both."""
        self._index = index
        self._trees: dict[tuple[str, str, tuple[str, ...]], tuple[Query, Query] | None] = {}
        self._scripts: dict[tuple[str, str, tuple[str, ...]], EditScript | None] = {}

    def describe(self, rule: CompiledRule, last: Product, renamed: Mapping[str, str]) -> tuple[str, ...]:
        """Say in sentences how a query was edited; () if that is unknown.

        renamed: the products that had another name then.
        """
        from compiler.diff.describe import describe

        trees = self._compared(rule, last, renamed)
        return with_deep_stack(lambda: describe(*trees)) if trees is not None else ()

    def script(self, rule: CompiledRule, last: Product, renamed: Mapping[str, str]) -> EditScript | None:
        """Return where a query was edited; None if another version of the compiler made its earlier form."""
        from compiler.diff.edit_script import edit_script

        key = rule.memo, last.memo, _names_now(last, renamed)
        if key not in self._scripts:
            trees = self._compared(rule, last, renamed) if last.record.compiler == COMPILER else None
            self._scripts[key] = with_deep_stack(lambda: edit_script(*trees)) if trees is not None else None
        return self._scripts[key]

    def _compared(self, rule: CompiledRule, last: Product, renamed: Mapping[str, str]) -> tuple[Query, Query] | None:
        key = rule.memo, last.memo, _names_now(last, renamed)
        if key not in self._trees:
            head = self._index.compiled_heads([last.memo]).get(last.memo)
            names = [renamed.get(name, name) for name in head["inputs"]] if head is not None else []
            after = canonical_tree(self._index, rule.memo, rule.node.inputs)
            known = head is not None
            self._trees[key] = (canonical_tree(self._index, last.memo, names), after) if known else None
        return self._trees[key]


def _names_now(last: Product, renamed: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(renamed.get(one.name, one.name) for one in last.record.inputs)


def to_records(compiled: Compiled) -> tuple[Any, bytes, Any]:
    """Return the memo of a compiled rule: head, body and lineage."""
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
        "ordered": compiled.traits.ordered or compiled.parts["tier"] == Tier.CANONICAL,
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
    rule: Rule, memo: str, head: Mapping[str, Any], edges: Callable[[], tuple[Edge, ...]], *, keeps_order: bool
) -> CompiledRule:
    """Return a compiled rule from its head. edges: its column lineage, read on demand.

    keeps_order: whether the profile lets rows stay in the order of their input.
    """
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
        keeps_order=keeps_order and head["shape"]["in_order"] and head["parts"]["tier"] != Tier.CANONICAL,
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
