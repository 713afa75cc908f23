"""`rules explain NAME`: why a product is in its state, and everything that this was decided from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.config.project import load_project
from rules.files.project_paths import find_root
from rules.inspect.executions import last_execution
from rules.inspect.explanation import explain
from rules.report.executions import evidence_lines, execution_document, metrics_lines, plan_lines
from rules.report.explain import explain_document, explain_lines
from rules.storage.store import open_store
from rules.terminal.arguments import add_profile, add_variables

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output

_SHOWN = {"plan": plan_lines, "metrics": metrics_lines, "evidence": evidence_lines}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument("name", metavar="NAME", help="the product")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--plan", action="store_true", help="print the plan of the product's last execution instead")
    only.add_argument("--metrics", action="store_true", help="print what each operator of that plan did: time and rows")
    only.add_argument("--evidence", action="store_true", help="print all that is kept of the last execution")
    add_variables(parser)
    add_profile(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    """Print the explanation."""
    project = load_project(find_root(options.project), options.var, options.settings)
    asked = next((name for name in _SHOWN if getattr(options, name)), None)
    with open_store(project.root, output.message, building=False) as store:
        if asked is not None:
            execution = last_execution(project, options.name, options.profile, store)
            if output.as_json:
                output.document(execution_document(execution, whole=asked == "evidence"))
            else:
                output.result(_SHOWN[asked](execution, output.width()))
            return 0
        found = explain(project, options.name, options.profile, store)
    if output.as_json:
        output.document(explain_document(found))
    else:
        output.result(explain_lines(found, output.width(), verbose=output.verbosity > 0))
    return 0
