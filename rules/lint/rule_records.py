"""What is found in the SQL of one rule, as a record: by its check, and by planning it on empty tables."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from compiler.errors import SqlError
from compiler.lint.check import World, check_rule, of_error, unsaid
from compiler.lint.comments import suppressions
from compiler.lint.findings import Lines
from compiler.sql.dialect import parse
from compiler.tree.big_stack import with_deep_stack
from compiler.tree.walk import bare_copy

if TYPE_CHECKING:
    from sqlglot import exp

    from compiler.compiled import Options
    from rules.lint.planned_rules import Table

Plan = Callable[["exp.Query | None", "exp.Query | None"], "tuple[Table | None, SqlError | None]"]
Record = dict[str, Any]
"""What is found in one file, as JSON holds it: `found` (see `Finding.to_record`) and `marks` (suppressions).

That of a rule in SQL also has `columns` and `table`, what is known of its columns without types and with them; that of
rules.toml has `inferred`: see `Sources.inferred`.
"""


def look(
    text: str,
    path: str,
    options: Options,
    world: World,
    plan: Plan | None,
) -> Record:
    """Return what is found in a rule.

    plan: returns its columns, or why it cannot be planned, given its trees, as parsed and qualified, if these are
    known; None if too little is known of what it reads.
    """
    lines = Lines(text)
    trees = _parsed_twice(text) if options.dialect is None and plan is not None else None
    tree, spare = trees or (None, None)
    checked = check_rule(text, world, volatile=options.volatile, dialect=options.dialect, query=tree)
    found = list(checked.found)
    table, error = plan(spare, checked.qualified) if plan is not None and not checked.refused else (None, None)
    if error is not None:
        found += unsaid(of_error(error, lines), found)
    return {
        "found": [lines.finding(path, one).to_record() for one in found],
        "marks": [mark.to_record() for mark in suppressions(text)],
        "columns": checked.columns and [[column.name, column.type] for column in checked.columns],
        "table": table,
    }


def _parsed_twice(text: str) -> tuple[exp.Query, exp.Query] | None:
    """Return two trees of a text, as both steps change theirs; a copy costs a tenth of parsing.

    None where it cannot be parsed, which both find for themselves.
    """

    def work() -> tuple[exp.Query, exp.Query]:
        tree = parse(text)
        return tree, bare_copy(tree, positions=True)

    with contextlib.suppress(SqlError, RecursionError):
        return with_deep_stack(work)
    return None
