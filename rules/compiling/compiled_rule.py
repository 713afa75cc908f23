"""Compiled rules as the rest of the pipeline sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cache.index import Index
from cache.records import Product
from compiler.analysis.edges import Edge
from compiler.analysis.shape_digests import Shape
from compiler.compiled import Tier
from compiler.fingerprint import fingerprint
from compiler.schema import Schema, schema_of
from compiler.tree.big_stack import with_deep_stack
from graph.node import Node
from rules.compiling.compiled_records import Body, Head, load_body, load_heads
from rules.loading.compiler_identity import COMPILER
from rules.loading.rule import Check, Rule

if TYPE_CHECKING:
    from sqlglot.expressions import Query

    from compiler.compiled import EngineIdentity
    from rules.config.profiles import Place


@dataclass(frozen=True)
class Placement:
    """Where a rule runs, and why, if that can be asked: the end of a sentence."""

    engine: Place
    reason: str = ""

    @property
    def sentence(self) -> str:
        """What a plan says of it."""
        place = "it runs on Spark" if self.engine == "spark" else "it runs locally"
        return f"{place}: {self.reason}" if self.reason else place


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
    placement: Placement | None = None
    """Where it runs, if the profile has another engine beside the local one."""

    @property
    def all(self) -> tuple[CompiledRule, ...]:
        """The rule and its checks."""
        return self, *(one.compiled for one in self.checks)

    @property
    def is_sensitive(self) -> bool:
        """Whether settings that move rows, or divide them otherwise, can change the product."""
        return "partitions" in self.node.parts["settings"]

    @property
    def needs_one_partition(self) -> bool:
        """Whether several partitions would break the promise of the rule's tier."""
        tier = self.rule.tier
        return tier is Tier.STABLE or (tier is Tier.CANONICAL and self.is_sensitive)

    @property
    def is_on_cluster(self) -> bool:
        """Whether another engine than the local one runs it."""
        return self.placement is not None and self.placement.engine != "local"

    def made_with(self, settings: Mapping[str, object]) -> CompiledRule:
        """Return the rule under the fingerprint that it has if these settings make its product."""
        if not self.is_sensitive or dict(settings) == self.node.parts["settings"]:
            return self
        parts = {**self.node.parts, "settings": dict(settings)}
        return replace(self, node=replace(self.node, parts=parts, fingerprint=fingerprint(parts)))

    def placed(
        self, placement: Placement, identity: EngineIdentity | None = None, *, may_run_here: bool = False
    ) -> CompiledRule:
        """Return the rule with its place. identity: of the engine that runs it there; None for the local one.

        may_run_here: whether the local engine may have to run it after all, which is then in its fingerprint too.
        """
        if identity is None:
            return replace(self, placement=placement)
        engine, settings = identity.version, dict(identity.settings)
        if may_run_here:
            engine = f"{engine}, ties by {self.node.parts['engine']}"
            settings = {**self.node.parts["settings"], **settings}
        parts = {**self.node.parts, "engine": engine, "settings": settings}
        node = replace(self.node, parts=parts, fingerprint=fingerprint(parts), formerly="")
        return replace(self, node=node, placement=placement)

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


def last_shape(index: Index, last: Product) -> Shape | None:
    """Return the shape of the rule in a product's last state; None if another version of the compiler made it."""
    head = load_heads(index, [last.memo]).get(last.memo) if last.record.compiler == COMPILER else None
    return head.shape if head is not None else None


def canonical_tree(index: Index, memo: str, inputs: Sequence[str]) -> Query:
    """Return the canonical AST of a compiled rule, with the names of its inputs."""
    return named_canonical(load_body(index, memo), inputs)


def named_canonical(body: Body, inputs: Sequence[str]) -> Query:
    """Return the canonical AST of a compiled rule of which this is the body."""
    from compiler.canonical.form import named_tree  # whoever compiles nothing does without SQLGlot

    return with_deep_stack(lambda: named_tree(body.canonical.encode(), inputs))


def from_head(
    rule: Rule, memo: str, head: Head, edges: Callable[[], tuple[Edge, ...]], *, keeps_order: bool
) -> CompiledRule:
    """Return a compiled rule from its head. edges: its column lineage, read on demand.

    keeps_order: whether the profile lets rows stay in the order of their input.
    """
    node = Node(
        name=rule.name,
        fingerprint=head.fingerprint,
        inputs=head.inputs,
        reads=head.reads,
        dependencies=tuple(head.scans),
        parts=head.parts,
        volatile=head.volatile,
        order_dependent=head.order_dependent,
        ordered=head.ordered,
        keeps_order=keeps_order and head.shape.in_order and head.parts["tier"] != Tier.CANONICAL,
        shape=head.shape,
        edges=edges,
    )
    return CompiledRule(rule, node, head.scans, head.schema, memo)
