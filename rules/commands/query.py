"""`rules query QUERY`: print the rows of a query over products and sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.report.formats import ROWS
from rules.terminal.arguments import ROW_FORMATS, add_rows, add_variables, require_format

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.epilog = ROW_FORMATS
    parser.add_argument("query", metavar="QUERY", help='a query in quotes ("SELECT …"), or - for one on standard input')
    add_rows(parser)
    add_variables(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    """Print rows of the query."""
    from rules.inspect.query import Question
    from rules.terminal.query_answer import answer, query_text

    require_format(options, output, ROWS)
    text = query_text(options.query)
    return answer(options, output, lambda *_: Question(text), query=text)
