"""`rules lineage`: what it says in each format, what it does not import, and what it does with what is wrong."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from compiler.analysis.edges import Edge
from graph.lineage import Lineage, Name
from rules.report.lineage_page import page
from support.direct import run
from support.flights import built_flights
from support.projects import SampleProject

HEAVY = ("sqlglot", "ibis", "datafusion", "pyarrow", "networkx", "numpy", "msgspec")


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["raw"])
    sample.parquet("raw", {"id": [1, 2, 3], "amount": [10, 20, 30], "status": ["paid", "open", "paid"]})
    sample.sql("orders", "SELECT r.id, r.amount * 2 AS amount FROM raw AS r WHERE r.status = 'paid'")
    sample.sql("revenue", "SELECT o.id, SUM(o.amount) AS total FROM orders AS o GROUP BY o.id")
    sample.sql("report", "SELECT v.total > 10 AS large FROM revenue AS v")
    return sample


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    return built_flights(tmp_path_factory, tmp_path_factory.mktemp("lineage") / "flights")[0]


def test_document_of_a_column(project: SampleProject) -> None:
    assert run(project.root, "lineage", "revenue.total") == {
        "format": 1,
        "command": "lineage",
        "status": "ok",
        "column": "revenue.total",
        "upstream": [
            {"column": "orders.amount", "kind": "value", "expression": "SUM(o.amount)", "depth": 1,
             "via": "revenue.total"},
            {"column": "orders.id", "kind": "control", "expression": "GROUP BY o.id", "depth": 1,
             "via": "revenue.total"},
            {"column": "raw.amount", "kind": "value", "expression": "r.amount * 2", "depth": 2, "via": "orders.amount"},
            {"column": "raw.id", "kind": "control", "expression": "raw.id", "depth": 2, "via": "orders.id"},
            {"column": "raw.status", "kind": "control", "expression": "WHERE r.status = 'paid'", "depth": 2,
             "via": "orders.amount"},
        ],
        "downstream": [
            {"column": "report.large", "kind": "value", "expression": "v.total > 10", "depth": 1,
             "via": "revenue.total"},
        ],
        "sources": ["raw.amount", "raw.id", "raw.status"],
    }  # fmt: skip


def test_document_of_a_product_and_of_a_source(project: SampleProject) -> None:
    product = run(project.root, "lineage", "revenue")
    assert product["product"] == "revenue"
    one = run(project.root, "lineage", "revenue.total")
    assert [column["column"] for column in product["columns"]] == ["revenue.id", "revenue.total"]
    assert product["columns"][1] == {key: one[key] for key in ("column", "upstream", "downstream", "sources")}
    source = run(project.root, "lineage", "raw")
    assert source["source"] == "raw"
    assert [column["column"] for column in source["columns"]] == ["raw.id", "raw.amount", "raw.status"]
    assert all(not column["upstream"] and not column["sources"] for column in source["columns"])


def test_directions_and_depth(project: SampleProject) -> None:
    up = run(project.root, "lineage", "revenue.total", "--upstream", "--depth", "1")
    assert "downstream" not in up
    assert [step["column"] for step in up["upstream"]] == ["orders.amount", "orders.id"]
    down = run(project.root, "lineage", "raw.status", "--downstream")
    assert {"upstream", "sources"}.isdisjoint(down)
    assert [step["column"] for step in down["downstream"]] == [
        "orders.amount", "orders.id", "revenue.id", "revenue.total", "report.large",
    ]  # fmt: skip
    assert {step["kind"] for step in down["downstream"]} == {"control"}


def test_tree_shows_values_and_says_what_it_leaves_out(project: SampleProject) -> None:
    done = project.cli("lineage", "revenue.total")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "revenue.total\n"
        "  upstream\n"
        "  └─ orders.amount  SUM(o.amount)\n"
        "     └─ raw.amount  r.amount * 2\n"
        "  downstream\n"
        "  └─ report.large  v.total > 10\n"
        "  sources: raw.amount\n"
        "  control: 3 more columns, in filters, joins, groups or order (see --control)\n"
    )
    only_control = project.cli("lineage", "raw.status").stdout
    assert only_control == (
        "raw.status\n  upstream: none\n  downstream: none\n"
        "  control: 5 more columns, in filters, joins, groups or order (see --control)\n"
    )


def test_tree_of_a_product_shows_values(project: SampleProject) -> None:
    assert project.cli("lineage", "orders", "--upstream").stdout == (
        "orders.id\n  upstream\n  └─ raw.id  raw.id\n\n"
        "orders.amount\n  upstream\n  └─ raw.amount  r.amount * 2\n\n"
        "orders\n  sources: raw.amount, raw.id\n"
        "  control: 1 more column, in filters, joins, groups or order (see --control)\n"
    )


def test_tree_with_control(project: SampleProject) -> None:
    done = project.cli("lineage", "revenue.total", "--control")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "revenue.total\n"
        "  upstream\n"
        "  ├─ orders.amount  value    SUM(o.amount)\n"
        "  │  ├─ raw.amount  value    r.amount * 2\n"
        "  │  └─ raw.status  control  WHERE r.status = 'paid'\n"
        "  └─ orders.id      control  GROUP BY o.id\n"
        "     └─ raw.id      control  raw.id\n"
        "  downstream\n"
        "  └─ report.large  value  v.total > 10\n"
        "  sources: raw.amount, raw.id, raw.status\n"
    )


def test_tree_of_a_product_says_once_what_controls_every_column(project: SampleProject) -> None:
    done = project.cli("lineage", "orders", "--control")
    assert done.stdout == (
        "orders\n"
        "  every column\n"
        "  └─ raw.status  control  WHERE r.status = 'paid'\n"
        "\n"
        "orders.id\n"
        "  upstream\n"
        "  └─ raw.id  value  raw.id\n"
        "  downstream\n"
        "  ├─ revenue.id       value    orders.id\n"
        "  ├─ revenue.id       control  GROUP BY o.id\n"
        "  └─ revenue.total    control  GROUP BY o.id\n"
        "     └─ report.large  control  v.total > 10\n"
        "\n"
        "orders.amount\n"
        "  upstream\n"
        "  └─ raw.amount  value  r.amount * 2\n"
        "  downstream\n"
        "  └─ revenue.total    value  SUM(o.amount)\n"
        "     └─ report.large  value  v.total > 10\n"
        "\n"
        "orders\n"
        "  sources: raw.amount, raw.id, raw.status\n"
    )


def test_quiet_prints_names(project: SampleProject) -> None:
    done = project.cli("lineage", "revenue.total", "-q")
    assert done.stdout.split() == ["orders.amount", "orders.id", "raw.amount", "raw.id", "raw.status", "report.large"]


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("revenu.total", "unknown-product", "did you mean 'revenue'?"),
        ("revenue.totl", "unknown-column", "did you mean 'revenue.total'?"),
        ("revenue.", "unknown-column", "its columns: id, total"),
        ("zzz", "unknown-product", "rules ls lists the products"),
    ],
)
def test_unknown_names(project: SampleProject, name: str, code: str, told: str) -> None:
    error = run(project.root, "lineage", name, expect=2)["error"]
    assert (error["code"], error["hint"]) == (code, told)


def test_wrong_usage(project: SampleProject) -> None:
    for arguments in (["lineage"], ["lineage", "revenue", "--format", "dot"], ["lineage", "revenue", "--depth", "0"]):
        assert run(project.root, *arguments, expect=2)["error"]["code"] == "usage"


def test_a_source_that_no_rule_reads(project: SampleProject) -> None:
    project.write("rules.toml", project.read("rules.toml") + '\n[sources.spare]\npath = "data/raw.parquet"\n')
    assert run(project.root, "lineage", "spare.id", expect=2)["error"]["code"] == "unread-source"


def test_it_executes_nothing_and_follows_edits(project: SampleProject) -> None:
    run(project.root, "lineage", "revenue.total")
    assert not list((project.root / ".rules" / "objects").rglob("*.parquet"))
    run(project.root, "build")
    project.sql("revenue", "SELECT o.id, COUNT(*) AS total FROM orders AS o GROUP BY o.id")
    edited = run(project.root, "lineage", "revenue.total")
    assert {step["kind"] for step in edited["upstream"]} == {"control"}
    assert project.product("revenue").num_rows == 2


def test_a_new_column_of_a_source_is_seen(project: SampleProject) -> None:
    project.sql("everything", "SELECT * FROM raw")
    assert len(run(project.root, "lineage", "everything")["columns"]) == 3
    project.parquet("raw", {"id": [1], "amount": [1], "status": ["paid"], "extra": [1]})
    assert len(run(project.root, "lineage", "everything")["columns"]) == 4


def test_a_rule_that_does_not_compile(project: SampleProject) -> None:
    project.sql("revenue", "SELECT o.id, SUM(o.amont) AS total FROM orders AS o GROUP BY o.id")
    for name in ("revenue.total", "report.large"):
        error = run(project.root, "lineage", name, expect=1)["error"]
        assert (error["code"], error["where"]) == ("unknown-column", "rules/revenue.sql:1:20")
    left = project.cli("lineage", "orders.amount")
    assert left.returncode == 0
    assert left.stderr == "warning: what does not compile is left out: report, revenue\n"
    assert "raw.amount" in left.stdout


def test_after_the_first_answer_nothing_heavy_is_imported(project: SampleProject) -> None:
    run(project.root, "plan")
    script = (
        "import json, sys; from rules.cli import main; code = main(sys.argv[1:]);"
        f"print(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules]]))"
    )
    for arguments in (["revenue.total"], ["revenue", "--json"], ["revenue", "--format", "html"]):
        done = subprocess.run(
            [sys.executable, "-c", script, "lineage", *arguments],
            cwd=project.root, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert json.loads(done.stdout.splitlines()[-1]) == [0, []]


def test_what_is_remembered_is_what_compiling_says(project: SampleProject) -> None:
    run(project.root, "build")
    remembered = run(project.root, "lineage", "report")
    shutil.rmtree(project.root / ".rules")
    assert run(project.root, "lineage", "report") == remembered


def test_flights_from_the_last_report_to_the_sources(flights: SampleProject) -> None:
    found = run(flights.root, "lineage", "monthly_executive.best_carrier", "--upstream")
    kinds = {(step["column"], step["kind"]) for step in found["upstream"]}
    assert {("airlines.name", "value"), ("airlines.carrier", "control"), ("flights.arr_delay", "control")} <= kinds
    assert "flights.arr_delay" in found["sources"]
    assert not {column.split(".")[0] for column in found["sources"]} - {"flights", "airlines", "weather"}


def test_flights_up_is_down_seen_from_the_other_side(flights: SampleProject) -> None:
    down = run(flights.root, "lineage", "flights.dep_delay", "--downstream")["downstream"]
    assert len({step["column"] for step in down}) > 20
    for step in down[:3]:
        up = run(flights.root, "lineage", step["column"], "--upstream")["upstream"]
        kinds = {(other["column"], other["kind"], other["depth"]) for other in up}
        assert ("flights.dep_delay", step["kind"], step["depth"]) in kinds


def test_mermaid(project: SampleProject) -> None:
    done = project.cli("lineage", "orders.amount", "--upstream", "--format", "mermaid")
    assert done.stdout.splitlines() == [
        "flowchart LR",
        '  subgraph t0["raw"]',
        '    t0c0["amount"]',
        '    t0c1["status"]',
        "  end",
        '  subgraph t1["orders"]',
        '    t1c0["amount"]',
        "  end",
        "  t0c0 --> t1c0",
        "  t0c1 -.-> t1",
    ]


def test_rows_that_are_only_counted_have_an_edge_between_tables(project: SampleProject) -> None:
    project.sql("counted", "SELECT COUNT(*) AS n FROM orders AS o")
    drawn = project.cli("lineage", "--format", "mermaid").stdout
    boxes = {found[2]: found[1] for found in re.finditer(r'subgraph (t\d+)\["(\w+)"\]', drawn)}
    assert f"  {boxes['orders']} -.-> {boxes['counted']}" in drawn.splitlines()
    assert f"{boxes['revenue']} -.-> {boxes['report']}" not in drawn
    source = project.cli("lineage", "--format", "dot").stdout
    assert f"  {boxes['orders']}:t:e -> {boxes['counted']}:t:w [style=dotted];" in source.splitlines()


def test_dot_can_be_laid_out(project: SampleProject) -> None:
    project.sql("odd", 'SELECT r.id AS "a <b> & ""c""", r.amount AS "[x]" FROM raw AS r')
    source = project.cli("lineage", "--format", "dot").stdout
    program = Path(sys.executable).parent / "graphviz-pure"
    laid_out = subprocess.run([program, "-Tplain"], input=source, capture_output=True, text=True, check=True).stdout
    nodes = [line for line in laid_out.splitlines() if line.startswith("node ")]
    edges = [line for line in laid_out.splitlines() if line.startswith("edge ")]
    assert (len(nodes), len(edges)) == (5, source.count("->"))


class _Addresses(HTMLParser):
    """Collects what a page would fetch, and its texts of a kind."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.fetched += [value for key in ("src", "data", "action") if (value := values.get(key))]
        if tag in {"link", "img", "iframe", "object", "embed", "use", "image"}:
            self.fetched.append(tag)
        for key in ("href", "xlink:href"):
            value = values.get(key)
            if value and not value.startswith("#"):
                self.fetched.append(value)


def test_page_is_whole_in_itself(project: SampleProject) -> None:
    project.sql("odd", 'SELECT r.id AS "</script><b>", r.amount AS "a & b" FROM raw AS r')
    written = project.cli("lineage", "--format", "html").stdout
    addresses = _Addresses()
    addresses.feed(written)
    assert addresses.fetched == []
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|import\(|sendBeacon", written)
    assert "default-src 'none'" in written
    assert written.count("</script>") == 2
    data = page_data(written)
    columns = {f"{table}.{column}" for table, _, names in data["tables"] for column in names}
    assert {"odd.</script><b>", "odd.a & b", "revenue.total", "raw.status"} <= columns
    drawn = re.findall(r'<g id="([ne]\d+)"', written)
    assert sorted(drawn) == sorted(
        [
            *(f"n{number}" for number in range(len(data["tables"]))),
            *(f"e{number}" for number in range(len(data["pairs"]))),
        ]
    )


def page_data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_page_has_one_line_a_pair_and_columns_as_data(project: SampleProject) -> None:
    project.sql("counted", "SELECT COUNT(*) AS n FROM orders AS o")
    project.sql("present", "SELECT 1 AS one FROM orders AS o WHERE EXISTS (SELECT 1 FROM revenue AS v WHERE v.id = 1)")
    written = project.cli("lineage", "--format", "html").stdout
    data = page_data(written)
    names = [name for name, _, _ in data["tables"]]
    kinds = ("rows", "control", "value")
    assert {(names[start], names[end], kinds[kind]) for start, end, kind in data["pairs"]} == {
        ("raw", "orders", "value"),
        ("orders", "revenue", "value"),
        ("revenue", "report", "value"),
        ("orders", "counted", "rows"),
        ("orders", "present", "rows"),
        ("revenue", "present", "control"),
    }
    assert [name for name, is_source, _ in data["tables"] if is_source] == ["raw"]
    links = {
        (names[start], data["tables"][start][2][column], names[end], target, kinds[kind], data["expressions"][number])
        for start, column, end, target, kind, number in data["links"]
    }
    assert ("raw", "amount", "orders", 1, "value", "r.amount * 2") in links
    assert ("raw", "status", "orders", -1, "control", "WHERE r.status = 'paid'") in links


def test_page_of_a_column_opens_on_it_and_holds_what_takes_part(project: SampleProject) -> None:
    data = page_data(project.cli("lineage", "orders.amount", "--upstream", "--format", "html").stdout)
    assert data["focus"] == "orders.amount"
    assert {name: columns for name, _, columns in data["tables"]} == {"raw": ["amount", "status"], "orders": ["amount"]}


def test_colours_of_the_page_can_be_told_apart() -> None:
    """Text has the contrast 4.5 of WCAG 2.1, 1.4.3; lines and marks have 3, 1.4.11; in both schemes."""
    style = (files("rules.report") / "page" / "lineage.css").read_text(encoding="utf-8")
    schemes = [
        dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    ]
    assert len(schemes) == 2
    for colours in schemes:
        for ground in ("ground", "paper", "source", "product", "chosen"):
            assert contrast(colours["ink"], colours[ground]) >= 4.5, ground
        for ground in ("ground", "paper"):
            assert contrast(colours["faint"], colours[ground]) >= 4.5
            for line in ("line", "value", "control", "source-line", "product-line"):
                assert contrast(colours[line], colours[ground]) >= 3, (line, ground)


def contrast(one: str, other: str) -> float:
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_page_of_a_thousand_rules_is_small() -> None:
    tables = {f"t{number}": ("id", "val", "rest", "place") for number in range(1000)}
    edges = {
        f"t{number}": tuple(
            Edge(
                column, f"t{number * 7 % (number - 1) if number > 2 else 0}", column, "value", f"a.{column} + {number}"
            )
            for column in tables["t0"]
        )
        for number in range(1, 1000)
    }
    lineage = Lineage(tables, edges)
    made = page(lineage, [Name(table, column) for table in tables for column in tables[table]], "wide", "")
    assert len(made.encode()) < 2_000_000


def test_page_without_graphviz_says_what_is_missing(project: SampleProject) -> None:
    run(project.root, "plan")
    script = (
        "import sys, sysconfig; sysconfig.get_path = lambda name: '/nowhere'; "
        "from rules.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "lineage", "revenue", "--format", "html"],
        cwd=project.root, env={"PATH": "/nowhere", "PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: the page needs graphviz-pure for its layout, which is not installed")
