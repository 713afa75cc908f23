"""`rules verify`: run products again with the engine set otherwise, and compare: no setting may change a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.build import verify
from rules.config.project import load_project
from rules.errors import FAILED
from rules.files.project_paths import find_root
from rules.report.runs import error_lines
from rules.report.verification import verify_document, verify_errors, verify_lines
from rules.running.other_settings import AGAINST
from rules.terminal import progress
from rules.terminal.arguments import add_jobs, add_profile, add_selection, add_variables, request_of

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument("names", nargs="*", metavar="SELECTOR", help="verify only these products, as -s does")
    add_selection(parser, "verify")
    *others, last = AGAINST
    parser.add_argument(
        "--against",
        choices=AGAINST,
        default=AGAINST[0],
        metavar="HOW",
        help=f"what to compare with: {', '.join(others)} or {last} (default: {AGAINST[0]})",
    )
    add_variables(parser)
    add_jobs(parser)
    add_profile(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    """Verify; 1 when a result differs."""
    project = load_project(find_root(options.project), options.var, options.settings)
    request = request_of(options, select=(*options.names, *options.select))
    report = verify(project, request, options.against, progress.observer(output))
    if output.as_json:
        output.document(verify_document(report))
    else:
        for error in verify_errors(report):
            output.error(error_lines(error))
        if output.verbosity >= 0:
            output.result(verify_lines(report, verbose=output.verbosity > 0))
    return 0 if report.ok else FAILED
