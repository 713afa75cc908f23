"""[sources] of rules.toml: each table as a source, and the sources that patterns declare."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from rules.config.contract import promise_called
from rules.config.table_reading import checked_table, flawless, place_in
from rules.errors import UserError
from rules.formats import registry
from rules.formats.source import Source, location_flaw, source_of, source_table
from rules.formats.source_patterns import Pattern, PatternError, expand, is_pattern


def read_sources(text: str, entries: dict[str, Any], patterns: Iterable[Pattern]) -> dict[str, Source]:
    """Return all sources: those of patterns take from an entry of their own name what it says. Raises `UserError`."""
    tables = {name: value for name, value in entries.items() if not is_pattern(name)}
    for pattern in patterns:
        for name, file in pattern.sources.items():
            own = tables.get(name, {})
            if isinstance(own, dict):
                tables[name] = {**entries[pattern.key], **own, "path": own.get("path", file)}
    found = {}
    for name, value in tables.items():
        came = next((one.key for one in patterns if name in one.sources and name not in entries), name)
        lost = next((one for one in patterns if name not in one.sources and one.stem_of(name) is not None), None)
        if lost is not None and isinstance(value, dict) and "path" not in value:
            message = f"missing key 'path' in [sources.{name}]: no file of {lost.path} makes this source"
            hint = f'it would be called {lost.stem_of(name)}; or add path = "…"'
            raise UserError(message, code="config", where=place_in(text, "sources", name), hint=hint)
        found[name] = _source(text, came, value)
    return found


def read_pattern(text: str, root: Path, key: str, entries: dict[str, Any]) -> Pattern:
    """Return an entry of [sources] that declares many, with those. Raises `UserError`."""
    _source(text, key, entries[key])
    try:
        return expand(root, key, entries[key], {name: one for name, one in entries.items() if not is_pattern(name)})
    except PatternError as error:
        where = place_in(text, "sources", key, *error.keys)
        raise UserError(error.message, code="config", where=where, hint=error.hint, facts=error.facts) from error


def _source(text: str, name: str, value: Any) -> Source:
    if isinstance(value, dict):
        _require_no_promise(text, name, value)
    source = source_of(checked_table(text, value, source_table(), ("sources", name)))
    for wrong in (location_flaw(source), *(one.flaw(source.options) for one in registry.FORMATS)):
        flawless(text, wrong, "sources", name)
    _require_state_of_table(text, name, source)
    return source


def _require_no_promise(text: str, name: str, table: dict[str, Any]) -> None:
    """Raise `UserError` where a source's table says what a contract does."""
    known = {field.encode_name for field in msgspec.structs.fields(source_table())}
    unknown = next((key for key in table if key not in known), None)
    columns = table.get("columns")
    typed = columns if isinstance(columns, dict) else {}
    column = next((one for one, value in typed.items() if isinstance(value, dict)), None)
    contract = "[contracts.NAME], NAME being the source" if is_pattern(name) else f"[contracts.{name}]"
    promise = promise_called(unknown) if unknown is not None else None
    if unknown is not None and promise is not None:
        message = f"'{unknown}' in [sources.{name}] is a promise about its rows, which belongs in a contract"
        where = place_in(text, "sources", name, unknown)
        raise UserError(message, code="config", where=where, hint=f"under {contract}, {promise}")
    if unknown is None and column is not None:
        message = f"'columns.{column}' in [sources.{name}] must be a type, not a table"
        hint = f'write {column} = "string", and what its values promise under {contract}: columns.{column} = {{ … }}'
        raise UserError(message, code="config", where=place_in(text, "sources", name, "columns", column), hint=hint)


def _require_state_of_table(text: str, name: str, source: Source) -> None:
    """Raise `UserError` for a key that names a state of a table, for files that have none."""
    own = [option.name for one in registry.FORMATS if one.name == source.format for option in one.options]
    for one in registry.FORMATS:
        for option in one.options if one.lists_files else ():
            if option.name not in own and source.options[option.name] != option.default:
                known = [f'"{other.name}"' for other in registry.FORMATS if option in other.options]
                message = (
                    f"'{option.name}' means nothing for [sources.{name}], whose format is not {' or '.join(known)}"
                )
                raise UserError(message, code="config", where=place_in(text, "sources", name, option.name),
                                hint=f"leave it out, or add format = {' or '.join(known)}")  # fmt: skip


def require_distinct(text: str, sources: dict[str, Source], patterns: Sequence[Pattern]) -> None:
    """Raise `UserError` for two sources of one name; names do not differ by case alone."""
    folded: dict[str, str] = {}
    for one, other_one in itertools.combinations(patterns, 2):
        for name in one.sources.keys() & other_one.sources.keys():
            facts = {"here": other_one.sources[name], "there": one.sources[name]}
            hint = f"two patterns name it; declare [sources.{name}] with the path of the one that is meant"
            where = place_in(text, "sources", other_one.key)
            raise UserError(
                f"two tables are named '{name}'", code="duplicate-name", where=where, facts=facts, hint=hint
            )
    came = {name: one.key for one in patterns for name in one.sources}
    for name in sources:
        other = folded.setdefault(name.lower(), name)
        if other != name:
            message = f"two tables are named '{name}'"
            hint = f"names do not differ by case alone, and there is a source '{other}'; rename one"
            where = place_in(text, "sources", came.get(name, name))
            raise UserError(message, code="duplicate-name", where=where, hint=hint)
