"""`rules plan`: say what a build would do and why, without doing it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from rules.core import Core
from rules.errors import FAILED
from rules.files.project_paths import find_root
from rules.report.plan_view import PlanView
from rules.report.runs import errors_lines
from rules.terminal import progress
from rules.terminal.arguments import add_force, add_profile, add_selection, add_trust, add_variables, request_of

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    add_selection(parser, "plan")
    add_variables(parser)
    add_force(parser, "plan to run these in any case")
    add_trust(parser)
    parser.add_argument(
        "--explain", action="store_true", help="follow each verdict to the edits or sources it is due to"
    )
    parser.add_argument(
        "-k", "--keep-going", action="store_true", help="plan what does not need the rules and sources that are broken"
    )
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 when anything is not clean")
    add_profile(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    """Plan; 1 when something is broken; with --exit-code, also when a build would do something."""
    with closing(Core(find_root(options.project), options.var, options.settings)) as core:
        request = request_of(options, brief=not output.as_json and output.verbosity <= 0)
        prepared = core.plan(request, progress.observer(output))
    view = PlanView(prepared)
    if output.as_json:
        output.document(view.document())
    elif output.verbosity < 0:
        output.result(view.dirty)
    else:
        width = output.width()
        lines = view.lines(explain=options.explain, verbose=output.verbosity > 0, width=width)
        output.result(lines, painted=True)
    if not output.as_json:
        for lines in errors_lines(prepared.errors, whole=output.verbosity > 0):
            output.error(lines)
    ahead = view.dirty or view.dirty_sources
    return FAILED if prepared.errors or (options.exit_code and ahead) else 0
