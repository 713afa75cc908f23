"""`rules lineage TABLE.COLUMN`: what a column is made of, and what is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.errors import UserError
from rules.files.project_paths import find_root
from rules.inspect.lineage import find_columns, trace
from rules.report.formats import LINEAGE, LineageView
from rules.report.lineage import (
    Question,
    answer,
    column_document,
    column_tree,
    names_only,
    table_document,
    table_tree,
)
from rules.terminal.arguments import add_format, positive, require_format

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output

_EPILOG = """value: the column's values flow into the other's. control: they only decide which rows there
are, or which values go together (filters, joins, groups, windows, order, DISTINCT, UNION).
Text shows values; --control adds the rest, which all other formats have.

rules lineage revenue.total --format html > lineage.html   a page: click a column, see its path
rules lineage --format html > lineage.html                 the whole project"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="PRODUCT.COLUMN, or a product for all its columns; sources likewise"
    )
    parser.add_argument("--upstream", action="store_true", help="only what it is made of")
    parser.add_argument("--downstream", action="store_true", help="only what is made of it")
    parser.add_argument("--depth", type=positive, metavar="N", help="at most so many rules away (default: all)")
    parser.add_argument(
        "--control", action="store_true", help="in text, show also what only decides about rows or groups"
    )
    add_format(parser, LINEAGE)


def run(options: argparse.Namespace, output: Output) -> int:
    """Print the lineage of a column, of every column of a product or source, or of the project as a drawing."""
    form = _format(options, output)
    root = find_root(options.project)
    traced = trace(root, output.message)
    table, names = find_columns(traced, options.name, root)
    if traced.broken and not options.upstream:
        output.message(f"warning: what does not compile is left out: {', '.join(sorted(traced.broken))}")
    both = options.upstream == options.downstream
    question = Question(both or options.upstream, both or options.downstream, options.depth, options.control)
    if options.name is None:
        _print_drawing(form, LineageView(traced.lineage, names, root.name, ""), output)
        return 0
    whole = options.name == table
    if form == "text" and whole and output.verbosity >= 0:
        output.result(table_tree(traced.lineage, table, question, output.width()))
        return 0
    answers = [answer(traced.lineage, name, question) for name in names]
    if form == "json":
        output.document(table_document(traced.lineage, table, answers) if whole else column_document(answers[0]))
    elif form == "text":
        quiet = output.verbosity < 0
        tree = column_tree(answers[0], output.width(), control=options.control)
        output.result(names_only(answers) if quiet else tree)
    else:
        steps = [step for one in answers for step in (*(one.upstream or ()), *(one.downstream or ()))]
        shown = dict.fromkeys([*names, *(step.name for step in steps)])
        _print_drawing(form, LineageView(traced.lineage, list(shown), options.name, options.name), output)
    return 0


def _format(options: argparse.Namespace, output: Output) -> str:
    require_format(options, output, LINEAGE)
    form: str = "json" if output.as_json else options.format or next(iter(LINEAGE))
    if options.name is None and LINEAGE[form] is None:
        hint = "for the whole project as a page: rules lineage --format html"
        raise UserError("name a product or a column", code="usage", hint=hint)
    return form


def _print_drawing(form: str, view: LineageView, output: Output) -> None:
    drawing = LINEAGE[form]
    assert drawing is not None
    output.data(drawing.write(view))
