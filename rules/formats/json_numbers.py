"""Numbers in JSON lines of more digits than a double has, as they are spelled."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rules.formats.spelled_numbers import WIDEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NUMBERS = b"numbers read as texts"
"""Key of a schema's metadata: the paths of numbers whose spelling is what is read."""

# What no double may hold has so many digits, or such an exponent; in a text it costs no more than a second look.
_LONG = re.compile(rb"[0-9][0-9.]{15,}|[eE][+-]?[0-9]{3}")
_MARK = "\x00number:"
_MARKED = re.compile(r'"\\u0000number:([^"]*)"')


@dataclass
class Numbers:
    """The numbers at one path. whole: whether all are integers, as far as they were looked at; longest: in digits."""

    whole: bool = True
    wide: bool = False
    longest: int = 0
    exact: bool = True

    def add(self, text: str) -> None:
        """Look at one more number."""
        if re.fullmatch(r"-?[0-9]+", text):
            self.longest = max(self.longest, len(text.lstrip("-")))
            self.wide = self.wide or not -(2**63) <= Decimal(text) < 2**63
        else:
            self.whole = False
        if self.exact:
            value, exactly = float(text), Decimal(text)
            self.exact = exactly in {Decimal(repr(value)), Decimal(f"{value:.17g}")}

    def join(self, other: Numbers) -> None:
        """Add the numbers that another has looked at."""
        self.whole, self.wide = self.whole and other.whole, self.wide or other.wide
        self.longest, self.exact = max(self.longest, other.longest), self.exact and other.exact

    def dtype(self, dtype: pa.DataType) -> pa.DataType:
        """Return what the numbers are read as, which Arrow takes for `dtype`."""
        if pa.types.is_integer(dtype):
            return dtype
        if self.whole and self.wide:
            return pa.decimal128(WIDEST, 0) if self.longest <= WIDEST else pa.string()
        return dtype if self.exact else pa.string()


def is_long(text: bytes) -> bool:
    """Whether any number may have more digits than a double."""
    return _LONG.search(text) is not None


def numbers_in(text: bytes) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the path and spelling of every number in lines of objects."""
    for line in text.splitlines():
        if line.strip():
            yield from _walk((), _loads(line))


def quoted(text: bytes, paths: Iterable[tuple[str, ...]]) -> bytes:
    """Return lines of objects with the numbers at `paths` as strings, spelled as they are."""
    wanted = set(paths)
    return b"".join(_quoted(line, wanted) + b"\n" if line.strip() else b"\n" for line in text.splitlines())


def _quoted(line: bytes, paths: set[tuple[str, ...]]) -> bytes:
    try:
        value = _changed((), _loads(line), paths)
    except ValueError:
        return line  # what is wrong with it, its reader says
    return _MARKED.sub(r"\1", json.dumps(value, ensure_ascii=True)).encode()


def _loads(line: bytes) -> Any:
    return json.loads(line, parse_int=_marked, parse_float=_marked, parse_constant=_marked)


def _marked(text: str) -> str:
    return _MARK + text


def _walk(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _walk((*path, name), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk((*path, "[]"), inner)
    elif isinstance(value, str) and value.startswith(_MARK) and value[-1].isdigit():
        yield path, value.removeprefix(_MARK)


def _changed(path: tuple[str, ...], value: Any, paths: set[tuple[str, ...]]) -> Any:
    if isinstance(value, dict):
        return {name: _changed((*path, name), inner, paths) for name, inner in value.items()}
    if isinstance(value, list):
        return [_changed((*path, "[]"), inner, paths) for inner in value]
    return value.removeprefix(_MARK) if path in paths and isinstance(value, str) else value
