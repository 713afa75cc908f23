"""An answer to a change as lines to read, and as a JSON document of one line. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.formats.cells import Rows, records
from rules.report.plan_view import PlanView
from rules.report.runs import build_document, build_lines, document, error_fields, error_lines
from rules.wording import duration, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rules.errors import UserError
    from rules.watching.answers import Answer, ShownRows

_MOST_FILES = 3
_MOST_ERRORS = 5


def saved_line(answer: Answer) -> str:
    """Return what was saved in one line."""
    names = list(answer.changed)
    more = f" and {plural(len(names) - _MOST_FILES, 'other file')}" if len(names) > _MOST_FILES else ""
    return f"{', '.join(names[:_MOST_FILES])}{more} changed" if names else "watching; Ctrl-C ends it"


def plan_lines(answer: Answer, root: Path) -> list[str]:
    """Return what an edit means and what it asks for: a line for each rule that was saved, the counts, the errors."""
    lines = [f"{one.name}  {one.reaches}: {one.sentence}" for one in answer.edited[:_MOST_FILES]]
    if len(answer.edited) > _MOST_FILES:
        lines.append(f"and {plural(len(answer.edited) - _MOST_FILES, 'other rule')} of the files that changed")
    if answer.prepared is not None:
        summary = {verdict: count for verdict, count in answer.prepared.summary.items() if count and verdict != "clean"}
        clean = answer.prepared.summary["clean"]
        ahead = ", ".join(f"{count:,} {_AHEAD.get(verdict, verdict)}" for verdict, count in summary.items())
        counted = f"{clean:,} of {plural(len(answer.prepared.judgements), 'product')} proved clean"
        lines.append(f"{f'{ahead}; ' if ahead else ''}{counted} in {duration(answer.seconds, 3)}")
    return [*lines, *failure_lines(answer.errors, root)]


_AHEAD = {"run": "to run", "maybe": "may run", "restore": "to restore"}


def failure_lines(errors: Sequence[UserError], root: Path) -> list[str]:
    """Return errors as text, each with the line that it is about and a caret below the place."""
    lines = [line for error in errors[:_MOST_ERRORS] for line in [*error_lines(error), *excerpt(error, root)]]
    if len(errors) > _MOST_ERRORS:
        lines.append(f"error: {plural(len(errors) - _MOST_ERRORS, 'other error')}; `rules check` lists them")
    return lines


def excerpt(error: UserError, root: Path) -> list[str]:
    """Return the line of a file that an error is about and a caret below its column; [] if there is none."""
    where = error.where
    if where is None or where.line is None:
        return []
    try:
        text = (root / where.path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    if not 0 < where.line <= len(text):
        return []
    line = text[where.line - 1]
    number = f"{where.line:>5} | "
    found = [f"{number}{line}"]
    if where.column is not None:
        before = "".join("\t" if one == "\t" else " " for one in line[: where.column - 1])
        found.append(f"{' ' * len(number)}{before}^")
    return found


def built_lines(answer: Answer, root: Path, before: Iterable[UserError]) -> list[str]:
    """Return what a build did. before: the errors that the plan has shown."""
    shown = set(before)
    lines = build_lines(answer.report) if answer.report is not None else []
    return [*lines, *failure_lines([one for one in answer.errors if one not in shown], root)]


def rows_lines(shown: ShownRows, width: int | None) -> list[str]:
    """Return the first rows of a product as a table."""
    from rules.report.rows import part_of, table

    lines, remark = table(Rows(shown.schema, iter(shown.batches)), part_of(shown.total), width)
    return [f"{shown.name}:", *lines, remark]


def answer_document(answer: Answer, root: Path) -> dict[str, Any]:
    """Return an answer as `rules watch --json` prints it.

    Of the products only those that are not clean are listed; `summary` counts all.
    """
    event = "failed" if answer.failed else "planned" if answer.report is None else "built"
    found: dict[str, Any] = {}
    if answer.report is not None:
        found = build_document(answer.report)
        found["products"] = [one for one in found["products"] if one["status"] != "clean"]
    elif answer.prepared is not None:
        found = PlanView(answer.prepared).document()
        found["products"] = [one for one in found["products"] if one["verdict"] != "clean"]
    errors = [{**error_fields(one), "excerpt": excerpt(one, root)} for one in answer.errors]
    found |= {
        "event": event,
        "changed": list(answer.changed),
        "edits": [{"name": one.name, "class": one.reaches, "sentence": one.sentence} for one in answer.edited],
        "seconds": round(answer.seconds, 6),
    }
    found |= {"error": errors[0], "errors": errors} if errors else {}
    if answer.rows is not None:
        rows = Rows(answer.rows.schema, iter(answer.rows.batches))
        found["show"] = {"product": answer.rows.name, "total": answer.rows.total, "rows": list(records(rows))}
    return found | document("watch")
