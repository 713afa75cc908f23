"""`rules watch`: plan and build whenever a file is saved, and show what the edit means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.core import Core
from rules.errors import UserError, Where, unknown_product
from rules.files.project_paths import find_root
from rules.terminal import progress, signals
from rules.terminal.arguments import (
    add_jobs,
    add_profile,
    add_selection,
    add_timeouts,
    add_variables,
    not_negative,
    request_of,
)
from rules.watching.answers import Answers
from rules.watching.changes import Changes, outside_folders
from rules.watching.screen import answer_document, built_lines, plan_lines, rows_lines, saved_line

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from rules.terminal.output import Output
    from rules.watching.answers import Answer

_ROWS = 5
_OF_THE_COMMAND_LINE = frozenset(
    {"selection", "setting", "unknown-product", "unknown-profile", "unknown-variable", "usage", "variable-type"}
)
"""Codes of errors that no edit mends: they are of what was asked for, unless they name a place in a file."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    add_selection(parser, "build")
    add_variables(parser)
    parser.add_argument("--plan", dest="plan_only", action="store_true", help="only plan; build nothing")
    parser.add_argument("--show", metavar="NAME", help="print the first rows of this product after each build")
    parser.add_argument(
        "-n", "--limit", type=not_negative, default=_ROWS, metavar="N", help=f"rows of --show (default: {_ROWS})"
    )
    add_jobs(parser)
    add_timeouts(parser)
    add_profile(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    """Watch until a signal comes."""
    core = Core(find_root(options.project), options.var, options.settings)
    observer = progress.LineObserver(output)
    answers = Answers(core, request_of(options), observer, options.show, options.limit)
    screen = _Screen(core, output)
    _require_sense(answers.plan(()), options.show)

    def is_wanted(planned: Answer) -> bool:
        if not answers.is_news(planned) and planned.changed:
            return False
        screen.planned(planned)
        return True

    for changed in Changes(core.root, lambda: _outside(core), screen.gone).batches():
        if options.plan_only:
            planned = answers.plan(changed)
            if is_wanted(planned):
                screen.ended(answers.with_rows(planned))
        elif (built := answers.build(changed, is_wanted)) is not None:
            screen.ended(answers.with_rows(built))
            core.tidy(output.message)
    if (signal := signals.came()) is not None:
        raise signals.Stopped(signal)
    return 0


def _outside(core: Core) -> list[Path]:
    """Return the folders outside of the project that are watched, too; none while rules.toml is broken."""
    try:
        return outside_folders(core.project())
    except UserError:
        return []


def _require_sense(first: Answer, show: str | None) -> None:
    """Raise `UserError` for options that are wrong in the project as it is when watching begins."""
    for error in first.errors:
        if error.code in _OF_THE_COMMAND_LINE and error.where is None:
            raise error
    if show is not None and first.prepared is not None and show not in first.prepared.session.products:
        raise unknown_product(show, first.prepared.session.products)


class _Screen:
    """Where answers are printed: as lines, or one JSON document a line."""

    def __init__(self, core: Core, output: Output) -> None:
        self._core, self._output = core, output
        self._shown: Answer | None = None

    def gone(self) -> None:
        """Say that the project is gone."""
        error = UserError("the project folder is gone", code="no-project", where=Where(str(self._core.root)))
        error.hint = "watching goes on when it is back"
        if self._output.as_json:
            from rules.report.runs import error_document

            self._output.document({**error_document("watch", [error]), "event": "failed", "changed": []})
        else:
            self._output.message(f"warning: {error.message}; {error.hint}")
        self._flush()

    def planned(self, answer: Answer) -> None:
        """Print what an edit means, before anything is built."""
        self._shown = answer
        if self._output.as_json:
            return
        self._output.result(["", saved_line(answer), *plan_lines(answer, self._core.root)], painted=True)
        self._flush()

    def ended(self, answer: Answer) -> None:
        """Print what was built, and the rows that are shown."""
        if self._output.as_json:
            self._output.document(answer_document(answer, self._core.root))
        else:
            if self._shown is not None and answer is not self._shown:
                self._output.result(built_lines(answer, self._core.root, self._shown.errors), painted=True)
            if answer.rows is not None:
                self._output.rows(rows_lines(answer.rows, self._output.width()))
        self._flush()

    def _flush(self) -> None:
        from rules.terminal.output import results, writing

        with writing():
            results().flush()
