"""docs/coming-from-*.md: the examples are a project that builds, every command runs, every word is known."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from graph.selection import _ELSEWHERE as METHODS
from rules.terminal.other_tools import _COMMANDS, _OPTIONS, command_hint
from rules.terminal.parser import COMMANDS
from support.inprocess import run
from support.projects import SampleProject

DOCS = Path(__file__).parents[2] / "docs"
TOOLS = {"dbt": "coming-from-dbt.md", "sqlmesh": "coming-from-sqlmesh.md"}


def text_of(tool: str) -> str:
    return (DOCS / TOOLS[tool]).read_text(encoding="utf-8")


@pytest.mark.parametrize("tool", TOOLS)
def test_the_examples_are_a_project_that_builds(tool: str, tmp_path: Path) -> None:
    sample = SampleProject(tmp_path / "p")
    blocks = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", text_of(tool), flags=re.MULTILINE | re.DOTALL)
    for _, path, body in blocks:
        if path:
            sample.write(path, body)
    commands = [line for kind, _, body in blocks if kind == "console" for line in body.splitlines()]
    assert len(commands) > 8
    for line in commands:
        assert line.startswith("$ rules ")
        run(sample, *shlex.split(line)[2:])
    assert run(sample, "check", "--select", "R004,R901,R902,R903").stdout.startswith("no findings")
    shown = run(sample, "show", "customer_orders", "--json").document["data"]
    assert {row["customer"]: row["revenue"] for row in shown} == {"ada": "35.00", "grace": "20.50"}


@pytest.mark.parametrize("tool", TOOLS)
def test_the_original_is_told_what_to_write(tool: str, tmp_path: Path) -> None:
    """The first block is the other tool's: as a rule it is an error that says what to do, line by line."""
    original = re.findall(r"^```sql\n(.*?)^```$", text_of(tool), flags=re.MULTILINE | re.DOTALL)[0]
    sample = SampleProject(tmp_path / "p", sources=["stg_orders"])
    sample.write("rules/original.sql", original)
    ran = run(sample, "check", expect=1)
    assert "rules/original.sql:2:1: R900" in ran.stdout
    assert "options go in the comment block" in ran.stdout


@pytest.mark.parametrize("tool", TOOLS)
def test_every_command_of_the_table_is_answered(tool: str) -> None:
    words = set(re.findall(rf"`{tool} (\w+)", text_of(tool).partition("## Commands")[2]))
    assert len(words) > 10
    for word in words:
        assert word in COMMANDS or command_hint(word, set(COMMANDS)), word


def test_every_word_is_one_line_with_the_name_of_something_there_is() -> None:
    for word, line in {**_COMMANDS, **_OPTIONS, **METHODS}.items():
        assert "\n" not in line
        assert len(line) <= 110, word
        for command in set(re.findall(r"\brules ([a-z]+)", line)) - {"are", "alone", "as", "have", "that"}:
            assert command in COMMANDS, line
        for page in re.findall(r"docs/\S+\.md", line):
            assert (DOCS.parent / page).exists()


@pytest.mark.parametrize("word", ["run", "fetchdf", "create-test", "TABLE_DIFF", "source"])
def test_a_word_of_another_tool(word: str, tmp_path: Path) -> None:
    sample = SampleProject(tmp_path / "p")
    ran = run(sample, word, expect=2)
    assert (ran.stdout, ran.stderr.count("\n")) == ("", 2)
    assert ran.stderr == f"error: unknown command '{word}'\n  hint: {_COMMANDS[word.lower().replace('-', '_')]}\n"
    assert run(sample, word, "--json", expect=2).document["error"]["hint"] in _COMMANDS.values()


@pytest.mark.parametrize("selector", ["state:modified", "state:modified+", "config.materialized:table", "result:error"])
def test_a_selection_method_of_another_tool(selector: str, tmp_path: Path) -> None:
    sample = SampleProject(tmp_path / "p", sources=["raw"])
    sample.parquet("raw", {"id": [1]})
    sample.sql("kept", "SELECT r.id FROM raw AS r")
    ran = run(sample, "ls", "-s", selector, expect=2)
    assert METHODS[re.split("[.:]", selector)[0]] in ran.stderr


def test_a_check_that_is_new_is_called_a_check(tmp_path: Path) -> None:
    sample = SampleProject(tmp_path / "p", sources=["raw"])
    sample.parquet("raw", {"id": [1]})
    sample.sql("kept", "SELECT r.id FROM raw AS r")
    run(sample, "build")
    sample.sql("kept", '-- /// rule\n-- key = ["id"]\n-- ///\nSELECT r.id FROM raw AS r')
    (product,) = run(sample, "plan", "--json").document["products"]
    assert [(check["name"], check["reason"]) for check in product["checks"]] == [("kept.key", "new check")]
