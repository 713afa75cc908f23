"""Which type a column of texts can be read as without losing how any of its values is spelled.

A type is taken if all values of the column, in all files, are spelled in one way, so that the texts could be written
again from the values: `01234`, `+4930`, `0x10`, ` 12` and `1e5` are no numbers, and of `1.1` and `1.10`, `true` and
`TRUE`, `12:00` and `12:00:00` not both are. Nothing depends on how the values are cut into batches, or on their order.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol, Self

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

WIDEST = 38
"""Digits of the widest integers that the engine computes with, as decimals."""

_FEW = 64
"""Values that are looked at first: most columns are of few kinds, and the others need not read them all."""
_EXACT_DIGITS = 15
"""Significant digits that every double keeps."""


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
        if self._empty and len(texts) > _FEW:
            self.add(texts.slice(0, _FEW))
            texts = texts.slice(_FEW)
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
class Integers:
    """`7`, `-12`; beyond 64 bits they are decimals."""

    wide: bool = False
    longest: int = 0

    def takes(self, texts: pa.Array) -> bool:
        """See `Kind`."""
        try:
            return _same(texts.cast(pa.int64()), texts)
        except pa.ArrowInvalid:
            if not _all_match(texts, r"^(0|-?[1-9][0-9]*)$"):
                return False
        self.wide = True
        self.longest = max(self.longest, pc.max(pc.utf8_length(pc.utf8_ltrim(texts, "-"))).as_py())
        return True

    def join(self, other: Integers) -> bool:
        """See `Kind`."""
        self.wide, self.longest = self.wide or other.wide, max(self.longest, other.longest)
        return True

    def dtype(self) -> pa.DataType | None:
        """See `Kind`."""
        if not self.wide:
            return pa.int64()
        return pa.decimal128(WIDEST, 0) if self.longest <= WIDEST else None


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


@dataclass
class Dates:
    """`2024-02-29`."""

    dated: bool = True

    def takes(self, texts: pa.Array) -> bool:
        """See `Kind`."""
        try:
            return _same(texts.cast(pa.date32()), texts)
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
        if not _all_match(texts, r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"):
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
        self.in_nanoseconds = self.in_nanoseconds and _casts(texts, pa.timestamp("ns", name))
        return self.in_nanoseconds or (self._fit_microseconds() and _casts(texts, pa.timestamp("us", name)))

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


@dataclass
class Floats:
    """`12.50`, `1.5e-07`, `nan`: numbers that a double keeps to the last digit, spelled as one program writes them.

    least, most: sizes of numbers without an exponent; tiny, huge: of those with one, which must lie outside.
    """

    fractions: Fractions = field(default_factory=Fractions)
    leading: set[bool] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    style: dict[str, set[str]] = field(default_factory=dict)
    least: float = float("inf")
    most: float = 0.0
    tiny: float = 0.0
    huge: float = float("inf")

    _PLAIN = r"^-?(?P<whole>0|[1-9][0-9]*|)(?:\.(?P<fraction>[0-9]+))?$"
    _SCIENTIFIC = re.compile(r"-?([1-9])(\.[0-9]+)?([eE])([+-]?)([0-9]+)\Z")
    _WORD = r"^(nan|NaN|NAN|-?(inf|Inf|INF|infinity|Infinity))$"

    def takes(self, texts: pa.Array) -> bool:
        """See `Kind`."""
        if self._take_small_integers(texts):
            return self._are_apart() and self.fractions.are_uniform
        parts = pc.extract_regex(texts, self._PLAIN)
        if parts.null_count:
            others = texts.filter(parts.is_null())
            if len(others) > _FEW and not self._take_others(others.slice(0, _FEW)):
                return False
            if not self._take_others(others):
                return False
            texts, parts = texts.filter(parts.is_valid()), parts.drop_null()
        return not len(texts) or self._take_plain(texts, *parts.flatten())

    def join(self, other: Floats) -> bool:
        """See `Kind`."""
        self.fractions.join(other.fractions)
        self.leading |= other.leading
        self.words |= other.words
        for aspect, given in other.style.items():
            self.style.setdefault(aspect, set()).update(given)
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)
        self.tiny, self.huge = max(self.tiny, other.tiny), min(self.huge, other.huge)
        return (
            len(self.leading) <= 1
            and self.fractions.are_uniform
            and self._words_agree()
            and all(len(given) == 1 for given in self.style.values())
            and self._are_apart()
        )

    def dtype(self) -> pa.DataType:
        """See `Kind`."""
        return pa.float64()

    def _take_small_integers(self, texts: pa.Array) -> bool:
        """Take integers that any double keeps, if all values are such; the quick way for most columns."""
        try:
            values = texts.cast(pa.int64())
        except pa.ArrowInvalid:
            return False
        span = pc.min_max(values)
        if not -(2**53) < span["min"].as_py() <= span["max"].as_py() < 2**53 or not _same(values, texts):
            return False
        self.fractions.whole = True
        self._span(values)
        return True

    def _span(self, values: pa.Array) -> None:
        sizes = pc.abs(values)
        sizes = sizes.filter(pc.greater(sizes, 0))
        if len(sizes):
            span = pc.min_max(sizes)
            self.least = min(self.least, float(span["min"].as_py()))
            self.most = max(self.most, float(span["max"].as_py()))

    def _take_plain(self, texts: pa.Array, whole: pa.Array, fraction: pa.Array) -> bool:
        bare = pc.equal(whole, "")
        if pc.any(pc.and_(bare, pc.equal(fraction, ""))).as_py():  # "-"
            return False
        zero_led = pc.and_(pc.equal(whole, "0"), pc.not_equal(fraction, ""))
        self.leading |= {given for given, mask in ((False, bare), (True, zero_led)) if pc.any(mask).as_py()}
        self.fractions.add(fraction, point_zero=True)
        if len(self.leading) > 1 or not self.fractions.are_uniform:
            return False
        values = texts.cast(pa.float64())
        digits = pc.add(pc.binary_length(whole), pc.binary_length(fraction))
        # What is short any double keeps; of what is long, most is written again just so.
        close = pc.and_(pc.greater(digits, _EXACT_DIGITS), pc.not_equal(values.cast(pa.string()), texts))
        if not all(map(_is_kept, texts.filter(close).to_pylist(), values.filter(close).to_pylist())):
            return False
        self._span(values)
        return self._are_apart()

    def _take_others(self, texts: pa.Array) -> bool:
        """Take numbers with an exponent, and words."""
        words = pc.match_substring_regex(texts, self._WORD)
        self.words |= set(pc.unique(texts.filter(words)).to_pylist())
        if not self._words_agree():
            return False
        return all(self._take_scientific(text) for text in texts.filter(pc.invert(words)).to_pylist())

    def _words_agree(self) -> bool:
        """Whether each of NaN and the two infinities is written in one way."""
        for sign in (True, False):
            if sum(word.startswith("-") is sign and word.lower() != "nan" for word in self.words) > 1:
                return False
        return sum(word.lower() == "nan" for word in self.words) <= 1

    def _take_scientific(self, text: str) -> bool:
        """Take `1.5e-07`. Without a point or a sign of the exponent, as in 1e5, it may as well be a code."""
        found = self._SCIENTIFIC.match(text)
        if found is None or not (found[2] or found[4]):
            return False
        fraction, letter, sign, exponent = found[2] or "", found[3], found[4], found[5]
        power = int(exponent)
        if fraction != ".0" and fraction.endswith("0"):
            return False
        style = {"letter": letter}
        if sign != "-":
            style["plus"] = sign
        if fraction in {"", ".0"}:
            style["point"] = fraction
        if power < 10:  # noqa: PLR2004 — of one digit, which some programs write as two
            style["width"] = str(len(exponent))
        elif exponent.startswith("0"):
            return False
        for aspect, given in style.items():
            self.style.setdefault(aspect, set()).add(given)
        value = float(text)
        if abs(value) < 1:
            self.tiny = max(self.tiny, abs(value))
        else:
            self.huge = min(self.huge, abs(value))
        return all(len(given) == 1 for given in self.style.values()) and _is_kept(text, value) and self._are_apart()

    def _are_apart(self) -> bool:
        """Whether no number is written both with an exponent and without."""
        return self.tiny < self.least and self.most < self.huge


KINDS: tuple[type[Kind], ...] = (Integers, Booleans, Dates, Times, Moments, Floats)


def _is_kept(text: str, value: float) -> bool:
    """Whether a number is what programs write for a double: the shortest that identifies it, or of 17 digits."""
    return Decimal(text) in {Decimal(repr(value)), Decimal(f"{value:.17g}")}


def _same(values: pa.Array, texts: pa.Array) -> bool:
    """Whether the values are written again just as they were."""
    return bool(pc.all(pc.equal(values.cast(pa.string()), texts)).as_py())


def _all_match(texts: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py())


def _casts(texts: pa.Array, dtype: pa.DataType) -> bool:
    try:
        texts.cast(dtype)
    except pa.ArrowInvalid:
        return False
    return True
