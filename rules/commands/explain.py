"""`rules explain NAME`: why a product is in its state, and everything that this was decided from."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rules.config.project import load_project
from rules.files.project_paths import find_root
from rules.inspect.explanation import explain
from rules.report.explain import explain_document, explain_lines
from rules.storage.store import open_store
from rules.terminal.arguments import add_profile, add_variables

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument("name", metavar="NAME", help="the product")
    add_variables(parser)
    add_profile(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    """Print the explanation."""
    project = load_project(find_root(options.project), options.var, options.settings)
    with open_store(project.root, output.message, building=False) as store:
        found = explain(project, options.name, options.profile, store)
    if output.as_json:
        output.document(explain_document(found))
    else:
        output.result(explain_lines(found, output.width(sys.stdout), verbose=output.verbosity > 0))
    return 0
