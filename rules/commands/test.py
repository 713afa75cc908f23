"""`rules test`: run the unit tests of rules whose rule means something else than when they last passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.config.project import load_project
from rules.errors import FAILED, UserError
from rules.files.project_paths import find_root
from rules.terminal import progress
from rules.terminal.arguments import add_profile, add_selection, add_variables, request_of

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument("names", nargs="*", metavar="SELECTOR", help="test only these rules, as -s does")
    add_selection(parser, "test")
    parser.add_argument("-f", "--force", action="store_true", help="run tests that passed before, too")
    parser.add_argument("--generate", action="store_true", help="write tests/NAME.toml of rules, from real rows")
    add_variables(parser)
    add_profile(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    """Run tests; 1 when one fails."""
    from rules.report.unit_tests import generated_document, generated_lines, tests_document, tests_line, tests_lines
    from rules.testing.generating import generate_tests
    from rules.testing.run_tests import Tested, run_tests

    project = load_project(find_root(options.project), options.var, options.settings)
    force, options.force = options.force, ()
    request = request_of(options, select=(*options.names, *options.select))

    if options.generate:
        if not request.select:
            raise UserError("say of which rules to generate tests", code="usage", hint="rules test --generate NAME")
        made = generate_tests(project, request, progress.observer(output).say)
        output.document(generated_document(made)) if output.as_json else output.result(generated_lines(made))
        return 0

    def finished(tested: Tested) -> None:
        if not output.as_json and (tested.status == "failed" or (tested.status == "passed" and output.verbosity >= 0)):
            output.result(tests_lines(tested))

    found = run_tests(project, request, progress.observer(output).say, finished, force=force)
    if output.as_json:
        output.document(tests_document(found))
    elif output.verbosity >= 0:
        output.result([tests_line(found)])
    return FAILED if any(one.status == "failed" for one in found) else 0
