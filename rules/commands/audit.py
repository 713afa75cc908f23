"""`rules audit`: run what a build would skip once more, and compare: proof that skipping it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.build import audit
from rules.config.project import load_project
from rules.errors import FAILED
from rules.files.project_paths import find_root
from rules.report.runs import audit_errors, audit_fields, audit_lines, document, error_lines
from rules.terminal import progress
from rules.terminal.arguments import add_jobs, add_profile, add_selection, add_variables, request_of, share

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    add_selection(parser, "audit")
    add_variables(parser)
    parser.add_argument(
        "--sample", dest="audit", type=share, default=1.0, metavar="SHARE", help="run only a share, as in 5%%"
    )
    parser.add_argument(
        "--remote",
        type=share,
        metavar="SHARE",
        help="run only a share of what other builders have computed, and keep evidence of differences",
    )
    add_jobs(parser)
    add_profile(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    """Audit; 1 when a result differs."""
    project = load_project(find_root(options.project), options.var, options.settings)
    remote = {} if options.remote is None else {"audit": options.remote, "audit_remote": True}
    request = request_of(options, **remote)
    report = audit(project, request, progress.observer(output))
    if output.as_json:
        status = "failed" if report.differing else "ok"
        output.document(document("audit", status=status, **audit_fields(report)))
    else:
        for error in audit_errors(report):
            output.error(error_lines(error))
        if output.verbosity >= 0:
            output.result(audit_lines(report))
    return FAILED if report.differing else 0
