"""A text that is being rewritten, which knows for each of its characters where in the author's text it comes from."""

from __future__ import annotations

import bisect
import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Piece = str | tuple[int, int]
"""A part of what is written: new text, or the start and end of what is copied from the text before."""

_WORD = re.compile(r"\w+|\s+|.", re.DOTALL)


@dataclass(frozen=True)
class Rewrite:
    """An edit: the characters from `start` to `end` become the pieces, one after the other.

    aligned: words of new text that the old text has too, in the same order, are the author's. renamed: the new text is
    another spelling of the author's word, so that what it names is his.
    """

    start: int
    end: int
    pieces: tuple[Piece, ...]
    aligned: bool = False
    renamed: bool = False


@dataclass(frozen=True)
class Traced:
    """A text, and the place in the author's text that each character belongs to; one more for the end.

    copied: whether the character is the author's own.
    """

    text: str
    origins: tuple[int, ...]
    copied: tuple[bool, ...]

    @classmethod
    def of(cls, text: str) -> Traced:
        """Return a text as its author wrote it."""
        return cls(text, tuple(range(len(text) + 1)), (True,) * len(text))

    def origin(self, offset: int) -> int:
        """Return the place in the author's text of a character of this one."""
        return self.origins[min(max(offset, 0), len(self.text))]

    def rewritten(self, edits: Iterable[Rewrite]) -> Traced:
        """Return the text with the edits applied; of two that overlap, only the first."""
        chosen: list[Rewrite] = []
        for edit in sorted(set(edits), key=lambda one: (one.start, -one.end)):
            if not chosen or edit.start >= chosen[-1].end:
                chosen.append(edit)
        if not chosen:
            return self
        parts: list[tuple[str, Sequence[int], Sequence[bool]]] = []
        position = 0
        for edit in chosen:
            parts += [self._slice(position, edit.start), *self._pieces(edit)]
            position = edit.end
        parts.append(self._slice(position, len(self.text)))
        text = "".join(part[0] for part in parts)
        origins = [origin for part in parts for origin in part[1]]
        return Traced(text, (*origins, self.origins[-1]), tuple(one for part in parts for one in part[2]))

    def _slice(self, start: int, end: int) -> tuple[str, Sequence[int], Sequence[bool]]:
        return self.text[start:end], self.origins[start:end], self.copied[start:end]

    def _pieces(self, edit: Rewrite) -> Iterable[tuple[str, Sequence[int], Sequence[bool]]]:
        for piece in edit.pieces:
            if isinstance(piece, tuple):
                yield self._slice(*piece)
            elif not edit.aligned:
                yield piece, (self.origins[edit.start],) * len(piece), (edit.renamed,) * len(piece)
            else:
                yield from self._aligned(edit.start, edit.end, piece)

    def _aligned(self, start: int, end: int, new: str) -> Iterable[tuple[str, Sequence[int], Sequence[bool]]]:
        """Yield new text in parts: words that the old text has too, in the same order, keep their places."""
        before, after = _WORD.findall(self.text[start:end]), _WORD.findall(new)
        offsets = [start]
        for word in before:
            offsets.append(offsets[-1] + len(word))
        at, last = 0, self.origins[start]
        matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
        for block in matcher.get_matching_blocks():
            fresh = "".join(after[at : block.b])
            yield fresh, (last,) * len(fresh), (False,) * len(fresh)
            yield self._slice(offsets[block.a], offsets[block.a + block.size])
            at = block.b + block.size
            last = self.origins[min(offsets[block.a + block.size], len(self.text))]


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return the line and column of a character, both from 1."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    line = bisect.bisect_right(starts, offset)
    return line, offset - starts[line - 1] + 1


def offset_of(text: str, line: int, column: int) -> int:
    """Return the character at a line and column."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    return min(starts[min(line, len(starts)) - 1] + column - 1, len(text))
