"""What a build would refuse of a rule's options and contract, found without the engine, as far as columns are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from compiler.analysis.types import INTEGERS
from compiler.compiled import Tier
from compiler.schema import Schema
from compiler.suggestions import suggestion
from rules.compiling.promised_columns import UNTOLD, broken_promises
from rules.config.front_matter import option_where
from rules.config.project import Project
from rules.errors import UserError
from rules.loading.contracts import contract_where
from rules.loading.rule import Rule
from rules.loading.tiers import missing_key

_CERTAIN = frozenset((*INTEGERS, "float64", "bool", "string", "date32"))
"""Types that a product has just as its rule's columns have them, however they came to be known."""


def foretold(
    project: Project,
    rule: Rule,
    known: Mapping[str, Schema],
    resolve: Callable[[str], str | None],
    names: Iterable[str],
) -> Iterator[UserError]:
    """Return what is wrong with a rule's key, tier and contract, as errors at the declarations.

    known: columns of products and sources, as far as they are known. resolve: from a table's name as written to the
    project's name. names: of all inputs, for suggestions.
    """
    tables = referred(rule)
    if rule.name in known:
        shown = {name: {"columns": _columns(known[name])} for name in {rule.name, *tables.values()} if name in known}
        types = dict(shown[rule.name]["columns"])
        if not rule.is_of_source:
            yield from _unknown_keys(project, rule, types)
        yield from broken_promises(project, rule, types, shown)
    ordered = rule.options.key or rule.options.order_by
    if rule.tier is Tier.CANONICAL and not ordered and not rule.in_python:
        yield missing_key(project, None, rule)
    for column, table in tables.items():
        if resolve(table) is None:
            where = contract_where(project, rule, "columns", column, "references")
            message = f"check references.{column} of {rule.name}: unknown input '{table}'"
            yield UserError(message, code="unknown-input", where=where, hint=suggestion(table, names))


def _unknown_keys(project: Project, rule: Rule, types: Mapping[str, str]) -> Iterator[UserError]:
    for name in rule.options.key:
        if name not in types:
            message = f"key column '{name}' is not an output column"
            hint = suggestion(name, types) or f"output columns: {', '.join(types)}"
            yield UserError(message, code="unknown-key", where=contract_where(project, rule, "key"), hint=hint)
    for name in rule.options.order_by if not rule.in_python else ():
        if name not in types:
            message = f"order_by column '{name}' is not an output column"
            hint = suggestion(name, types) or f"output columns: {', '.join(types)}"
            where = option_where(rule.text(project), rule.path, "order_by")
            yield UserError(message, code="unknown-order_by", where=where, hint=hint)


def referred(rule: Rule) -> dict[str, str]:
    """Return the tables that columns of a rule's contract refer to, by column."""
    columns = rule.options.columns.items()
    return {name: column.references.partition(".")[0] for name, column in columns if column.references}


def _columns(schema: Schema) -> list[tuple[str, str]]:
    return [(column.name, column.type if column.type in _CERTAIN else UNTOLD) for column in schema.columns]
