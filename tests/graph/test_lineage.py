"""Walks over column lineage: kinds along a path, depth, each column once, and no going round in circles."""

from __future__ import annotations

import random

from compiler.analysis.edges import Edge, Kind
from graph.lineage import Lineage, Link, Name


def edge(output: str | None, source: str, kind: Kind = "value") -> Edge:
    table, _, column = source.partition(".")
    return Edge(output, table, column, kind, f"{source} in {output}")


SHOP = Lineage(
    {"raw": ("id", "amount", "status"), "orders": ("id", "amount"), "revenue": ("id", "total"), "report": ("line",)},
    {
        "orders": (edge("id", "raw.id"), edge("amount", "raw.amount"), edge(None, "raw.status", "control")),
        "revenue": (edge("id", "orders.id"), edge("total", "orders.amount"), edge(None, "orders.id", "control")),
        "report": (edge("line", "revenue.total"),),
    },
)


def reached(steps: list) -> list[tuple[str, str, int]]:
    return [(str(step.name), step.kind, step.depth) for step in steps]


def test_a_way_of_values_alone_is_value_and_any_other_is_control() -> None:
    assert reached(SHOP.upstream(Name("report", "line"))) == [
        ("revenue.total", "value", 1),
        ("orders.amount", "value", 2),
        ("orders.id", "control", 2),
        ("raw.amount", "value", 3),
        ("raw.id", "control", 3),
        ("raw.status", "control", 3),
    ]


def test_a_column_may_be_reached_in_both_ways() -> None:
    assert reached(SHOP.upstream(Name("revenue", "id"), depth=1)) == [
        ("orders.id", "value", 1),
        ("orders.id", "control", 1),
    ]


def test_control_of_every_column_goes_down_to_each_of_them() -> None:
    assert reached(SHOP.downstream(Name("raw", "status"), depth=1)) == [
        ("orders.amount", "control", 1),
        ("orders.id", "control", 1),
    ]
    assert {name for name, _, _ in reached(SHOP.downstream(Name("raw", "status")))} == {
        "orders.amount",
        "orders.id",
        "revenue.id",
        "revenue.total",
        "report.line",
    }


def test_each_step_tells_the_one_before_it() -> None:
    steps = SHOP.upstream(Name("report", "line"))
    assert [steps[step.via].name.table if step.via is not None else None for step in steps] == [
        None,
        "revenue",
        "revenue",
        "orders",
        "orders",
        "orders",
    ]


def test_what_decides_about_rows_and_the_rest_are_together_all() -> None:
    assert reached(SHOP.upstream_of_rows("revenue")) == [
        ("orders.id", "control", 1),
        ("raw.id", "control", 2),
        ("raw.status", "control", 2),
    ]
    assert reached(SHOP.upstream_of_values(Name("revenue", "total"))) == [
        ("orders.amount", "value", 1),
        ("raw.amount", "value", 2),
        ("raw.status", "control", 2),
    ]
    for seed in range(40):
        lineage = random_lineage(random.Random(seed))
        for table, columns in lineage.columns.items():
            rows = {(step.name, step.kind) for step in lineage.upstream_of_rows(table)}
            for name in (Name(table, column) for column in columns):
                rest = {(step.name, step.kind) for step in lineage.upstream_of_values(name)}
                assert rows | rest == {(step.name, step.kind) for step in lineage.upstream(name)}


def test_sources_are_what_no_rule_makes() -> None:
    assert SHOP.sources(SHOP.upstream(Name("report", "line"))) == [
        Name("raw", "amount"),
        Name("raw", "id"),
        Name("raw", "status"),
    ]
    assert SHOP.sources(SHOP.upstream(Name("report", "line"), depth=2)) == []


def test_a_source_has_nothing_above_and_an_end_nothing_below() -> None:
    assert SHOP.upstream(Name("raw", "id")) == []
    assert SHOP.downstream(Name("report", "line")) == []


def test_links_are_the_edges_among_the_columns_that_are_asked_for() -> None:
    names = [Name("raw", "amount"), Name("raw", "status"), Name("orders", "amount")]
    assert SHOP.links(names) == [
        Link(Name("raw", "amount"), ("orders", "amount"), "value", "raw.amount in amount"),
        Link(Name("raw", "status"), ("orders", None), "control", "raw.status in None"),
    ]


def test_a_ladder_takes_time_in_proportion_to_its_edges() -> None:
    """Two ways at each of 400 levels are 2^400 paths; a walk that follows each of them never ends."""
    columns = {"t0": ("a", "b"), **{f"t{n}": ("a", "b") for n in range(1, 401)}}
    edges = {
        f"t{n}": tuple(edge(output, f"t{n - 1}.{column}") for output in ("a", "b") for column in ("a", "b"))
        for n in range(1, 401)
    }
    ladder = Lineage(columns, edges)
    assert len(ladder.upstream(Name("t400", "a"))) == len(ladder.downstream(Name("t0", "b"))) == 800


def test_up_and_down_agree_on_random_graphs() -> None:
    for seed in range(40):
        lineage = random_lineage(random.Random(seed))
        names = [Name(table, column) for table, columns in lineage.columns.items() for column in columns]
        up = {(step.name, name, step.kind, step.depth) for name in names for step in lineage.upstream(name)}
        down = {(name, step.name, step.kind, step.depth) for name in names for step in lineage.downstream(name)}
        assert up == down


def random_lineage(rng: random.Random) -> Lineage:
    columns = {f"t{number}": ("a", "b", "c") for number in range(8)}
    edges = {}
    for number in range(2, 8):
        found = {}
        for _ in range(rng.randrange(8)):
            kind: Kind = rng.choice(("value", "control"))
            output = rng.choice(("a", "b", "c")) if kind == "value" else rng.choice(("a", "b", "c", None))
            source = f"t{rng.randrange(number)}.{rng.choice('abc')}"
            found[output, source, kind] = edge(output, source, kind)
        edges[f"t{number}"] = tuple(found.values())
    return Lineage(columns, edges)


COUNTED = Lineage(
    {"raw": ("id", "status"), "orders": ("id",), "present": ("n",), "mixed": ("id", "one"), "last": ("m",)},
    {
        "orders": (edge("id", "raw.id"), edge(None, "raw.status", "control")),
        "present": (),  # SELECT COUNT(*) AS n FROM orders
        "mixed": (edge("id", "orders.id"),),  # SELECT o.id, 1 AS one FROM orders AS o
        "last": (),  # SELECT COUNT(*) AS m FROM mixed
    },
    {"orders": ("raw",), "present": ("orders",), "mixed": ("orders",), "last": ("mixed",)},
)


def test_what_decides_about_rows_reaches_those_that_only_count_them() -> None:
    assert reached(COUNTED.upstream(Name("present", "n"))) == [("raw.status", "control", 2)]
    assert reached(COUNTED.upstream(Name("mixed", "one"))) == [("raw.status", "control", 2)]
    assert reached(COUNTED.upstream(Name("last", "m"))) == [("raw.status", "control", 3)]
    assert reached(COUNTED.upstream_of_rows("last")) == [("raw.status", "control", 3)]
    assert reached(COUNTED.upstream(Name("last", "m"), depth=2)) == []
    below = COUNTED.downstream(Name("raw", "status"))
    assert reached(below) == [
        ("orders.id", "control", 1),
        ("mixed.id", "control", 2),
        ("mixed.one", "control", 2),
        ("present.n", "control", 2),
        ("last.m", "control", 3),
    ]
    assert [step.expression for step in below if step.name.table in {"present", "last"}] == [
        "rows of orders",
        "rows of mixed",
    ]
    assert reached(COUNTED.downstream(Name("raw", "id"))) == [("orders.id", "value", 1), ("mixed.id", "value", 2)]
