"""The page of `rules lineage` in a browser: what it opens on, and what clicks, keys and the search do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.chromium import needs_chromium, report_of
from support.generated import make_project
from support.inprocess import run
from support.projects import SampleProject

HOSTILE = "</script><b> & \"q\" 'x' #%41"

pytestmark = [pytest.mark.service, needs_chromium]

STEPS = """
const data = JSON.parse(document.getElementById("data").textContent);
const later = () => new Promise((done) => setTimeout(done, 60));
const all = (selector) => [...document.querySelectorAll(selector)];
const node = (name) => document.getElementById(`n${data.tables.findIndex((one) => one[0] === name)}`);
const tables = (selector) => all(selector).map((one) => one.querySelector("title").textContent).sort();
const lit = () => tables("#map .node.on");
const seen = (name) => {
  const box = node(name).getBoundingClientRect(), picture = document.getElementById("map").getBoundingClientRect();
  return box.left >= picture.left && box.right <= picture.right
    && box.top >= picture.top && box.bottom <= picture.bottom;
};
const click = (target) => target.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
const press = (key, target = document.activeElement) =>
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const view = () => document.querySelector("#map svg").getAttribute("viewBox").split(" ").map(Number);
const cells = (kind) => all(`#paths li.${kind} a`).map((one) => decodeURIComponent(one.hash.slice(1))).sort();
const texts = (selector) => all(selector).map((one) => one.textContent);
const shown = () => (document.getElementById("map").hidden ? "columns" : "map");
const search = (text) => {
  const input = document.querySelector("nav input");
  input.focus(); input.value = text; input.dispatchEvent(new Event("input"));
};
const report = {};
const finish = () => {
  report.asked = performance.getEntriesByType("resource").length;
  const out = document.createElement("pre"); out.id = "report"; out.textContent = JSON.stringify(report);
  document.body.append(out);
};
"""


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["raw", "alone"])
    sample.parquet("raw", {"id": [1, 2, 3], "amount": [10, 20, 30], "status": ["paid", "open", "paid"]})
    sample.parquet("alone", {"id": [1]})
    sample.sql("orders", "SELECT r.id, r.amount * 2 AS amount FROM raw AS r WHERE r.status = 'paid'")
    sample.sql("revenue", "SELECT o.id, SUM(o.amount) AS total FROM orders AS o GROUP BY o.id")
    sample.sql("report", "SELECT v.total > 10 AS large FROM revenue AS v")
    quoted = HOSTILE.replace('"', '""')
    sample.sql("odd", f'SELECT a.id AS "{quoted}" FROM alone AS a')
    return sample


def behaviour(page: str, folder: Path, steps: str) -> dict[str, Any]:
    """Open a page, run steps in it, and return what they report."""
    failed = "(error) => { report.error = String(error.stack); }"
    run_in_page = f"(async () => {{ await later(); {steps} }})().catch({failed}).finally(finish);"
    copy = folder / "page.html"
    head, tail = page.rsplit("</body>", 1)
    copy.write_text(f"{head}<script>{STEPS}{run_in_page}</script></body>{tail}", encoding="utf-8")
    return report_of(copy.as_uri(), folder / "profile")


def test_tables_then_columns(project: SampleProject, tmp_path: Path) -> None:
    page = run(project, "lineage", "--format", "html").stdout
    steps = """
    report.opened = [shown(), lit(), texts("nav li a"), data.tables.every((one) => seen(one[0]))];
    click(node("orders").querySelector("path, polygon")); await later();
    report.table = [lit(), tables("#map .node.picked"), texts("#details h3"), seen("orders")];
    report.listed = texts("nav li a[aria-current]");
    click(all("#details a").find((one) => one.textContent === "amount")); await later();
    report.column = [shown(), cells("picked"), cells("value"), cells("control")];
    report.lines = [all("#paths path.value").length, all("#paths path.control").length];
    report.said = texts("#details code");
    document.getElementById("control").click(); await later();
    report.values = [cells("value"), cells("control"), all("#paths path.control").length];
    document.getElementById("control").click(); await later();
    history.back(); await later(); report.back = [shown(), location.hash];
    press("Escape", document.body); await later(); report.let_go = [shown(), lit(), location.hash];
    """
    report = behaviour(page, tmp_path, steps)
    path = ["orders", "raw", "report", "revenue"]
    assert report == {
        "opened": ["map", [], ["alone", "raw", "odd", "orders", "report", "revenue"], True],
        "table": [path, ["orders"], ["Made of (1)", "Goes into (1)", "Columns (2)"], True],
        "listed": ["orders"],
        "column": ["columns", ["orders.amount"], ["raw.amount", "report.large", "revenue.total"], ["raw.status"]],
        "lines": [3, 1],
        "said": [
            "value: r.amount * 2", "control: WHERE r.status = 'paid'", "value: SUM(o.amount)", "value: v.total > 10",
        ],
        "values": [["raw.amount", "report.large", "revenue.total"], [], 0],
        "back": ["map", "#orders"],
        "let_go": ["map", [], ""],
        "asked": 0,
    }  # fmt: skip


def test_keys_and_hostile_names(project: SampleProject, tmp_path: Path) -> None:
    page = run(project, "lineage", "revenue.total", "--format", "html").stdout
    steps = """
    report.opened = [shown(), cells("picked")];
    press("Escape", document.body); await later();
    press("/", document.body); report.search = document.activeElement.type;
    search("rev tot"); report.found = texts("nav li a");
    press("ArrowDown"); report.on = document.activeElement.textContent;
    document.activeElement.click(); await later(); report.taken = decodeURIComponent(location.hash);
    press("Escape", document.body); await later();
    const map = document.getElementById("map"), before = view();
    map.focus(); press("ArrowRight"); report.moved = view()[0] > before[0];
    press("+"); report.zoomed = view()[2] < before[2];
    press("0"); report.all = data.tables.every((one) => seen(one[0]));
    const box = map.getBoundingClientRect();
    const at = { clientX: box.x + 5, clientY: box.y + 5, bubbles: true, cancelable: true };
    map.dispatchEvent(new WheelEvent("wheel", { deltaY: -300, ...at }));
    const wheeled = view(); report.wheeled = wheeled[2] < before[2] * 1.5;
    map.dispatchEvent(new PointerEvent("pointerdown", { button: 0, ...at }));
    window.dispatchEvent(new PointerEvent("pointermove", { clientX: box.x + 55, clientY: box.y + 5 }));
    window.dispatchEvent(new PointerEvent("pointerup", {})); await later();
    report.dragged = view()[0] < wheeled[0] && view()[2] === wheeled[2];
    report.selectable = getComputedStyle(node("revenue").querySelector("text")).userSelect !== "none";
    """
    assert behaviour(page, tmp_path, steps) == {
        "opened": ["columns", ["revenue.total"]],
        "search": "search",
        "found": ["revenue.total"],
        "on": "revenue.total",
        "taken": "#revenue.total",
        "moved": True, "zoomed": True, "all": True, "wheeled": True, "dragged": True, "selectable": True, "asked": 0,
    }  # fmt: skip
    hostile = """
    search("script q"); click(all("nav li a")[0]); await later();
    report.picked = cells("picked"); report.title = document.querySelector("#details h2").textContent;
    report.made = all("nav b, #paths b, #details b, #map b").length;
    """
    page = run(project, "lineage", "--format", "html").stdout
    name = f"odd.{HOSTILE}"
    assert behaviour(page, tmp_path, hostile) == {"picked": [name], "title": name, "made": 0, "asked": 0}


def test_many_rules(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", 60)
    page = run(project, "lineage", "--format", "html").stdout
    steps = """
    const letters = node("int_010").querySelector("text").getBoundingClientRect().height;
    report.readable = letters >= 9;
    report.apart = all("#map .node").every((one, at, every) => every.slice(at + 1).every((other) => {
      const a = one.getBoundingClientRect(), b = other.getBoundingClientRect();
      return a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
    }));
    report.counted = [all("#map .node").length, all("#map .edge").length === data.pairs.length, all("nav li").length];
    search("agg_00"); click(all("nav li a")[0]); await later();
    report.centred = [location.hash, seen("agg_000")];
    location.hash = "#agg_000.*"; await later();
    const boxes = all("#paths .box").map((one) => one.getBoundingClientRect());
    report.between = boxes.every((one, at) => boxes.slice(at + 1).every((other) =>
      one.right < other.left || other.right < one.left || one.bottom < other.top || other.bottom < one.top));
    """
    assert behaviour(page, tmp_path, steps) == {
        "readable": True, "apart": True, "counted": [65, True, 65], "centred": ["#agg_000", True], "between": True,
        "asked": 0,
    }  # fmt: skip
