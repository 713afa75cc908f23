"""What is found in the functions of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.lint.comments import suppressions
from compiler.lint.findings import Found, Lines

if TYPE_CHECKING:
    from rules.lint.checking import Checking
    from rules.python.rule_files import DeclaredFunction


def advise(work: Checking, function: DeclaredFunction) -> None:
    """Report a function that could be a faster one; one that is declared in no rule file is nobody's to check."""
    if function.advice is None or function.file not in work.records:
        return
    text = work.project.text(function.file)
    lines = Lines(text)
    start = lines.offset(function.line, 1)
    message, hint = function.advice
    found = Found("R022", start, start + len(lines.line(function.line)), message, hint)
    work.records[function.file]["found"].append(lines.finding(function.file, found).to_record())
    work.records[function.file]["marks"] = [mark.to_record() for mark in suppressions(text, toml=True)]
