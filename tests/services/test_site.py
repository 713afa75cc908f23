"""The site of `rules docs build` in a browser, opened as a file: what each view shows, and what is loaded for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.chromium import needs_chromium, report_of
from support.generated import make_project
from support.inprocess import run
from support.projects import SampleProject

HOSTILE = "</script><b id=\"made\"> & 'x' <img src=x onerror=alert(1)>"

pytestmark = [pytest.mark.service, needs_chromium]

STEPS = """
"use strict";
(() => {
  const report = { refused: [] };
  document.addEventListener("securitypolicyviolation", (event) => report.refused.push(event.violatedDirective));
  const later = () => new Promise((done) => setTimeout(done, 60));
  const all = (selector) => [...document.querySelectorAll(selector)];
  const texts = (selector) => all(selector).map((one) => one.textContent);
  const loaded = () => all("head script").map((one) => one.getAttribute("src"));
  const go = async (hash) => {
    location.hash = hash;
    for (let turn = 0; turn < 100 && document.documentElement.dataset.ready !== location.hash; turn += 1) await later();
  };
  const until = async (found) => { for (let turn = 0; turn < 100 && !found(); turn += 1) await later(); };
  const press = (key, target = document.activeElement) =>
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const search = (text) => {
    const input = document.getElementById("query");
    input.focus(); input.value = text; input.dispatchEvent(new Event("input"));
  };
  const finish = () => {
    const out = document.createElement("pre"); out.id = "report"; out.textContent = JSON.stringify(report);
    document.body.append(out);
  };
  const ready = async () => { while (!document.documentElement.dataset.ready) await later(); };
  ready().then(async () => { STEPS_HERE })
    .catch((error) => { report.error = String(error.stack); }).finally(finish);
})();
"""


def behaviour(project: SampleProject, steps: str, *, fragment: str = "", width: int = 1400) -> dict[str, Any]:
    """Write the site, open it with a script more, which runs steps in it, and return what they report."""
    folder = project.root / "site"
    run(project, "docs", "build")
    (folder / "steps.js").write_text(STEPS.replace("STEPS_HERE", steps), encoding="utf-8")
    page = (folder / "index.html").read_text(encoding="utf-8")
    tested = folder / "tested.html"
    tested.write_text(page.replace("</body>", '<script src="steps.js"></script></body>'), encoding="utf-8")
    return report_of(f"{tested.as_uri()}{fragment}", project.root / "profile", width=width)


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["raw"])
    sample.parquet("raw", {"id": [1, 2, 3], "amount": [10, 20, 30], "status": ["paid", "open", "paid"]})
    quoted = HOSTILE.replace('"', '\\"')
    front = f'-- /// rule\n-- description = "{quoted}"\n-- tags = ["<i>ops"]\n-- key = ["id"]\n-- ///\n'
    sample.sql("orders", f"{front}SELECT r.id, r.amount * 2 AS amount FROM raw AS r WHERE r.status = 'paid'")
    sample.sql("revenue", "SELECT o.id, SUM(o.amount) AS total FROM orders AS o GROUP BY o.id")
    column = HOSTILE.replace('"', '""')
    sample.sql("odd", f"SELECT r.id AS \"{column}\", '{HOSTILE.replace(chr(39), chr(39) * 2)}' AS b FROM raw AS r")
    run(sample, "build")
    return sample


def test_views_show_the_project_and_load_what_they_need(project: SampleProject) -> None:
    steps = """
    const tables = () => loaded().filter((one) => one.includes("tables"));
    report.overview = [texts("main h1")[0], texts(".card b")[0], tables().length];
    await go("#/rule/revenue/total");
    report.rule = [texts("main h1")[0], texts("#column summary b")];
    await until(() => all("#column .tree").length);
    report.lineage = texts("#column .inside > div:first-child li > a");
    report.sql = texts(".code a");
    report.tables = tables();
    await go("#/graph/orders");
    report.graph = [all("#map .box").length, all("#map .box.off").length, all("#map .curve.on").length];
    const before = document.querySelector("#map svg").getAttribute("viewBox");
    all("#zoom button")[0].click();
    report.zoomed = document.querySelector("#map svg").getAttribute("viewBox") !== before;
    await go("#/checks"); report.checks = texts("main tbody td .status");
    await go("#/builds"); report.builds = all("main tbody tr").length;
    all("main tbody a")[0].click(); await until(() => all("main .crumbs").length);
    report.build = texts("main tbody td.name").sort();
    await go("#/source/raw"); report.source = texts(".columns summary b");
    await go("#/rule/nobody"); report.missing = texts("main h1");
    document.getElementById("theme").click(); report.theme = document.documentElement.dataset.theme;
    document.getElementById("theme").click(); report.other = document.documentElement.dataset.theme;
    """
    report = behaviour(project, steps)
    assert sorted([report.pop("theme"), report.pop("other")]) == ["dark", "light"]
    assert report == {
        "refused": [],
        "overview": ["sample", "3", 0],
        "rule": ["revenue", ["total"]],
        "lineage": ["orders.amount", "raw.amount", "orders.id"],
        "sql": ["orders"],
        "tables": ["data/tables/table-revenue.js"],
        "graph": [4, 1, 2],
        "zoomed": True,
        "checks": ["passed"],
        "builds": 1,
        "build": ["odd", "orders", "revenue"],
        "source": ["id", "amount", "status"],
        "missing": ["Not found"],
    }


def test_hostile_texts_are_texts_and_keys_work(project: SampleProject) -> None:
    steps = """
    report.opened = texts("main h1");
    report.lead = texts(".lead");
    search("odd img"); report.found = texts("#found a").length;
    all("#found a")[0].click(); await until(() => all("#column").length);
    report.column = texts("#column summary b");
    await go("#/rules/" + encodeURIComponent("<i>ops")); report.tagged = texts("main td.name");
    await go("#/graph"); await go("#/checks"); await go("#/");
    report.made = all("#made, main img, main i, main b[id]").length;
    press("/", document.body); report.search = document.activeElement.id;
    search("revenue"); press("ArrowDown"); report.on = document.activeElement.textContent;
    press("Escape", document.body); report.closed = document.getElementById("found").hidden;
    const inline = document.createElement("script"); inline.textContent = "window.ran = true";
    document.body.append(inline); report.ran = Boolean(window.ran); await later();
    """
    assert behaviour(project, steps, fragment="#/rule/orders") == {
        "opened": ["orders"],
        "lead": [HOSTILE],
        "found": 1,
        "column": [HOSTILE],
        "tagged": ["orders"],
        "made": 0,
        "search": "query",
        "on": "revenue",
        "closed": True,
        "ran": False,
        "refused": ["script-src-elem"],  # the one that this test tried
    }


def test_nothing_is_wider_than_a_phone(project: SampleProject) -> None:
    steps = """
    report.wide = [];
    report.narrow = window.innerWidth;
    for (const one of ["", "rule/orders", "rule/odd", "rules", "checks", "builds", "graph", "source/raw"]) {
      const hash = `#/${one}`; await go(hash);
      if (document.documentElement.scrollWidth > window.innerWidth) report.wide.push(hash);
    }
    const side = () => getComputedStyle(document.getElementById("side")).display;
    report.side = [side()];
    document.getElementById("menu").click(); report.side.push(side());
    """
    report = behaviour(project, steps, width=500)
    assert report["narrow"] <= 500
    assert (report["wide"], report["side"]) == ([], ["none", "block"])


def test_many_rules_open_with_what_the_first_view_needs(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", 60)
    steps = """
    report.loaded = loaded();
    report.elements = all("*").length < 3000;
    await go("#/graph"); report.boxes = all("#map .box").length;
    """
    report = behaviour(project, steps)
    assert report == {"refused": [], "loaded": [], "elements": True, "boxes": 65}
    index = (project.root / "site" / "data" / "index.js").stat().st_size
    assert index < 65 * 1500
