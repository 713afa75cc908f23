"""What a build would refuse of a contract, told without the engine, as far as a rule's columns are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from compiler.resolve import suggestion
from compiler.schema import Schema
from compiler.types import INTEGERS
from rules.contracts.loading import contract_where
from rules.contracts.verifying import UNTOLD, broken_promises
from rules.errors import UserError
from rules.load import Rule
from rules.project import Project

_CERTAIN = frozenset((*INTEGERS, "float64", "bool", "string", "date32"))
"""Types that a product has just as its rule's columns have them, however they came to be known."""


def foretold(
    project: Project,
    rule: Rule,
    known: Mapping[str, Schema],
    resolve: Callable[[str], str | None],
    names: Iterable[str],
) -> Iterator[UserError]:
    """Return what is wrong with a rule's contract, as errors at the declarations.

    known: columns of products and sources, as far as they can be told. resolve: from a table's name as written to the
    project's name. names: of all inputs, for suggestions.
    """
    tables = referred(rule)
    if rule.name in known:
        shown = {name: {"columns": _columns(known[name])} for name in {rule.name, *tables.values()} if name in known}
        yield from broken_promises(project, rule, dict(shown[rule.name]["columns"]), shown)
    for column, table in tables.items():
        if resolve(table) is None:
            where = contract_where(project, rule, "columns", column, "references")
            message = f"check references.{column} of {rule.name}: unknown input '{table}'"
            yield UserError(message, code="unknown-input", where=where, hint=suggestion(table, names))


def referred(rule: Rule) -> dict[str, str]:
    """Return the tables that columns of a rule's contract refer to, by column."""
    columns = rule.options.columns.items()
    return {name: column.references.partition(".")[0] for name, column in columns if column.references}


def _columns(schema: Schema) -> list[tuple[str, str]]:
    return [(column.name, column.type if column.type in _CERTAIN else UNTOLD) for column in schema.columns]
