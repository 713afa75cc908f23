"""What can go wrong with the store, as one error that the front door turns into a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class StoreError(Exception):
    """The store cannot be used: not writable, not readable, or of a format that cannot be set aside."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ForeignStoreError(StoreError):
    """The folder is not ours, or something in it would lead a write outside: nothing of it is used or changed."""


class DamagedIndexError(StoreError):
    """The index is no index, or none that this version can read: it has to be set aside.

    of_pages: SQLite says so, of pages that it may only have failed to read.
    """

    def __init__(self, message: str, *, of_pages: bool = False) -> None:
        super().__init__(message)
        self.of_pages = of_pages


class UnreadableTableError(StoreError):
    """The bytes of a file are those that were stored, and are no table."""

    def __init__(self, place: Path) -> None:
        hint = "rules build --force with the name of its product makes it again"
        super().__init__(f"a stored table cannot be read: {place} is none", hint=hint)


class ObjectError(Exception):
    """A stored object is missing, or its bytes are not those that were written."""


class UnreadableObjectError(ObjectError):
    """The system refuses to let a stored object be read. Whether it is sound is not known, so it has to stay."""


class DamagedInputError(ObjectError):
    """A table that is about to be read, or was, is missing or damaged, or a part of it is. input: the table's name."""

    def __init__(self, name: str, error: ObjectError) -> None:
        super().__init__(str(error))
        self.input = name


class TouchedInputError(DamagedInputError):
    """A table was written to while it was read, and is sound by now. Whoever read it may have read something else."""
