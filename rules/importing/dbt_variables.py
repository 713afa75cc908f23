"""Values of dbt's `var()` in compiled SQL: where in the text of a model they are, found without rendering anything.

The template and what was compiled of it are laid beside one another: text between Jinja is the same in both. A value is
found if such text comes both before and after its `{{ var('x') }}`. A value that is not found stays in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from rules.importing.origin import VariableValue

_JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_VAR = re.compile(r"\{\{-?\s*var\(\s*(['\"])(\w+)\1\s*(?:,[^()]*)?\)\s*-?\}\}", re.DOTALL)
_OPENING = re.compile(r"\{%[-+]?\s*(if|for|macro|call|filter|raw|set(?=\s+\w+\s*%\}|\s+\w+\s*-%\}))\b")
_CLOSING = re.compile(r"\{%[-+]?\s*end\w+")
_BEFORE_VALUES = re.compile(
    r"\b(interval|date|time|timestamp|limit|offset|top|escape|preceding|following)\s*$", re.IGNORECASE
)


class _Piece(NamedTuple):
    """Text that is in both; or a tag of Jinja: a variable, or anything at all, if it has no name."""

    text: str = ""
    name: str = ""

    @property
    def is_tag(self) -> bool:
        return not self.text


def values_of_variables(template: str, compiled: str) -> tuple[VariableValue, ...]:
    """Return the whole numbers and strings in a compiled text that are values of variables, and nothing else there."""
    return tuple(_found(list(_pieces(template)), compiled))


def count_variables(template: str) -> int:
    """Return how often a template asks for a variable."""
    return len(re.findall(r"(?<![\w.])var\(", "".join(_JINJA.findall(template))))


def _pieces(template: str) -> Iterator[_Piece]:
    depth, place = 0, 0
    for tag in _JINJA.finditer(template):
        if depth == 0 and place < tag.start():
            yield _Piece(template[place : tag.start()])
        place = tag.end()
        if _OPENING.match(tag[0]):
            depth += 1
        elif _CLOSING.match(tag[0]):
            depth -= 1
        named = _VAR.fullmatch(tag[0])
        if depth == 0 and not tag[0].startswith("{#"):
            yield _Piece(name=named[2] if named is not None else "")
    if depth == 0 and place < len(template):
        yield _Piece(template[place:])


def _found(pieces: list[_Piece], compiled: str) -> Iterator[VariableValue]:
    """Yield values, with each text taken where it comes first after the one before."""
    place = 0
    waiting = list[_Piece]()
    for piece in pieces:
        if not piece.text.strip():
            waiting.append(piece)
            continue
        found = re.compile(r"\s+".join(re.escape(word) for word in piece.text.split())).search(compiled, place)
        if found is None or (not any(one.is_tag for one in waiting) and compiled[place : found.start()].strip()):
            return  # the texts do not go together; what was found so far does
        if place:
            yield from _between(waiting, compiled, place, found.start())
        place, waiting = found.end(), []
    if place:
        yield from _between(waiting, compiled, place, len(compiled))


def _between(pieces: list[_Piece], compiled: str, start: int, end: int) -> Iterator[VariableValue]:
    """Yield the value of a variable that is alone between two texts, or the first thing there, before a blank."""
    tags = [number for number, one in enumerate(pieces) if one.is_tag]
    if not tags or not pieces[tags[0]].name:
        return
    name, rest = pieces[tags[0]].name, pieces[tags[0] + 1 :]
    if len(tags) == 1:
        yield from _value(compiled, start, end, name)
    elif rest[0].text:
        number = re.compile(r"\s*\d+(?=\s)").match(compiled, start, end)
        if number is not None:
            yield from _value(compiled, start, number.end(), name)


def _value(compiled: str, start: int, end: int, name: str) -> Iterator[VariableValue]:
    text = compiled[start:end].strip()
    start += len(compiled[start:end]) - len(compiled[start:end].lstrip())
    end = start + len(text)
    around = compiled[start - 1 : start], compiled[end : end + 1]
    if around == ("'", "'") and not re.search(r"['\\\n]", text):
        start, end = start - 1, end + 1
        quoted = compiled[start - 1 : start]
        if (
            not re.match(r"[\w']", quoted)
            and compiled[end : end + 1] != "'"
            and not _BEFORE_VALUES.search(compiled[:start])
        ):
            yield VariableValue(start, end, name, text)
        return
    alone = re.fullmatch(r"\d{1,15}", text) and not any(re.match(r"[\w.'\"$]", one) for one in around)
    if alone and not _BEFORE_VALUES.search(compiled[:start]):
        yield VariableValue(start, end, name, int(text))
