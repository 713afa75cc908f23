"""Suppressions: comments that mark findings as intended.

SELECT amount FROM orders AS o  -- rules: ignore[R001]
-- rules: ignore[select-star]          on a line of its own: the next line that holds SQL
-- rules: ignore-file[R005, R009]      the whole file
-- rules: ignore                       every code that can be suppressed
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from compiler.lint.codes import ALWAYS, BY_CODE, lookup
from compiler.lint.findings import Edit, Finding, Fix, Found, Lines

_SQL = re.compile(
    r"""(?P<string>[eE]'(?:\\.|''|[^'\\])*'|'(?:''|[^'])*'|"(?:""|[^"])*"|(?<![\w$])(?P<dollars>\$\w*\$).*?(?P=dollars))"""
    r"""|(?P<line>--[^\r\n]*)|(?P<block>/\*)""",
    re.DOTALL,
)
_TOML = re.compile(
    r"""(?P<string>\"\"\"(?:\\.|[^\\])*?\"{3,5}|'''.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')|(?P<line>\#[^\r\n]*)""",
    re.DOTALL,
)
_MARK = re.compile(r"rules:\s*(?P<kind>ignore-file|ignore)(?:\s*\[(?P<codes>[^\]]*)\])?(?=[\s*,;]|$)")
_BLOCK = re.compile(r"/\*|\*/")


@dataclass(frozen=True)
class Suppression:
    """A comment that suppresses findings."""

    start: int
    """The comment's first character."""
    end: int
    """The character after the comment."""
    first: int
    """The first line it covers."""
    last: int
    """The last line it covers."""
    codes: tuple[str, ...]
    """The codes that it suppresses; all of them if it names none."""
    words: tuple[str, ...] = ()
    """The words it names that are not codes."""

    def covers(self, code: str, line: int) -> bool:
        """Whether it suppresses a finding."""
        chosen = code in self.codes or not (self.codes or self.words)
        return chosen and self.first <= line <= self.last and code not in ALWAYS

    def to_record(self) -> list[Any]:
        """Return its JSON form."""
        return [self.start, self.end, self.first, self.last, list(self.codes), list(self.words)]

    @classmethod
    def from_record(cls, record: list[Any]) -> Suppression:
        """Return the object of which `to_record` returned this."""
        start, end, first, last, codes, words = record
        return cls(start, end, first, last, tuple(codes), tuple(words))


def suppressions(text: str, *, toml: bool = False) -> list[Suppression]:
    """Return the suppressions of a text, in order."""
    if "rules:" not in text:
        return []
    lines = Lines(text)
    found: list[Suppression] = []
    for start, end in _comments(text, _TOML if toml else _SQL):
        mark = _MARK.search(text, start, end)
        if mark is None:
            continue
        words = [word.strip() for word in (mark["codes"] or "").split(",") if word.strip()]
        codes = tuple(code for word in words if (code := lookup(word)) is not None)
        unknown = tuple(word for word in words if lookup(word) is None)
        first, last = _reach(lines, start, end, mark["kind"])
        found.append(Suppression(start, end, first, last, codes, unknown))
    return found


def suppressed(findings: Iterable[Finding], marks: Iterable[Suppression]) -> tuple[list[Finding], set[tuple[int, str]]]:
    """Return the findings that no suppression covers, and the codes that each suppression (by its start) covered."""
    kept: list[Finding] = []
    used: set[tuple[int, str]] = set()
    every = list(marks)
    for one in findings:
        covering = [mark for mark in every if mark.covers(one.code, one.place.line)]
        used |= {(mark.start, one.code) for mark in covering}
        if not covering:
            kept.append(one)
    return kept, used


def unused(text: str, mark: Suppression, used: set[tuple[int, str]], enabled: frozenset[str]) -> list[Found]:
    """Return the parts of a suppression that suppress nothing. Codes that are not enabled might, so they are kept."""
    idle = [code for code in mark.codes if (mark.start, code) not in used and (code in enabled or code in ALWAYS)]
    if not mark.codes and not mark.words and not any(start == mark.start for start, _ in used):
        return [Found("R019", mark.start, mark.end, "this suppresses nothing", "remove it", _removal(text, mark))]
    found: list[Found] = []
    for code in idle:
        why = "which cannot be suppressed" if code in ALWAYS else f"{BY_CODE[code].name}, which has no finding here"
        whole = len(idle) == len(mark.codes) and not mark.words
        fix = _removal(text, mark) if whole else _without(text, mark, idle)
        found.append(Found("R019", mark.start, mark.end, f"this suppresses {code}, {why}", "remove it", fix))
    found += [
        Found("R019", mark.start, mark.end, f"there is no code '{word}'", "see docs/checks.md") for word in mark.words
    ]
    return found


def _removal(text: str, mark: Suppression) -> Fix:
    """Remove the comment with the blanks before it, and its line if nothing else is on it."""
    start, end = mark.start, mark.end
    while start > 0 and text[start - 1] in " \t":
        start -= 1
    if (start == 0 or text[start - 1] == "\n") and text[end : end + 2].startswith(("\n", "\r\n")):
        end = text.index("\n", end) + 1
    return Fix("remove the comment", (Edit(start, end, ""),))


def _without(text: str, mark: Suppression, idle: list[str]) -> Fix | None:
    opening = text.find("[", mark.start, mark.end)
    closing = text.find("]", opening, mark.end)
    words = [word.strip() for word in text[opening + 1 : closing].split(",")]
    kept = [word for word in words if lookup(word) not in idle]
    return Fix(f"remove {', '.join(idle)}", (Edit(opening + 1, closing, ", ".join(kept)),))


def _reach(lines: Lines, start: int, end: int, kind: str) -> tuple[int, int]:
    """Return the lines that a suppression covers."""
    if kind == "ignore-file":
        return 1, len(lines.text) + 1
    line, column = lines.place(start)
    if lines.line(line)[: column - 1].strip():
        return line, line
    last = lines.place(end)[0]
    if lines.line(last)[lines.place(end)[1] - 1 :].strip():
        return line, last  # SQL follows on the same line
    return line, lines.next_said(last + 1)


def _comments(text: str, pattern: re.Pattern[str]) -> Iterable[tuple[int, int]]:
    position = 0
    while (match := pattern.search(text, position)) is not None:
        position = match.end()
        if match.lastgroup == "line":
            yield match.span()
        elif match.lastgroup == "block":
            position = _block_end(text, match.start())
            yield match.start(), position


def _block_end(text: str, start: int) -> int:
    depth = 0
    for mark in _BLOCK.finditer(text, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)
