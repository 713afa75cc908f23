"""`rules check` refuses what `plan` and `build` refuse, at the same place and in the same words, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from compiler.engine_errors.planning import INTERNALS
from compiler.errors import SqlError
from compiler.parse_rule import parse_rule
from support.inprocess import run
from support.projects import SampleProject
from support.refusals import MARK, assert_refused_alike, place_of_mark
from support.unplannable import SHAPES, TABLES

ENDLESS = ("RECURSIVE",)
"""What might not end: some of the recursions do not."""
STEPS = [5, pytest.param(1, marks=pytest.mark.soak)]
"""Every fifth shape in the suite, all in the soak."""
REFUSED = {
    "text that is rounded": ("SELECT «round(t.s) AS x FROM t", "'round' cannot be called with TEXT"),
    "numbers and text": ("SELECT t.i,\n  «t.s * 2 AS x\nFROM t", "TEXT * BIGINT cannot be computed"),
    "a window function in WHERE": (
        "SELECT t.i FROM t WHERE «RANK() OVER (ORDER BY t.i) = 1",
        "a window function cannot be used in WHERE",
    ),
    "an aggregate that is grouped by": (
        "SELECT COUNT(*) AS x FROM t GROUP BY «SUM(t.i)",
        "an aggregate cannot be used in GROUP BY",
    ),
    "a cast that there is not": ("SELECT CAST(«t.f AS DATE) AS x FROM t", "DOUBLE cannot be cast to DATE"),
    "a text that is no number": ("SELECT t.i FROM t WHERE t.i = «'x'", "'x' is not a value of BIGINT"),
    "ntile of nothing": ("SELECT «ntile(0) OVER (ORDER BY t.i) AS x FROM t", "'ntile' needs a positive number"),
    "a frame that ends before it starts": (
        "SELECT SUM(t.i) OVER (ORDER BY t.i ROWS BETWEEN CURRENT ROW AND «1 PRECEDING) AS x FROM t",
        "the window's frame is invalid: it would end before it starts",
    ),
    "an interval as an output": (
        "SELECT t.i, INTERVAL «'1 day' AS x FROM t",
        "output column 'x' holds an INTERVAL, which cannot be stored",
    ),
    "an empty map as an output": (
        "SELECT t.i, «map([], []) AS x FROM t",
        "output column 'x' holds a map whose keys have no type, which cannot be stored",
    ),
    "in a CTE": (
        "WITH q AS (\n  SELECT abs(t.i) AS a, «abs(t.s) AS b FROM t\n)\nSELECT abs(q.a) AS x, q.b FROM q",
        "'abs' cannot be called with TEXT",
    ),
    "in a subquery": (
        "SELECT t.i FROM t WHERE t.i > 1 AND EXISTS (SELECT 1 FROM u WHERE u.i = t.i AND «u.s + t.i > 1)",
        "TEXT + BIGINT cannot be computed",
    ),
    "in a union's second query": (
        "SELECT t.i FROM t UNION ALL SELECT «abs(u.d) FROM u",
        "'abs' cannot be called with DATE",
    ),
    "in ON": ("SELECT t.i FROM t JOIN u ON t.i = u.i AND «t.o = u.i", "BOOLEAN and BIGINT cannot be compared"),
}


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "sample", sources=TABLES)
    for name, schema in TABLES.items():
        sample.parquet(name, pa.Table.from_pylist([], schema=schema))
    return sample


def errors(project: SampleProject) -> list[dict[str, Any]]:
    document = json.loads(run(project, "check", "--json", expect=None).stdout)
    return [one for one in document["findings"] if one["severity"] == "error"]


def is_read(sql: str) -> bool:
    """Whether a text can be parsed: `plan` compiles nothing while a rule cannot be."""
    try:
        parse_rule(sql)
    except SqlError:
        return False
    return True


@pytest.mark.parametrize("case", REFUSED)
def test_the_same_from_check_plan_and_build(project: SampleProject, case: str) -> None:
    text, message = REFUSED[case]
    project.sql("bad", text.replace(MARK, ""))
    refusal = assert_refused_alike(project, message)
    line, column = place_of_mark(text)
    assert (refusal.message, refusal.where) == (message, f"rules/bad.sql:{line}:{column}")


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_check_and_plan_refuse_the_same(project: SampleProject, step: int) -> None:
    texts = {f"r{number:03}": sql for number, sql in enumerate(SHAPES) if number % step == 0 and is_read(sql)}
    for name, sql in texts.items():
        project.sql(name, sql)
    found: dict[str, list[Any]] = {}
    for one in errors(project):
        assert not INTERNALS.search(one["message"] + (one["hint"] or "")), one
        place = f"{one['path']}:{one['line']}:{one['column']}"
        found.setdefault(one["path"], []).append((place, one["message"], one["hint"]))
    planned = run(project, "plan", "--json", expect=1).document
    refused = {one["where"].split(":")[0]: (one["where"], one["message"], one["hint"]) for one in planned["errors"]}
    assert found.keys() == refused.keys(), {path: texts[path[6:10]] for path in found.keys() ^ refused.keys()}
    differing = {texts[path[6:10]]: (said, found[path]) for path, said in refused.items() if said not in found[path]}
    assert differing == {}
    assert len(found) > 10
    assert len(texts) > len(found) + 10


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_what_can_be_planned_can_be_run(project: SampleProject, step: int) -> None:
    """On empty tables: what fails there fails of itself, and not of data."""
    for number, sql in enumerate(SHAPES):
        if number % step == 0 and not any(words in sql for words in ENDLESS):
            project.sql(f"r{number:03}", sql)
    document = run(project, "build", "-k", "--json", expect=1).document
    errors = {one["name"]: one["error"] for one in document["products"] if one["status"] == "failed"}
    failed = {SHAPES[int(name[1:])]: error["message"] for name, error in errors.items() if error["code"] == "execution"}
    assert failed == {}


def test_the_query_of_a_data_check_is_planned(project: SampleProject) -> None:
    query = "SELECT g.i FROM good AS g WHERE abs(g.s) > 1"
    front = f'-- /// rule\n-- [[checks]]\n-- name = "c"\n-- sql = "{query}"\n-- ///\n'
    project.sql("good", f"{front}SELECT t.i, t.s FROM t")
    (found,) = errors(project)
    error = json.loads(run(project, "plan", "--json", expect=1).stdout)["error"]
    assert error["where"] == f"{found['path']}:{found['line']}:{found['column']}" == "rules/good.sql:4:43"
    assert error["message"] == f"check c of good: {found['message']}"
    assert found["message"] == "'abs' cannot be called with TEXT"


def test_what_reads_a_rule_in_python_is_planned(project: SampleProject) -> None:
    project.write("rules/made.py", "from rules import rule\n\n\n@rule()\ndef made(t):\n    return t.select('s')\n")
    project.sql("bad", "SELECT abs(m.s) AS x FROM made AS m")
    assert_refused_alike(project, "'abs' cannot be called with TEXT")
    project.write("rules/made.py", "from rules import rule\n\n\n@rule()\ndef made(t):\n    return t.select('nope')\n")
    assert {one["path"] for one in errors(project)} == {"rules/made.py"}, "its reader is not judged"


def test_without_the_data_a_rule_is_planned_on_declared_columns(project: SampleProject) -> None:
    project.sql("bad", "SELECT abs(n.s) AS x FROM nowhere AS n")
    declared = '[sources.nowhere]\npath = "data/nowhere.parquet"\ncolumns = { s = "string" }\n'
    project.write("rules.toml", project.read("rules.toml") + declared)
    assert [one["message"] for one in errors(project)] == ["'abs' cannot be called with TEXT"]
    project.edit("rules.toml", '"string"', '"double"')
    assert errors(project) == []


def test_an_edit_upstream_is_foreseen_downstream(project: SampleProject) -> None:
    project.sql("first", "SELECT t.i AS x FROM t")
    project.sql("second", "SELECT abs(f.x) AS x FROM first AS f")
    assert errors(project) == []
    project.sql("first", "SELECT t.s AS x FROM t")
    assert [(one["path"], one["message"]) for one in errors(project)] == [
        ("rules/second.sql", "'abs' cannot be called with TEXT")
    ]
