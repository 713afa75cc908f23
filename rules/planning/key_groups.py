"""Which parts of an input share values of a column, so that they are read together where groups must lie in one part.

It follows from the values alone. The least and greatest values, which the files' statistics tell, are enough to show
that parts are apart. Of parts between which these do not, the values are read, unless a few of them show that it is of
no use. What is found is remembered under the digest of the column, so each part is looked at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from cache.errors import ObjectError
from cache.keys import hash_json
from cache.value_ranges import RANGES_FORMAT, ValueRanges, sharing
from rules.formats.parquet_ranges import ranges_by_statistics, ranges_by_values, ranges_of_constants

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rules.planning.input_parts import InputPart
    from rules.storage.store import Store

_SAMPLE = 8
"""Parts whose values are looked at before those of all that overlap are."""
_BY_STATISTICS, _BY_VALUES = "statistics", "values"


class KeyGroups:
    """The parts of one input, and which of them share values of a column."""

    def __init__(
        self,
        store: Store,
        parts: Sequence[InputPart],
        dtype: Callable[[str], pa.DataType],
        unchanged: Callable[[Sequence[InputPart]], object],
    ) -> None:
        """store: remembers what is found of columns. dtype: of a column.

        unchanged: raises `ObjectError` or `UserError` unless parts are as in their digests.
        """
        self._known, self._index, self._parts = store.key_groups, store.index, parts
        self._dtype, self._unchanged = dtype, unchanged

    def of(self, column: str) -> list[list[int]] | None:
        """Group the parts by their places so that no two groups share a value; None where that cannot be found out."""
        try:
            key = hash_json([part.content.columns[column] for part in self._parts])
            if key not in self._known:
                self._known[key] = self._groups(column, self._dtype(column))
            return self._known[key]
        except (OSError, ObjectError, pa.ArrowException):  # whoever reads the files next says what is wrong with them
            return None

    def _groups(self, column: str, dtype: pa.DataType) -> list[list[int]]:
        everywhere = range(len(self._parts))
        found: list[list[int]] = []
        for group in sharing(self._ranges(column, dtype, everywhere, _BY_STATISTICS)):
            if len(group) > 1:
                step = max(1, len(group) // _SAMPLE)
                sample = self._ranges(column, dtype, group[::step], _BY_VALUES)
                if len(sharing(sample)) > 1:
                    closer = self._ranges(column, dtype, group, _BY_VALUES)
                    found += [[group[place] for place in places] for places in sharing(closer)]
                    continue
            found.append(group)
        return sorted(found)

    def _ranges(self, column: str, dtype: pa.DataType, places: Sequence[int], how: str) -> list[ValueRanges]:
        """Return the ranges of a column in some parts: by statistics where these do, or by values."""
        keys = [f"{RANGES_FORMAT} {how} {self._parts[place].content.columns[column][1]}" for place in places]
        known = {key: ValueRanges.from_record(record) for key, record in self._index.memo("ranges", keys).items()}
        fresh: dict[str, ValueRanges] = {}
        read: list[InputPart] = []
        for place, key in zip(places, keys, strict=True):
            if key not in known and key not in fresh:
                read.append(self._parts[place])
                fresh[key] = self._read(self._parts[place], column, dtype, how)
        if fresh:
            self._unchanged(read)
            self._index.remember("ranges", {key: one.to_record() for key, one in fresh.items()})
        return [known.get(key) or fresh[key] for key in keys]

    @staticmethod
    def _read(part: InputPart, column: str, dtype: pa.DataType, how: str) -> ValueRanges:
        if column in part.constants:
            found = ranges_of_constants(part.constants[column])
        else:
            by_statistics = ranges_by_statistics(part.files, column, dtype)
            if by_statistics is not None and (how == _BY_STATISTICS or by_statistics.are_points):
                return by_statistics
            found = ranges_by_values(part.files, column, dtype)
        return found.hull if how == _BY_STATISTICS else found  # as statistics would be
