"""`rules check --format github` and `sarif`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sarif_pydantic import Sarif

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


def test_sarif_is_a_valid_log(project: SampleProject) -> None:
    log = json.loads(run(project, "check", "--format", "sarif", expect=1).stdout)
    (run_,) = Sarif.model_validate(log).runs
    assert log["version"] == "2.1.0"
    assert run_.results is not None
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in log["runs"][0]["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    first = log["runs"][0]["results"][0]
    assert (first["ruleId"], first["level"]) == ("R001", "warning")
    place = first["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "data%201/rules/one.sql"},
        "region": {"startLine": 2, "startColumn": 5, "endLine": 2, "endColumn": 11},
    }


def test_sarif_without_findings(project: SampleProject) -> None:
    project.sql("one", "SELECT o.amount FROM orders AS o")
    log = json.loads(run(project, "check", "--format", "sarif").stdout)
    assert Sarif.model_validate(log).runs[0].results == []
