"""Why products are not clean: followed to the edit or the source, along the columns that matter, each told once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from cache.keys import Content, action_key
from cache.records import InputState, Product, ProductRecord
from compiler.analysis.edges import Edge
from compiler.analysis.shape_digests import Shape
from compiler.diff.edit_script import EditScript
from graph.causes import Cause, Step, causes
from graph.node import Node
from graph.plan import Known, Plan, make_plan


@dataclass
class World:
    """A project in its last state: every product yields columns whose digests are their names and `digests`."""

    nodes: dict[str, Node] = field(default_factory=dict)
    contents: dict[str, Content] = field(default_factory=dict)
    products: dict[str, Product] = field(default_factory=dict)
    edits: dict[str, Sequence[str]] = field(default_factory=dict)

    def source(self, name: str, **digests: str) -> None:
        self.contents[name] = Content(3, {column: ("int64", digest) for column, digest in digests.items()})

    def rule(self, name: str, columns: Mapping[str, Sequence[str]], rows: Sequence[str] = ()) -> None:
        """Add a product. columns: of which input columns each is made; rows: which of these decide about rows."""
        edges = [edge(output, ref) for output, refs in columns.items() for ref in refs]
        edges += [edge(None, ref) for ref in rows]
        inputs = tuple(dict.fromkeys(edge.input for edge in edges))
        reads = tuple(tuple(sorted({e.column for e in edges if e.input == entry})) for entry in inputs)
        node = Node(
            name=name,
            fingerprint=f"print of {name}",
            inputs=inputs,
            reads=reads,
            dependencies=inputs,
            parts={"query": name},
            volatile=False,
            order_dependent=False,
            ordered=False,
            keeps_order=True,
            shape=Shape("rows", {column: column for column in columns}, frozenset(), open_rows=False, in_order=True),
            edges=lambda: edges,
        )
        self.nodes[name] = node
        known = {**self.contents, **{one: self.content(one) for one in self.products}}
        pairs = [known[entry].restricted(wanted) for entry, wanted in zip(inputs, reads, strict=True)]
        states = (InputState(entry, one.rows, dict(one.columns)) for entry, one in zip(inputs, pairs, strict=True))
        record = ProductRecord(dict(node.parts), tuple(states))
        key = action_key(node.fingerprint, pairs)
        self.products[name] = Product(name, name, key, node.fingerprint, "", record, 0.0, "build-1")

    def read_another_total(self, name: str) -> None:
        """Let the last state of `report` be made of another `totals.total`, of a product that was called `name`."""
        totals, *others = self.products["report"].record.inputs
        columns = {**totals.columns, "total": (totals.columns["total"][0], "another")}
        record = ProductRecord({"query": "report"}, (InputState(name, totals.rows, columns), *others))
        self.products["report"] = Product(
            "report", "report", "other key", "print of report", "", record, 0.0, "build-1"
        )

    def content(self, artifact: str) -> Content:
        columns = self.nodes[artifact].shape.columns
        return Content(3, {column: ("int64", f"{artifact}.{column}") for column in columns})

    def edit(self, name: str, *, columns: Collection[str] = (), rows: bool = False) -> None:
        """Edit a rule in some columns, or in its rows."""
        node = self.nodes[name]
        shape = {column: f"{was} edited" if column in columns else was for column, was in node.shape.columns.items()}
        self.edits[name] = [f"edited {', '.join(sorted(columns)) or 'rows'}"]
        self.nodes[name] = Node(
            **{
                **node.__dict__,
                "fingerprint": f"new print of {name}",
                "parts": {"query": f"{name}, edited"},
                "shape": Shape("other rows" if rows else "rows", shape, frozenset(), open_rows=False, in_order=True),
            }
        )

    def causes(
        self,
        *,
        missing: Collection[str] = (),
        forced: Collection[str] = (),
        renamed: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, list[Cause]]:
        def shape(last: Product) -> Shape:
            columns = {column: column for column in self.nodes[last.name].shape.columns}
            return Shape("rows", columns, frozenset(), open_rows=False, in_order=True)

        known = Known(
            self.products,
            action=lambda _: None,
            present=lambda artifact: artifact not in missing,
            shape=shape,
            describe=lambda node, _: self.edits.get(node.name, ()),
            script=lambda *_: EditScript(known=True),  # which claims little, so that the digests decide
            renamed=renamed,
        )
        plan: Plan = make_plan(self.nodes, self.contents, known, self.content, frozenset(forced))
        return causes(plan, self.nodes, known, forced)


def edge(output: str | None, read: str) -> Edge:
    table, column = read.split(".")
    return Edge(output, table, column, "control" if output is None else "value", "")


def chain() -> World:
    """orders → cleaned(amount, day) → totals(total, days) → report(twice)."""
    world = World()
    world.source("orders", amount="1", day="2")
    world.rule("cleaned", {"amount": ["orders.amount"], "day": ["orders.day"]})
    world.rule("totals", {"total": ["cleaned.amount"], "days": ["cleaned.day"]})
    world.rule("report", {"twice": ["totals.total"]})
    return world


def test_nothing_changed() -> None:
    assert chain().causes() == {}


def test_a_column_edit_is_followed_to_the_readers_of_the_column() -> None:
    world = chain()
    world.edit("cleaned", columns={"amount"})
    edited = ("edited amount",)
    assert world.causes() == {
        "cleaned": [Cause((), "edit", edited)],
        "totals": [Cause((Step("cleaned", ("amount",)),), "edit", edited)],
        "report": [Cause((Step("totals", ("total",)), Step("cleaned", ("amount",))), "edit", edited)],
    }


def test_an_edit_of_other_columns_is_no_cause() -> None:
    world = chain()
    world.edit("totals", columns={"total"})
    world.source("orders", amount="1", day="changed")
    found = world.causes()
    assert found["report"] == [Cause((Step("totals", ("total",)),), "edit", ("edited total",))]
    assert [cause.kind for cause in found["totals"]] == ["edit", "source"]
    assert found["totals"][1].steps == (Step("cleaned", ("day",)),)


def test_a_source_column() -> None:
    world = chain()
    world.source("orders", amount="changed", day="2")
    assert world.causes()["report"] == [
        Cause((Step("totals", ("total",)), Step("cleaned", ("amount",))), "source", ("source orders.amount changed",))
    ]


def test_a_run_may_change_what_is_open() -> None:
    world = chain()
    world.edit("totals", columns={"days"})
    totals = world.nodes["totals"]
    shape = Shape(totals.shape.rows, totals.shape.columns, frozenset({"total"}), open_rows=False, in_order=True)
    world.nodes["totals"] = Node(**{**totals.__dict__, "shape": shape})
    assert world.causes()["report"] == [Cause((Step("totals", ("total",)),), "edit", ("edited days",))]


def test_an_input_that_was_called_otherwise() -> None:
    world = chain()
    world.read_another_total("as totals was called before")
    renamed = {"as totals was called before": "totals"}
    assert [cause.kind for cause in world.causes(renamed=renamed)["report"]] == ["earlier"]
    edited = ("FROM: as totals was called before → totals",)
    assert world.causes()["report"] == [Cause((), "edit", edited)], "another table is no change of the data"


def test_rows() -> None:
    world = chain()
    world.edit("cleaned", rows=True)
    assert world.causes()["report"] == [Cause((Step("totals"), Step("cleaned")), "edit", ("edited rows",))]
    world = chain()
    world.contents["orders"] = Content(4, world.contents["orders"].columns)
    sentence = "source orders has 4 rows instead of 3"
    assert world.causes()["cleaned"] == [Cause((), "source", (sentence,))]
    assert world.causes()["report"] == [Cause((Step("totals"), Step("cleaned")), "source", (sentence,))]


def test_a_new_rule_a_missing_artifact_and_force() -> None:
    world = chain()
    del world.products["totals"]
    assert world.causes()["totals"] == [Cause((), "new", ("new rule",))]
    assert world.causes()["report"] == [Cause((Step("totals"),), "new", ("new rule",))]
    missing = ("its artifact is missing from the store",)
    assert chain().causes(missing={"report"}) == {"report": [Cause((), "missing", missing)]}
    assert chain().causes(forced={"report"}) == {"report": [Cause((), "forced", ("asked for with --force",))]}


def test_what_an_earlier_build_changed() -> None:
    world = chain()
    world.read_another_total("totals")
    assert world.causes() == {"report": [Cause((), "earlier", ("totals.total changed, in build build-1",))]}


def test_each_cause_is_told_once_by_its_shortest_way() -> None:
    world = World()
    world.source("orders", amount="1")
    world.rule("n0", {"a": ["orders.amount"]})
    for level in range(1, 30):  # two ways at each level, so 2**30 in all
        world.rule(f"m{level}", {"a": [f"n{level - 1}.a"]})
        world.rule(f"n{level}", {"a": [f"n{level - 1}.a", f"m{level}.a"]})
    world.source("orders", amount="changed")
    (cause,) = world.causes()["n29"]
    assert [step.product for step in cause.steps] == [f"n{level}" for level in range(28, -1, -1)]
