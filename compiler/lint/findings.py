"""Findings of checks: a span of the text, perhaps with a fix made of edits. Plain data."""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sqlglot import exp


@dataclass(frozen=True)
class Edit:
    """Replace the characters from `start` up to `end` by `text`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Fix:
    """A fix in words, and the edits that make it."""

    message: str
    edits: tuple[Edit, ...]
    translates: bool = False
    """Whether the text means something else afterwards, or something at all: what it meant in another dialect."""


@dataclass(frozen=True)
class Found:
    """A finding in one text, from character `start` up to `end`."""

    code: str
    start: int
    end: int
    message: str
    hint: str | None = None
    fix: Fix | None = None
    case: str = ""
    """The case that the policy may allow: "single" of R001 (one table in scope), "local" of R005 (a star over CTEs and
    derived tables)."""


def _fix_of(message: str, edits: list[list[Any]], translates: bool = False) -> Fix:  # noqa: FBT001, FBT002 — of a record
    return Fix(message, tuple(Edit(*edit) for edit in edits), translates)


class Place(NamedTuple):
    """1-based lines and columns; the end is just after the last character."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True)
class Finding:
    """A finding with its file and its place; path: relative to the project."""

    path: str
    found: Found
    place: Place

    @property
    def code(self) -> str:
        """Return the code of the check."""
        return self.found.code

    def to_record(self) -> dict[str, Any]:
        """Return its JSON form, without its path."""
        one = self.found
        fix = one.fix and [
            one.fix.message,
            [[edit.start, edit.end, edit.text] for edit in one.fix.edits],
            one.fix.translates,
        ]
        span = [one.start, one.end]
        said = {"code": one.code, "message": one.message, "hint": one.hint, "fix": fix, "case": one.case}
        return {**said, "span": span, "place": list(self.place)}

    @classmethod
    def from_record(cls, path: str, record: Mapping[str, Any]) -> Finding:
        """Return the object of which `to_record` returned this."""
        fix = record["fix"] and _fix_of(*record["fix"])
        start, end = record["span"]
        found = Found(record["code"], start, end, record["message"], record["hint"], fix, record["case"])
        return cls(path, found, Place(*record["place"]))


def span(node: exp.Expr) -> tuple[int, int]:
    """Return the span of `node`: from its first token that has a place up to its last, else those around it."""
    around: exp.Expr | None = node
    while around is not None:
        places = [place for inner in around.walk() if (place := token_span(inner)) is not None]
        if places:
            return min(start for start, _ in places), max(end for _, end in places)
        around = around.parent
    return 0, 0


def token_span(node: exp.Expr) -> tuple[int, int] | None:
    """Return the span of the node's own token, quotes included."""
    meta = node.meta if node._meta else {}  # noqa: SLF001 — `.meta` would create a dict on every node
    start, end = meta.get("start"), meta.get("end")
    return (start, end + 1) if start is not None and end is not None else None


class Lines:
    """Offsets ↔ 1-based lines and columns of one text. A line ends in LF or CR LF."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(self, offset: int) -> tuple[int, int]:
        """Return the line and column of a character."""
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def finding(self, path: str, found: Found) -> Finding:
        """Return a finding of this text with its place."""
        return Finding(path, found, Place(*self.place(found.start), *self.place(found.end)))

    def offset(self, line: int, column: int) -> int:
        """Return the character at a line and column, or the end of the text."""
        if line > len(self._starts):
            return len(self.text)
        return min(self._starts[line - 1] + column - 1, len(self.text))

    def next_said(self, line: int) -> int:
        """Return the first line from `line` on with more than blanks and a comment, or the last line."""
        said = self._said
        return min(said[bisect.bisect_left(said, line)] if said and said[-1] >= line else line, len(self._starts))

    @cached_property
    def _said(self) -> list[int]:
        found: list[int] = []
        for number in range(1, len(self._starts) + 1):
            text = self.line(number).strip()
            if text and not text.startswith(("--", "#")):
                found.append(number)
        return found

    def line(self, number: int) -> str:
        """Return a line without its line ending."""
        if number > len(self._starts):
            return ""
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[self._starts[number - 1] : end].rstrip("\r\n")
