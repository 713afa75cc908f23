"""Run commands that must be refused, and check what every refusal has in common: its text, its JSON, nothing lost."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from rules.cli import main
from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path

MARK = "«"
"""Stands in a test's text where the error is expected; the text is written without it."""


@dataclass(frozen=True)
class Ran:
    """What a command run in this process printed, and its exit code."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Refusal:
    """The one error of a command that was refused."""

    exit_code: int
    code: str
    message: str
    where: str | None
    hint: str | None


def orders_project(root: Path) -> SampleProject:
    """Make a project with two sources and one product, `fine`, which is built."""
    project = SampleProject(root, sources=["orders", "customers"], toml="\n[vars]\nleast_amount = 5\n")
    days = [datetime.date(2024, 1, day) for day in (1, 2, 3)]
    orders = {
        "order_id": [1, 2, 3], "customer_id": [1, 1, 2], "amount": [1.5, 2.5, 3.5], "status": ["open", "held", "open"],
        "placed_on": days, "code": ["1", "x", "3"],
    }  # fmt: skip
    project.parquet("orders", orders)
    project.parquet("customers", {"customer_id": [1, 2], "name": ["ann", "bob"]})
    project.sql("fine", "SELECT o.order_id FROM orders AS o")
    assert run_here(project, "build").code == 0
    return project


def run_here(project: SampleProject, *arguments: str) -> Ran:
    """Run a command on the project in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*arguments, "-C", str(project.root)])
    return Ran(code, out.getvalue(), err.getvalue())


def refused(project: SampleProject, *arguments: str) -> Refusal:
    """Run a command that must fail before it does anything, as JSON and as text, and return its one error."""
    as_json = run_here(project, *arguments, "--json")
    assert as_json.out.count("\n") == 1, as_json
    document = json.loads(as_json.out)
    assert document["format"] == 1
    assert document["status"] == "error", document
    assert document["command"] == arguments[0]
    error = document["error"]
    refusal = Refusal(as_json.code, error["code"], error["message"], error["where"], error["hint"])
    assert as_json.code in {1, 2}, document
    as_text = run_here(project, *arguments)
    assert as_text.code == as_json.code
    assert as_text.out == ""
    lines = as_text.err.splitlines()
    assert lines[0] == f"error: {refusal.message}", as_text.err
    for fact in (refusal.where, refusal.hint):
        assert fact is None or any(line.endswith(f" {fact}") for line in lines[1:]), as_text.err
    assert "Traceback" not in as_text.err
    require_kept(project)
    return refusal


def refused_rule(project: SampleProject, text: str) -> Refusal:
    """Write rules/bad.sql, whose error must stand where `text` is marked, and return the error of building it."""
    marked = text.replace("\r\n", "\n")
    line, column = place_of_mark(marked)
    (project.root / "rules" / "bad.sql").write_bytes(text.replace(MARK, "").encode())
    refusal = refused(project, "build")
    assert refusal.where == f"rules/bad.sql:{line}:{column}", refusal
    return refusal


def assert_refused_alike(project: SampleProject, part: str = "") -> Refusal:
    """Return the one error of a project: that of `build`, which `plan` gives too, and `check` as a finding.

    part: of its message.
    """
    errors = [run_here(project, command, "--json") for command in ("build", "plan")]
    told = [(ran.code, json.loads(ran.out)["error"]) for ran in errors]
    assert told[0] == told[1]
    code, error = told[0]
    assert code == 1, error
    assert part in error["message"], error
    checked = run_here(project, "check", "--json")
    findings = json.loads(checked.out)["findings"]
    places = {
        (f"{one['path']}:{one['line']}:{one['column']}", one["message"], one["hint"])
        for one in findings
        if one["severity"] == "error"
    }
    assert places == {(error["where"], error["message"], error["hint"])}, findings
    assert checked.code == 1
    return Refusal(code, error["code"], error["message"], error["where"], error["hint"])


def place_of_mark(text: str) -> tuple[int, int]:
    """Return the 1-based line and column of the mark."""
    before = text[: text.index(MARK)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def require_kept(project: SampleProject) -> None:
    """Whatever happened, the product that was built before can be read."""
    assert pq.read_table(project.root / ".rules" / "products" / "fine.parquet") == pa.table({"order_id": [1, 2, 3]})
