"""Arguments by name: wherever the engine has them, for Python functions too, and their order means nothing."""

from __future__ import annotations

import re

import pytest
from datafusion import SessionConfig, SessionContext

from compiler.sql.parameters import PARAMETERS
from support.inprocess import build, run
from support.projects import SampleProject

FUNCTIONS = """from rules import rule, udf
import pyarrow as pa
import pyarrow.compute as pc


@udf.pyarrow
def deduct(whole: int, Part: int) -> int:
    return pc.subtract(whole, Part)


@udf.agg
class spread:
    def __init__(self):
        self.low, self.high = 0.0, 0.0

    def update(self, low: float, high: float) -> None:
        self.low += pc.sum(low).as_py() or 0.0
        self.high += pc.sum(high).as_py() or 0.0

    def merge(self, lows, highs):
        self.low += pc.sum(lows).as_py() or 0.0
        self.high += pc.sum(highs).as_py() or 0.0

    def state(self) -> tuple[float, float]:
        return self.low, self.high

    def evaluate(self) -> float:
        return self.high - self.low


@rule
def in_ibis(raw):
    return raw.select(raw.id, rest=deduct(Part=raw.low, whole=raw.high))
"""


@pytest.fixture
def project(tmp_path) -> SampleProject:  # noqa: ANN001
    made = SampleProject(tmp_path / "sample", sources=["raw"])
    made.parquet("raw", {"id": [1, 2, 3], "s": ["abc", "def", None], "low": [1, 2, 3], "high": [10, 30, 20]})
    made.write("rules/functions.py", FUNCTIONS)
    return made


def fingerprint(project: SampleProject, name: str) -> str:
    [found] = [one for one in run(project, "plan", "--json").document["products"] if one["name"] == name]
    return str(found["fingerprint"])


def test_the_table_of_parameters_is_the_engines() -> None:
    session = SessionContext(SessionConfig().with_information_schema(enabled=True))
    found = {}
    routines = session.sql("SELECT DISTINCT routine_name AS name FROM information_schema.routines").to_pylist()
    for name in sorted({str(one["name"]) for one in routines}):
        for over in ("", " OVER (ORDER BY 1)"):
            try:
                session.sql(f"SELECT {name}(no_such_name => 1){over}")
            except ValueError as error:
                known = re.search(r"Valid parameters are: \[(.*?)\]", str(error))
            except Exception:  # noqa: BLE001, S112 — a name that is no function to the parser
                continue
            if known is not None:
                found[name] = tuple(known[1].split(", "))
    assert found == dict(PARAMETERS)


@pytest.mark.parametrize(
    ("named", "plain"),
    [
        ("substr(start_pos => 2, str => r.s)", "substr(r.s, 2)"),
        ("substring(r.s, length => 1, start_pos => 2)", "substring(r.s, 2, 1)"),
        ('SUBSTR(STR => r.s, "start_pos" => 2)', "substr(r.s, 2)"),
        ("lag(r.id, default => 0, offset => 2) OVER (ORDER BY r.id)", "lag(r.id, 2, 0) OVER (ORDER BY r.id)"),
        ("lead(expr => r.id) OVER (ORDER BY r.id)", "lead(r.id) OVER (ORDER BY r.id)"),
        ("corr(x => r.low, y => r.high) OVER ()", "corr(r.high, r.low) OVER ()"),
        ("deduct(part => r.low, whole => r.high)", "deduct(r.high, r.low)"),
        ('deduct(r.high, "Part" => r.low)', "deduct(r.high, r.low)"),
        ("spread(high => r.high, low => r.low) OVER ()", "spread(r.low, r.high) OVER ()"),
        ("deduct(part => deduct(part => 1, whole => 2), whole => r.high)", "deduct(r.high, deduct(2, 1))"),
    ],
)
def test_names_are_positions(project: SampleProject, named: str, plain: str) -> None:
    project.sql("one", f"SELECT r.id, {plain} AS v FROM raw AS r")
    build(project, "-s", "one")
    before, rows = fingerprint(project, "one"), project.product("one").to_pylist()
    project.sql("one", f"SELECT r.id, {named} AS v FROM raw AS r")
    assert fingerprint(project, "one") == before
    assert build(project, "-s", "one").executed == set()
    assert build(project, "-s", "one", "--force", "one").executed == {"one"}
    assert project.product("one").to_pylist() == rows


def test_percentiles(project: SampleProject) -> None:
    call = "percentile_cont({}) WITHIN GROUP (ORDER BY r.id)"
    project.sql("named", f"SELECT {call.format('percentile => 0.5')} AS v FROM raw AS r")
    project.sql("plain", f"SELECT {call.format('0.5')} AS v FROM raw AS r")
    project.sql("whole", "SELECT quantile_cont(percentile => 0.5, expr => r.id) AS v FROM raw AS r")
    build(project)
    assert fingerprint(project, "named") == fingerprint(project, "plain")
    assert [project.product(name)["v"].to_pylist() for name in ("named", "whole")] == [[2.0], [2.0]]


def test_in_ibis(project: SampleProject) -> None:
    build(project, "-s", "in_ibis")
    assert project.product("in_ibis")["rest"].to_pylist() == [9, 28, 17]


def test_renaming_parameters_changes_what_a_name_means(project: SampleProject) -> None:
    project.sql("one", "SELECT deduct(whole => r.high, part => r.low) AS v FROM raw AS r")
    project.sql("other", "SELECT deduct(r.high, r.low) AS v FROM raw AS r")
    build(project, "-s", "one other")
    text = project.read("rules/functions.py")
    swapped = text.replace("deduct(whole: int, Part: int)", "deduct(Part: int, whole: int)")
    project.write("rules/functions.py", swapped.replace("pc.subtract(whole, Part)", "pc.subtract(Part, whole)"))
    assert build(project, "-s", "one other").executed == {"one"}
    assert project.product("one")["v"].to_pylist() == [-9, -28, -17]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("substr(strr => r.s, start_pos => 2)", "'substr' has no parameter 'strr'; did you mean 'str'?"),
        ("deduct(hole => 1, part => 2)", "'deduct' has no parameter 'hole'; did you mean 'whole'?"),
        ("deduct(xyz => 1, part => 2)", "'deduct' has no parameter 'xyz'; its parameters: whole, Part"),
        (
            "strpos(r.s, substring => 'a')",
            "'strpos' takes its arguments by position, not by name; leave out substring =>",
        ),
        ("sum(x => r.id)", "'sum' takes its arguments by position, not by name"),
        ("coalesce(a => r.id, b => 1)", "'coalesce' takes its arguments by position, not by name"),
        ("deduct(r.high, whole => 1)", "'deduct' is given 'whole' twice"),
        ("deduct(whole => 1, whole => 1)", "'deduct' is given 'whole' twice"),
        ("deduct(whole => 1, 2)", "an argument of 'deduct' by position follows one by name; put it first"),
        ("deduct(1, 2, part => 2)", "'deduct' is given 'Part' twice"),
        ("deduct(1, 2, 3, part => 2)", "'deduct' takes 2 arguments: whole, Part"),
        ("deduct(whole => 1)", "'deduct' takes 2 arguments, not 1"),
        ("substr(r.s, length => 2)", "'substr' needs its parameter 'start_pos'"),
        ("lag(r.id, default => 0) OVER (ORDER BY r.id)", "'lag' needs its parameter 'offset'"),
        ("mdeduct(whole => 1, part => 2)", "unknown function 'mdeduct'"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(project: SampleProject, call: str, told: str) -> None:
    project.sql("one", f"SELECT\n  {call} AS v FROM raw AS r")
    error = run(project, "plan", "--json", "-s", "one", expect=1).document["error"]
    assert f"{error['message']}; {error['hint']}".startswith(told)
    assert error["where"].startswith("rules/one.sql:2:")
    [finding] = [one for one in run(project, "check", "--json", expect=1).document["findings"] if one["line"] == 2]
    assert told.startswith(finding["message"])
