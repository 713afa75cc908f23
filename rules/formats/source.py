"""[sources.NAME] of rules.toml: where a table is, and how its files are read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import msgspec

from rules.errors import Flaw
from rules.files.locations import LocationError, is_url, location_of
from rules.formats import registry
from rules.formats.source_format import Format


class Source(msgspec.Struct, frozen=True):
    """Where a table comes from."""

    path: str
    format: str | None = None
    """Its name; None if the extension says it."""
    columns: dict[str, str] = {}
    """Types of columns by name, as rules.toml spells them: they type text, and are a contract for other formats."""
    options: Mapping[str, Any] = {}
    """The options of all formats, those of other formats than its own too."""
    partitions: bool = True
    """Whether folders that are called key=value are columns."""


def source_table() -> type[msgspec.Struct]:
    """Return the keys that [sources.NAME] may have, with their types: those of `Source`, and the formats' options."""
    return _table(registry.FORMATS)


def source_of(table: msgspec.Struct) -> Source:
    """Return the source that a table, a `source_table`, declares."""
    given = msgspec.structs.asdict(table)
    names = [option.name for one in registry.FORMATS for option in one.options]
    return Source(options={name: given.pop(name) for name in dict.fromkeys(names)}, **given)


def location_flaw(source: Source) -> Flaw | None:
    """Return what is wrong with where a source is."""
    if is_url(source.path):
        try:
            place = location_of(source.path)
        except LocationError as error:
            return Flaw(("path",), error.message, error.hint)
        kind = registry.format_named(source.format) if source.format is not None else None
        if kind is not None and kind.lists_files and not place.lists:
            message = f"a table of the format {kind.name} is a folder, and a web server lists no files"
            return Flaw(("path",), message, "copy the table to an object store, or to a folder")
    return None


@cache
def _table(formats: tuple[Format, ...]) -> type[msgspec.Struct]:
    names = tuple(one.name for one in formats)
    options = {option.name: (option.name, option.type, option.default) for one in formats for option in one.options}
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = [
        ("path", str),
        ("format", Literal[names] | None, None),
        ("columns", dict[str, str], {}),
        *options.values(),
        ("partitions", bool, True),
    ]
    return msgspec.defstruct("SourceTable", fields, forbid_unknown_fields=True, frozen=True)
