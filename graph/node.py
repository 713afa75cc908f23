"""Node: the facts about a compiled rule that planning needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cache.records import Product

if TYPE_CHECKING:
    from compiler.analysis.edges import Edge
    from compiler.analysis.shape_digests import Shape


@dataclass(frozen=True)
class Node:
    """The facts about a compiled rule that planning needs; see `compiler.compiled.Compiled`."""

    name: str
    fingerprint: str
    inputs: tuple[str, ...]
    reads: tuple[tuple[str, ...], ...]
    dependencies: tuple[str, ...]
    parts: Mapping[str, Any]
    volatile: bool
    order_dependent: bool
    ordered: bool
    keeps_order: bool
    """Whether a run returns its rows in the order of its input."""
    shape: Shape
    edges: Callable[[], Iterable[Edge]]
    """The column lineage, computed only if a run is ahead."""
    formerly: str = ""
    """The fingerprint of its last state, if only an upgrade of rules or the engine changed it."""

    def is_rule_of(self, last: Product) -> bool:
        """Whether this very rule last computed a product."""
        return last.fingerprint in (self.fingerprint, self.formerly)
