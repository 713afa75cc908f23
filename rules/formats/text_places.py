"""The place of a row, a field or a value in a text file: readers report rows and names, people want line and column.

Lines and columns are 1-based; columns count characters. A byte order mark is none, a byte that is no UTF-8 is one.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.formats.text_file import TextFile

Place = tuple[int | None, int | None]
"""Line and column, as far as they are known."""
UNREADABLE = "\ufffd"
"""Stands for a byte that is no UTF-8."""


def place_in_csv(
    file: TextFile, row: int, field: int | None, *, single: bool = False, unreadable: bool = False
) -> Place:
    """Return where a row of a CSV file begins, or a field of it; the first row is 1, the first field 0.

    A field beyond the last one is the end of the row. single: the file has one column, so that empty lines are rows.
    unreadable: the first byte that is no UTF-8 is meant, from the beginning of the field on.
    """
    lines = _Lines(file)
    with contextlib.suppress(csv.Error, OSError):  # a field too long for Python's reader; broken compression
        for count, text in enumerate(_rows(lines, file.delimiter, single=single), start=1):
            if count == row:
                start = _field_start(text, file.delimiter, field or 0)
                if unreadable and UNREADABLE in text[start:]:
                    start = text.index(UNREADABLE, start)
                before = text[:start]
                line = lines.first + before.count("\n")
                return line, (None if field is None else start - before.rfind("\n"))
    return None, None


def column_in_json(line: bytes, name: str | None) -> int | None:
    """Return the column of the value of a field in a line of JSON; without a name, that of the error."""
    text = line.decode("utf-8-sig", "replace")
    decoder = json.JSONDecoder()
    try:
        if name is None:
            decoder.decode(text)
            return None
        position = text.index("{") + 1
        while True:
            key, position = decoder.raw_decode(text, _next(text, position, ","))
            start = _next(text, position, ":")
            if key == name:
                return start + 1
            _, position = decoder.raw_decode(text, start)
    except json.JSONDecodeError as error:
        return min(error.pos, len(text.rstrip("\r\n"))) + 1
    except (ValueError, IndexError, RecursionError):
        return None


def unreadable_column(line: bytes) -> int | None:
    """Return the column of the first byte of a line that is no UTF-8; None if there is none."""
    try:
        line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return len(line[: error.start].decode("utf-8-sig")) + 1
    return None


def _next(text: str, position: int, mark: str) -> int:
    """Return where the next token begins, behind blanks and at most one `mark`."""
    while text[position] in " \t\r\n" or text[position] == mark:
        position += 1
    return position


class _Lines:
    """The lines of a file; `taken` are those since it was last emptied, `first` is the number of the first of them."""

    def __init__(self, file: TextFile) -> None:
        self._file = file
        self.first = 1
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        with (
            self._file.open() as stream,
            io.TextIOWrapper(io.BufferedReader(stream), "utf-8-sig", "replace", newline="") as text,
        ):
            for line in text:
                self.taken.append(line)
                yield line

    def drop(self) -> None:
        self.first += len(self.taken)
        self.taken = []


def _rows(lines: _Lines, delimiter: str, *, single: bool) -> Iterator[str]:
    """Yield the text of each row, which may span lines; blank lines are no rows of several columns."""
    for fields in csv.reader(lines, delimiter=delimiter):
        if fields or single:
            yield "".join(lines.taken)
        lines.drop()


def _field_start(text: str, delimiter: str, field: int) -> int:
    """Return where a field of a row begins; the end of the row if it has fewer."""
    position, end = 0, len(text.rstrip("\r\n"))
    for _ in range(field):
        if text.startswith('"', position):
            position += 1
            while (quote := text.find('"', position)) >= 0 and text.startswith('""', quote):
                position = quote + 2
            position = quote + 1 if quote >= 0 else end
        found = text.find(delimiter, position)
        if found < 0:
            return end
        position = found + 1
    return position
