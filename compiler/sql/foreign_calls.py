"""Calls of other dialects' functions: the rows of `compiler.sql.foreign_table` and which of them a call matches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from sqlglot import exp

from compiler.sql import strftime_formats
from compiler.sql.foreign_table import DIALECTS, FUNCTIONS, MEANINGS

_ROW = re.compile(r"(?P<name>\w+)\((?P<parameters>.*?)\) (?P<arrow>=>|~>) (?P<text>.*) :(?: (?P<letters>[DSBKPR]+))?")
_PARAMETER = re.compile(
    r"(?P<letter>[a-z])(?::(?P<kind>\w+))?(?P<more>\.\.\.)?|<(?P<unit>\w+)>|'(?P<said>[^']*)'|(?P<number>#)"
)
_CODE = re.compile(r"# (?P<code>R\d{3}) ")
_FORMATS = ("f", "r")

KINDS: Mapping[str, frozenset[str]] = {
    "int": frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}),
    "float": frozenset({"float16", "float32", "float64", "float", "double", "halffloat"}),
    "text": frozenset({"string", "large_string", "string_view"}),
    "bool": frozenset({"bool"}),
    "date": frozenset({"date32", "date64", "date32[day]", "date64[ms]"}),
}
"""Kind of a parameter → the types of arguments that it takes."""


class Shown(Protocol):
    """Returns the text of an argument."""

    def __call__(self, node: exp.Expr, /, *, alone: bool) -> str:
        """Return the text; alone: where it is all of a call's argument."""


KindOf = Callable[[exp.Expr], "str | None"]


def kind_of_type(spelled: str | None) -> str | None:
    """Return the kind of an Arrow type: int, float, decimal, text, bool, date, ts, tz, list; None for any other."""
    if spelled is None:
        return None
    for kind, types in KINDS.items():
        if spelled in types:
            return kind
    if spelled.startswith("timestamp"):
        return "tz" if "tz=" in spelled else "ts"
    if spelled.startswith("decimal"):
        return "decimal"
    return "list" if spelled.startswith(("list", "large_list", "fixed_size_list")) else None


@dataclass(frozen=True)
class Parameter:
    """A parameter of a row. constant: the text that the argument must be; it is captured where this is one letter.

    The letters f and r mark formats of dates, by which texts are written and read; they are captured in our spelling.
    """

    letter: str = ""
    kind: str | None = None
    more: bool = False
    unit: str | None = None
    constant: str | None = None
    number: bool = False

    @property
    def captures(self) -> bool:
        """Whether the argument is a constant that goes into the text."""
        return self.number or (self.constant is not None and len(self.constant) == 1)


@dataclass(frozen=True)
class Row:
    """A row of the table. letters: of the dialects that have the call; code: of the check for it, "" for R021."""

    pattern: str
    name: str
    parameters: tuple[Parameter, ...]
    text: str
    exact: bool
    letters: str
    code: str = ""
    section: str = ""

    def speaks(self, dialect: str | None) -> bool:
        """Whether a dialect has this call; without one, whether any has."""
        return bool(self.letters) if dialect is None else DIALECTS[dialect] in self.letters

    def matches(self, arguments: Sequence[exp.Expr], kind_of: KindOf) -> Match | None:
        """Return how the arguments of a call fit; None where they do not, or where their kinds are not known."""
        values: dict[str, list[exp.Expr]] = {}
        captured = ""
        rest = list(arguments)
        for parameter in self.parameters:
            if parameter.more:
                if not rest:
                    return None
                values[parameter.letter] = rest
                rest = []
                break
            if not rest:
                return None
            argument = rest.pop(0)
            if parameter.letter:
                fits = parameter.kind is None or kind_of(argument) == parameter.kind
                if not fits or parameter.letter in values:
                    return None
                values[parameter.letter] = [argument]
            elif parameter.number and isinstance(argument, exp.Neg) and "INTERVAL '#" in self.text:
                if not _is_constant(argument.this, parameter):
                    return None
                captured = f"-{argument.this.name}"
            else:
                text = _captured(argument, parameter, self.letters)
                if text is None:
                    return None
                captured = text or captured
        return None if rest else Match(self, values, captured)


@dataclass(frozen=True)
class Match:
    """The arguments of a call by the letters of a row, and the constant that it captures."""

    row: Row
    values: Mapping[str, list[exp.Expr]]
    captured: str

    def written(self, shown: Shown) -> str:
        """Return what to write. shown: returns the text of an argument; alone: where it is all of a call's argument."""
        parts = re.split(r"\{(\w)\}", self.row.text)
        for at in range(1, len(parts), 2):
            alone = parts[at - 1].endswith(("(", ", ")) and parts[at + 1].startswith((")", ", ", " AS "))
            parts[at] = ", ".join(shown(value, alone=alone) for value in self.values[parts[at]])
        if self.captured:
            parts[::2] = [part.replace("#", self.captured) for part in parts[::2]]
        return "".join(parts)


def _captured(argument: exp.Expr, parameter: Parameter, letters: str) -> str | None:
    """Return what of a constant goes into the text, "" for nothing; None if the argument is another one."""
    if not _is_constant(argument, parameter):
        return None
    if not parameter.captures:
        return ""
    format_ = parameter.constant in _FORMATS
    text = strftime_formats.ours(argument.name, letters, read=parameter.constant == "r") if format_ else argument.name
    return text.replace("'", "''") if text is not None else None


def _is_constant(argument: exp.Expr, parameter: Parameter) -> bool:
    if parameter.unit is not None:
        word = argument.name if isinstance(argument, exp.Literal | exp.Var) else ""
        if isinstance(argument, exp.Column) and not argument.table and not argument.this.args.get("quoted"):
            word = argument.name
        return word.lower() in {parameter.unit, f"{parameter.unit}s"}
    if parameter.number:
        return isinstance(argument, exp.Literal) and argument.is_int
    if not isinstance(argument, exp.Literal) or not (argument.is_string or argument.name.isdigit()):
        return False
    if parameter.captures and not argument.is_string:
        return False
    if parameter.captures:
        return bool(argument.name)
    word = argument.name.lower()
    return parameter.constant in {word, _UNITS.get(word)}


_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "seconds"), "second"),
    **dict.fromkeys(("ms", "msec", "msecs", "milliseconds"), "millisecond"),
}
"""Other names of units that the engine has too, and means as the dialects do."""


def _rows(text: str) -> Iterator[Row]:
    section, code = "", ""
    for line in text.strip().splitlines():
        if line.startswith("#"):
            found = _CODE.match(line)
            section, code = line[2:], found["code"] if found else ""
        elif line:
            row = _ROW.fullmatch(line)
            assert row is not None, line
            yield Row(
                line.partition(" => ")[0].partition(" ~> ")[0],
                row["name"],
                tuple(_parameters(row["parameters"])),
                row["text"],
                row["arrow"] == "=>",
                row["letters"] or "",
                code,
                section,
            )


def _parameters(text: str) -> Iterator[Parameter]:
    for word in text.split(", ") if text else ():
        found = _PARAMETER.fullmatch(word)
        assert found is not None, text
        if found["letter"]:
            yield Parameter(found["letter"], found["kind"], bool(found["more"]))
        else:
            yield Parameter(unit=found["unit"], constant=found["said"], number=bool(found["number"]))


@cache
def rows() -> dict[str, tuple[Row, ...]]:
    """Return the rows of functions that the engine does not have, by name."""
    return _by_name(_rows(FUNCTIONS))


@cache
def meanings() -> dict[str, tuple[Row, ...]]:
    """Return the rows of functions that mean something else in another dialect, by name."""
    return _by_name(_rows(MEANINGS))


def _by_name(found: Iterable[Row]) -> dict[str, tuple[Row, ...]]:
    by_name: dict[str, list[Row]] = {}
    for row in found:
        by_name.setdefault(row.name, []).append(row)
    return {name: tuple(same) for name, same in by_name.items()}


def exact_match(
    candidates: Iterable[Row],
    arguments: Sequence[exp.Expr],
    kind_of: KindOf,
    dialect: str | None,
    *,
    own: bool = False,
) -> Match | None:
    """Return the exact row that a call matches; without a dialect, only if all dialects that have it mean the same.

    own: the text is the dialect's, so that no function of another is meant.
    """
    candidates = list(candidates)
    if dialect is not None and not own and not any(row.speaks(dialect) for row in candidates):
        dialect = None  # a function of yet another dialect
    found = [
        match
        for row in candidates
        if row.exact and row.speaks(dialect) and (match := row.matches(arguments, kind_of)) is not None
    ]
    if dialect is not None or not found:
        return found[0] if found else None
    first: dict[str, Match] = {}  # of each dialect the first row counts
    for match in found:
        for letter in match.row.letters:
            first.setdefault(letter, match)
    return found[0] if len({match.row.text for match in first.values()}) == 1 else None
