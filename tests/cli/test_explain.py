"""`rules explain` and `rules plan --explain`: a verdict with all that it was decided from, and what it begins with."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from support.inprocess import build, run
from support.projects import SampleProject


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    """orders → cleaned → totals → report, and days; built."""
    sample = SampleProject(tmp_path_factory.mktemp("built") / "p", sources=["orders"], toml="\n[vars]\nleast = 5\n")
    sample.parquet("orders", {"id": [1, 2, 3], "amount": [10, 20, 30], "day": [1, 1, 2], "note": ["a", "b", "c"]})
    sample.sql("cleaned", "SELECT o.id, o.amount, o.day FROM orders AS o WHERE o.amount >= $least")
    sample.write(
        "rules/totals.sql",
        '-- /// rule\n-- description = "A line a day"\n-- tags = ["daily"]\n-- key = ["day"]\n-- ///\n'
        "SELECT c.day, SUM(c.amount) AS total FROM cleaned AS c GROUP BY c.day\n",
    )
    sample.sql("report", "SELECT MAX(t.total) AS most FROM totals AS t")
    sample.sql("days", "SELECT COUNT(*) AS orders FROM cleaned AS c")
    build(sample)
    return sample


@pytest.fixture
def project(built: SampleProject, tmp_path: Path) -> SampleProject:
    copied = SampleProject.__new__(SampleProject)
    copied.root = tmp_path / "p"
    shutil.copytree(built.root, copied.root, symlinks=True)
    return copied


def explain(project: SampleProject, name: str, expect: int = 0) -> dict[str, Any]:
    return run(project, "explain", name, "--json", expect=expect).document


def causes(project: SampleProject) -> dict[str, list[dict[str, Any]]]:
    plan = run(project, "plan", "--explain", "--json").document
    return {product["name"]: product["causes"] for product in plan["products"] if "causes" in product}


def test_a_clean_product(project: SampleProject) -> None:
    found = explain(project, "totals")
    assert (found["verdict"], found["causes"]) == ("clean", [])
    assert found["reason"] == "the rule and everything it reads are unchanged"
    rule = found["rule"]
    assert (rule["path"], rule["description"], rule["tags"]) == ("rules/totals.sql", "A line a day", ["daily"])
    assert (rule["key"], rule["tier"], rule["volatile"]) == (["day"], 0, False)
    (read,) = found["inputs"]
    assert (read["name"], read["kind"], read["rows"]) == ("cleaned", "product", 3)
    assert (read["reads"], read["not_read"]) == (["amount", "day"], ["id"])
    assert set(read["digests"]) == {"amount", "day"}
    assert [(column["name"], column["type"]) for column in found["columns"]] == [("day", "int64"), ("total", "int64")]
    assert found["readers"] == [{"name": "report", "reads": ["total"]}]
    last = found["last"]
    assert (last["status"], last["rows"], last["present"]) == ("executed", 2, True)
    assert (last["key"], last["fingerprint"]) == (found["key"], found["fingerprint"])
    assert found["parts"]["columns"] == ["day", "total"]
    assert '"input"."cleaned"' in found["canonical_sql"]
    assert '"cleaned" AS "c"' in found["executed_sql"]


def test_what_a_reader_depends_on_is_in_its_key(project: SampleProject) -> None:
    columns = {column["name"]: column["digest"] for column in explain(project, "totals")["columns"]}
    (read,) = explain(project, "report")["inputs"]
    assert read["digests"] == {"total": columns["total"]}


def test_as_text(project: SampleProject) -> None:
    project.edit("rules/cleaned.sql", "o.amount,", "ABS(o.amount) AS amount,")
    text = run(project, "explain", "cleaned", "-v").stdout
    head, _, sql = text.partition("  canonical SQL:\n")
    assert head.startswith("cleaned\n  verdict:")
    facts = re.findall(r"^  (\w[\w ]*): +(.*)$", head, re.MULTILINE)
    assert len({match.end() for match in map(re.compile(r"  \w[\w ]*: +").match, head.splitlines()) if match}) == 1
    told = dict(facts)
    assert told["reason"] == "column amount: orders.amount → abs(orders.amount)"
    assert told["because"] == "← rules/cleaned.sql was edited: column amount: orders.amount → abs(orders.amount)"
    assert told["variables"] == "$least = 5"
    assert (told["input"], told["reads"]) == ("orders (source, 3 rows)", "amount, day, id")
    assert told["not read"] == "note"
    assert "  executed SQL:\n    SELECT\n" in sql


def test_text_leads_with_verdict_reads_and_readers(project: SampleProject) -> None:
    lines = run(project, "explain", "totals").stdout.splitlines()
    names = [line.partition(":")[0].strip() for line in lines if re.match(r"  \w[\w ]*:", line)]
    assert names[:7] == ["verdict", "reason", "input", "reads", "not read", "by parts", "readers"]
    assert {"fingerprint", "of", "action key", "artifact", "file", "canonical SQL", "executed SQL"}.isdisjoint(names)
    whole = run(project, "explain", "totals", "-v").stdout.splitlines()
    assert {" ".join(line.split()) for line in lines[:8]} <= {" ".join(line.split()) for line in whole}
    assert len(whole) > 2 * len(lines)


def test_many_columns_and_readers_are_counted(tmp_path: Path) -> None:
    sample = SampleProject(tmp_path / "p", sources=["raw"])
    names = [f"c{number:02}" for number in range(40)]
    sample.parquet("raw", {name: [1] for name in names})
    sample.sql("wide", f"SELECT {', '.join(f'r.{name}' for name in names)} FROM raw AS r")
    for name in names:
        sample.sql(f"of_{name}", f"SELECT w.{name} FROM wide AS w")
    text = run(sample, "explain", "wide").stdout
    assert len(text.splitlines()) < 60
    assert text.count("and 20 more") == 3
    whole = run(sample, "explain", "wide", "-v").stdout
    assert "more" not in whole
    assert all(f"of_{name} (never built on it)" in whole for name in names)


def test_a_product_that_was_never_built(project: SampleProject) -> None:
    project.sql("fresh", "SELECT r.most FROM report AS r")
    found = explain(project, "fresh")
    assert (found["verdict"], found["last"], found["evidence"]) == ("run", None, None)
    assert [cause["kind"] for cause in found["causes"]] == ["new"]
    assert explain(project, "report")["readers"] == [{"name": "fresh", "reads": None}]
    assert re.search("^  last build: +none yet$", run(project, "explain", "fresh").stdout, re.MULTILINE)


def test_a_chain_down_to_an_edit(project: SampleProject) -> None:
    project.edit("rules/cleaned.sql", "o.amount >=", "o.id > 1 AND o.amount >=")
    sentence = "WHERE: orders.id > 1 added"
    found = causes(project)
    assert set(found) == {"cleaned", "totals", "report", "days"}
    (cause,) = found["report"]
    assert [step["product"] for step in cause["steps"]] == ["totals", "cleaned"]
    assert cause == {
        **cause,
        "kind": "edit",
        "product": "cleaned",
        "sentences": [sentence],
        "path": "rules/cleaned.sql",
    }
    assert found["report"] == explain(project, "report")["causes"], "both commands tell the same"
    text = run(project, "plan", "--explain").stdout
    assert f"← totals ← cleaned ← rules/cleaned.sql was edited: {sentence}\n" in text
    assert "←" not in run(project, "plan").stdout
    assert "causes" not in run(project, "plan", "--json").document["products"][0]


def test_a_chain_of_columns(project: SampleProject) -> None:
    project.edit("rules/cleaned.sql", "o.amount,", "ABS(o.amount) AS amount,")
    found = causes(project)
    assert set(found) == {"cleaned", "totals", "report"}, "a count of rows does not depend on the column"
    text = run(project, "plan", "--explain", "-s", "+report").stdout
    change = "column amount: orders.amount → abs(orders.amount)"
    assert f"← totals.total ← cleaned.amount ← rules/cleaned.sql was edited: {change}\n" in text


def test_a_chain_down_to_a_source_column(project: SampleProject) -> None:
    project.parquet("orders", {"id": [1, 2, 3], "amount": [10, 20, 31], "day": [1, 1, 2], "note": ["x", "y", "z"]})
    (cause,) = causes(project)["report"]
    assert (cause["kind"], cause["sentences"]) == ("source", ["source orders.amount changed"])
    assert cause["steps"][-1]["product"] == "cleaned"


def test_a_variable_is_no_edit_of_the_file(project: SampleProject) -> None:
    project.edit("rules.toml", "least = 5", "least = 50")
    text = run(project, "plan", "--explain", "-s", "cleaned").stdout
    change = "WHERE: orders.amount >= 5 → orders.amount >= 50"
    assert f"← rules/cleaned.sql is unchanged, but means something else (see $least): {change}\n" in text


def test_what_was_built_alone_before(project: SampleProject) -> None:
    project.parquet("orders", {"id": [1, 2, 3], "amount": [10, 20, 31], "day": [1, 1, 2], "note": ["a", "b", "c"]})
    done = build(project, "-s", "cleaned").document
    found = causes(project)
    (cause,) = found["totals"]
    assert (cause["kind"], cause["steps"]) == ("earlier", [])
    assert cause["sentences"] == [f"cleaned.amount changed, in build {done['build']}"]
    assert [step["product"] for step in found["report"][0]["steps"]] == ["totals"]


def test_a_missing_object_and_force(project: SampleProject) -> None:
    artifact = explain(project, "days")["last"]["artifact"]
    (project.root / ".rules" / "objects" / artifact[:2] / f"{artifact[2:]}.parquet").unlink()
    found = explain(project, "days")
    assert [cause["kind"] for cause in found["causes"]] == ["missing"]
    assert found["last"]["present"] is False
    forced = run(project, "plan", "--explain", "--json", "--force", "report").document["products"]
    kinds = {product["name"]: [cause["kind"] for cause in product.get("causes", [])] for product in forced}
    assert kinds == {"cleaned": [], "totals": [], "days": ["missing"], "report": ["forced"]}


def test_errors(project: SampleProject) -> None:
    error = explain(project, "totls", expect=2)["error"]
    assert (error["code"], error["hint"]) == ("unknown-product", "did you mean 'totals'?")
    assert explain(project, "orders", expect=2)["error"]["code"] == "unknown-product", "a source is no product"
    project.edit("rules/cleaned.sql", "o.day", "o.nope")
    assert explain(project, "report", expect=1)["error"]["where"].startswith("rules/cleaned.sql:")


def test_the_evidence_of_a_failed_run(project: SampleProject) -> None:
    project.edit("rules/days.sql", "COUNT(*)", "COUNT(*) / (COUNT(*) - 3)")
    build(project, "-s", "days", expect=1)
    found = explain(project, "days")
    assert (found["verdict"], found["last"]["status"]) == ("run", "failed")
    assert found["last"]["rows"] == 1, "the last committed state stands"
    assert "COUNT(*)" in Path(found["evidence"]).read_text(encoding="utf-8")


def test_how_inputs_are_read_by_parts(project: SampleProject) -> None:
    found = explain(project, "totals")
    assert found["reading"] == {"cleaned": "mergeable"}
    assert "merged where no two parts share a value of day." in found["reading_reason"]["cleaned"]
    assert explain(project, "cleaned")["reading"] == {"orders": "part-wise"}
    text = run(project, "explain", "report").stdout
    assert re.search(r"by parts: +mergeable: Aggregates of its parts are merged\.", text)


def test_what_is_volatile_is_read_whole(project: SampleProject) -> None:
    project.sql("drawn", "-- /// rule\n-- volatile = true\n-- ///\nSELECT c.id, random() AS x FROM cleaned AS c")
    found = explain(project, "drawn")
    assert found["reading"] == {"cleaned": "whole"}
    assert found["reading_reason"]["cleaned"].endswith("in every run.")


def test_variables_are_those_that_a_rule_names(project: SampleProject) -> None:
    """Nobody knows which variables a rule in Python asks for, so none is listed."""
    project.write("rules/late.py", "from rules import rule\n\n@rule\ndef late(totals):\n    return totals\n")
    assert "  variables:   $least = 5\n" in run(project, "explain", "cleaned").stdout
    assert "variables:" not in run(project, "explain", "late").stdout
    assert explain(project, "cleaned")["rule"]["variables"] == {"least": 5}
    assert explain(project, "late")["rule"]["variables"] == {}
