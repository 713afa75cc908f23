"""Texts and places as editors have them: lines from 0, characters in UTF-16 units, files as URIs."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

from lsprotocol.types import Position, Range, TextEdit

if TYPE_CHECKING:
    from compiler.lint.findings import Edit


class Text:
    """A text with its lines."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0]
        at = text.find("\n")
        while at >= 0:
            self._starts.append(at + 1)
            at = text.find("\n", at + 1)

    def position(self, offset: int) -> Position:
        """Return the place of a character."""
        line = bisect.bisect_right(self._starts, offset) - 1
        before = self.text[self._starts[line] : offset]
        return Position(line, len(before) if before.isascii() else len(before.encode("utf-16-le")) // 2)

    def position_of(self, line: int, column: int) -> Position:
        """Return a place that is given by line and character, both from 1."""
        if line > len(self._starts):
            return Position(line - 1, column - 1)
        return self.position(min(self._starts[line - 1] + column - 1, len(self.text)))

    def offset(self, position: Position) -> int:
        """Return the character at a place; the end of its line, or of the text, for a place beyond."""
        if position.line >= len(self._starts):
            return len(self.text)
        start = self._starts[position.line]
        end = self._starts[position.line + 1] - 1 if position.line + 1 < len(self._starts) else len(self.text)
        line = self.text[start:end]
        if line.isascii():
            return start + min(position.character, len(line))
        units = line.encode("utf-16-le")[: position.character * 2]
        return start + len(units.decode("utf-16-le", errors="ignore"))

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
