"""A format of output is declared once: its entry makes the choice, the help and the output."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest

from rules.formats.cells import Rows
from rules.report import formats
from rules.report.formats import FindingsView, LineageView, OutputFormat
from support.inprocess import run
from support.projects import SampleProject

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "cli.md"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    made = SampleProject(tmp_path_factory.mktemp("formats"), sources=["t"])
    made.parquet("t", {"a": [1, 2]})
    made.sql("p", "SELECT t.a AS b FROM t")
    made.sql("q", "SELECT b FROM p JOIN t ON t.a = p.b")
    run(made, "build")
    return made


def add(monkeypatch: pytest.MonkeyPatch, table: str, one: OutputFormat[Any]) -> None:
    known: Mapping[str, OutputFormat[Any] | None] = getattr(formats, table)
    monkeypatch.setitem(known, "added", one)  # type: ignore[arg-type]


def help_of(project: SampleProject, command: str) -> str:
    return " ".join(run(project, command, "--help").stdout.split())


def test_rows(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(rows: Rows, out: BinaryIO) -> None:
        out.write(f"{sum(batch.num_rows for batch in rows.batches)} rows\n".encode())

    add(monkeypatch, "ROWS", OutputFormat(write))
    for command in (("show", "p"), ("query", "SELECT b FROM p")):
        assert "table, csv, json, arrow or added (default: table)" in help_of(project, command[0])
        refused = run(project, *command, "--json", "--format", "added", expect=2)
        assert refused.document["error"]["message"] == "--json cannot hold --format added"


def test_lineage(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(view: LineageView) -> str:
        return f"{view.title}: {', '.join(f'{name.table}.{name.column}' for name in view.names)}"

    add(monkeypatch, "LINEAGE", OutputFormat(write))
    assert "text, json, mermaid, dot, html or added (default: text)" in help_of(project, "lineage")
    assert run(project, "lineage", "p.b", "--upstream", "--format", "added").stdout == "p.b: p.b, t.a\n"
    assert run(project, "lineage", "--format", "added").stdout == f"{project.root.name}: t.a, p.b, q.b\n"


def test_findings(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def lines(view: FindingsView) -> list[str]:
        return [f"{one.code} {view.line(one.path, one.place.line)}" for one in view.findings]

    def document(view: FindingsView) -> dict[str, Any]:
        return {"found": len(view.findings)}

    add(monkeypatch, "FINDINGS", OutputFormat(lines))
    assert "text, concise, json, github, sarif or added (default: text)" in help_of(project, "check")
    ran = run(project, "check", "--format", "added", expect=1)
    assert ran.stdout == "R001 SELECT b FROM p JOIN t ON t.a = p.b\n"
    add(monkeypatch, "FINDINGS", OutputFormat(document))
    assert run(project, "check", "--format", "added", expect=1).document == {"found": 1}


def test_a_format_that_is_not_for_terminals_is_refused_there(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(monkeypatch, "LINEAGE", OutputFormat(lambda _: "x", ("added is large", "redirect it: > added.txt")))
    assert run(project, "lineage", "--format", "added").stdout == "x\n"
    monkeypatch.setattr("rules.terminal.arguments.results", lambda: SimpleNamespace(isatty=lambda: True))
    refused = run(project, "lineage", "--format", "added", expect=2)
    assert "added is large" in refused.stderr
    assert "redirect it: > added.txt" in refused.stderr


@pytest.mark.parametrize(
    ("heading", "known"), [("check", formats.FINDINGS), ("lineage", formats.LINEAGE), ("show", formats.ROWS)]
)
def test_the_document_lists_every_format(heading: str, known: Mapping[str, Any]) -> None:
    section = DOCUMENT.read_text(encoding="utf-8").partition(f"## `rules {heading}")[2].partition("\n## ")[0]
    (row,) = re.findall(r"^\| `--format FORMAT` \| (.*) \|$", section, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == list(known)
