"""Evidence: what a build keeps of each execution, how it is shown, and that it is bounded and holds no secret."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from cache.index import Index
from rules.running import evidence
from support.inprocess import build, run
from support.projects import SampleProject

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "manifest.schema.json").read_text())
ORDERS = {"id": [1, 2, 3, 4], "amount": [10, 20, 30, 40], "day": [1, 1, 2, 2], "note": ["a", "b", "c", "d"]}


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "p", sources=["orders"])
    sample.parquet("orders", ORDERS)
    sample.sql("large", "SELECT o.id, o.amount, o.day FROM orders AS o WHERE o.amount > 10  -- as written")
    sample.sql("totals", "SELECT l.day, SUM(l.amount) AS total FROM large AS l GROUP BY l.day")
    return sample


def folders(project: SampleProject) -> list[Path]:
    place = project.root / ".rules" / "evidence"
    return sorted(place.iterdir(), key=lambda path: path.stat().st_mtime_ns) if place.is_dir() else []


def manifest(project: SampleProject) -> dict[str, Any]:
    """Return the manifest of the latest build, which must have the form that is promised."""
    found: dict[str, Any] = json.loads((folders(project)[-1] / "manifest.json").read_text())
    jsonschema.validate(found, SCHEMA, format_checker=jsonschema.FormatChecker())
    return found


def test_the_manifest_of_a_build(project: SampleProject) -> None:
    built = build(project).document
    found = manifest(project)
    assert (found["build"], found["status"], found["summary"]) == (built["build"], "ok", built["summary"])
    products = {one["name"]: one for one in found["products"]}
    for told in built["products"]:
        assert {name: products[told["name"]][name] for name in ("artifact", "key", "fingerprint", "rows", "bytes")} == {
            name: told[name] for name in ("artifact", "key", "fingerprint", "rows", "bytes")
        }
    assert [(one["name"], set(one["digests"])) for one in products["totals"]["inputs"]] == [
        ("large", {"amount", "day"})
    ]
    assert [(one["name"], one["rows"], set(one["digests"])) for one in found["sources"]] == [
        ("orders", 4, {"amount", "day", "id"})
    ]
    assert len(found["engine"]["settings"]) > 150
    assert found["engine"]["settings"]["datafusion.execution.target_partitions"] == "1"
    assert found["engine"]["feature_flags"]["datafusion.optimizer.enable_topk_aggregation"] is False
    assert (found["versions"]["datafusion"], found["versions"]["datafusion core"]) == ("55.0.0", "55.2.0")


def test_a_build_that_does_nothing_keeps_nothing(project: SampleProject) -> None:
    build(project)
    before = folders(project)
    run(project, "build")
    build(project, "-s", "totals", "--evidence", "full")
    assert folders(project) == before


def test_a_restored_product_is_in_the_manifest_and_was_not_run(project: SampleProject) -> None:
    build(project)
    project.edit("rules/large.sql", "> 10", "> 20")
    build(project)
    project.edit("rules/large.sql", "> 20", "> 10")
    build(project)
    found = manifest(project)
    assert {one["name"]: one["status"] for one in found["products"]} == {"large": "restored", "totals": "restored"}
    assert (found["engine"]["settings"], "inputs" in found["products"][0]) == ({}, False)


def test_metrics_are_of_the_very_execution(project: SampleProject) -> None:
    built = build(project).document
    found = run(project, "explain", "totals", "--metrics", "--json").document
    assert (found["build"], found["rows"]) == (built["build"], 2)
    operators = found["operators"]
    assert [one["depth"] for one in operators] == list(range(len(operators)))
    scan, top = operators[-1], operators[0]
    assert (scan["operator"], scan["rows"], top["rows"]) == ("DataSourceExec", 3, 2)
    assert any(one["operator"] == "AggregateExec" and one["rows"] == 2 for one in operators)
    assert all(one["seconds"] >= 0 and one["spilled_bytes"] == 0 for one in operators)
    assert sum(one["share"] for one in operators) == pytest.approx(1, abs=0.01)
    project.edit("rules/large.sql", "> 10", "> 30")
    build(project)
    assert run(project, "explain", "totals", "--metrics", "--json").document["operators"][-1]["rows"] == 1


def test_a_person_can_read_the_metrics_and_the_plan(project: SampleProject) -> None:
    build(project)
    title, _, header, *lines = run(project, "explain", "totals", "--metrics").stdout.splitlines()
    assert re.fullmatch(r"totals: 2 rows in [0-9.]+ s, build \S+", title)
    assert header.split() == ["time", "share", "rows", "operator"]
    assert re.fullmatch(r" +[0-9.]+ s +\d+% +3 +DataSourceExec: file_groups=.*", lines[-3])
    assert lines[-1].startswith("  planning ")
    plan = run(project, "explain", "totals", "--plan").stdout.splitlines()
    assert plan[2] == "physical plan:"
    assert "  DataSourceExec: " in plan[-1]


@pytest.mark.slow
def test_a_spill_is_marked(tmp_path: Path) -> None:
    tight = "\n[profiles.memory_tight]\nmemory_limit_mb = 64\n"
    project = SampleProject(tmp_path / "p", sources=["t"], toml=tight)
    numbers = np.random.default_rng(0).integers(0, 1 << 60, 1_000_000)
    project.parquet("t", {"i": numbers, "j": numbers[::-1]})
    project.sql("ranked", "SELECT t.i, ROW_NUMBER() OVER (ORDER BY t.j, t.i) AS place FROM t AS t")
    build(project, "--profile", "memory_tight")
    found = run(project, "explain", "ranked", "--metrics", "--json").document
    spilled = [one for one in found["operators"] if one["spills"]]
    assert [one["operator"] for one in spilled] == ["SortExec"]
    assert found["spilled_bytes"] == spilled[0]["spilled_bytes"] > 1_000_000
    (product,) = manifest(project)["products"]
    assert (product["spilled_bytes"], product["spills"]) == (found["spilled_bytes"], spilled[0]["spills"])
    assert re.search(r"[0-9]+ MiB in \d+ files? +SortExec", run(project, "explain", "ranked", "--metrics").stdout)


def test_full_evidence_has_each_form_of_the_query(project: SampleProject) -> None:
    build(project, "--evidence", "full")
    found = run(project, "explain", "large", "--evidence", "--json").document
    assert "-- as written" in found["authored"]
    assert "10 <" in found["canonical_sql"]
    assert '"input"."orders"' in found["executed_sql"]
    assert set(found["plans"]) == {"logical plan", "optimised logical plan", "physical plan"}
    folder = folders(project)[-1] / "large"
    assert {Path(name).parent for name in found["files"]} == {folder}
    assert (folder / "plan.substrait").stat().st_size > 100
    counted = json.loads((folder / "metrics.json").read_text())
    assert {one["name"] for one in counted[-1]["metrics"]} >= {"output_rows", "time_elapsed_processing"}
    kept = json.loads((folder / "settings.json").read_text())
    assert kept["settings"] == found["settings"]
    assert "executed SQL:" in run(project, "explain", "large", "--evidence").stdout


def test_without_evidence_only_what_failed_is_kept(project: SampleProject) -> None:
    project.sql("wrong", "SELECT l.id / (l.id - 2) AS n FROM large AS l")
    build(project, "--evidence", "none", "-k", expect=1)
    assert [path.name for path in folders(project)[-1].iterdir()] == ["wrong"]
    error = run(project, "explain", "totals", "--metrics", "--json", expect=1).document["error"]
    assert error["message"].startswith("nothing is kept of the last execution of totals, in build ")
    error = run(project, "explain", "wrong", "--plan", "--json", expect=1).document["error"]
    assert error["message"] == "wrong was never executed in this project"
    error = run(project, "explain", "totls", "--plan", "--json", expect=2).document["error"]
    assert (error["code"], error["hint"]) == ("unknown-product", "did you mean 'totals'?")


def test_a_failed_product_is_in_the_manifest(project: SampleProject) -> None:
    project.sql("wrong", "SELECT l.id / (l.id - 2) AS n FROM large AS l")
    build(project, "-k", expect=1)
    found = manifest(project)
    (product,) = (one for one in found["products"] if one["name"] == "wrong")
    assert (found["status"], product["status"], product["evidence"]) == ("failed", "failed", "wrong")
    assert product["error"]["code"] == "execution"


def test_what_an_audit_runs_again_is_no_execution(project: SampleProject) -> None:
    build(project)
    before = folders(project)
    run(project, "audit")
    assert folders(project) == before


def test_no_secret_is_kept(project: SampleProject) -> None:
    project.sql("linked", "SELECT 'https://me:hunter2@host/x?token=abc' || o.note AS link FROM orders AS o")
    project.sql("day", "SELECT o.day FROM orders AS o")
    project.sql("found", "SELECT o.id FROM orders AS o WHERE o.note <> 'https://me:hunter2@host/x?token=abc'")
    project.sql("wrong", "SELECT CAST('https://me:hunter2@host/' || o.note AS INT) AS n FROM orders AS o")
    build(project, "--evidence", "full", "-k", expect=1)
    kept = [path for path in folders(project)[-1].rglob("*") if path.is_file()]
    assert {path.name for path in kept} >= {"plan.substrait", "products.jsonl", "physical.txt", "error.txt"}
    assert {path.parent.name for path in kept if path.name == "plan.substrait"} == {"day", "large", "totals"}
    for path in kept:
        assert b"hunter2" not in path.read_bytes(), path
        assert b"token=abc" not in path.read_bytes(), path


def test_it_is_bounded(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    literals = ", ".join(f"'{number:0100}'" for number in range(500))
    project.sql("listed", f"SELECT o.id FROM orders AS o WHERE o.note NOT IN ({literals})")
    monkeypatch.setattr(evidence, "KEPT_BUILDS", 3)
    for number in range(5):
        build(project, "--force", "listed" if number == 4 else "large")
    (project.root / ".rules" / "evidence" / "mine.txt").write_text("of a person")
    build(project, "--force", "large")
    kept = [path for path in folders(project) if path.is_dir()]
    assert len(kept) == 3
    assert kept[-1].name == build_names(project)[0]
    assert (project.root / ".rules" / "evidence" / "mine.txt").exists()
    (line,) = (kept[-2] / "products.jsonl").read_bytes().splitlines()
    assert len(line) < 40_000
    assert json.loads(line)["sql"].endswith("more characters, which are not kept")
    monkeypatch.setattr(evidence, "_KEPT_BYTES", 100)
    build(project, "--force", "large", "--evidence", "full")
    assert [path.name for path in folders(project) if path.is_dir()] == build_names(project)[:1]


def build_names(project: SampleProject) -> list[str]:
    with Index(project.root / ".rules" / "index.sqlite") as index:
        return [build for build, *_ in index.builds(99)]


def test_a_damaged_line_is_no_evidence(project: SampleProject) -> None:
    build(project)
    lines = folders(project)[-1] / "products.jsonl"
    lines.write_bytes(lines.read_bytes()[:-20])
    (folders(project)[-1] / "manifest.json").write_text("{")
    error = run(project, "explain", "totals", "--metrics", "--json", expect=1).document["error"]
    assert error["code"] == "no-evidence"
    assert run(project, "explain", "large", "--evidence", "--json").document["settings"] == {}


def test_a_rule_over_streams_has_no_plan(project: SampleProject) -> None:
    project.write(
        "rules/stream.py",
        "import pyarrow as pa\nfrom rules import rule\n\n@rule(engine='arrow', output=pa.schema([('n', pa.int64())]))\n"
        "def counted(orders):\n    for batch in orders:\n"
        "        yield pa.record_batch({'n': pa.array([batch.num_rows], pa.int64())})\n",
    )
    build(project)
    assert "is run by Python" in run(project, "explain", "counted", "--metrics").stdout
    assert run(project, "explain", "counted", "--metrics", "--json").document["operators"] == []
