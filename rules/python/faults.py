"""Exceptions in a project's Python code → one located error: the user's file and line, no internal traceback."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rules.errors import FAILED, UserError, Where


class Misuse(Exception):  # noqa: N818 — an error of the code that calls us, raised where it does
    """An invalid use of the API in a rule file: a message, and what to do instead."""

    def __init__(self, message: str, hint: str | None = None, facts: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts or {}


def located(error: BaseException, root: str, path: str, line: int | None = None) -> UserError:
    """Return an exception from the code of a rule file as an error at the innermost place in the project.

    path, line: where it began, for errors that name no place.
    """
    if isinstance(error, UserError):
        return error
    where = _innermost(error.__traceback__, root) or Where(path, line)
    if isinstance(error, Misuse):
        facts = {**error.facts, **_began(where, path, line)}
        return UserError(error.message, code="python", where=where, facts=facts, hint=error.hint, exit_code=FAILED)
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        shown = shown_path(error.filename, root) or path
        message = f"not valid Python: {error.msg}"
        return UserError(message, code="python", where=Where(shown, error.lineno, error.offset), exit_code=FAILED)
    if any(frame.f_code.co_name == "memtable" for frame, _ in traceback.walk_tb(error.__traceback__)):
        message, hint = (
            "a rule cannot contain a table in memory",
            "make it a source, or rules.sql('SELECT … UNION ALL …')",
        )
        return UserError(message, code="python", where=where, hint=hint, exit_code=FAILED)
    text = str(error).strip().splitlines()
    message = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    return UserError(message, code="python", where=where, facts=_began(where, path, line), exit_code=FAILED)


def fault_record(error: UserError) -> dict[str, Any]:
    """Return the record of an error."""
    where = None if error.where is None else list(error.where)
    return {"code": error.code, "message": error.message, "where": where, "facts": error.facts, "hint": error.hint}


def of_fault(record: Mapping[str, Any]) -> UserError:
    """Return the error of a record."""
    where = None if record["where"] is None else Where(*record["where"])
    more = {"facts": dict(record["facts"]), "hint": record["hint"], "exit_code": FAILED}
    return UserError(record["message"], code=record.get("code", "python"), where=where, **more)


def _began(where: Where, path: str, line: int | None) -> dict[str, str]:
    return {"rule file": str(Where(path, line))} if where.path != path else {}


def _innermost(trace: TracebackType | None, root: str) -> Where | None:
    found = None
    for frame, number in traceback.walk_tb(trace):
        shown = shown_path(frame.f_code.co_filename, root)
        if shown is not None:
            found = Where(shown, number)
    return found


def shown_path(filename: str, root: str) -> str | None:
    """Return the path of a project's file relative to the project, None for other files."""
    path = os.path.relpath(filename, root) if os.path.isabs(filename) else filename
    parts = path.split(os.sep)
    inside = os.path.isabs(filename) and parts[0] != ".." and "site-packages" not in parts and parts[0] != ".venv"
    return "/".join(parts) if inside else None
