"""Answer a query for a command: find the project, run the query, print its rows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rules.config.project import decoded, load_project
from rules.errors import UserError
from rules.files.project_paths import find_root
from rules.formats.cells import Rows, limited
from rules.inspect.query import Question, answered
from rules.storage.store import open_store
from rules.terminal.row_printer import print_rows, row_limit
from rules.wording import plural

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

    from rules.config.project import Project
    from rules.storage.store import Store
    from rules.terminal.output import Output


def query_text(word: str) -> str:
    """Return a query: the word itself, or what is on standard input if it is "-". Raises `UserError`."""
    if word != "-":
        return decoded(word.encode(errors="surrogateescape"), "query")
    if sys.stdin is None:  # it was closed before we were started
        raise UserError("the standard input is closed", code="usage", hint='write the query in place of -: "SELECT …"')
    return decoded(sys.stdin.buffer.read(), "query")


def answer(
    options: argparse.Namespace, output: Output, ask: Callable[[Project, Store], Question], **fields: Any
) -> int:
    """Print the rows of the query that `ask` returns. fields: what the document says of it. Raises `UserError`."""
    root = find_root(options.project)
    project = load_project(root, options.var)
    with (
        open_store(root, output.message, building=False) as store,
        answered(project, store, ask(project, store)) as found,
    ):
        rows = limited(found.schema, found.batches, row_limit(options, output))
        print_rows(rows, options, output, _remark(rows), lambda shown: {**fields, "rows": _total(rows, shown)})
    return 0


def _remark(rows: Rows) -> Callable[[int], str]:
    """Return the remark on rows of which nobody knows how many there would be."""
    return lambda shown: f"the first {plural(shown, 'row')}; -n shows others" if rows.more else plural(shown, "row")


def _total(rows: Rows, shown: int) -> int | None:
    return None if rows.more else shown
