"""Step 2 of 7, compile, for contracts: whether a rule's columns are those it promises, decided without data."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from compiler.suggestions import suggestion
from rules.config.contract import spelled
from rules.errors import FAILED, Flaw, UserError
from rules.loading.contracts import contract_where

if TYPE_CHECKING:
    from rules.config.project import Project
    from rules.loading.rule import Rule

Tables = Mapping[str, Mapping[str, Any]]
"""Schemas by the names of their tables, as the index stores them."""

UNTOLD = ""
"""A type that only the engine knows."""

_KINDS = {"number", "moment", "string", "bool"}
"""Kinds of values, of which no two can be compared."""

_INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_FLOATS = {"float", "double", "halffloat", "float16", "float32", "float64"}
_ZONED = '"'
"""In the name of a timestamp's type, this is only around the zone."""
_TYPES = "examples: string, int64, double, decimal(10, 2), date, timestamp, or a type as rules contract prints it"


def require_promised(project: Project, rule: Rule, table: Mapping[str, Any], known: Tables) -> None:
    """Raise `UserError`, at the declaration, unless a product's columns match its contract.

    table: the product's schema as the index has it; known: those of the inputs that its checks refer to.
    """
    error = next(broken_promises(project, rule, dict(table["columns"]), known), None)
    if error is not None:
        raise error


def broken_promises(project: Project, rule: Rule, types: Mapping[str, str], known: Tables) -> Iterator[UserError]:
    """Return the errors of a product's columns against its contract, placed at the declarations.

    types: by column, `UNTOLD` if only the engine knows it; the type of such a column is not checked.
    """
    broken = itertools.chain(_keys(rule, types), _broken(rule, types, known))
    for wrong in broken:
        where = contract_where(project, rule, *wrong.path)
        yield UserError(wrong.message, code="contract", where=where, hint=wrong.hint, exit_code=FAILED)


def _keys(rule: Rule, types: Mapping[str, str]) -> Iterator[Flaw]:
    """Yield the columns of a source's key that it lacks; for a rule's key the compiler reports them."""
    for name in rule.options.key if rule.is_of_source else ():
        if name not in types:
            hint = suggestion(name, types) or f"its columns: {', '.join(types)}"
            yield Flaw(("key",), f"{rule.name} has no column '{name}', which its key names", hint)


def _broken(rule: Rule, types: Mapping[str, str], known: Tables) -> Iterator[Flaw]:
    product, contract = rule.name, rule.options
    yields = "has" if rule.is_of_source else "yields"
    listed = f"its columns: {', '.join(types)}"
    for name, column in contract.columns.items():
        path = ("columns", name)
        if name not in types:
            message = f"{product} {yields} no column '{name}', which its contract declares"
            yield Flaw(path, message, suggestion(name, types) or listed)
            continue
        yield from _wrong_type(rule, name, column.type, types[name])
        for number, value in enumerate(column.accepted):
            if not _may_equal(value, types[name]):
                shown = value if isinstance(value, datetime.date) else repr(value)
                message = f"{shown} cannot be a value of {product}.{name}, which is {spelled(types[name])}"
                hint = _hint(types[name])
                yield Flaw((*path, "accepted", str(number)), message, hint)
        yield from _wrong_reference(product, name, column.references, types, known)
    for name in types if contract.exact else ():
        if name not in contract.columns:
            message = f"{product} {yields} the column '{name}', which its exact contract does not declare"
            yield Flaw(("exact",), message, f"add [columns.{name}], or leave out exact = true")


def _wrong_type(rule: Rule, name: str, declared: str, inferred: str) -> Iterator[Flaw]:
    if declared in {"", inferred} or inferred == UNTOLD:
        return
    from rules.storage.types import declared_names  # with pyarrow, which a contract without types does not need

    path = ("columns", name, "type")
    try:
        names = declared_names(declared)
    except ValueError as error:
        yield Flaw(path, str(error), _TYPES)
        return
    if inferred not in names:
        holds = "the source has" if rule.is_of_source else "the rule yields"
        message = f"{rule.name}.{name} is declared as {declared}, but {holds} {spelled(inferred)}"
        remedy = f"correct the data, or say in [sources.{rule.name}] how to read it: columns"
        cast = f"{remedy} = {{ {name} = … }}" if rule.is_of_source else "cast it in the rule"
        yield Flaw(path, message, f'{cast}, or declare type = "{spelled(inferred)}"')


def _wrong_reference(
    product: str, name: str, reference: str, types: Mapping[str, str], known: Tables
) -> Iterator[Flaw]:
    table, _, column = reference.partition(".")
    if not reference or (table != product and table not in known):
        return
    path = ("columns", name, "references")
    there = types if table == product else dict(known[table]["columns"])
    if column not in there:
        message = f"{table} has no column '{column}', which {product}.{name} refers to"
        yield Flaw(path, message, suggestion(column, there) or f"its columns: {', '.join(there)}")
    elif len(kinds := {_kind(types[name]), _kind(there[column])}) > 1 and kinds <= _KINDS:
        message = f"{product}.{name} is {spelled(types[name])}, but {reference} is {spelled(there[column])}"
        yield Flaw(path, message, "cast one of the two in its rule")


def _kind(dtype: str) -> str:
    """Return the kind of a type's values for comparisons; the type itself if nothing else compares with it."""
    if dtype in _INTEGERS | _FLOATS or dtype.startswith("decimal"):
        return "number"
    return "moment" if dtype.startswith(("date", "timestamp")) else dtype


def _may_equal(value: Any, dtype: str) -> bool:
    """Whether a value of TOML can equal one of a column's type without conversion to another kind."""
    if dtype == UNTOLD:
        return True
    if isinstance(value, bool):
        return dtype == "bool"
    if isinstance(value, int):
        return dtype in _INTEGERS | _FLOATS or dtype.startswith("decimal")
    if isinstance(value, float):
        return dtype in _FLOATS or dtype.startswith("decimal")
    moment = _moment(value)
    if dtype.startswith("timestamp"):
        return moment is not None and (moment.tzinfo is not None) == (_ZONED in dtype)
    if dtype.startswith("date"):
        return moment is not None and moment == datetime.datetime.combine(moment.date(), datetime.time.min)
    return dtype == "string"


def _moment(value: object) -> datetime.datetime | None:
    """Return the time that a value of TOML, or its text, means; a date is its first moment."""
    try:
        return datetime.datetime.fromisoformat(str(value))
    except ValueError:
        return None


def _hint(dtype: str) -> str:
    if dtype.startswith("date"):
        return "write dates as 2024-01-31"
    if dtype.startswith("timestamp"):
        return f"write timestamps as 2024-01-31T10:30:00{'Z' if _ZONED in dtype else ''}"
    return "write strings in quotes, numbers and booleans without"
