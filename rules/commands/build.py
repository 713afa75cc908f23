"""`rules build`: bring products up to date, running only what must run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules import noop
from rules.errors import FAILED
from rules.files.project_paths import DEFAULT_PROFILE, find_root
from rules.terminal.arguments import TRUST_HELP, add_selection, add_variables, positive, share

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    add_selection(parser, "build")
    add_variables(parser)
    parser.add_argument(
        "--force", action="append", default=[], metavar="SELECTOR", help="run these even if nothing changed"
    )
    parser.add_argument(
        "-j", "--jobs", type=positive, metavar="N", help="products executed at once (default: cores + 1)"
    )
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
    parser.add_argument("--trust-engine-upgrade", action="store_true", help=TRUST_HELP)
    parser.add_argument(
        "--profile", default=DEFAULT_PROFILE, metavar="NAME", help="engine settings (default: %(default)s)"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Build; 1 when a product failed."""
    root = find_root(options.project)
    if not (options.select or options.exclude or options.force or options.audit or options.var) and noop.answered(
        str(root), options.profile, output
    ):
        return 0
    from rules.build import build
    from rules.config.project import load_project
    from rules.planning.prepared import Request
    from rules.report.runs import audit_errors, build_document, build_lines, error_lines, errors_lines
    from rules.terminal import progress

    request = Request(
        select=tuple(options.select),
        exclude=tuple(options.exclude),
        force=tuple(options.force),
        profile=options.profile,
        jobs=options.jobs,
        keep_going=options.keep_going,
        audit=options.audit,
        trust_engine_upgrade=options.trust_engine_upgrade,
    )
    observer = progress.observer(output)
    try:
        report = build(load_project(root, options.var), request, observer)
    finally:
        observer.close()
    if output.as_json:
        output.document(build_document(report))
        return 0 if report.ok else FAILED
    broken = [one.error for one in report.sources.values() if one.error is not None]
    broken += [one.error for one in report.results.values() if one.is_broken and one.error is not None]
    for lines in errors_lines(list(dict.fromkeys(broken)), whole=output.verbosity > 0):
        output.error(lines)
    for error in (*(one for one in report.errors if one not in broken), *audit_errors(report.audit)):
        output.error(error_lines(error))
    if output.verbosity >= 0:
        output.result(build_lines(report))
    return 0 if report.ok else FAILED
