"""What goes wrong while a build runs, or around it: data, sources, disk, permissions, signals. Nothing is lost."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from compiler.engine_errors.planning import INTERNALS
from support.beside import started, wait_for
from support.projects import RULES, SampleProject
from support.refusals import MARK, orders_project, place_of_mark, refused, require_kept, run_here


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    return orders_project(tmp_path)


RUNTIME = {
    "cast": ("SELECT o.amount, CAST(«o.code AS INT) AS n FROM orders AS o", "'x' is not a value of INT", "TRY_CAST"),
    "one of two casts": (
        "SELECT CAST(o.order_id AS TEXT) AS t,\n  CAST(«o.code AS DATE) AS n FROM orders AS o",
        "is not a value of DATE",
        "TRY_CAST(… AS DATE)",
    ),
    "either of two casts": (
        "SELECT CAST(o.code AS INT) AS n FROM orders AS o WHERE CAST(o.code AS INT) > 0",
        "'x' is not a value of INT",
        "TRY_CAST(… AS INT)",
    ),
    "a cast that nobody wrote": (
        "SELECT o.order_id AS n FROM orders AS o WHERE o.code > 1",
        "'x' is not a value of BIGINT",
        "if types differ, one side is cast",
    ),
    "timestamp": ("SELECT CAST(«o.code AS TIMESTAMP) AS n FROM orders AS o", "is not a value of TIMESTAMP", "TRY_CAST"),
    "too large": (
        "SELECT CAST(«o.order_id * 1000 AS TINYINT) AS n FROM orders AS o",
        "'1000' is not a value of TINYINT",
        "TRY_CAST",
    ),
    "division": ("SELECT «o.order_id / (o.order_id - 1) AS n FROM orders AS o", "division by zero", "NULLIF"),
    "several rows": (
        "SELECT (SELECT «o.order_id FROM orders AS o) AS n FROM customers AS c",
        "a scalar subquery returns several rows",
        "aggregate inside it",
    ),
    "a frame that moves": (
        "SELECT «string_agg(o.code, ',') OVER (ORDER BY o.order_id ROWS 1 PRECEDING) AS n FROM orders AS o",
        "'string_agg' cannot be computed over a frame whose first row moves",
        "UNBOUNDED PRECEDING",
    ),
    "a function's own": ("SELECT substr(o.code, 1, -1) AS n FROM orders AS o", "negative count not allowed: -1", None),
}  # fmt: skip


@pytest.mark.parametrize("case", RUNTIME)
def test_failed_product_stops_its_readers_alone(project: SampleProject, case: str) -> None:
    sql, message, hint = RUNTIME[case]
    place = ":{}:{}".format(*place_of_mark(sql)) if MARK in sql else ""
    project.sql("failing", sql.replace(MARK, ""))
    project.sql("reader", "SELECT f.n FROM failing AS f")
    project.sql("reader_of_reader", "SELECT r.n, r.n AS m FROM reader AS r")
    project.sql("other", "SELECT o.amount FROM orders AS o")
    document = project.build("-k", expect=1)
    assert document["status"] == "failed"
    assert project.statuses(document) == {
        "failing": "failed", "fine": "clean", "other": "executed", "reader": "skipped", "reader_of_reader": "skipped",
    }  # fmt: skip
    results = {product["name"]: product for product in document["products"]}
    assert message in results["failing"]["error"]["message"]
    assert results["failing"]["error"]["where"] == f"rules/failing.sql{place}"
    assert (hint or "") in (results["failing"]["error"]["hint"] or "")
    assert not INTERNALS.search(str(results["failing"]["error"]["message"]))
    assert "failing" in results["reader"]["reason"]
    assert "reader" in results["reader_of_reader"]["reason"]
    require_kept(project)
    text = run_here(project, "build", "-k")
    assert text.code == 1
    assert f"error: {results['failing']['error']['message']}" in text.err
    assert "Traceback" not in text.err
    project.sql("failing", "SELECT o.order_id AS n FROM orders AS o")
    assert project.executed(project.build()) == {"failing", "reader", "reader_of_reader"}


def test_rule_that_does_not_compile_stops_its_readers_alone(project: SampleProject) -> None:
    project.sql("failing", "SELECT amout FROM orders")
    project.sql("reader", "SELECT f.amout FROM failing AS f")
    project.sql("other", "SELECT o.amount FROM orders AS o")
    document = project.build("-k", expect=1)
    statuses = project.statuses(document)
    assert statuses == {"failing": "failed", "fine": "clean", "other": "executed", "reader": "skipped"}
    assert document["products"][0]["error"]["where"] == "rules/failing.sql:1:8"


@pytest.mark.slow
def test_source_that_vanishes_during_the_build(project: SampleProject) -> None:
    """The engine would read a file that is not there as an empty table."""
    some = "s.v % 7 = (SELECT MIN(o.order_id) FROM orders AS o)"
    project.sql("early", f"SELECT COUNT(*) AS n FROM generate_series(1, 60000000) AS s(v) WHERE {some}")
    project.sql("late", "SELECT e.n, c.name FROM early AS e CROSS JOIN customers AS c")
    with started(project, "build", "--json", "-j", "1", "-v") as build:
        wait_for(build, "running  early")
        (project.root / "data" / "customers.parquet").unlink()
        out, err = build.communicate(timeout=120)
    assert build.returncode == 1, err
    results = {product["name"]: product for product in json.loads(out)["products"]}
    assert results["early"]["status"] == "executed"
    assert results["late"]["status"] == "failed"
    assert results["late"]["error"]["where"] == "data/customers.parquet"
    require_kept(project)


@pytest.mark.parametrize("command", ["build", "plan", "ls", "show"])
def test_store_that_is_a_file(project: SampleProject, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RULES_STORE", str(project.write("a_file", "x")))
    refusal = refused(project, command, *(["fine"] if command == "show" else []))
    assert refusal.code == "store"
    assert str(project.root / "a_file") in refusal.message


@pytest.mark.slow
@pytest.mark.parametrize("limit", [0, 20_000, 200_000])
def test_full_disk(project: SampleProject, limit: int) -> None:
    """No file may grow beyond `limit` bytes: the index, a log, or the product, as the case may be."""
    rows = 200_000
    project.parquet(
        "customers", {"customer_id": list(range(rows)), "name": [f"{n * 7919 % 1_000_003}" for n in range(rows)]}
    )
    project.sql("large", "SELECT c.customer_id, c.name FROM customers AS c")

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [RULES, "build", "--json"],
        cwd=project.root,
        capture_output=True,
        text=True,
        preexec_fn=limited,
        check=False,
        timeout=120,
    )
    assert done.returncode in {1, 2}, done.stderr
    assert "Traceback" not in done.stderr
    document = json.loads(done.stdout)
    error = document.get("error") or next(product["error"] for product in document["products"] if "error" in product)
    assert error["code"] in {"store", "execution"}
    require_kept(project)
    assert run_here(project, "show", "fine").code == 0
    assert project.executed(project.build()) == {"large"}


@pytest.mark.parametrize("built", [True, False])
def test_folder_that_cannot_be_written(tmp_path: Path, built: bool) -> None:
    """Also root cannot write to a file system that is mounted read-only."""
    project = orders_project(tmp_path)
    if not built:
        shutil.rmtree(project.root / ".rules")
    project.sql("more", "SELECT o.amount FROM orders AS o")
    script = f'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && exec "{RULES}" build --json'
    probe = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"'
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        pytest.skip("needs root and unshare for a read-only mount of its own")
    if subprocess.run([unshare, "-m", "sh", "-c", probe, project.root], capture_output=True, check=False).returncode:
        pytest.skip("this system does not let a process mount")
    done = subprocess.run(
        [unshare, "-m", "sh", "-c", script, project.root], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode in {1, 2}, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "store"
    if built:
        require_kept(project)
    assert project.build()["status"] == "ok"


SELECTORS = {
    "product": (("build", "-s", "fne"), "unknown product 'fne'", "did you mean 'fine'?"),
    "method": (("plan", "-s", "tags:x"), "unknown selection method 'tags'", "did you mean 'tag'?"),
    "shown product": (("show", "fin"), "unknown product 'fin'", "did you mean 'fine'?"),
}


@pytest.mark.parametrize("case", SELECTORS)
def test_unknown_names_come_with_a_suggestion(project: SampleProject, case: str) -> None:
    arguments, message, hint = SELECTORS[case]
    refusal = refused(project, *arguments)
    assert (refusal.exit_code, refusal.message, refusal.hint) == (2, message, hint)


@pytest.mark.parametrize(
    "arguments",
    [
        ("build", "-j", "0"),
        ("build", "-j", "x"),
        ("show", "fine", "-n", "x"),
        ("show", "fine", "--format", "xml"),
        ("build", "--nix"),
    ],
)
def test_bad_values_of_options(project: SampleProject, arguments: tuple[str, ...]) -> None:
    refusal = refused(project, *arguments)
    assert refusal.exit_code == 2
    assert arguments[-1] in refusal.message


def test_product_of_the_last_build_is_read_while_the_rule_is_broken(project: SampleProject) -> None:
    project.sql("fine", "SELECT")
    assert refused(project, "build").where == "rules/fine.sql:1:1"
    assert "order_id" in run_here(project, "show", "fine").out
    assert pq.read_metadata(project.root / ".rules" / "products" / "fine.parquet").num_rows == 3
