"""A text in a dialect's own words → the same query in our grammar: quotes, names, types and patterns, token by token.

What its calls and operators mean is not looked at here; see `compiler.dialects.translation`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from compiler.dialects import types
from compiler.dialects.literals import literal, meant
from compiler.dialects.reading import Reading
from compiler.dialects.text_habits import in_backslashes
from compiler.dialects.traced import Rewrite, Traced
from compiler.errors import SqlError
from compiler.sql.foreign_calls import meanings, rows
from compiler.sql.foreign_table import DIALECTS, TITLES

_STRINGS = frozenset({TokenType.STRING, TokenType.RAW_STRING, TokenType.HEREDOC_STRING, TokenType.BYTE_STRING,
                      TokenType.NATIONAL_STRING, TokenType.UNICODE_STRING})  # fmt: skip
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_AFTER_LIST = frozenset({"FROM", "WHERE", "GROUP", "ORDER", "HAVING", "QUALIFY", "LIMIT", ")", "]"})
_KEEPS_CASE = "PS"
"""The dialects in which names in quotes differ by case."""


def transcribed(reading: Reading, columns: Mapping[str, str], original: str) -> Traced:
    """Return the text in our grammar.

    columns: the names of the inputs' columns, by what they are regardless of case. original: the author's text, for the
    places of errors. Raises `SqlError`.
    """
    names = _Names(reading, columns)
    edits = [
        *_tokens(reading, names, original),
        *_types(reading, original),
        *_names(reading, names),
        *_units(reading, original),
    ]
    patterns = list(_patterns(reading, original))
    covered = [(one.start, one.end) for one in patterns]
    edits = [one for one in edits if not any(start <= one.start < end for start, end in covered)]
    return reading.source.rewritten([*edits, *patterns, *_comments(reading)])


class _Names:
    """How names are to be written here."""

    def __init__(self, reading: Reading, columns: Mapping[str, str]) -> None:
        self.letter = DIALECTS[reading.dialect]
        self._spelled: dict[str, str] = {}
        if self.letter not in _KEEPS_CASE:
            for token in reading.tokens:
                if token.token_type == TokenType.IDENTIFIER:
                    self._spelled.setdefault(token.text.lower(), token.text)
            self._spelled |= columns

    def quoted(self, name: str) -> str:
        """Return how a name in quotes is written here."""
        if self.letter == "S" and re.fullmatch(r"[A-Z_][A-Z0-9_$]*", name):
            name = name.lower()
        return in_quotes(self._spelled.get(name.lower(), name))

    def plain(self, name: str) -> str | None:
        """Return how a name without quotes is written here; None for as it is."""
        spelled = self._spelled.get(name.lower(), name.lower())
        return in_quotes(spelled) if spelled != name.lower() else None


def in_quotes(name: str) -> str:
    """Return a name as we write it."""
    return '"' + name.replace('"', '""') + '"'


def _tokens(reading: Reading, names: _Names, original: str) -> Iterator[Rewrite]:
    for number, token in enumerate(reading.tokens):
        start, end = token.start, token.end + 1
        written = reading.text[start:end]
        if token.token_type in _STRINGS:
            yield from _string(reading, token, original)
        elif token.token_type == TokenType.IDENTIFIER:
            said = names.quoted(token.text)
            if said != written:
                yield Rewrite(start, end, (said,))
        elif token.token_type == TokenType.NUMBER and "_" in written:
            yield Rewrite(start, end, (written.replace("_", ""),))
        elif token.token_type == TokenType.EQ and written == "==":
            yield Rewrite(start, end, ("=",))
        elif token.token_type == TokenType.COMMA and names.letter in "DSB":
            behind = reading.tokens[number + 1 : number + 2]
            plain = behind and behind[0].token_type not in {*_STRINGS, TokenType.IDENTIFIER}
            if plain and behind[0].text.upper() in _AFTER_LIST:
                yield Rewrite(start, end, ("",))


def _string(reading: Reading, token: Token, original: str) -> Iterator[Rewrite]:
    written = reading.text[token.start : token.end + 1]
    try:
        characters = meant(written, DIALECTS[reading.dialect])
    except SqlError as error:
        raise reading.error_at(token.start, error.message, error.hint, original) from None
    said = literal(characters)
    if said != written:
        yield Rewrite(token.start, token.end + 1, (said,))


def _types(reading: Reading, original: str) -> Iterator[Rewrite]:
    letter = DIALECTS[reading.dialect]
    for cast in reading.tree.find_all(exp.Cast):
        place = reading.span(cast.to)
        if place is None:
            continue
        written = reading.text[slice(*place)]
        number = types.number(written) if letter == "K" else None
        if number is not None:
            yield Rewrite(*place, (number,))
            continue
        said = types.ours(written, letter)
        if said is None:
            message = f"the type {written} of {TITLES[reading.dialect]} has no counterpart here"
            raise reading.error(cast.to, message, types.hint(written), original)
        if said.upper() != " ".join(written.upper().split()):
            yield Rewrite(*place, (said,), aligned=True)


def _names(reading: Reading, names: _Names) -> Iterator[Rewrite]:
    for name in reading.tree.find_all(exp.Identifier):
        if name.args.get("quoted") or isinstance(name.parent, exp.Table | exp.Anonymous):
            continue
        said, place = names.plain(name.name), reading.span(name)
        if said is not None and place is not None and reading.text[slice(*place)] == name.name:
            yield Rewrite(*place, (said,))


def _units(reading: Reading, original: str) -> Iterator[Rewrite]:
    """datediff(day, a, b) → datediff('day', a, b): the word would be a column here."""
    for call in reading.tree.find_all(exp.Anonymous):
        if str(call.this).lower() not in _with_units():
            continue
        for week in call.find_all(exp.Anonymous):
            if week is not call and str(week.this).lower() == "week" and reading.dialect == "bigquery":
                message = "a week that begins on a day by name has no counterpart here"
                raise reading.error(week, message, "ISOWEEK begins on Monday, WEEK on Sunday", original)
        for word in call.expressions:
            place = reading.span(word)
            name = word.name if isinstance(word, exp.Column | exp.Var) and not word.args.get("table") else ""
            if place is not None and name.lower() in _UNITS and reading.text[slice(*place)] == name:
                yield Rewrite(*place, (f"'{name.lower()}'",))


@cache
def _with_units() -> frozenset[str]:
    tables = (rows(), meanings())
    named = {
        row.name
        for table in tables
        for same in table.values()
        for row in same
        if any(one.unit for one in row.parameters)
    }
    return frozenset({*named, "date_part", "last_day", "timestampadd", "time_slice", "extract", *_DIFFERENCES})


_DIFFERENCES = ("timestamp_diff", "datetime_diff", "time_diff")
_UNITS = frozenset(
    f"{unit}{plural}"
    for unit in ("year", "quarter", "month", "week", "isoweek", "isoyear", "day", "hour", "minute", "second",
                 "millisecond", "microsecond", "nanosecond", "dayofweek", "dayofyear", "dow", "doy", "epoch",
                 "dayofweekiso", "dayofweek_iso", "weekday", "weekiso", "weekofyear", "yearofweek", "yearofweekiso",
                 "epoch_second", "epoch_millisecond", "epoch_microsecond", "ms", "us")
    for plural in ("", "s")
)  # fmt: skip


def _patterns(reading: Reading, original: str) -> Iterator[Rewrite]:
    r"""LIKE 'a!%' ESCAPE '!' → LIKE 'a\%'; where a backslash is a character like others, LIKE 'a\b' → LIKE 'a\\b'."""
    letter = DIALECTS[reading.dialect]
    for node in reading.tree.find_all(exp.Like, exp.ILike):
        pattern, place = node.expression, reading.span(node.expression)
        escape = node.parent if isinstance(node.parent, exp.Escape) else None
        if place is None:
            continue
        mark = "" if letter in "DS" else "\\"
        end = place[1]
        if escape is not None:
            behind = reading.span(escape)
            if not isinstance(escape.expression, exp.Literal) or behind is None:
                raise reading.error(escape, "only a constant can be the escape character", None, original)
            mark, end = meant_of(reading, escape.expression), behind[1]
        if isinstance(pattern, exp.Literal):
            said = literal(in_backslashes(meant_of(reading, pattern), mark))
            said += r" ESCAPE '\'" if escape is not None else ""
            if said != reading.text[place[0] : end]:
                yield Rewrite(place[0], end, (said,))
        elif mark != "\\":
            if mark:
                raise reading.error(pattern, "only a constant pattern can have an escape character", None, original)
            yield Rewrite(*place, ("replace(", place, r", '\', '\\')"))


def meant_of(reading: Reading, node: exp.Literal) -> str:
    """Return the characters of a literal in a dialect."""
    place = reading.span(node)
    return meant(reading.text[slice(*place)], DIALECTS[reading.dialect]) if place is not None else node.name


def _comments(reading: Reading) -> Iterator[Rewrite]:
    """# a comment → -- a comment, where a dialect has such; // likewise."""
    marks = {"B": "#", "S": "//"}.get(DIALECTS[reading.dialect])
    if marks is None:
        return
    position = 0
    for start, end in [*((token.start, token.end + 1) for token in reading.tokens), (len(reading.text),) * 2]:
        gap = reading.text[position:start]
        for line in re.finditer(rf"(?m)^((?:(?!--|/\*|{marks}).)*){marks}", gap):
            at = position + line.end() - len(marks)
            yield Rewrite(at, at + len(marks), ("--",))
        position = end
