"""`--var name=value`: read by the type of the declared value, bound in the AST, and no lasting state of the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.inprocess import build, run
from support.projects import SampleProject
from support.refusals import run_here

VARS = """
[vars]
least = 2
rate = 0.5
word = "a"
all = false
since = 2024-01-02
at = 2024-01-02T03:04:05
"""


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = SampleProject(tmp_path / "vars", sources=["raw"], toml=VARS)
    project.parquet("raw", {"id": [1, 2, 3]})
    project.sql("some", "SELECT r.id FROM raw AS r WHERE r.id >= $least")
    project.sql("reader", "SELECT COUNT(*) AS n FROM some")
    project.sql("other", "SELECT r.id FROM raw AS r")
    project.sql("values", "SELECT $word AS w, $rate AS f, $all AS b, $since AS d, $at AS t")
    build(project)
    return project


def ids(project: SampleProject) -> list[int]:
    found: list[int] = project.product("some").column("id").to_pylist()
    return found


def test_two_values_alternate_by_restore(project: SampleProject) -> None:
    assert build(project, "--var", "least=3").executed == {"some", "reader"}
    assert ids(project) == [3]
    back = build(project)
    assert back.executed == set()
    assert back.statuses == {"other": "clean", "reader": "restored", "some": "restored", "values": "clean"}
    assert ids(project) == [2, 3]
    again = build(project, "--var", "least=3")
    assert again.statuses == back.statuses
    assert ids(project) == [3]


def test_another_value_is_no_state_of_the_project(project: SampleProject) -> None:
    assert build(project, "--var", "least=2").statuses["some"] == "clean"
    assert run(project, "build").stdout == "nothing to do (4 products up to date)\n"
    build(project, "--var", "least=3")
    assert run(project, "build", "--var", "least=3").stdout == "nothing to do (4 products up to date)\n"
    assert "2 restored" in run(project, "build").stdout


def test_plan_and_explain_take_it_too(project: SampleProject) -> None:
    assert "$least" in run(project, "plan", "--explain", "--var", "least=3").stdout
    assert run(project, "explain", "some", "--var", "least=3", "--json").document["rule"]["variables"] == {"least": 3}
    assert run(project, "audit", "--var", "least=2", "--json").document["status"] == "ok"


READ = {
    "string, never spliced": ("word=' OR 1 = 1 --", "w", "' OR 1 = 1 --"),
    "string that looks like a number": ("word=1", "w", "1"),
    "integer for a float": ("rate=3", "f", 3.0),
    "boolean": ("all=true", "b", True),
    "date": ("since=2023-05-06", "d", "2023-05-06"),
    "date-time": ("at=2023-05-06T07:08:09", "t", "2023-05-06 07:08:09"),
}


@pytest.mark.parametrize("case", READ)
def test_values_have_the_declared_type(project: SampleProject, case: str) -> None:
    given, column, value = READ[case]
    types = project.product("values").schema
    build(project, "--var", given)
    table = project.product("values")
    assert table.schema == types
    found = table.column(column).to_pylist()[0]
    assert (str(found) if column in {"d", "t"} else found) == value


WRONG = {
    "unknown": ("leats=3", "unknown variable 'leats'", "did you mean 'least'?"),
    "no value": ("least", "'least' gives no value", "write --var least=VALUE"),
    "integer": ("least=3.5", "'3.5' is not an integer of 64 bits, which variable 'least' is", "declares least = 2"),
    "too large": ("least=9223372036854775808", "'9223372036854775808' is not an integer of 64 bits", "least = 2"),
    "float": ("rate=inf", "'inf' is not a finite number, which variable 'rate' is", "rules.toml declares rate = 0.5"),
    "boolean": ("all=yes", "'yes' is not true or false, which variable 'all' is", "rules.toml declares all = false"),
    "date": ("since=today", "'today' is not a date, which variable 'since' is", "declares since = 2024-01-02"),
    "zone": (
        "at=2024-01-02T03:04:05Z",
        "'2024-01-02T03:04:05Z' is not a date-time of that kind",
        "2024-01-02 03:04:05",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_values_are_refused(project: SampleProject, case: str) -> None:
    given, message, hint = WRONG[case]
    ran = run_here(project, "build", "--var", given)
    assert ran.code == 2
    error, told = ran.err.splitlines()
    assert error.startswith(f"error: {message}")
    assert hint in told
