"""Dates, times and timestamps that are written again just as they were spelled; see `rules.formats.spelling`."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from rules.formats.spelled_texts import Fractions, all_match, is_castable, same_texts


@dataclass
class Dates:
    """`2024-02-29`."""

    dated: bool = True

    def takes(self, texts: pa.Array) -> bool:
        """See `Kind`."""
        try:
            return same_texts(texts.cast(pa.date32()), texts)
        except pa.ArrowInvalid:
            return False

    def join(self, other: Dates) -> bool:
        """See `Kind`."""
        return self.dated == other.dated

    def dtype(self) -> pa.DataType:
        """See `Kind`."""
        return pa.date32() if self.dated else pa.timestamp("us")


@dataclass
class Times:
    """`12:34:56`, or `12:34`."""

    lengths: set[int] = field(default_factory=set)

    def takes(self, texts: pa.Array) -> bool:
        """See `Kind`."""
        if not all_match(texts, r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"):
            return False
        self.lengths |= set(pc.unique(pc.binary_length(texts)).to_pylist())
        return len(self.lengths) == 1

    def join(self, other: Times) -> bool:
        """See `Kind`."""
        self.lengths |= other.lengths
        return len(self.lengths) == 1

    def dtype(self) -> pa.DataType:
        """See `Kind`."""
        return pa.time64("us")


@dataclass
class Moments:
    """`2024-02-29 12:34:56`: one separator, one precision and one offset throughout, at most nine digits of seconds."""

    styles: set[tuple[str, int, str]] = field(default_factory=set)
    fractions: Fractions = field(default_factory=Fractions)
    in_nanoseconds: bool = True
    whole_seconds: bool = False

    _TEXT = (
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?P<sep>[ T])(?P<clock>[0-9]{2}(?::[0-9]{2}(?::[0-9]{2})?)?)"
        r"(?:\.(?P<fraction>[0-9]{1,9}))?(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?$"
    )

    def takes(self, texts: pa.Array) -> bool:
        """See `Kind`."""
        parts = pc.extract_regex(texts, self._TEXT)
        if parts.null_count:
            return False
        sep, clock, fraction, zone = parts.flatten()
        columns = (pc.unique(part).to_pylist() for part in (sep, pc.binary_length(clock), zone))
        self.styles |= set(itertools.product(*columns))
        self.fractions.add(fraction, point_zero=False)
        if not self._are_alike():
            return False
        name = "UTC" if next(iter(self.styles))[2] else None
        self.in_nanoseconds = self.in_nanoseconds and is_castable(texts, pa.timestamp("ns", name))
        return self.in_nanoseconds or (self._fit_microseconds() and is_castable(texts, pa.timestamp("us", name)))

    def join(self, other: Moments) -> bool:
        """See `Kind`."""
        self.styles |= other.styles
        self.fractions.join(other.fractions)
        self.in_nanoseconds = self.in_nanoseconds and other.in_nanoseconds
        return self._are_alike() and (self.in_nanoseconds or self._fit_microseconds())

    def _are_alike(self) -> bool:
        if len(self.styles) > 1 or not self.fractions.are_uniform:
            return False
        seconds = next(iter(self.styles))[1] >= len("00:00:00") and not self.whole_seconds
        return seconds or not self.fractions.digits

    def _fit_microseconds(self) -> bool:
        return max(self.fractions.digits, default=0) <= 6  # noqa: PLR2004

    def dtype(self) -> pa.DataType:
        """See `Kind`."""
        unit = "ns" if self.fractions.digits and self.in_nanoseconds else "us"
        return pa.timestamp(unit, "UTC" if next(iter(self.styles))[2] else None)
