"""Integers and floats that are written again just as they were spelled; see `rules.formats.spelling`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from rules.formats.spelled_texts import FEW, Fractions, all_match, same_texts

WIDEST = 38
"""Digits of the widest integers that the engine computes with, as decimals."""

_EXACT_DIGITS = 15
"""Significant digits that every double keeps."""


@dataclass
class Integers:
    """`7`, `-12`; beyond 64 bits they are decimals."""

    wide: bool = False
    longest: int = 0

    def takes(self, texts: pa.Array) -> bool:
        """See `Kind`."""
        try:
            return same_texts(texts.cast(pa.int64()), texts)
        except pa.ArrowInvalid:
            if not all_match(texts, r"^(0|-?[1-9][0-9]*)$"):
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
            if len(others) > FEW and not self._take_others(others.slice(0, FEW)):
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
        if not -(2**53) < span["min"].as_py() <= span["max"].as_py() < 2**53 or not same_texts(values, texts):
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


def _is_kept(text: str, value: float) -> bool:
    """Whether a number is what programs write for a double: the shortest that identifies it, or of 17 digits."""
    return Decimal(text) in {Decimal(repr(value)), Decimal(f"{value:.17g}")}
