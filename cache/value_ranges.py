"""Which parts of a table share values of a column, by the ranges that the values of each part lie in.

A range says only that every value lies in one of them, not that each is there. So parts whose ranges are apart share no
value; others may, and are taken to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Value: TypeAlias = int | str
"""A value of a column, so that order and equality are those of the values: a number, or bytes as hexadecimal digits."""

# A part of the keys of what is remembered of ranges: raise it whenever the same column would get other ones.
RANGES_FORMAT = 1


@dataclass(frozen=True)
class ValueRanges:
    """The values of a column in one part. ranges: least and greatest value of each, in order, none touching another.

    nulls: whether NULL is one of them.
    """

    ranges: tuple[tuple[Value, Value], ...]
    nulls: bool

    @classmethod
    def of(cls, ranges: Iterable[tuple[Value, Value]], *, nulls: bool) -> ValueRanges:
        """Return what is known of the values in ranges that may overlap."""
        merged: list[tuple[Value, Value]] = []
        for least, most in sorted(ranges):
            if merged and least <= merged[-1][1]:  # type: ignore[operator]
                merged[-1] = (merged[-1][0], max(merged[-1][1], most))
            else:
                merged.append((least, most))
        return cls(tuple(merged), nulls)

    @property
    def hull(self) -> ValueRanges:
        """The same with one range, from the least value to the greatest."""
        return ValueRanges(((self.ranges[0][0], self.ranges[-1][1]),) if self.ranges else (), self.nulls)

    @property
    def are_points(self) -> bool:
        """Whether every value is known."""
        return all(least == most for least, most in self.ranges)

    def to_record(self) -> dict[str, Any]:
        """Return this as plain data."""
        return {"ranges": [list(one) for one in self.ranges], "nulls": self.nulls}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ValueRanges:
        """Return what `to_record` was asked of."""
        return cls(tuple((least, most) for least, most in record["ranges"]), record["nulls"])


def sharing(parts: Sequence[ValueRanges]) -> list[list[int]]:
    """Group parts, given in order, by their places: those in different groups share no value. NULL is a value.

    Each group is connected: its parts overlap one with another. Groups are in the order of their first parts.
    """
    leader = list(range(len(parts)))

    def find(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    def unite(one: int, other: int) -> None:
        first, second = sorted((find(one), find(other)))
        leader[second] = first

    with_nulls = [place for place, part in enumerate(parts) if part.nulls]
    for place in with_nulls[1:]:
        unite(with_nulls[0], place)
    found = sorted((*one, place) for place, part in enumerate(parts) for one in part.ranges)
    reach: Value | None = None
    owner = -1
    for least, most, place in found:
        if reach is not None and least <= reach:  # type: ignore[operator]
            unite(owner, place)
            reach = max(reach, most)
        else:
            reach, owner = most, place
    groups: dict[int, list[int]] = {}
    for place in range(len(parts)):
        groups.setdefault(find(place), []).append(place)
    return list(groups.values())
