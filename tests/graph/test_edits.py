"""How the rules of two versions of a project differ, and which readers that reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compiler.analysis.edges import Edge
from compiler.analysis.shape_digests import Shape
from compiler.diff.edit_script import EditScript
from graph.edits import RuleEdit, Version, compare
from graph.impact import InputChange, reached
from graph.node import Node

LITTLE = EditScript(known=True, clauses=("SELECT",), added=frozenset("b"))


def version(
    name: str,
    inputs: Sequence[str] = ("orders",),
    *,
    columns: Mapping[str, str] | None = None,
    rows: str = "rows",
    text: str = "text",
    **parts: object,
) -> Version:
    shape = Shape(f"{rows} of {', '.join(inputs)}", columns or {"a": "a"}, frozenset(), open_rows=False, in_order=True)
    digest = f"{name} {rows} {sorted(shape.columns.items())} {sorted(parts.items())}"
    return Version(digest, tuple(inputs), {"query": digest, **parts}, shape, text)


def compared(
    before: Mapping[str, Version], after: Mapping[str, Version], told: Sequence[str] = ("told",)
) -> list[RuleEdit]:
    """Compare where the edit script claims little, so that the digests decide."""
    return compare(before, after, lambda name, _: [f"{name} {one}" for one in told], lambda *_: LITTLE)


def kinds(before: Mapping[str, Version], after: Mapping[str, Version]) -> dict[str, str]:
    return {edit.name: edit.reaches for edit in compared(before, after)}


def test_classes() -> None:
    before = {name: version(name) for name in ("same", "comment", "row", "column", "additive", "tier", "gone")}
    after = {
        "same": version("same"),
        "comment": version("comment", text="another text"),
        "row": version("row", rows="other"),
        "column": version("column", columns={"a": "other"}),
        "additive": version("additive", columns={"a": "a", "b": "b"}),
        "tier": version("tier", tier=2),
        "fresh": version("fresh"),
    }
    edits = {edit.name: edit for edit in compared(before, after)}
    assert {name: edit.reaches for name, edit in edits.items()} == {
        "comment": "cosmetic",
        "row": "row",
        "column": "column",
        "additive": "additive",
        "tier": "row",
        "fresh": "new",
        "gone": "removed",
    }
    assert edits["additive"] == RuleEdit("additive", "additive", frozenset("b"), ("additive told",))
    assert edits["tier"].sentences == ("tier told", "the determinism tier changed")
    assert edits["comment"].columns == frozenset()


def test_a_renamed_product() -> None:
    before = {"old": version("x"), "reader": version("reader", ["old"]), "second": version("second", ["reader"])}
    after = {
        "new": version("x"),
        "reader": version("reader", ["new"], text="t2"),
        "second": version("second", ["reader"]),
    }
    assert kinds(before, after) == {"new": "new", "reader": "cosmetic", "old": "removed"}
    assert [edit.name for edit in compared(before, after) if edit.renamed] == ["new", "old"]
    swapped = {**after, "new": version("another")}
    assert kinds(before, swapped)["reader"] == "row", "it reads what never was the same"


def test_inputs_that_changed_places() -> None:
    before, after = {"r": version("r", ["a", "b"])}, {"r": version("r", ["b", "a"])}
    (edit,) = compare(before, after, lambda *_: (), lambda *_: None)
    assert (edit.reaches, edit.sentences) == ("row", ("FROM: a → b, b → a",))


def test_a_fingerprint_from_before_an_upgrade() -> None:
    now = version("r", rows="as this version says it")
    formerly = Version(now.fingerprint, now.inputs, now.parts, now.shape, now.text, formerly=version("r").fingerprint)
    assert kinds({"r": version("r")}, {"r": formerly}) == {}


def node(
    name: str, edges: Sequence[tuple[str | None, str, str]], *, opened: Sequence[str] = (), keeps_order: bool = False
) -> Node:
    found = [Edge(output, table, column, "value", "") for output, table, column in edges]
    inputs = tuple(dict.fromkeys(edge.input for edge in found))
    reads = tuple(tuple(edge.column for edge in found if edge.input == entry) for entry in inputs)
    columns = {edge.output: "x" for edge in found if edge.output is not None}
    shape = Shape("rows", columns, frozenset(opened), open_rows=False, in_order=True)
    return Node(name, name, inputs, reads, inputs, {}, False, bool(opened), False, keeps_order, shape, lambda: found)  # noqa: FBT003


def test_what_a_change_reaches() -> None:
    nodes = {
        one.name: one
        for one in (
            node("top", [("a", "orders", "a"), ("b", "orders", "b")]),
            node("reads_a", [("x", "top", "a"), ("y", "top", "b")]),
            node("reads_b", [("z", "top", "b")]),
            node("below", [("v", "reads_a", "x"), ("w", "reads_a", "y")]),
            node("filters", [(None, "reads_a", "x"), ("w", "reads_a", "y")]),
            node("last", [("w", "filters", "w")]),
            node("first_of", [("w", "reads_b", "z"), ("f", "top", "b")], opened=["f"]),
        )
    }
    column = InputChange(rows=False, columns=frozenset("a"))
    assert reached(nodes, "top", column) == {
        "reads_a": {"x"},
        "below": {"v"},
        "filters": None,
        "last": None,
        "first_of": {"f"},  # its rows may come in another order, whatever column changed
    }
    rows = reached(nodes, "top", InputChange(rows=True, columns=frozenset("ab")))
    assert set(rows) == set(nodes) - {"top"}
    assert set(rows.values()) == {None}
    assert reached(nodes, "last", column) == {}


def test_order_that_cannot_move_reaches_nothing() -> None:
    column = InputChange(rows=False, columns=frozenset("a"))
    for keeps_order in (True, False):
        top = node("top", [("a", "orders", "a"), ("b", "orders", "b")], keeps_order=keeps_order)
        first_of = node("first_of", [("f", "top", "b")], opened=["f"])
        assert reached({"top": top, "first_of": first_of}, "top", column) == (
            {} if keeps_order else {"first_of": {"f"}}
        )
