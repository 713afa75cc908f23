"""The source formats, and which of them a file's name says."""

from __future__ import annotations

import os

from rules.files.source_listing import COMPRESSED, extension_of
from rules.formats.arrow_ipc import ArrowIpc
from rules.formats.delta import Delta
from rules.formats.iceberg import Iceberg
from rules.formats.parquet import Parquet
from rules.formats.source_format import Format
from rules.formats.text import Csv, JsonLines

FORMATS: tuple[Format, ...] = (Parquet(), Csv(), JsonLines(), ArrowIpc(), Delta(), Iceberg())


def format_named(name: str) -> Format:
    """Return the format that rules.toml calls `name`."""
    return next(one for one in FORMATS if one.name == name)


def format_by_name(path: str) -> Format | None:
    """Return the format that a file's extension says, an ending such as `.gz` left aside; None for others."""
    name = extensions().get(extension_of(path))
    return None if name is None else format_named(name)


def without_extension(name: str) -> str:
    """Return a file's name without the extension that says its format."""
    plain = name
    for suffix in COMPRESSED:
        plain = plain[: -len(suffix)] if plain.lower().endswith(suffix) else plain
    stem, extension = os.path.splitext(plain)
    return stem if extension.lower() in extensions() else name


def or_declared(but: str = "") -> str:
    """Return how a format is declared: format = "parquet", "csv" or "json". but: the format to leave out, by name."""
    *first, last = [f'"{one.name}"' for one in FORMATS if one.name != but]
    return f"format = {', '.join(first)} or {last}"


def extensions() -> dict[str, str]:
    """Return the extensions of all formats, each with the format's name."""
    return {extension: one.name for one in FORMATS for extension in one.extensions}
