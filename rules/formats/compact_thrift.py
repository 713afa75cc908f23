"""Thrift's compact protocol, as the footers of Parquet files are written: where each value is among the bytes.

Nothing is built of the values, so that what is copied from one footer into another is copied byte by byte, fields that
only later versions of Parquet know included. No library keeps these. The specification is
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from typing import NamedTuple

_TRUE, _FALSE, _BYTE, _BINARY, _LIST, _SET, _MAP, STRUCT = 1, 2, 3, 8, 9, 10, 11, 12
_FIXED = {_TRUE: 0, _FALSE: 0, _BYTE: 1, 7: 8, 13: 16}
"""The bytes of values of one size: as a field, a boolean is its kind."""
_INTEGERS = (4, 5, 6)
_LONG = 15
"""Instead of the size of a list, which then follows."""
_MORE = 128
_DEPTH = 32


class DamagedError(ValueError):
    """Bytes that are no such values."""


class Span(NamedTuple):
    """Where a value is. kind: its type."""

    kind: int
    start: int
    end: int


def fields(data: bytes, start: int) -> dict[int, Span]:
    """Return the fields of a struct by their numbers. Raises `DamagedError`."""
    try:
        return _fields(data, start, 0)[0]
    except IndexError:
        raise DamagedError from None


def items(data: bytes, span: Span) -> list[Span]:
    """Return the items of a list. Raises `DamagedError`."""
    found = []
    try:
        size, kind, place = _header(data, span.start)
        for _ in range(size):
            end = _after_item(data, place, kind, 0)
            found.append(Span(kind, place, end))
            place = end
            data[place - 1]
    except IndexError:
        raise DamagedError from None
    return found


def structs(data: bytes, span: Span) -> list[dict[int, Span]]:
    """Return the fields of each item of a list of structs. Raises `DamagedError`."""
    found = []
    try:
        size, kind, place = _header(data, span.start)
        if kind != STRUCT:
            raise DamagedError
        for _ in range(size):
            one, place = _fields(data, place, 0)
            found.append(one)
    except IndexError:
        raise DamagedError from None
    return found


def integer(data: bytes, span: Span) -> int:
    """Return an integer of any size."""
    return _signed(_varint(data, span.start)[0])


def text(data: bytes, span: Span) -> str:
    """Return a text. Raises `DamagedError`."""
    size, place = _varint(data, span.start)
    try:
        return data[place : place + size].decode()
    except UnicodeDecodeError:
        raise DamagedError from None


def list_of(structs: list[bytes]) -> bytes:
    """Return a list of structs."""
    return bytes([_LONG << 4 | STRUCT]) + _as_varint(len(structs)) + b"".join(structs)


def as_integer(value: int) -> bytes:
    """Return an integer that is not negative."""
    return _as_varint(value << 1)


def _fields(data: bytes, place: int, depth: int) -> tuple[dict[int, Span], int]:
    """Return the fields of a struct, and where it ends."""
    found: dict[int, Span] = {}
    number = 0
    while kind := data[place] & 15:
        step = data[place] >> 4
        place += 1
        if step:
            number += step
        else:
            value, place = _varint(data, place)
            number = _signed(value)
        end = _after(data, place, kind, depth)
        found[number] = Span(kind, place, end)
        place = end
    return found, place + 1


def _after(data: bytes, place: int, kind: int, depth: int) -> int:
    """Return where a value ends."""
    if kind in _INTEGERS:
        return _varint(data, place)[1]
    if kind in _FIXED:
        return place + _FIXED[kind]
    if kind == _BINARY:
        size, place = _varint(data, place)
        return place + size
    if depth == _DEPTH:
        raise DamagedError
    if kind == STRUCT:
        return _after_fields(data, place, depth + 1)
    return _after_items(data, place, kind, depth + 1)


def _after_fields(data: bytes, place: int, depth: int) -> int:
    """Return where a struct ends.

    Nearly all of a footer is skipped by this, so nothing is built, and integers are not computed.
    """
    while kind := data[place] & 15:
        step = data[place] >> 4
        place += 1
        if not step:  # the number of the field follows
            while data[place] >= _MORE:
                place += 1
            place += 1
        if kind in _INTEGERS:
            while data[place] >= _MORE:
                place += 1
            place += 1
        else:
            place = _after(data, place, kind, depth)
    return place + 1


def _after_items(data: bytes, place: int, kind: int, depth: int) -> int:
    """Return where a list, a set or a map ends."""
    if kind in (_LIST, _SET):
        size, item, place = _header(data, place)
        kinds: tuple[int, ...] = (item,)
    elif kind == _MAP:
        size, place = _varint(data, place)
        kinds = (data[place] >> 4, data[place] & 15) if size else ()
        place += bool(size)
    else:
        raise DamagedError
    for _ in range(size):
        for one in kinds:
            place = _after_item(data, place, one, depth)
            data[place - 1]  # so that a size without end does not count for long
    return place


def _after_item(data: bytes, place: int, kind: int, depth: int) -> int:
    return place + 1 if kind in (_TRUE, _FALSE) else _after(data, place, kind, depth)


def _header(data: bytes, place: int) -> tuple[int, int, int]:
    """Return the size of a list, the kind of its items, and where they begin."""
    size, kind = data[place] >> 4, data[place] & 15
    place += 1
    if size == _LONG:
        size, place = _varint(data, place)
    return size, kind, place


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return an unsigned integer, and where it ends."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & (_MORE - 1)) << shift
        if byte < _MORE:
            return value, place
        shift += 7


def _as_varint(value: int) -> bytes:
    found = bytearray()
    while value >= _MORE:
        found.append(value & (_MORE - 1) | _MORE)
        value >>= 7
    found.append(value)
    return bytes(found)


def _signed(value: int) -> int:
    return (value >> 1) ^ -(value & 1)
