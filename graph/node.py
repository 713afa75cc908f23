"""What planning needs to know of a rule once it is compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cache.records import Product

if TYPE_CHECKING:
    from compiler.analysis.edges import Edge
    from compiler.analysis.shape import Shape


@dataclass(frozen=True)
class Node:
    """What planning needs of a compiled rule; see `compiler.compile.Compiled`.

    keeps_order: whether a run hands its rows over in the order of its input. edges: its column lineage, asked for only
    where a run is ahead. formerly: the fingerprint of its last state, where that is another only because rules or the
    engine was upgraded.
    """

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
    shape: Shape
    edges: Callable[[], Iterable[Edge]]
    formerly: str = ""

    def is_rule_of(self, last: Product) -> bool:
        """Whether a product was last computed by this very rule."""
        return last.fingerprint in (self.fingerprint, self.formerly)
