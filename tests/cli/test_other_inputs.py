"""A rule that reads another input of the same shape: plan, diff, explain and log say so, and foresee what that reaches."""

# ruff: noqa: E501 — queries stand on one line

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.inprocess import build, run
from support.projects import SampleProject

T = {"k": [1, 2, 3], "v": [10, 20, 30]}
SOURCES = {"t": T, "u": {"k": [2, 3, 4, 5], "v": [5, 6, 7, 8]}, "same": T, "other": {"k": [1, 9], "v": [0, 1]}}


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = SampleProject(tmp_path / "project", sources=SOURCES)
    for name, columns in SOURCES.items():
        project.parquet(name, columns)
    return project


def planned(project: SampleProject, name: str) -> dict[str, Any]:
    return next(one for one in run(project, "plan", "--json").document["products"] if one["name"] == name)


def told_alike(project: SampleProject, name: str) -> dict[str, Any]:
    """Assert that plan, diff, explain, build and log agree about an edited rule; return what plan says of it."""
    plan = planned(project, name)
    verdicts = {one["name"]: one["verdict"] for one in run(project, "plan", "--json").document["products"]}
    (edited,) = [one for one in run(project, "diff", "--json").document["rules"] if one["name"] == name]
    assert (edited["class"], edited["columns"]) == (plan["class"], plan["columns"])
    assert edited["edit"] == plan["edit"]
    sentence = edited["edits"][0]
    explained = run(project, "explain", name, "--json").document
    assert explained["reason"] == plan["reason"]
    assert plan["reason"].startswith(sentence)
    if plan["verdict"] != "clean":
        assert [one["sentences"] for one in explained["causes"] if one["kind"] == "edit"] == [edited["edits"]]
    done = build(project).document
    assert SampleProject.executed(done) <= {one for one, verdict in verdicts.items() if verdict in {"run", "maybe"}}
    product = next(one for one in done["products"] if one["name"] == name)
    assert product["reason"].startswith(sentence)
    assert any(product["reason"] in line for line in run(project, "log", done["build"]).stdout.splitlines())
    assert run(project, "build").stdout.startswith("nothing to do")
    assert run(project, "diff", "--json").document["rules"] == []
    return plan


QUERIES = {
    "from": ("SELECT x.k, x.v FROM t AS x", ("t", "u"), "row"),
    "count": ("SELECT COUNT(*) AS n FROM t", ("t", "u"), "row"),
    "join": ("SELECT a.k, b.v FROM other AS a LEFT JOIN t AS b ON a.k = b.k", ("t", "u"), "row"),
    "one_of_three": ("SELECT a.k, b.v, c.v AS w FROM other AS a, t AS b, same AS c WHERE a.k = b.k", ("t", "u"), "row"),
    "derived_table": ("SELECT q.k FROM (SELECT x.k FROM t AS x ORDER BY x.k LIMIT 2) AS q", ("t", "u"), "row"),
    "cte": ("WITH c AS (SELECT x.k, COUNT(*) AS n FROM t AS x GROUP BY x.k) SELECT c.n FROM c", ("t", "u"), "row"),
    "exists": ("SELECT a.k FROM other AS a WHERE EXISTS (SELECT 1 FROM t WHERE t.k = a.k)", ("FROM t WHERE t.k", "FROM u WHERE u.k"), "row"),
    "in": ("SELECT a.k FROM other AS a WHERE a.k IN (SELECT x.k FROM t AS x)", ("t", "u"), "row"),
    "branch": ("SELECT a.k FROM other AS a UNION ALL SELECT x.k FROM t AS x", ("t", "u"), "row"),
    "scalar_subquery": ("SELECT a.k, (SELECT MAX(x.v) FROM t AS x) AS most FROM other AS a", ("t", "u"), "column"),
}  # fmt: skip


@pytest.mark.parametrize("name", QUERIES)
def test_another_input_of_the_same_shape(project: SampleProject, name: str) -> None:
    sql, edit, reaches = QUERIES[name]
    old, new = edit if " " in edit[0] else (f" {edit[0]} ", f" {edit[1]} ")
    sql += " "
    project.sql("r", sql)
    project.sql("reader", "SELECT COUNT(*) AS n FROM r")
    build(project)
    assert old in sql
    project.sql("r", sql.replace(old, new))
    plan = told_alike(project, "r")
    assert (plan["verdict"], plan["reason"], plan["class"]) == ("run", "FROM: t → u", reaches)
    assert plan["columns"] == (["most"] if reaches == "column" else sorted(plan["columns"]))
    assert "FROM" in plan["edit"]["clauses"]


def test_it_is_no_change_of_the_data(project: SampleProject) -> None:
    project.sql("r", QUERIES["from"][0])
    build(project)
    project.sql("r", "SELECT x.k, x.v FROM u AS x")
    text = run(project, "plan", "--explain").stdout
    assert "which changed" not in text
    assert "← rules/r.sql was edited: FROM: t → u" in text
    assert "source" not in text


def test_a_table_that_reads_the_same_executes_nothing(project: SampleProject) -> None:
    project.sql("r", QUERIES["from"][0])
    project.sql("reader", "SELECT COUNT(*) AS n FROM r")
    build(project)
    project.sql("r", "SELECT x.k, x.v FROM same AS x")
    plan = planned(project, "r")
    assert (plan["verdict"], plan["reason"]) == (
        "clean", "FROM: t → same, but it reads the same data there as before"
    )  # fmt: skip
    assert planned(project, "reader")["verdict"] == "clean"
    told_alike(project, "r")
    assert build(project).executed == set()


def test_what_was_built_of_it_before_is_restored(project: SampleProject) -> None:
    project.sql("r", QUERIES["from"][0])
    build(project)
    project.sql("r", "SELECT x.k, x.v FROM u AS x")
    build(project)
    project.sql("r", QUERIES["from"][0])
    assert planned(project, "r")["reason"] == "FROM: u → t; an earlier build computed the same"
    assert planned(project, "r")["verdict"] == "restore"
    told_alike(project, "r")


SWAPS = {
    "outer_join": ("SELECT a.k, b.v FROM {} AS a LEFT JOIN {} AS b ON a.k = b.k", "row"),
    "scalar_subqueries": ("SELECT (SELECT MAX(a.v) FROM {} AS a) AS x, (SELECT MIN(b.v) FROM {} AS b) AS y", "column"),
    "except": ("SELECT a.k FROM {} AS a EXCEPT SELECT b.k FROM {} AS b", "row"),
}


@pytest.mark.parametrize("name", SWAPS)
def test_inputs_that_changed_places(project: SampleProject, name: str) -> None:
    sql, reaches = SWAPS[name]
    project.sql("r", sql.format("t", "u"))
    project.sql("reader", "SELECT r.* FROM r")
    build(project)
    project.sql("r", sql.format("u", "t"))
    assert planned(project, "reader")["verdict"] == "maybe", "nothing of r is known to stay"
    plan = told_alike(project, "r")
    assert (plan["reason"], plan["class"]) == ("FROM: t → u, u → t", reaches)


def test_inner_joined_inputs_that_changed_places_mean_the_same(project: SampleProject) -> None:
    sql = "SELECT {0}.k, {1}.v FROM {2} JOIN {3} ON {0}.k = {1}.k"
    project.sql("r", sql.format("t", "u", "t", "u"))
    build(project)
    project.sql("r", sql.format("t", "u", "u", "t"))
    assert (planned(project, "r")["verdict"], planned(project, "r")["class"]) == ("clean", "cosmetic")


def test_a_self_join_that_became_a_join_of_two_tables(project: SampleProject) -> None:
    sql = "SELECT a.k, b.v FROM t AS a LEFT JOIN {} AS b ON a.k = b.k WHERE a.v > 5"
    project.sql("r", sql.format("t"))
    build(project)
    project.sql("r", sql.format("u"))
    plan = told_alike(project, "r")
    assert (plan["verdict"], plan["reason"], plan["class"]) == ("run", "FROM: t → u", "row")
    project.sql("r", sql.format("t"))
    assert planned(project, "r")["reason"].startswith("FROM: u → t")


def test_another_edit_besides(project: SampleProject) -> None:
    project.sql("r", "SELECT x.k, x.v FROM t AS x WHERE x.k > 1")
    build(project)
    project.sql("r", "SELECT x.k, x.v FROM u AS x WHERE x.k > 2")
    (edited,) = run(project, "diff", "--json").document["rules"]
    assert edited["edits"] == ["FROM: t → u", "WHERE: u.k > 1 → u.k > 2"]
    assert told_alike(project, "r")["reason"] == "FROM: t → u, and 1 more"


def test_a_product_that_was_renamed(project: SampleProject) -> None:
    project.sql("first", "SELECT x.k, x.v FROM t AS x WHERE x.k > 1")
    project.sql("r", "SELECT f.v FROM first AS f")
    project.sql("reader", "SELECT COUNT(*) AS n FROM r")
    build(project)
    (project.root / "rules/first.sql").rename(project.root / "rules/renamed.sql")
    project.sql("r", "SELECT f.v FROM renamed AS f")
    plan = planned(project, "r")
    assert (plan["verdict"], plan["class"], plan["columns"]) == ("clean", "cosmetic", [])
    assert plan["reason"] == "reads renamed, which was called first; the rule and everything it reads are unchanged"
    assert planned(project, "renamed")["reason"] == (
        "new rule, with the meaning that first had; an earlier build computed the same"
    )
    rules = {one["name"]: one for one in run(project, "diff", "--json").document["rules"]}
    assert (rules["r"]["class"], rules["r"]["edits"]) == ("cosmetic", [])
    assert run(project, "explain", "r", "--json").document["causes"] == []
    assert build(project).executed == set()
    assert run(project, "diff", "--json").document["rules"] == []


def test_a_product_that_was_renamed_on_changed_data(project: SampleProject) -> None:
    project.sql("first", "SELECT x.k, x.v FROM t AS x WHERE x.k > 1")
    project.sql("r", "SELECT f.v FROM first AS f")
    build(project)
    (project.root / "rules/first.sql").rename(project.root / "rules/renamed.sql")
    project.sql("r", "SELECT f.v FROM renamed AS f")
    project.parquet("t", {**T, "v": [10, 20, 31]})
    assert planned(project, "r")["verdict"] == "maybe"
    causes = run(project, "explain", "r", "--json").document["causes"]
    assert {cause["kind"] for cause in causes} == {"new"}, "what r reads is a new rule's, and r was not edited"
    assert build(project).executed == {"renamed", "r"}


def test_an_input_that_is_built_first(project: SampleProject) -> None:
    project.sql("first", "SELECT x.k, x.v FROM t AS x WHERE x.k > 1")
    project.sql("r", "SELECT f.v FROM first AS f")
    build(project)
    project.sql("second", "SELECT x.k, x.v FROM u AS x WHERE x.k > 2")
    project.sql("r", "SELECT f.v FROM second AS f")
    plan = planned(project, "r")
    assert (plan["verdict"], plan["class"]) == ("maybe", "row")
    assert plan["reason"] == "FROM: first → second; second may change, and it runs if a column it reads does"
    assert build(project).executed == {"second", "r"}


def test_a_rule_in_python(project: SampleProject) -> None:
    code = "from rules import rule\n\n@rule\ndef r({0}):\n    return {0}.filter({0}.k > 1)[['k', 'v']]\n"
    project.write("rules/r.py", code.format("t"))
    build(project)
    project.write("rules/r.py", code.format("u"))
    plan = told_alike(project, "r")
    assert (plan["verdict"], plan["reason"], plan["class"]) == ("run", "FROM: t → u", "row")


CHECKED = """-- /// rule
-- [[checks]]
-- name = "known"
-- sql = "SELECT r.k FROM r WHERE r.k NOT IN (SELECT x.k FROM {} AS x)"
-- severity = "warn"
-- ///
SELECT x.k, x.v FROM t AS x
"""


def test_a_check_that_reads_another_table(project: SampleProject) -> None:
    project.sql("r", CHECKED.format("t"))
    build(project)
    project.sql("r", CHECKED.format("u"))
    checks = {one["name"]: one for one in planned(project, "r")["checks"]}
    assert (checks["r.known"]["verdict"], checks["r.known"]["reason"]) == ("run", "FROM: t → u")
    (product,) = build(project).document["products"]
    assert product["status"] == "clean"
    assert {one["name"]: (one["status"], one["reason"]) for one in product["checks"]}["r.known"] == (
        "executed", "FROM: t → u"
    )  # fmt: skip


def test_against_a_commit(project: SampleProject) -> None:
    project.sql("r", QUERIES["from"][0])
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", *identity, *words], cwd=project.root, check=True, capture_output=True)
    project.sql("r", "SELECT x.k, x.v FROM u AS x")
    (rule,) = run(project, "diff", "--against", "HEAD", "--json").document["rules"]
    assert (rule["class"], rule["edits"], rule["edit"]["clauses"]) == ("row", ["FROM: t → u"], ["FROM"])
