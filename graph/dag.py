"""The DAG: which product reads which input, and an order in which products can be built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError as GraphlibCycleError
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx as nx


class CycleError(Exception):
    """Products that read one another in a cycle; `path` names them, the first again at the end."""

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(" → ".join(path))
        self.path = path


@dataclass(frozen=True)
class Dag:
    """The products of a project and the inputs of each."""

    inputs: Mapping[str, tuple[str, ...]]
    """Product → the names it reads, sources included; sources have no entry."""
    for_checks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Product → those of its inputs that only its checks read."""

    def reads(self, name: str) -> tuple[str, ...]:
        """Return the inputs that the rule of a product reads."""
        return tuple(one for one in self.inputs[name] if one not in self.for_checks.get(name, ()))

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The products, each after those it reads; the same on every run. Raises `CycleError`."""
        sorter = TopologicalSorter({name: self._products(inputs) for name, inputs in sorted(self.inputs.items())})
        try:
            sorter.prepare()
        except GraphlibCycleError as error:
            raise CycleError(tuple(reversed(error.args[1]))) from None
        order: list[str] = []
        while sorter.is_active():
            ready = sorted(sorter.get_ready())
            order += ready
            sorter.done(*ready)
        return tuple(order)

    @cached_property
    def readers(self) -> Mapping[str, tuple[str, ...]]:
        """Product or source → the products that read it, in order."""
        readers: dict[str, list[str]] = {}
        for name in self.order:
            for source in self.inputs[name]:
                readers.setdefault(source, []).append(name)
        return {name: tuple(found) for name, found in readers.items()}

    @cached_property
    def digraph(self) -> nx.DiGraph[str]:
        """The DAG as a networkx graph, edges from input to reader, for questions about neighbourhoods."""
        import networkx as nx  # 0.3 s that most builds can save

        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.inputs)
        graph.add_edges_from((source, name) for name, inputs in self.inputs.items() for source in inputs)
        return graph

    def closure(self, names: Iterable[str]) -> set[str]:
        """Return products with every product they read, directly or through others."""
        found: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += self._products(self.inputs[name])
        return found

    def upstream(self, name: str, depth: int | None = None) -> set[str]:
        """Return everything `name` reads, directly and through others, at most `depth` steps away; without `name`."""
        return self._neighbours(name, depth, against=True)

    def downstream(self, name: str, depth: int | None = None) -> set[str]:
        """Return all readers of `name`, direct and through others, at most `depth` steps away; without `name`."""
        return self._neighbours(name, depth, against=False)

    def _neighbours(self, name: str, depth: int | None, *, against: bool) -> set[str]:
        import networkx as nx

        graph = self.digraph.reverse(copy=False) if against else self.digraph
        return set(nx.single_source_shortest_path_length(graph, name, cutoff=depth)) - {name}

    def _products(self, inputs: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in inputs if name in self.inputs)
