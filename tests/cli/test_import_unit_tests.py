"""`rules import dbt`: unit tests become files of `rules test` that pass where they passed; variables stay variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support import inprocess
from support.dbt import DbtProject, rows, rule
from support.projects import SampleProject

VISITS = "id,day,fee,kind\n1,2026-01-02,10.5,gp\n2,2026-01-03,,lab\n"
LATE = """SELECT v.id, v.fee * 2 AS double_fee, upper(v.kind) AS kind, v.day > DATE '2026-01-02' AS is_late
FROM "w"."main"."visits" AS v WHERE v.fee > 3 OR v.fee IS NULL"""


@pytest.fixture
def dbt(tmp_path: Path) -> DbtProject:
    made = DbtProject(tmp_path / "small")
    made.seed("visits", VISITS, column_types={"fee": "decimal(10, 2)"})
    made.model("late", LATE, path="marts/late.sql")
    return made


def carried(document: dict[str, Any]) -> dict[str, str | None]:
    return {one["name"]: one["lost"] or one["status"] for one in document["unit_tests"]}


def outcomes(project: SampleProject) -> dict[str, str]:
    ran = inprocess.run(project, "test", "--json", expect=None)
    return {one["name"]: one["status"] for one in ran.document["tests"]}


def test_rows_of_every_form_pass_here_too(dbt: DbtProject) -> None:
    values = [
        {"ID": 1, "day": "2026-01-05", "fee": "4.005", "kind": 7},
        {"id": "2", "DAY": "2026-01-01 10:00:00", "fee": None, "kind": True},
        {"id": 3, "fee": 3},
    ]
    expected = [
        {"id": 1, "double_fee": 8.02, "kind": "7", "is_late": "true"},
        {"id": 2, "double_fee": None, "kind": "TRUE", "is_late": 0},
    ]
    dbt.unit_test("of values", "late", {"ref('visits')": values}, expected)
    given = "SELECT 1 AS id, DATE '2026-01-01' AS day, NULL AS fee, 'a' AS kind UNION ALL SELECT 7 // 2, NULL, 1, 'b'"
    dbt.unit_test("of queries", "late", {"ref('visits')": given}, "SELECT 1 AS id, 'A' AS kind")
    dbt.unit_test("of nothing", "late", {"ref('small', 'visits')": []}, [])
    dbt.unit_test("of null", "late", {"ref('visits')": [{"id": 1}]}, [{"double_fee": None}])
    project, document = dbt.imported()
    assert carried(document) == dict.fromkeys(["of values", "of queries", "of nothing", "of null"], "passed")
    assert {one["file"] for one in document["unit_tests"]} == {"tests/marts/late.toml"}
    assert set(outcomes(project).values()) == {"passed"}
    assert set(outcomes(project).values()) == {"clean"}
    project.edit("rules/marts/late.sql", "> 3", ">= 3")
    assert outcomes(project)["of values"] == "failed"


def test_decimals_and_moments_keep_what_their_types_keep(dbt: DbtProject) -> None:
    half, moment = "cast(fee / 2 AS decimal(12, 3)) AS half", "cast(day AS timestamptz) AS moment"
    dbt.model("halved", f'SELECT id, {half}, {moment} FROM "w"."main"."visits"')
    given = [{"id": 1, "fee": "4.255", "day": "2026-01-05"}, {"id": 2, "fee": 0.25}]
    expected = [{"id": 1, "half": 2.13, "moment": "2026-01-05 01:00:00+01"}, {"id": 2, "half": "0.125", "moment": None}]
    dbt.unit_test("halves", "halved", {"ref('visits')": given}, expected)
    project, document = dbt.imported()
    assert carried(document) == {"halves": "passed"}
    text = project.read("tests/halved.toml")
    assert 'fee = "4.26"' in text
    assert 'half = "2.130"' in text
    assert "moment = 2026-01-05 00:00:00+00:00" in text


def test_what_a_rule_cannot_be_tested_with_is_listed_with_the_reason(dbt: DbtProject) -> None:
    dbt.model("python", None, language="python", raw_code="def model(dbt, session): ...")
    dbt.model("both", 'SELECT l.id FROM "w"."main"."late" AS l JOIN "w"."main"."visits" AS v USING (id)')
    given = {"ref('visits')": [{"id": 1, "fee": 5}]}
    dbt.unit_test("adds", "late", {**given, "this": [{"id": 1}]}, [], macros={"is_incremental": True})
    dbt.unit_test("full", "late", {**given, "this": [{"id": 1}]}, [{"id": 1}], macros={"is_incremental": False})
    dbt.unit_test("macro", "late", given, [], macros={"small.money": "1"})
    dbt.unit_test("env", "late", given, [], env_vars={"PLACE": "x"})
    dbt.unit_test("var", "late", given, [], vars={"least": 1})
    dbt.unit_test("column", "late", {"ref('visits')": [{"ident": 1}]}, [])
    dbt.unit_test("value", "late", {"ref('visits')": [{"id": "one"}]}, [])
    dbt.unit_test("input", "late", {"ref('nothing')": []}, [])
    dbt.unit_test("half", "both", {"ref('late')": []}, [])
    dbt.unit_test("query", "late", {"ref('visits')": "SELECT list_transform([1], x -> x) AS id"}, [])
    dbt.unit_test("python", "python", {}, [])
    project, document = dbt.imported()
    found = carried(document)
    assert str(found.pop("query")).startswith("a query of its rows cannot be run here: ")
    assert found == {
        "adds": "it tests a run that adds to the table, and the rule is the full query",
        "full": "passed",
        "macro": "it replaces the macro small.money, whose SQL is in the text of the rule",
        "env": "it sets the environment variable PLACE, whose value is in the text of the rule",
        "var": "it sets the variable least, whose value is in the text of the rule",
        "column": "visits has no column ident here",
        "value": "the value 'one' of visits.id, of the type int32, cannot be written",
        "input": "its input ref('nothing') is no table of the project",
        "half": "it gives no rows of visits, which the rule reads",
        "python": "the query of python is not here: a model in Python",
    }
    report = project.read("import-report.md")
    assert "* the unit test adds: it tests a run that adds to the table" in report
    assert "| full | `tests/marts/late.toml` | passed |" in report


def test_a_test_that_fails_here_is_kept_and_shown(dbt: DbtProject) -> None:
    dbt.unit_test("wrong", "late", {"ref('visits')": [{"id": 1, "fee": 5}]}, [{"id": 1, "double_fee": 11}])
    project, document = dbt.imported()
    assert carried(document) == {"wrong": "failed"}
    assert "double_fee is 10.00 instead of 11.00" in project.read("import-report.md")
    assert outcomes(project) == {"wrong": "failed"}


def test_a_clock_that_a_test_sets_is_the_variable_of_the_clock(dbt: DbtProject) -> None:
    dbt.model("recent", 'SELECT id, current_date - day < 3 AS is_new FROM "w"."main"."visits"')
    dbt.more["macros"] = {
        "macro.small.today": {"name": "today", "macro_sql": "{% macro today() %}current_date{% endmacro %}"}
    }
    given = {"ref('visits')": [{"id": 1, "day": "2020-05-05"}]}
    macros = {"today": "cast('2020-05-06' as date)"}
    dbt.unit_test("new", "recent", given, [{"id": 1, "is_new": True}], macros=macros)
    project, document = dbt.imported()
    assert carried(document) == {"new": "passed"}
    assert 'vars.today = "2020-05-06"' in project.read("tests/recent.toml")


TEMPLATE = """{{ config(materialized='table') }}
{#- a comment -#}
select id, '{{ var("unit", "EUR") }}' as unit, '{{ var("unit") }}-{{ var("n") }}' as both
from {{ ref('visits') }}
where id < {{ var('n') }} {% if var('n') > 3 %} and id > {{ var('n') }} - 9 {% endif %}
  and day > date '{{ var("since") }}' and cast(fee as decimal(10, {{ var('digits') }})) is null"""
COMPILED = """select id, 'EUR' as unit, 'EUR-9' as both
from "w"."main"."visits"
where id < 9  and id > 9 - 9
  and day > date '2026-01-01' and cast(fee as decimal(10, 2)) is null"""


def test_values_of_variables_are_read_from_variables(dbt: DbtProject) -> None:
    template = TEMPLATE.replace("{{ var('digits') }}", "2")
    dbt.model("priced", COMPILED, raw_code=template)
    dbt.model("plain", "SELECT 9 AS nine, 'EUR' AS said", raw_code="SELECT 9 AS nine, 'EUR' AS said")
    given = {"ref('visits')": [{"id": 5, "day": "2026-01-09"}]}
    dbt.unit_test("usual", "priced", given, [{"id": 5, "unit": "EUR"}])
    dbt.unit_test("dollars", "priced", given, [{"unit": "USD"}], vars={"unit": "USD"})
    dbt.unit_test("few", "priced", given, [], vars={"n": 5})
    project, document = dbt.imported()
    text = project.read("rules/priced.sql")
    assert "$unit as unit, 'EUR-9' as both" in text
    assert "id < $n  and id > 9 - 9" in text
    assert "date '2026-01-01'" in text
    assert 'n = 9\nunit = "EUR"\n' in project.read("rules.toml")
    assert carried(document) == {"usual": "passed", "dollars": "passed", "few": "passed"}
    assert project.read("rules/plain.sql") == "SELECT 9 AS nine, 'EUR' AS said\n"
    assert "values of var() are read from $n, $unit of rules.toml" in rule(document, "priced")["changes"]
    assert any("its template used var" in risk for risk in rule(document, "priced")["risks"])
    inprocess.build(project)
    assert rows(project, "priced") == [(2, "EUR", "EUR-9")]
    inprocess.build(project, "--var", "unit=USD")
    assert rows(project, "priced") == [(2, "USD", "EUR-9")]


def test_a_value_that_no_variable_can_have_stays_in_the_text(dbt: DbtProject) -> None:
    dbt.model("priced", COMPILED, raw_code=TEMPLATE)
    dbt.model("other", "select 'USD' as unit", raw_code="select '{{ var(\"unit\") }}' as unit")
    project, document = dbt.imported()
    assert not [one for one in document["rules"] if one["stub"]]
    assert "'USD' as unit" in project.read("rules/other.sql"), "there are two values of it"
    assert "decimal(10, 2)" in project.read("rules/priced.sql").lower()
    inprocess.build(project)
    assert rows(project, "priced") == [(2, "EUR", "EUR-9")]


def test_without_rows_of_a_source_tests_are_written_and_not_run(dbt: DbtProject) -> None:
    events = dbt.source("app", "events")
    dbt.model("seen", f"SELECT id + 1 AS id FROM {events}")
    dbt.unit_test("one", "seen", {"source('app', 'events')": [{"id": 1}]}, [{"id": 2}])
    project, document = dbt.imported()
    assert carried(document) == {"one": None}
    project.parquet("events", {"id": [5]})
    assert outcomes(project) == {"one": "passed"}


def test_a_test_of_one_version_is_of_its_rule(dbt: DbtProject) -> None:
    for number in (1, 2):
        sql = f'SELECT id + {number} AS id FROM "w"."main"."visits"'
        dbt.model(f"plans.v{number}", sql, version=number, latest_version=2, alias=f"plans_v{number}")
        dbt.nodes[f"model.small.plans.v{number}"]["name"] = "plans"
    dbt.model("read", 'SELECT id FROM "w"."main"."plans_v2"')
    dbt.unit_test("second", "plans.v2", {"ref('visits')": [{"id": 1}]}, [{"id": 3}])
    dbt.unit_test("latest", "read", {"ref('plans')": [{"id": 1}]}, [{"id": 1}])
    project, document = dbt.imported()
    assert carried(document) == {"second": "passed", "latest": "passed"}
    assert project.read("tests/plans_v2.toml")
