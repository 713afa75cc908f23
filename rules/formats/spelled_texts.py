"""What kinds of values ask of their texts: whether values are written again as they were, and digits behind a point."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

FEW = 64
"""Values that are looked at first: most columns are of few kinds, and the others need not read them all."""


@dataclass
class Fractions:
    """How many digits are behind the point: always the same number, or as few as there can be.

    whole: whether a value has no point. zero: whether one has nothing but zeros behind it; padded: or ends in one that
    says nothing. `1.0` is as short as some programs write it, and so counts as padded only where another has no point.
    """

    whole: bool = False
    zero: bool = False
    padded: bool = False
    digits: set[int] = field(default_factory=set)

    def add(self, fractions: pa.Array, *, point_zero: bool) -> None:
        """fractions: the digits behind the point, "" where there is none. point_zero: whether `.0` may be the least."""
        lengths = pc.binary_length(fractions)
        self.whole = self.whole or pc.any(pc.equal(lengths, 0)).as_py()
        behind = fractions.filter(pc.greater(lengths, 0))
        if not len(behind):
            return
        self.digits |= set(pc.unique(pc.binary_length(behind)).to_pylist())
        self.zero = self.zero or pc.any(pc.match_substring_regex(behind, "^0+$")).as_py()
        ends = pc.ends_with(behind, "0")
        if point_zero:
            ends = pc.and_(ends, pc.not_equal(behind, "0"))
        self.padded = self.padded or pc.any(ends).as_py()

    def join(self, other: Fractions) -> None:
        """Add what another has looked at."""
        self.whole, self.zero = self.whole or other.whole, self.zero or other.zero
        self.padded = self.padded or other.padded
        self.digits |= other.digits

    @property
    def are_uniform(self) -> bool:
        """Whether no two texts can be the same number."""
        if self.whole and self.zero:
            return False
        return not self.padded or len(self.digits) == 1


def same_texts(values: pa.Array, texts: pa.Array) -> bool:
    """Whether the values are written again just as they were."""
    return bool(pc.all(pc.equal(values.cast(pa.string()), texts)).as_py())


def all_match(texts: pa.Array, pattern: str) -> bool:
    """Whether all texts match a pattern."""
    return bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py())


def is_castable(texts: pa.Array, dtype: pa.DataType) -> bool:
    """Whether all texts can be read as values of a type."""
    try:
        texts.cast(dtype)
    except pa.ArrowInvalid:
        return False
    return True
