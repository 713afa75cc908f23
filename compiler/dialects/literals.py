"""Texts as other dialects write them in their quotes → the characters that they mean, and our literals."""

from __future__ import annotations

import re

from compiler.errors import SqlError

_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\\": "\\", "'": "'", '"': '"', "`": "`", "0": "\0"}
_BIGQUERY = {**_SIMPLE, "a": "\a", "v": "\v", "?": "?"}
_OURS = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\b": r"\b", "\f": r"\f", "\\": r"\\", "'": r"\'"}
_ESCAPING = "SBKR"
"""The dialects in whose texts \\ escapes."""
_TRIPLE = 3


def meant(written: str, letter: str) -> str:
    """Return the characters of a literal as it is written, quotes and prefix included. Raises `SqlError`."""
    prefix = re.match(r"[A-Za-z]*", written)
    word = prefix[0].lower() if prefix else ""
    quoted = written[len(word) :]
    if quoted.startswith("$"):
        mark = re.match(r"\$\w*\$", quoted)
        assert mark is not None
        return quoted[len(mark[0]) : -len(mark[0])]
    width = _TRIPLE if letter == "B" and quoted[:3] in {"'''", '"""'} and len(quoted) >= 2 * _TRIPLE else 1
    quote, body = quoted[0], quoted[width:-width]
    if word == "r" and letter in "BK":
        return body
    if word and not (word == "e" and letter in "DPR"):
        raise SqlError(f"a text with the prefix {word} has no counterpart here", hint="write it in plain quotes")
    if letter not in _ESCAPING and not word:
        return body.replace(quote * 2, quote)
    return _unescaped(body, quote if width == 1 else "", letter)


def _unescaped(body: str, quote: str, letter: str) -> str:
    words = _BIGQUERY if letter == "B" else _SIMPLE
    found: list[str] = []
    at = 0
    while at < len(body):
        one, behind = body[at], body[at + 1 : at + 2]
        if one == quote and behind == quote:
            found.append(quote)
            at += 2
        elif one != "\\":
            found.append(one)
            at += 1
        elif letter == "K" and behind in {"%", "_"}:
            found.append(f"\\{behind}")
            at += 2
        elif behind in words and behind != "0":
            found.append(words[behind])
            at += 2
        elif behind == "u" and re.fullmatch(r"[0-9a-fA-F]{4}", body[at + 2 : at + 6]):
            found.append(chr(int(body[at + 2 : at + 6], 16)))
            at += 6
        elif letter in "SKR" and behind and not behind.isdigit() and behind not in "xuU":
            found.append(behind)  # \d is d
            at += 2
        else:
            raise SqlError(f"the escape \\{behind} has no counterpart here", hint="write the character itself")
    return "".join(found)


def literal(characters: str) -> str:
    """Return our literal of a text: E'…' where a character would be hard to read."""
    if any(one in "\n\t\r\b\f" for one in characters):
        return "E'" + "".join(_OURS.get(one, one) for one in characters) + "'"
    return "'" + characters.replace("'", "''") + "'"
