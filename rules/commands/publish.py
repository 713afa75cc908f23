"""`rules publish`: send products to the folders, buckets and databases of rules.toml; only what changed there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.errors import FAILED
from rules.files.project_paths import find_root
from rules.terminal import progress
from rules.terminal.arguments import add_jobs, add_profile, add_selection, add_variables, request_of

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument("names", nargs="*", metavar="SELECTOR", help="publish only these products, as -s does")
    add_selection(parser, "publish")
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME",
        help="publish to the targets of this environment (default: to those that are in none)",
    )
    parser.add_argument("--target", action="append", default=[], metavar="NAME", help="publish to this target alone")
    parser.add_argument("--build", action="store_true", help="first build what is not up to date")
    parser.add_argument("--dry-run", action="store_true", help="say what would be sent and why, and send nothing")
    parser.add_argument("--prune", action="store_true", help="remove published tables of products that no longer exist")
    add_variables(parser)
    add_jobs(parser)
    add_profile(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    """Publish; 1 when a product is not up to date or a target could not be written."""
    from rules.config.project import load_project
    from rules.publishing.publish import Wanted, publish
    from rules.report.published import publish_document, publish_errors, publish_lines
    from rules.report.runs import errors_lines

    project = load_project(find_root(options.project), options.var, options.settings)
    request = request_of(options, select=(*options.names, *options.select))
    wanted = Wanted(tuple(options.env), tuple(options.target), options.build, options.dry_run, options.prune)
    observer = progress.observer(output)
    try:
        report = publish(project, request, wanted, observer)
    finally:
        observer.close()
    if output.as_json:
        output.document(publish_document(report))
        return 0 if report.ok else FAILED
    for lines in errors_lines(publish_errors(report), whole=output.verbosity > 0):
        output.error(lines)
    if output.verbosity >= 0:
        output.result(publish_lines(report, verbose=output.verbosity > 0), painted=True)
    return 0 if report.ok else FAILED
