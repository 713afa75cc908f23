"""`rules show`: print rows: of a product as last committed, of a check, of a CTE of a rule, of a source, of a query."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from rules.files.project_paths import find_root
from rules.report.formats import ROWS
from rules.storage.store import open_store
from rules.terminal.arguments import ROW_FORMATS, add_rows, add_variables, require_format
from rules.terminal.row_printer import print_rows, row_limit

if TYPE_CHECKING:
    import argparse

    from rules.config.project import Project
    from rules.inspect.query import Question
    from rules.storage.store import Store
    from rules.terminal.output import Output

_NAME = re.compile(r"[^\s()]+")
"""What is one word is a name; what is more is a query."""
_PAST = re.compile(r"[^@]+@[^@]+")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.epilog = ROW_FORMATS
    parser.add_argument(
        "name",
        metavar="NAME",
        help="a product, also as a build left it (orders@BUILD), a source, a check for its failing rows (orders.key), "
        "a CTE of a rule (orders.recent), "
        'a query in quotes ("SELECT …"), or - for a query on standard input',
    )
    add_rows(parser)
    add_variables(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    """Print rows."""
    require_format(options, output, ROWS)
    word = options.name
    if word == "-" or not _NAME.fullmatch(word):
        from rules.inspect.query import Question
        from rules.terminal.query_answer import answer, query_text

        text = query_text(word)
        return answer(options, output, lambda *_: Question(text), query=text)
    if _show_stored(options, output):
        return 0
    return _show_computed(options, output)


def _show_stored(options: argparse.Namespace, output: Output) -> bool:
    """Print a product, or the failing rows of a check; return False where no build has left such a table."""
    root = find_root(options.project)
    with contextlib.ExitStack() as opened:
        with open_store(root, output.message, building=False, asked=True) as store:
            if options.name not in store.states and not _PAST.fullmatch(options.name):
                return False
            from rules.formats.cells import stored_rows
            from rules.inspect.stored_tables import committed, committed_by
            from rules.report.rows import part_of

            if options.name in store.states:
                name, build, (path, total) = options.name, None, committed(store, options.name)
            else:
                name, build, (path, total) = committed_by(store, options.name)
            # While the store is open, nobody removes what is about to be opened.
            rows = opened.enter_context(stored_rows(path, row_limit(options, output)))
        of = {"product": name, **({"build": build} if build is not None else {}), "rows": total}
        print_rows(rows, options, output, part_of(total), lambda _: of)
    return True


def _show_computed(options: argparse.Namespace, output: Output) -> int:
    """Print the rows of a source, or of a CTE of a rule. Raises `UserError` for a name that is neither."""
    from rules.inspect.query import question_of_cte, question_of_source
    from rules.inspect.stored_tables import unknown_table
    from rules.terminal.query_answer import answer

    name = options.name
    kind = "cte" if "." in name else "source"

    def ask(project: Project, store: Store) -> Question:
        found = question_of_cte(project, store, name) if "." in name else question_of_source(project, name)
        if found is None:
            raise unknown_table(project, store, name)
        return found

    return answer(options, output, ask, **{kind: name})
