"""SQL of other dialects and SQLGlot expressions in rules in Python, names whose case counts, and fusing by rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.inprocess import build, run
from support.projects import SampleProject


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path / "sample", sources=["raw"])
    made.parquet("raw", {"id": [1, 2, 3], "Name": ["a", None, "c"], "name": ["x", "y", "z"]})
    return made


def rule(project: SampleProject, query: str, name: str = "made", options: str = "") -> None:
    head = "import sqlglot\nfrom sqlglot import exp\n\nimport rules\nfrom rules import rule\n\n\n"
    project.write(f"rules/{name}.py", f"{head}@rule({options})\ndef {name}(raw):\n    return rules.sql({query})\n")


def fingerprints(project: SampleProject) -> dict[str, str]:
    return {one["name"]: one["fingerprint"] for one in run(project, "plan", "--json").document["products"]}


@pytest.mark.parametrize(
    "query",
    [
        '"SELECT id, ISNULL(name, \'?\') AS n FROM raw WHERE id <= 2", dialect="tsql"',
        '"SELECT `id`, IFNULL(`name`, \'?\') AS n FROM `raw` WHERE id <= 2", dialect="mysql"',
        '"SELECT id, NVL(name, \'?\') AS n FROM raw WHERE id <= 2", dialect="Snowflake"',
        'exp.select("id", "COALESCE(name, \'?\') AS n").from_("raw").where("id <= 2")',
        "sqlglot.parse_one(\"SELECT id, COALESCE(name, '?') AS n FROM raw WHERE id <= 2\")",
    ],
)
def test_it_is_the_rule_in_our_sql(project: SampleProject, query: str) -> None:
    rule(project, query)
    project.sql("plain", "SELECT r.id, COALESCE(r.name, '?') AS n FROM raw AS r WHERE r.id <= 2")
    build(project)
    found = fingerprints(project)
    assert found["made"] == found["plain"]
    assert project.product("made").to_pylist() == [{"id": 1, "n": "x"}, {"id": 2, "n": "y"}]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ('"SELECT 1 AS a", dialect="ducdb"', "unknown dialect 'ducdb'; did you mean 'duckdb'?"),
        ('"SELECT FROM WHERE", dialect="duckdb"', "cannot be read as duckdb"),
        ('"DROP TABLE raw", dialect="duckdb"', "this is no query; a rule is one SELECT"),
        ('"SELECT 1 AS a; SELECT 2 AS b", dialect="duckdb"', "a rule is one query"),
        (
            "\"SELECT strftime(DATE '2024-01-01', '%Y') AS y FROM raw\", dialect=\"duckdb\"",
            "the format '%Y' of a date is not translated",
        ),
        ('exp.column("a")', "this is no query; a rule is one SELECT"),
        ("3", "rules.sql takes SQL or a SQLGlot expression, not int"),
        ('"SELECT a.id FROM other AS a", dialect="duckdb"', "'other' is not an input of 'made'"),
        ('"SELECT 1 AS a", dialect=raw', "'dialect' is the name of a dialect of SQL"),
    ],
)
def test_what_cannot_be_is_told(project: SampleProject, query: str, told: str) -> None:
    rule(project, query)
    error = run(project, "plan", "--json", expect=1).document["error"]
    assert f"{error['message']}; {error['hint']}".startswith(told)
    assert error["where"].startswith("rules/made.py:")


def test_a_comment_makes_case_count(project: SampleProject) -> None:
    project.sql("commented", "SELECT r.id, r.Name /* sqlglot.meta case_sensitive */ AS n FROM raw AS r")
    project.sql("quoted", 'SELECT r.id, r."Name" AS n FROM raw AS r')
    project.sql("folded", "SELECT r.id, r.Name /* case_sensitive */ AS n FROM raw AS r")
    build(project)
    found = fingerprints(project)
    assert found["commented"] == found["quoted"] != found["folded"]
    assert [project.product(name)["n"].to_pylist() for name in ("commented", "folded")] == [
        ["a", None, "c"],
        ["x", "y", "z"],
    ]


def test_a_rule_fuses_as_it_says(project: SampleProject) -> None:
    chain = "raw.filter(raw.id > 1).mutate(b=raw.id + 1).filter(lambda t: t.b < 9)"
    text = "from rules import rule\n\n\n@rule(fuse_selects=True)\ndef chained(raw):\n    return {}\n"
    project.write("rules/chained.py", text.format(chain))
    first = build(project).document["products"][0]

    def executed(*options: str) -> str:
        shown = run(project, "explain", "chained", "--json", *options).document
        return shown["executed_sql"]

    fused = executed()
    project.edit("rules/chained.py", "fuse_selects=True", "fuse_selects=False")
    second = build(project)
    assert (second.executed, second.document["products"][0]["fingerprint"]) == (set(), first["fingerprint"])
    assert executed().count("SELECT") > fused.count("SELECT")
    project.edit("rules/chained.py", "fuse_selects=False", "fuse_selects=3")
    assert "'fuse_selects' must be True or False" in run(project, "plan", expect=1).stderr
    project.edit("rules/chained.py", "fuse_selects=3", "fuse_selects=None")
    project.sql("plain", "-- /// rule\n-- fuse_selects = true\n-- ///\nSELECT r.id FROM raw AS r")
    error = run(project, "plan", "--json", expect=1).document["error"]
    assert (error["message"].split(":")[0], error["where"]) == (
        "'fuse_selects' is for rules in Ibis",
        "rules/plain.sql:2:4",
    )
