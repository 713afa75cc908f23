"""Contracts of rules in Python: a key and an `ibis.Schema` in the decorator, or rules.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.checked import checks, failing, ran_checks
from support.inprocess import build, run
from support.projects import SampleProject
from support.refusals import run_here

RULE = """import ibis
from rules import rule


@rule(key=["id"], schema=ibis.schema({"id": "!int64", "name": "string", "half": "float64"}))
def people(raw):
    return raw.mutate(half=raw.id / 2)
"""


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "python", sources=["raw"])
    sample.parquet("raw", {"id": [1, 2], "name": ["ada", None]})
    sample.write("rules/people.py", RULE)
    sample.sql("reader", "SELECT p.id FROM people AS p")
    return sample


def test_a_schema_is_checked(project: SampleProject) -> None:
    ran = build(project)
    assert ran_checks(ran) == {"people.key", "people.not_null.id"}
    assert build(project).document["build"] == "", "nothing to do"
    project.parquet("raw", {"id": [1, None], "name": ["ada", "bob"]})
    ran = build(project, expect=1)
    assert failing(ran) == {"people.key", "people.not_null.id"}
    assert ran.statuses == {"people": "failed", "reader": "skipped"}
    assert project.product("people").column("name").to_pylist() == ["ada", None]


BROKEN = {
    "type": ('"name": "string"', '"name": "int32"', "people.name is declared as int32, but the rule yields string"),
    "not there": ('"half": "float64"', '"halve": "float64"', "people yields no column 'halve', which its contract"),
    "too few": (
        ', "half": "float64"',
        "",
        "people yields the column 'half', which its exact contract does not declare",
    ),
    "no schema": ('ibis.schema({"id": "!int64"', 'dict({"id": "!int64"', "schema must be an ibis.Schema, not dict"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_schema_is_told_at_the_rule(project: SampleProject, case: str) -> None:
    old, new, message = BROKEN[case]
    project.edit("rules/people.py", old, new)
    ran = run_here(project, "build")
    assert ran.code == 1
    assert f"error: {message}" in ran.err
    assert "rules/people.py:5" in ran.err
    assert "Traceback" not in ran.err


def test_rules_toml_adds_to_it(project: SampleProject) -> None:
    project.write(
        "rules.toml", project.read("rules.toml") + '\n[[contracts.people.checks]]\nname = "a"\nsql = "SELECT 1 AS x"\n'
    )
    ran = build(project, expect=1)
    assert failing(ran) == {"people.a"}
    assert checks(ran)["people.a"]["rows"] == [{"x": 1}]
    people = next(product for product in ran.document["products"] if product["name"] == "people")
    assert people["error"]["where"].startswith("rules.toml:")


def test_contract(project: SampleProject) -> None:
    assert '"id" BIGINT NOT NULL' in run(project, "contract", "people").stdout
    ran = run_here(project, "contract", "people", "--write")
    assert "declare it in rules.toml: [contracts.people]" in ran.err
