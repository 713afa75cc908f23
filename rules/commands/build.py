"""`rules build`: bring products up to date, running only what must run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules import noop
from rules.errors import FAILED
from rules.files.project_paths import find_root
from rules.terminal.arguments import (
    add_evidence,
    add_force,
    add_jobs,
    add_profile,
    add_selection,
    add_timeouts,
    add_trust,
    add_variables,
    request_of,
    share,
)

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    add_selection(parser, "build")
    add_variables(parser)
    add_force(parser, "run these even if nothing changed")
    add_jobs(parser)
    parser.add_argument(
        "-k", "--keep-going", action="store_true", help="after a failure, go on with what does not need it"
    )
    parser.add_argument(
        "--audit",
        type=share,
        default=0.0,
        metavar="SHARE",
        help="run this share (5%%) of what was skipped again, and fail if a result differs",
    )
    parser.add_argument(
        "--lazy", action="store_true", help="fetch tables from the shared cache only once something reads them"
    )
    add_trust(parser)
    add_evidence(parser)
    add_timeouts(parser)
    add_profile(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    """Build; 1 when a product failed."""
    root = find_root(options.project)
    asked = options.select or options.exclude or options.force or options.audit or options.var or options.settings
    if not asked and noop.answered(str(root), options.profile, output, lazy=options.lazy):
        return 0
    from rules.build import build, keep_small
    from rules.config.project import load_project
    from rules.report.runs import audit_errors, build_document, build_lines, error_lines, errors_lines
    from rules.terminal import progress

    request = request_of(options, brief=not output.as_json and output.verbosity <= 0)
    observer = progress.observer(output)
    project = load_project(root, options.var, options.settings)
    try:
        report = build(project, request, observer)
    finally:
        observer.close()
    for warning in report.shared.warnings if report.shared is not None else ():
        output.message(warning)
    if output.as_json:
        output.document(build_document(report))
        keep_small(project, output.message)
        return 0 if report.ok else FAILED
    broken = [one.error for one in report.sources.values() if one.error is not None]
    broken += [one.error for one in report.results.values() if one.is_broken and one.error is not None]
    for lines in errors_lines(list(dict.fromkeys(broken)), whole=output.verbosity > 0):
        output.error(lines)
    for error in (*(one for one in report.errors if one not in broken), *audit_errors(report.audit)):
        output.error(error_lines(error))
    if output.verbosity >= 0:
        output.result(build_lines(report))
    keep_small(project, output.message)
    return 0 if report.ok else FAILED
