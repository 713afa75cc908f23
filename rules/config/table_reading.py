"""Tables of rules.toml as values of their kinds, each error at its place."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from rules.config.toml_positions import closest, key_places
from rules.config.toml_types import kind_of, wrong_table
from rules.errors import Flaw, UserError, Where
from rules.files.project_paths import FILE

T = TypeVar("T", bound=msgspec.Struct)
Found = TypeVar("Found")


def checked_table(text: str, value: Any, kind: type[T], path: tuple[str, ...]) -> T:
    """Return a table as `kind`, or raise `UserError` at the first key that is unknown, missing or of a wrong type."""
    dotted = ".".join(path)
    if not isinstance(value, dict):
        message = f"'{dotted}' must be a table, not {kind_of(value)}"
        raise UserError(
            message, code="config", where=place_in(text, *path), hint=f"write [{dotted}] on a line of its own"
        )
    wrong = wrong_table(value, kind, path, "key")
    if wrong is not None:
        raise UserError(wrong.message, code="config", where=place_in(text, *wrong.path), hint=wrong.hint)
    return msgspec.convert(value, kind)


def flawless(text: str, found: Found | Flaw, *table: str) -> Found:
    """Return what a table says. Raises `UserError` for what is wrong with one of its keys, at its place."""
    if isinstance(found, Flaw):
        raise UserError(found.message, code="config", where=place_in(text, *table, *found.path), hint=found.hint)
    return found


def place_in(text: str, *path: str) -> Where:
    """Return where the text of rules.toml says something, or the nearest thing around it. path: its keys."""
    return Where(FILE, *closest(key_places(text), path))
