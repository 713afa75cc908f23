"""`normalize = "cnf"` and `"dnf"`: other predicates are executed, of the same result; what was done is explained."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datafusion import DataFrame, SessionContext

from compiler.engine_sql.normal_forms import MOST_DISTANT, Form, NormalForm, normalise
from compiler.names.qualify import InputSchemas, qualified
from compiler.names.resolve import bind_tables
from compiler.sql.dialect import parse, render
from rules.config.profiles import PROFILES
from rules.engine import execute, session
from rules.engine.execute import open_frame
from rules.engine.protocol import EngineInput, EngineQuery
from rules.storage.types import to_schema
from support.inprocess import build, run
from support.projects import SampleProject

GROUPING = (
    "SELECT e.k, COUNT(*) AS n FROM e AS e GROUP BY e.k HAVING (e.k = 1 AND COUNT(*) > 1) OR (e.k = 2 AND COUNT(*) > 2)"
)


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path / "sample", sources=["e"])
    made.parquet("e", {"k": [1, 1, 2, 2, 2, 3], "d": [5, 4, 3, 2, 1, 0], "x": [1.5, None, 2.5, 0.1, 0.2, 4.0]})
    return made


def rule(project: SampleProject, sql: str, form: str = "cnf", name: str = "made") -> None:
    project.write(f"rules/{name}.sql", f'-- /// rule\n-- normalize = "{form}"\n-- ///\n{sql}\n')


def test_filters_reach_below_a_grouping_and_nothing_runs_again_for_it(project: SampleProject) -> None:
    project.sql("made", GROUPING)
    assert build(project).executed == {"made"}
    before = project.product("made").to_pylist()
    plain = run(project, "explain", "made", "--json").document
    rule(project, GROUPING)
    assert build(project).executed == set(), "it is the same rule, and so is its key"
    found = run(project, "explain", "made", "--json").document
    assert found["fingerprint"] == plain["fingerprint"]
    assert found["canonical_sql"] == plain["canonical_sql"]
    assert found["executed_sql"] != plain["executed_sql"]
    (one,) = found["normal_forms"]
    assert (one["clause"], one["distance"], one["threshold"], one["rewritten"]) == ("HAVING", 4, MOST_DISTANT, True)
    assert "CNF" in run(project, "explain", "made").stdout
    assert f"rewritten, distance 4 (at most {MOST_DISTANT})" in " ".join(run(project, "explain", "made").stdout.split())
    assert build(project, "--force", "made").executed == {"made"}
    assert project.product("made").to_pylist() == before
    operators = run(project, "explain", "made", "--metrics", "--json").document["operators"]
    grouping = next(one for one in operators if "Aggregate" in one["operator"])
    assert grouping["rows"] == 2, "the row of k = 3 was filtered before"


def test_a_rule_that_adds_floats_has_another_key(project: SampleProject) -> None:
    sql = "SELECT SUM(e.x) AS s FROM e AS e WHERE (e.k = 1 AND e.d = 4) OR (e.k = 2 AND e.d < 3)"
    project.sql("made", sql)
    build(project)
    rule(project, sql)
    reason = run(project, "plan", "--json").document["products"][0]["reason"]
    assert "the normal form of its predicates changed" in reason
    assert build(project).executed == {"made"}
    assert run(project, "build").stdout.startswith("nothing to do")


@pytest.mark.parametrize(
    ("predicate", "because"),
    [
        ("(10 / e.d > 2 AND e.d <> 0) OR e.k = 1", "10 / e.d > 2 might fail on rows that other terms keep from it"),
        ("(CAST(e.s AS BIGINT) > 2 AND e.d <> 0) OR e.k = 1", "might fail on rows that other terms keep from it"),
        ("(RANDOM() < 0.5 AND e.d <> 0) OR e.k = 1", "random() is volatile"),
        ("(e.d IN (SELECT f.d FROM e AS f) AND e.d <> 0) OR e.k = 1", "it has a subquery"),
        (" OR ".join(f"(e.k = {n} AND e.d = {n} AND e.k2 = {n})" for n in range(4)), "it is too distant"),
    ],
)
def test_what_is_left_as_it_is(tmp_path: Path, predicate: str, because: str) -> None:
    project = SampleProject(tmp_path / "sample", sources=["e"])
    project.parquet("e", {"k": [1, 2], "k2": [1, 2], "d": [1, 0], "s": ["1", "2"]})
    project.write(
        "rules/made.sql",
        f'-- /// rule\n-- normalize = "cnf"\n-- volatile = true\n-- ///\nSELECT e.k FROM e AS e WHERE {predicate}\n',
    )
    (one,) = run(project, "explain", "made", "--json").document["normal_forms"]
    assert not one["rewritten"]
    assert because in one["left_because"].replace('"', "")
    assert (one["distance"] > MOST_DISTANT) is (because == "it is too distant")
    shown = " ".join(run(project, "explain", "made").stdout.split())
    assert f"left as it is, because {one['left_because']}" in shown


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('normalize = "knf"', "'normalize' cannot be 'knf'"),
        ("normalize = true", "'normalize' must be a string, not a boolean"),
    ],
)
def test_other_forms_are_refused(project: SampleProject, written: str, told: str) -> None:
    project.write("rules/made.sql", f"-- /// rule\n-- {written}\n-- ///\nSELECT e.k FROM e AS e\n")
    error = run(project, "build", "--json", expect=1).document["error"]
    assert error["message"] == told
    assert (error["where"], error["code"]) == ("rules/made.sql:2:4", "options")


def test_rules_in_python_have_it_too(project: SampleProject) -> None:
    body = "return e.filter(((e.k == 1) & (e.d == 4)) | ((e.k == 2) & (e.d < 3)))"
    project.write("rules/made.py", f'from rules import rule\n\n\n@rule(normalize="dnf")\ndef made(e):\n    {body}\n')
    assert run(project, "explain", "made", "--json").document["normal_forms"] == []
    project.write("rules/made.py", f'from rules import rule\n\n\n@rule(normalize="cnf")\ndef made(e):\n    {body}\n')
    (one,) = run(project, "explain", "made", "--json").document["normal_forms"]
    assert one["rewritten"]
    assert build(project).executed == {"made"}
    assert project.product("made")["d"].to_pylist() == [4, 2, 1]
    project.write("rules/made.py", f"from rules import rule\n\n\n@rule(normalize=3)\ndef made(e):\n    {body}\n")
    assert "'normalize' must be" in build(project, expect=1).stdout


def _random(generator: random.Random, depth: int) -> str:
    if depth == 0 or generator.random() < 0.15:
        name = generator.choice("abc")
        return generator.choice(
            [f"t.{name} = {generator.randint(0, 2)}", f"t.{name} IS NULL", f"t.{name} < t.b", f"t.{name} IN (1, NULL)"]
        )
    if generator.random() < 0.3:
        return f"NOT ({_random(generator, depth - 1)})"
    terms = [_random(generator, depth - 1) for _ in range(generator.randint(2, 3))]
    return "(" + generator.choice([" AND ", " OR "]).join(terms) + ")"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["cnf", "dnf"])
def test_predicates_keep_their_values_with_null(tmp_path: Path, form: Form) -> None:
    """In the select list too, where NULL and FALSE differ: every combination of values, random predicates."""
    values = list(itertools.product([0, 1, 2, None], repeat=3))
    columns = [pa.array(column, pa.int64()) for column in zip(*values, strict=True)]
    table = pa.table(dict(zip("abc", columns, strict=True)))
    pq.write_table(table, tmp_path / "t.parquet")
    schema = to_schema(table.schema)
    entry = EngineInput("t", (tmp_path / "t.parquet",), schema, ("a", "b", "c"))
    schemas = InputSchemas()
    schemas.add("t", schema)
    generator, rewritten = random.Random(5), 0
    for _ in range(60):
        predicate = _random(generator, 3)
        shown: list[list[dict[str, object]]] = []
        found: tuple[NormalForm, ...] = ()
        for is_normal in (False, True):
            query = parse(f"SELECT t.a, t.b, t.c FROM t AS t WHERE {predicate}")
            bind_tables(query, lambda name: name, schemas.known)
            query = qualified(query, schemas)
            found = normalise(query, form, schemas.known) if is_normal else ()
            # The predicate's own value, not only whether a row passes.
            value = render(query.args["where"].this)
            sql = render(query).replace("SELECT ", f"SELECT {value} AS v, ", 1).partition(" WHERE ")[0]
            frame = open_frame(EngineQuery(sql, (entry,), PROFILES["prod_fast"]), tmp_path)
            shown.append([row for batch in frame.collect() for row in batch.to_pylist()])
        rewritten += any(not one.left for one in found)
        assert shown[0] == shown[1], predicate
    assert rewritten >= 20


@pytest.mark.parametrize(
    "sql", [GROUPING, "SELECT e.k, e.d FROM e AS e WHERE (e.k = 1 AND e.d > 3) OR (e.k = 2 AND e.d > 1)"]
)
def test_the_queries_of_parts_have_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    made = SampleProject(tmp_path / "sample", toml='\n[sources.e]\npath = "e"\n[parts]\nmin_rows = 1\n')
    (made.root / "e").mkdir()
    for day in range(4):
        pq.write_table(pa.table({"k": [day % 3, 1, 2, 2], "d": [day, 4, 3, 2]}), made.root / "e" / f"{day}.parquet")
    made.sql("made", sql)
    assert build(made).executed == {"made"}
    before = made.product("made").to_pylist()
    rule(made, sql)
    assert build(made).executed == set()
    queries, real = list[str](), session.plan_query

    def noted(context: SessionContext, query: str) -> DataFrame:
        queries.append(query)
        return real(context, query)

    monkeypatch.setattr(execute, "plan_query", noted)
    (again,) = build(made, "--force", "made").document["products"]
    assert again["parts"] == {"input": "e", "total": 4, "run": 4}
    assert any(re.search(r"= 1 OR .*= 2\) AND", query) for query in queries), queries
    assert made.product("made").to_pylist() == before
