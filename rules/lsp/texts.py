"""Texts and places as editors have them: lines from 0, characters in UTF-16 units, files as URIs."""

from __future__ import annotations

import bisect
import re
from typing import TYPE_CHECKING

from lsprotocol.types import Position, Range, TextDocumentContentChangePartial, TextEdit

from compiler.lint.findings import Lines

if TYPE_CHECKING:
    from lsprotocol.types import TextDocumentContentChangeEvent

    from compiler.lint.findings import Edit

_LINE_END = re.compile("\r\n|\n|\r")
"""What ends a line in the protocol. Other characters that Python ends lines at, such as U+2028, are within a line."""


class Text:
    """A text with its lines, as the protocol counts them."""

    def __init__(self, text: str) -> None:
        self.text = text
        ends = list(_LINE_END.finditer(text))
        self._starts = [0, *(one.end() for one in ends)]
        self._ends = [*(one.start() for one in ends), len(text)]

    def position(self, offset: int) -> Position:
        """Return the place of a character."""
        line = bisect.bisect_right(self._starts, offset) - 1
        before = self.text[self._starts[line] : offset]
        return Position(line, len(before) if before.isascii() else len(before.encode("utf-16-le")) // 2)

    def position_of(self, line: int, column: int) -> Position:
        """Return a place that is given by line and character, both from 1, as errors have them."""
        return self.position(Lines(self.text).offset(line, column))

    def offset(self, position: Position) -> int:
        """Return the character at a place; the end of its line, or of the text, for a place beyond."""
        if position.line >= len(self._starts):
            return len(self.text)
        start = self._starts[position.line]
        line = self.text[start : self._ends[position.line]]
        if line.isascii():
            return start + min(position.character, len(line))
        units = line.encode("utf-16-le")[: position.character * 2]
        return start + len(units.decode("utf-16-le", errors="ignore"))

    def after(self, change: TextDocumentContentChangeEvent) -> str:
        """Return the text after a change that an editor tells of."""
        if not isinstance(change, TextDocumentContentChangePartial):
            return whole(change.text)
        start, end = sorted((self.offset(change.range.start), self.offset(change.range.end)))
        return whole(f"{self.text[:start]}{change.text}{self.text[end:]}")

    def range(self, start: int, end: int) -> Range:
        """Return a span of characters."""
        return Range(self.position(start), self.position(end))

    def edit(self, edit: Edit) -> TextEdit:
        """Return an edit of this text."""
        return TextEdit(self.range(edit.start, edit.end), edit.text)

    def changed_to(self, after: str) -> TextEdit:
        """Return the one edit that makes another text of this one, as small as can be."""
        before, start = self.text, 0
        least = min(len(before), len(after))
        while start < least and before[start] == after[start]:
            start += 1
        end = 0
        while end < least - start and before[-1 - end] == after[-1 - end]:
            end += 1
        return TextEdit(self.range(start, len(before) - end), after[start : len(after) - end])


def whole(text: str) -> str:
    """Return a text without halves of characters, which JSON can spell and no file can have: U+FFFD instead of each."""
    return text.encode("utf-16-le", errors="surrogatepass").decode("utf-16-le", errors="replace")
