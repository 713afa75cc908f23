"""Why products are not clean: the edit of a rule or the source column at which each reason begins.

Pure. `explain` and `plan --explain` show the same chains. A plan gives each product the nearest reason; here it is
followed upwards, along the columns that matter, and each beginning is listed once, with its shortest path.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from graph.node import Node
from graph.plan import Known, Plan, edits_of, is_edited, listing

if TYPE_CHECKING:
    from cache.records import Product
    from compiler.analysis.edges import Edge

Kind = Literal["edit", "new", "forced", "volatile", "missing", "source", "earlier", "unknown"]


@dataclass(frozen=True)
class Step:
    """A product on the way to a cause, and those of its columns that matter; no columns: its rows."""

    product: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cause:
    """The beginning of a chain of reasons."""

    steps: tuple[Step, ...]
    """From an input of a product to the product that the cause concerns; empty if that is the product itself."""
    kind: Kind
    """edit: the rule of the last step was edited. source: a source that it reads changed. earlier: an earlier build
    changed one of its inputs."""
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class _Change:
    """How an input differs from its last read state; columns None: in its rows, or in ways not known yet."""

    columns: frozenset[str] | None
    sentence: str


def causes(plan: Plan, nodes: Mapping[str, Node], known: Known, forced: Collection[str]) -> dict[str, list[Cause]]:
    """Return the causes for each product that is not clean, nearest first."""
    search = _Search(plan, nodes, known, forced)
    return {name: search.causes(name) for name, one in plan.judgements.items() if one.verdict != "clean"}


class _Search:
    def __init__(self, plan: Plan, nodes: Mapping[str, Node], known: Known, forced: Collection[str]) -> None:
        self._plan = plan
        self._nodes = nodes
        self._known = known
        self._forced = forced
        self._edges = cache(lambda name: tuple(nodes[name].edges()))
        self._own = cache(self._find_own)

    def causes(self, product: str) -> list[Cause]:
        """Search breadth first, so that the first path to a beginning is the shortest."""
        found: dict[tuple[Kind, tuple[str, ...]], Cause] = {}
        seen: dict[str, frozenset[str] | None] = {product: None}
        ahead: deque[tuple[str, frozenset[str] | None, tuple[Step, ...]]] = deque([(product, None, ())])
        while ahead:
            name, columns, steps = ahead.popleft()
            for kind, sentences in self._own(name):
                if kind != "edit" or self._edit_reaches(name, columns):
                    found.setdefault((kind, (name, *sentences)), Cause(steps, kind, sentences))
            for entry, change in self._relevant(name, columns):
                if self._plan.judgements.get(entry) is None or self._plan.judgements[entry].verdict == "clean":
                    kind, sentence = self._outside(entry, change)
                    found.setdefault((kind, (entry, sentence)), Cause(steps, kind, (sentence,)))
                    continue
                before = seen.get(entry, frozenset())
                if before is None or (change.columns is not None and change.columns <= before):
                    continue
                seen[entry] = None if change.columns is None else before | change.columns
                ahead.append((entry, change.columns, (*steps, Step(entry, tuple(sorted(change.columns or ()))))))
        return list(found.values()) or [Cause((), "unknown", (self._plan.judgements[product].reason,))]

    def _find_own(self, name: str) -> list[tuple[Kind, tuple[str, ...]]]:
        """Return the causes that lie in a product itself."""
        node, last = self._nodes[name], self._known.products.get(name)
        own: list[tuple[Kind, tuple[str, ...]]] = []
        if name in self._forced:
            own.append(("forced", ("asked for with --force",)))
        if node.volatile:
            own.append(("volatile", ("declared volatile, so it runs in every build",)))
        if last is None:
            own.append(("new", ("new rule",)))
            return own
        if is_edited(node, last, self._known):
            own.append(("edit", edits_of(node, last, self._known)))
        if not self._known.present(last.artifact):
            own.append(("missing", ("its artifact is missing from the store",)))
        return own

    def _outside(self, entry: str, change: _Change) -> tuple[Kind, str]:
        """Say how an input that this build leaves as it is came to differ."""
        last = self._known.products.get(entry)
        if last is None:
            return "source", f"source {change.sentence}"
        return "earlier", f"{change.sentence}, in build {last.build}"

    def _edit_reaches(self, name: str, columns: frozenset[str] | None) -> bool:
        """Whether a run caused by the edit can change these columns: those it edits, and those that are open."""
        edit, shape = self._plan.judgements[name].edit, self._nodes[name].shape
        if edit is None or edit.reaches == "row" or columns is None or shape.open_rows:
            return True
        return not columns.isdisjoint(edit.columns | shape.open)

    def _relevant(self, name: str, columns: frozenset[str] | None) -> Iterator[tuple[str, _Change]]:
        """Yield the inputs of a product that changed, as far as these columns of it depend on them."""
        last = self._known.products.get(name)
        if last is None:
            return
        node = self._nodes[name]
        open_columns = columns is not None and not columns.isdisjoint(node.shape.open)
        for entry, change in self._changes(node, last):
            if columns is None or change.columns is None or open_columns or node.shape.open_rows:
                yield entry, change
            elif used := _used(self._edges(name), entry, change.columns, columns):
                yield entry, _Change(used, change.sentence)

    def _changes(self, node: Node, last: Product) -> Iterator[tuple[str, _Change]]:
        renamed = self._known.renamed
        before = {renamed.get(was.name, was.name): was for was in last.record.inputs}
        for entry, reads in zip(node.inputs, node.reads, strict=True):
            if entry not in before:  # then the rule was edited
                continue
            was = before[entry]
            now = self._plan.foreseen.get(entry)
            if now is None:
                yield entry, _Change(None, "")
            elif now.rows != was.rows:
                yield entry, _Change(None, f"{entry} has {now.rows:,} rows instead of {was.rows:,}")
            else:
                compared = [column for column in reads if column in was.columns]
                changed = [column for column in compared if now.columns.get(column) != was.columns[column]]
                if changed:
                    listed = listing([f"{entry}.{column}" for column in changed])
                    yield entry, _Change(frozenset(changed), f"{listed} changed")
                elif node.order_dependent and entry in self._plan.movable:
                    yield entry, _Change(None, "")  # the input may return the same rows in another order


def _used(edges: tuple[Edge, ...], entry: str, changed: frozenset[str], outputs: frozenset[str]) -> frozenset[str]:
    """Return which changed columns of an input take part in some output columns."""
    return frozenset(
        edge.column
        for edge in edges
        if edge.input == entry and edge.column in changed and (edge.output is None or edge.output in outputs)
    )
