"""What is found in the SQL of one rule, as a record: by its check, and by planning it on empty tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from compiler.errors import SqlError
from compiler.lint.check import World, check_rule, of_error, unsaid
from compiler.lint.comments import suppressions
from compiler.lint.findings import Lines

if TYPE_CHECKING:
    from sqlglot import exp

    from compiler.compiled import Options
    from rules.lint.planned_rules import Table

Plan = Callable[["exp.Query | None"], "tuple[Table | None, SqlError | None]"]
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
    tree: exp.Query | None = None,
) -> Record:
    """Return what is found in a rule.

    plan: returns its columns, or why it cannot be planned, given its tree as `Compiler.foresee` takes it, if there is
    one; None if too little is known of what it reads. tree: of its text, if that was parsed, which is consumed.
    """
    lines = Lines(text)
    checked = check_rule(text, world, volatile=options.volatile, dialect=options.dialect, query=tree)
    found = list(checked.found)
    table, error = plan(checked.ready) if plan is not None and not checked.refused else (None, None)
    if error is not None:
        found += unsaid(of_error(error, lines), found)
    return {
        "found": [lines.finding(path, one).to_record() for one in found],
        "marks": [mark.to_record() for mark in suppressions(text)],
        "columns": checked.columns and [[column.name, column.type] for column in checked.columns],
        "table": table,
    }
