"""Which type a column of texts can be read as without losing how any of its values is spelled.

A type is taken if all values of the column, in all files, are spelled in one way, so that the texts could be written
again from the values: `01234`, `+4930`, `0x10`, ` 12` and `1e5` are no numbers, and of `1.1` and `1.10`, `true` and
`TRUE`, `12:00` and `12:00:00` not both are. Nothing depends on how the values are cut into batches, or on their order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from rules.formats.spelled_moments import Dates, Moments, Times
from rules.formats.spelled_numbers import Floats, Integers
from rules.formats.spelled_texts import FEW


class Kind(Protocol):
    """A kind of values; `takes` and `join` return False for good once a value is of another."""

    def takes(self, texts: pa.Array) -> bool:
        """Look at values, none of them NULL or missing."""

    def join(self, other: Self) -> bool:
        """Add what another of the same kind has looked at, as if all values had been looked at here."""

    def dtype(self) -> pa.DataType | None:
        """Return the type for all values that were looked at; None if there is none after all."""


class Column:
    """The values of one column so far."""

    def __init__(self, *, of_timestamps: bool = False) -> None:
        """of_timestamps: whether only timestamps of whole seconds are looked for, and dates are some, as in JSON."""
        self._kinds: list[Kind] = [Integers(), Booleans(), Dates(), Times(), Moments(), Floats()]
        if of_timestamps:
            self._kinds = [Dates(dated=False), Moments(whole_seconds=True)]
        self._empty = True

    @property
    def is_settled(self) -> bool:
        """Whether the column is text whatever comes."""
        return not self._kinds

    def add(self, texts: pa.Array) -> None:
        """Look at more values."""
        texts = texts.drop_null()
        if self._empty and len(texts) > FEW:
            self.add(texts.slice(0, FEW))
            texts = texts.slice(FEW)
        if len(texts) and self._kinds:
            self._empty = False
            self._kinds = [kind for kind in self._kinds if kind.takes(texts)]

    def join(self, other: Column) -> None:
        """Add the values of another column of the same table's, as if they had been looked at here."""
        if other._empty:
            return
        if self._empty:
            self._kinds, self._empty = list(other._kinds), False
            return
        theirs: dict[type[Kind], Any] = {type(kind): kind for kind in other._kinds}
        self._kinds = [kind for kind in self._kinds if type(kind) in theirs and kind.join(theirs[type(kind)])]

    def record(self) -> dict[str, Any]:
        """Return the column as plain data, for `of_record`."""
        kinds = {type(kind).__name__: msgspec.to_builtins(kind) for kind in self._kinds}
        return {"empty": self._empty, "kinds": kinds}

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Self:
        """Return the column of a record."""
        found = cls()
        found._empty = record["empty"]
        found._kinds = [msgspec.convert(record["kinds"][one.__name__], one) for one in KINDS
                        if one.__name__ in record["kinds"]]  # fmt: skip
        return found

    def dtype(self) -> pa.DataType:
        """Return the column's type; text if no other fits, or there were no values."""
        found = (kind.dtype() for kind in self._kinds) if not self._empty else iter(())
        return next((dtype for dtype in found if dtype is not None), pa.string())


@dataclass
class Booleans:
    """`true` and `false`, or `TRUE` and `FALSE`, or `True` and `False`."""

    seen: set[str] = field(default_factory=set)

    def takes(self, texts: pa.Array) -> bool:
        """See `Kind`."""
        if pc.max(pc.binary_length(texts)).as_py() > len("false"):
            return False
        self.seen |= set(pc.unique(texts).to_pylist()[:3])
        return self._are_alike()

    def join(self, other: Booleans) -> bool:
        """See `Kind`."""
        self.seen |= other.seen
        return self._are_alike()

    def _are_alike(self) -> bool:
        return any(self.seen <= style for style in ({"true", "false"}, {"TRUE", "FALSE"}, {"True", "False"}))

    def dtype(self) -> pa.DataType:
        """See `Kind`."""
        return pa.bool_()


KINDS: tuple[type[Kind], ...] = (Integers, Booleans, Dates, Times, Moments, Floats)
