"""`rules audit` and `rules build --audit`: a wrong artifact behind a skipped product is found, and nothing else is."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.checked import CHECKS, checked_project, failing, rows
from support.inprocess import build, run
from support.projects import SampleProject
from support.stale import make_stale

RULES = {
    "paid": "SELECT id, status, amount FROM orders WHERE status <> 'open'",
    "totals": "SELECT status, SUM(amount) AS total FROM paid GROUP BY status",
    "large": "SELECT id, amount FROM paid WHERE amount > 5",
    "both": "SELECT id FROM large UNION ALL SELECT id FROM paid",
    "ranked": "SELECT id, ROW_NUMBER() OVER (ORDER BY amount, id) AS place FROM orders",
}


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = SampleProject(tmp_path / "project", sources=["orders"])
    statuses = ["paid", "open", "held", "paid", "held"]
    project.parquet("orders", {"id": [1, 2, 3, 4, 5], "status": statuses, "amount": [3, 9, 7, 8, 1]})
    for name, sql in RULES.items():
        project.sql(name, sql)
    build(project)
    return project


@pytest.mark.slow
def test_an_honest_store_passes(project: SampleProject) -> None:
    document = project.json("audit")
    assert document["status"] == "ok"
    assert document["checked"] == sorted(RULES, key=document["checked"].index)
    assert document["differing"] == []
    text = run(project, "audit", "--sample", "40%").stdout
    assert text.strip() == "audit: 2 skipped products run again; every result is the same"


def test_a_build_audits_a_share_of_what_it_skips(project: SampleProject) -> None:
    project.edit("rules/paid.sql", "<> 'open'", "<> 'open' AND id > 0")
    document = build(project, "--audit", "0.5").document
    assert [product["name"] for product in document["products"] if product["status"] == "executed"] == ["paid"]
    assert len(document["audit"]["checked"]) == 2
    assert "paid" not in document["audit"]["checked"]
    assert len(build(project, "--audit", "all").document["audit"]["checked"]) == len(RULES)
    assert run(project, "build").stdout.startswith("nothing to do")


def test_a_stale_product_is_found(project: SampleProject) -> None:
    make_stale(project, "paid")
    assert build(project).executed, "its readers read what changed"
    assert run(project, "build").stdout.startswith("nothing to do")
    done = run(project, "build", "--audit", "100%", expect=1)
    assert "error: the result of paid is not what its rule yields" in done.stderr
    assert "other values in" in done.stderr
    document = run(project, "audit", "--json", expect=1).document
    assert [entry["name"] for entry in document["differing"]] == ["paid"]
    build(project, "--force", "paid")
    assert run(project, "audit", "--json").document["differing"] == []


@pytest.mark.slow
def test_row_groups_are_named_where_they_may_be_the_reason(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "project", sources=["t"])
    table = pa.table({"x": [((n * 7919) % 1000) * 10.0 ** (n % 9 - 4) for n in range(20_000)]})
    path = project.parquet("t", {"x": []})
    pq.write_table(table, path, row_group_size=777)
    project.sql("total", "SELECT SUM(x) AS total FROM t")
    build(project)
    pq.write_table(table, path, row_group_size=5000)
    assert run(project, "build").stdout.startswith("nothing to do")
    done = run(project, "audit", expect=1)
    assert "the result of total is not what its rule yields: run again it has other values in total" in done.stderr
    assert "if the files of t were written again with equal values in other row groups" in done.stderr
    assert build(project, "--force", "total").executed == {"total"}
    assert project.json("audit")["differing"] == []


@pytest.mark.parametrize("share", ["0", "101%", "many", "-1", "1.5"])
def test_a_share_is_checked(project: SampleProject, share: str) -> None:
    done = run(project, "audit", f"--sample={share}", expect=2)
    assert "must be a share such as 5%" in done.stderr


@pytest.mark.slow
def test_skipped_checks_are_run_again_too(tmp_path: Path) -> None:
    project = checked_project(tmp_path / "checked")
    build(project)
    assert set(project.json("audit")["checked"]) == {"customers", "orders", "totals", *CHECKS}
    told = run(project, "audit").stdout.strip()
    assert told == "audit: 3 skipped products and 5 skipped checks run again; every result is the same"
    forget_failure(project, "orders.small")
    assert run(project, "build").stdout.startswith("nothing to do")
    for command in (["audit"], ["build", "--audit", "100%"]):
        done = run(project, *command, expect=1)
        assert (
            "the result of orders.small is not what its check yields: run again it has 1 row instead of 0"
            in done.stderr
        )
        assert "rules build --force orders " in done.stderr
    assert failing(build(project, "--force", "orders")) == {"orders.small"}
    assert project.json("audit")["differing"] == []


def forget_failure(project: SampleProject, check: str) -> None:
    """Let a check fail, and its stored result say that it did not."""
    rows(project, amount=[10, 20, 300])
    assert failing(build(project)) == {check}
    with contextlib.closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as index, index:
        (failed,) = index.execute("SELECT artifact FROM products WHERE name = ?", (check,)).fetchone()
        (columns,) = index.execute("SELECT columns FROM artifacts WHERE artifact = ?", (failed,)).fetchone()
        none = "SELECT artifact FROM artifacts WHERE rows = 0 AND json_array_length(columns) IS json_array_length(?)"
        (passed,) = index.execute(none + " AND columns LIKE '%amount%'", (columns,)).fetchone()
        for table in ("products", "actions"):
            index.execute(f"UPDATE {table} SET artifact = ? WHERE artifact = ?", (passed, failed))
        index.execute("DELETE FROM snapshots")
