"""The impact of a run on a product, predicted from the edit of its rule and the changes of its inputs.

Pure. The prediction may be wider than what happens, never narrower: a column is called stable only where the rule's
shape, its column lineage and the digests of its inputs prove that a run gives it the same values again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cache.keys import Content
    from cache.records import Product
    from compiler.analysis.edges import Edge
    from compiler.analysis.shape_digests import Shape
    from compiler.diff.edit_script import EditScript
    from graph.node import Node

Class = Literal["cosmetic", "additive", "column", "row"]
_CLASSES: tuple[Class, ...] = ("cosmetic", "additive", "column", "row")
"""From narrow to wide: each reaches everything that the one before it reaches."""


@dataclass(frozen=True)
class Edit:
    """How a rule differs from its last state."""

    reaches: Class
    """Its effect on readers (see docs/architecture.md)."""
    columns: frozenset[str]
    """The output columns that it changes, adds or removes; all of them if the rows may differ."""
    script: EditScript | None = None
    """Where the query was edited; None if that is not known."""
    proved: Class | None = None
    """The class that the digests of rows and columns prove by themselves."""
    options: tuple[str, ...] = ()
    """The edited options."""


def classify(before: Shape | None, after: Shape, script: EditScript | None, options: tuple[str, ...] = ()) -> Edit:
    """Return the edit of a rule that differs now; an unknown edit reaches everything.

    script: where its query was edited, and so what it may reach. That holds only as far as the digests of rows and
    columns prove it: if the two disagree, the wider class and the columns of both count. options: edited ones; what
    they do is not known.
    """
    proved = _proved(before, after)
    claimed: Class = script.reaches if script is not None and not options else "row"
    reaches = max(proved.reaches, claimed, key=_CLASSES.index)
    columns = proved.columns | (script.columns if script is not None else frozenset())
    if reaches == "row":
        columns |= frozenset(after.columns) | frozenset(before.columns if before is not None else ())
    known = before is not None and not options
    return Edit(reaches, columns, script, proved.reaches if known else None, options)


def _proved(before: Shape | None, after: Shape) -> Edit:
    """Return the narrowest class that the digests of rows and columns allow."""
    if before is None or before.rows != after.rows:
        return Edit("row", frozenset())
    added = after.columns.keys() - before.columns.keys()
    changed = {name for name, digest in before.columns.items() if after.columns.get(name) != digest}
    return Edit("additive" if added and not changed else "column", frozenset(added | changed))


@dataclass(frozen=True)
class InputChange:
    """How an input differs from what a product last read of it: in its rows, or only in some columns."""

    rows: bool
    columns: frozenset[str]


def input_changes(last: Product, contents: Mapping[str, Content], renamed: Mapping[str, str]) -> dict[str, InputChange]:
    """Compare the inputs that a product last read with `contents`; an input missing there may have changed in any way.

    renamed: old name → new name.
    """
    changes: dict[str, InputChange] = {}
    for was in last.record.inputs:
        name = renamed.get(was.name, was.name)
        now = contents.get(name)
        if now is None or now.rows != was.rows:
            changes[name] = InputChange(rows=True, columns=frozenset(was.columns))
            continue
        differing = (column for column, facts in was.columns.items() if now.columns.get(column) != facts)
        changes[name] = InputChange(rows=False, columns=frozenset(differing))
    return changes


def stable_columns(
    shape: Shape,
    edit: Edit | None,
    edges: Iterable[Edge],
    changes: Mapping[str, InputChange],
    inputs: Collection[str],
) -> frozenset[str] | None:
    """Return the output columns whose values a run leaves as they are, up to the order of rows.

    None: the rows themselves may change. edges: of the rule as it is now; inputs: those it reads.
    """
    if shape.open_rows or (edit is not None and edit.reaches == "row"):
        return None
    if any(name not in changes or changes[name].rows for name in inputs):
        return None
    unstable = set(shape.open) | (set(edit.columns) if edit is not None else set())
    for edge in edges:
        if edge.input in inputs and edge.column in changes[edge.input].columns:
            if edge.output is None:
                return None
            unstable.add(edge.output)
    return frozenset(shape.columns) - unstable


def reached(nodes: Mapping[str, Node], edited: str, change: InputChange) -> dict[str, frozenset[str] | None]:
    """Return the products whose tables a change of `edited` can change, nearest first, with the affected columns.

    None: their rows. nodes: inputs first. A product that reads nothing that changes is not reached, unless it
    depends on the order of rows and a run may return them in another.
    """
    changes = {edited: change}
    movable = set() if nodes[edited].keeps_order else {edited}
    found: dict[str, frozenset[str] | None] = {}
    for name, node in nodes.items():
        if name == edited or changes.keys().isdisjoint(node.inputs):
            continue
        reordered = not movable.isdisjoint(node.inputs)
        if not _reads(node, changes) and not (reordered and node.order_dependent):
            continue
        unchanged = InputChange(rows=False, columns=frozenset())
        read = {entry: changes.get(entry, unchanged) for entry in node.inputs}
        stable = stable_columns(node.shape, None, node.edges(), read, node.inputs)
        columns = frozenset(node.shape.columns) - stable if stable is not None else None
        if columns is None or columns:
            found[name] = columns
            changes[name] = InputChange(rows=columns is None, columns=columns or frozenset())
            if reordered or not node.keeps_order:
                movable.add(name)
    return found


def _reads(node: Node, changes: Mapping[str, InputChange]) -> bool:
    """Whether a rule reads a column that changes, or an input whose rows do."""
    pairs = zip(node.inputs, node.reads, strict=True)
    return any(
        changes[entry].rows or not changes[entry].columns.isdisjoint(columns)
        for entry, columns in pairs
        if entry in changes
    )
