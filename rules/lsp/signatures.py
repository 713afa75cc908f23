"""The call that is being written at a place of a text: which function, which of its arguments, and its signature."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.engine.signatures import Signature

_TOKEN = re.compile(
    r"""
    (?<![\w$])(?P<dollars>\$\w*\$).*?(?:(?P=dollars)|\Z)
    | '(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z) | --[^\n]* | /\*.*?(?:\*/|\Z)  # what holds no call, closed or not
    | (?P<word>[A-Za-z_]\w*) | (?P<mark>[()\[\],;]) | [^\s\w]+?
    """,
    re.VERBOSE | re.DOTALL,
)


class Call(NamedTuple):
    """An open call. argument: the one that is being written, from 0."""

    name: str
    argument: int


class Shown(NamedTuple):
    """A signature as editors show it. parameters: where each is in `text`; argument: None beyond the last of them."""

    text: str
    description: str
    parameters: tuple[tuple[int, int], ...]
    argument: int | None


def call_at(text: str, offset: int) -> Call | None:
    """Return the innermost call that is open at a place; None where there is none, and in a comment or a string."""
    open_ones: list[tuple[str, int]] = []
    last, end = "", 0
    for token in _TOKEN.finditer(text, 0, offset):
        mark, word, end = token["mark"], token["word"], token.end()
        if mark is None:
            last = word or ""
            if word is None and end == offset and token[0][0] in "'\"-/$" and _is_open(token[0]):
                return None
            continue
        if mark in "([":
            open_ones.append((last if mark == "(" else "", 0))
        elif mark in ")]" and open_ones:
            open_ones.pop()
        elif mark == "," and open_ones:
            open_ones[-1] = open_ones[-1][0], open_ones[-1][1] + 1
        elif mark == ";":
            open_ones = []
        last = ""
    return next((Call(name.lower(), count) for name, count in reversed(open_ones[-1:]) if name), None)


def _is_open(token: str) -> bool:
    """Whether a string or comment goes on after its last character."""
    if token.startswith("--"):
        return True
    if token.startswith("/*"):
        return len(token) < len("/**/") or not token.endswith("*/")
    if token.startswith("$"):
        quote = token[: token.find("$", 1) + 1]
        return bool(quote) and (len(token) < 2 * len(quote) or not token.endswith(quote))
    return token[0] in "'\"" and (len(token) == 1 or token.count(token[0]) % 2 == 1)


def shown(call: Call, known: Mapping[str, Signature]) -> Shown | None:
    """Return the signature of a call; None for what is no known function."""
    found = known.get(call.name)
    if found is None:
        return None
    spans = _parameters(found.syntax)
    repeats = bool(spans) and "..." in found.syntax
    last = len(spans) - 1
    argument = call.argument if call.argument <= last else (last if repeats else None)
    return Shown(found.syntax, found.description, spans, argument)


def _parameters(syntax: str) -> tuple[tuple[int, int], ...]:
    """Return where the parameters are between the first parentheses: `(str, start_pos[, length])` has three."""
    start = syntax.find("(") + 1
    depth, end = 1, start
    while start and end < len(syntax) and depth:
        depth += {"(": 1, ")": -1}.get(syntax[end], 0)
        end += 1
    inner = syntax[start : end - 1] if start else ""
    pieces = re.finditer(r"[^,\[\]]+", inner)
    spans = [(start + one.start(), start + one.end(), one[0]) for one in pieces if one[0].strip(" .")]
    return tuple((a + len(text) - len(text.lstrip()), b - len(text) + len(text.rstrip())) for a, b, text in spans)
