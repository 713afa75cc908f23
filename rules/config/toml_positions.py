"""Where each key of a TOML text is, and each character of a string in it: tomllib keeps no positions."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Place = tuple[int, int]
"""1-based line and column."""
Keys = tuple[str, ...]
"""From a table down to one of its keys: ("columns", "status", "accepted"); items of lists are numbered."""

HUGE = "not usable: a number with thousands of digits"
"""What is said where Python refuses to read a number."""
_DIGITS = re.compile(r"[0-9][0-9_]{4000,}")

_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r]+|\#[^\n]*)
    |(?P<newline>\n)
    |(?P<string>\"\"\"(?:\\.|[^\\])*?\"{3,5}|'''.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')
    |(?P<mark>[\[\]{}=,.])
    |(?P<word>[^\s\[\]{}=,.\#"']+)""",
    re.VERBOSE | re.DOTALL,
)


def key_places(text: str) -> dict[tuple[str, ...], Place]:
    """Return the place of every table, key and array item of a valid TOML text, by its path of keys.

    [sources.orders]⏎path = "x" → ("sources",), ("sources", "orders") and ("sources", "orders", "path")
    [[checks]]⏎name = "x" → ("checks",), ("checks", "0") and ("checks", "0", "name")
    """
    return _Scanner(text).scan()


def closest(places: Mapping[tuple[str, ...], Place], path: tuple[str, ...]) -> Place:
    """Return the place of `path`, or of the nearest thing around it that has one."""
    while path and path not in places:
        path = path[:-1]
    return places.get(path, (1, 1))


def huge_number(text: str) -> Place:
    """Return the place of a number that Python refuses to read: the first of thousands of digits."""
    found = _DIGITS.search(text)
    start = found.start() if found is not None else 0
    return text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)


def string_places(text: str, path: Keys) -> list[int] | None:
    """Return the offset, in a valid TOML text, of each character of the string at `path`, and of its end.

    A character written as an escape has the offset of the escape. None if there is no string.
    """
    scanner = _Scanner(text)
    scanner.scan()
    token = scanner.strings.get(path)
    return None if token is None else list(_characters(*token))


_ESCAPE = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[ \t]*\r?\n[ \t\r\n]*|.)", re.DOTALL)


def _characters(token: str, start: int) -> Iterator[int]:
    quotes = 3 if token[:3] in {'"""', "'''"} else 1
    position, end = quotes, len(token) - quotes
    if quotes > 1:  # a line end right behind the opening is no part of the string
        position += 2 if token.startswith("\r\n", 3) else token.startswith("\n", 3)
    while position < end:
        escape = _ESCAPE.match(token, position) if token[0] == '"' else None
        if escape is None:
            if not token.startswith("\r\n", position):  # which is one character, its second
                yield start + position
            position += 1
            continue
        if "\n" not in escape[0]:  # an escaped line end is none at all
            yield start + position
        position = escape.end()
    yield start + end


class _Scanner:
    """Reads the tokens of a text that tomllib has accepted, so nothing is checked again."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [(str(match.lastgroup), match[0], match.start()) for match in _TOKEN.finditer(text)]
        self._tokens = [token for token in self._tokens if token[0] != "skip"]
        self._next = 0
        self._places: dict[tuple[str, ...], Place] = {}
        self.strings: dict[Keys, tuple[str, int]] = {}
        """The values that are strings: each with its quotes, and its offset."""
        self._items: Counter[tuple[str, ...]] = Counter()

    def scan(self) -> dict[tuple[str, ...], Place]:
        table: tuple[str, ...] = ()
        while self._next < len(self._tokens):
            if self._take("\n"):
                continue
            if self._take("["):
                is_item = self._take("[")
                start = self._tokens[self._next][2]
                table = self._key(())
                if is_item:
                    table = (*table, str(self._items[table]))
                    self._items[table[:-1]] += 1
                    self._places[table] = self._place(start)
                while self._take("]"):
                    pass
            else:
                before = self._next
                self._pair(table)
                self._next += self._next == before  # whatever this is, never wait for it
        return self._places

    def _pair(self, table: tuple[str, ...]) -> None:
        path = self._key(table)
        self._take("=")
        self._value(path)

    def _key(self, table: tuple[str, ...]) -> tuple[str, ...]:
        """Read a key, which may be dotted; every part of it has a place of its own."""
        path = table
        while self._kind() in {"word", "string"}:
            kind, text, start = self._tokens[self._next]
            self._next += 1
            path = (*path, tomllib.loads(f"key = {text}")["key"] if kind == "string" else text)
            self._places.setdefault(path, self._place(start))
            self._take(".")
        return path

    def _value(self, path: tuple[str, ...]) -> None:
        if self._take("{"):
            while not self._take("}"):
                if not (self._take(",") or self._take("\n")):
                    self._pair(path)
        elif self._take("["):
            item = 0
            while not self._take("]"):
                if not (self._take(",") or self._take("\n")):
                    self._places[*path, str(item)] = self._place(self._tokens[self._next][2])
                    self._value((*path, str(item)))
                    item += 1
        else:  # a string, or the words and dots of a number or date
            if self._kind() == "string":
                self.strings[path] = self._tokens[self._next][1:]
            while self._kind() in {"word", "string"} or self._at("."):
                self._next += 1

    def _kind(self) -> str:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else ""

    def _at(self, text: str) -> bool:
        return self._next < len(self._tokens) and self._tokens[self._next][1] == text

    def _take(self, text: str) -> bool:
        found = self._at(text)
        self._next += found
        return found

    def _place(self, start: int) -> Place:
        return self._text.count("\n", 0, start) + 1, start - self._text.rfind("\n", 0, start)
