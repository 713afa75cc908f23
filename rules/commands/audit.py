"""`rules audit`: run what a build would skip once more, and compare: proof that skipping it is right."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, get_args

from rules.build import audit
from rules.config.profiles import Place
from rules.config.project import load_project
from rules.errors import FAILED, UserError
from rules.files.project_paths import find_root
from rules.report.runs import audit_errors, audit_fields, audit_lines, document, error_lines
from rules.terminal import progress
from rules.terminal.arguments import add_jobs, add_profile, add_selection, add_variables, request_of, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    add_selection(parser, "audit")
    add_variables(parser)
    parser.add_argument(
        "--sample", dest="audit", type=share, default=1.0, metavar="SHARE", help="run only a share, as in 5%%"
    )
    judges = parser.add_mutually_exclusive_group()
    judges.add_argument(
        "--remote",
        type=share,
        metavar="SHARE",
        help="run only a share of what other builders have computed, and keep evidence of differences",
    )
    judges.add_argument(
        "--engine",
        dest="judge",
        nargs="+",
        metavar=("ENGINE", "SHARE"),
        help="run on this engine, spark or local, a share of what the other one has made; keep evidence of differences",
    )
    add_jobs(parser)
    add_profile(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    """Audit; 1 when a result differs."""
    project = load_project(find_root(options.project), options.var, options.settings)
    remote = {} if options.remote is None else {"audit": options.remote, "audit_remote": True}
    request = request_of(options, **remote, **_on_engine(options.judge or ()))
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


def _on_engine(words: Sequence[str]) -> dict[str, Any]:
    """Return what --engine asks for. words: the name of an engine, and a share, if one is given. Raises `UserError`."""
    if not words:
        return {}
    name, *rest = words
    if name not in get_args(Place):
        raise _misused(f"there is no engine '{name}': choose spark or local")
    if len(rest) > 1:
        raise _misused(f"takes an engine and a share, not also '{rest[1]}'")
    try:
        return {"audit_engine": name, **({"audit": share(rest[0])} if rest else {})}
    except argparse.ArgumentTypeError as error:
        raise _misused(str(error)) from None


def _misused(problem: str) -> UserError:
    return UserError(f"--engine: {problem}", code="usage", hint="see rules audit --help")
