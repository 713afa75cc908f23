"""A rule's options: the leading comment block of a SQL file.

    -- /// rule
    -- description = "Delay of each carrier"
    -- key = ["carrier"]
    -- ///

The block's lines, without their `-- `, are TOML (the shape is PEP 723's).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from rules.config.contract import Contract, flaw
from rules.config.toml_documents import TomlError, parse_toml
from rules.config.toml_positions import closest, key_places, string_places
from rules.config.toml_types import hint_for, wrong_type
from rules.errors import FAILED, Flaw, UserError, Where
from rules.storage.writer_options import PLAIN, WriterOptions, flaws

_OPEN = re.compile(r"--\s*///\s*rule\s*\Z")
_CLOSE = re.compile(r"--\s*///\s*\Z")
_LIKE_OPEN = re.compile(r"--\s*///")


Spoken = Literal["datafusion", "duckdb", "snowflake", "bigquery", "spark", "postgres", "redshift"]
"""The dialects that a rule may be in; the first is ours."""


class RuleOptions(Contract, forbid_unknown_fields=True, frozen=True):
    """Options of one rule, its contract among them.

    tier: the determinism tier, None where the rule does not say; 2 orders the product by `key`, then `order_by`.
    writer: how its published file is written. fuse_selects: of a rule in Ibis, see `RuntimeProfile`. normalize: the
    normal form in which its predicates are executed, see `compiler.engine_sql.normal_forms`. dialect: the one that its
    SQL is in; None: what its folder or the project says.
    """

    description: str = ""
    tags: tuple[str, ...] = ()
    volatile: bool = False
    tier: Literal[0, 1, 2] | None = None
    order_by: tuple[str, ...] = ()
    writer: WriterOptions = PLAIN
    fuse_selects: bool | None = None
    normalize: Literal["cnf", "dnf"] | None = None
    dialect: Spoken | None = None


@dataclass(frozen=True)
class _Block:
    """An options block: its TOML, the line it begins at, and for each line the number of characters before its TOML."""

    toml: str
    line: int
    margins: tuple[int, ...]

    @classmethod
    def of(cls, lines: list[str], line: int) -> _Block:
        """Take the comment marks off lines that start at `line` of their file."""
        body = [text.strip()[2:].removeprefix(" ") for text in lines]
        margins = tuple(len(text.rstrip()) - len(rest) for text, rest in zip(lines, body, strict=True))
        return cls("\n".join(body), line, margins)

    def place(self, line: int, column: int) -> tuple[int, int]:
        """Return where in the file a place of the TOML is; one past its end is the end of its last line."""
        last = len(self.margins)
        if line > last:
            line, column = last, len(self.toml) - self.toml.rfind("\n")
        return self.line + line - 1, column + self.margins[line - 1]


def read_options(text: str, path: str) -> RuleOptions:
    """Return the options in a SQL file's front matter, or the defaults. Raises `UserError`, located in the file."""
    block = _block(text, path)
    return RuleOptions() if block is None else _decode(block, path)


def option_where(text: str, path: str, *names: str) -> Where:
    """Return where the first of these options is in a file whose options could be read."""
    block = _block(text, path)
    places = key_places(block.toml) if block is not None else {}
    found = next((name for name in names if (name,) in places), None)
    return option_place(text, path, found) if found is not None else Where(path, 1, 1)


def option_place(text: str, path: str, *keys: str) -> Where:
    """Return the place of an option, or of the nearest thing around it; keys: from table to key."""
    block = _block(text, path)
    return Where(path, 1, 1) if block is None else Where(path, *block.place(*closest(key_places(block.toml), keys)))


def option_string(text: str, path: str, *keys: str) -> list[int] | None:
    """Return the place of each character of an option that is a string, and of its end; see `string_places`."""
    from compiler.lint.findings import Lines  # which only findings and errors need

    block = _block(text, path)
    places = string_places(block.toml, keys) if block is not None else None
    if block is None or places is None:
        return None
    toml, lines = Lines(block.toml), Lines(text)
    return [lines.offset(*block.place(*toml.place(one))) for one in places]


def block_lines(text: str, path: str) -> tuple[int, int] | None:
    """Return the 0-based lines that open and close the options block; None if there is none. Raises `UserError`."""
    block = _block(text, path)
    return None if block is None else (block.line - 2, block.line - 1 + len(block.margins))


def _block(text: str, path: str) -> _Block | None:
    lines = text.split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    if not _OPEN.match(lines[first].strip()):
        _refuse_elsewhere(lines, first, path)
        return None
    for number in range(first + 1, len(lines)):
        line = lines[number].strip()
        if _CLOSE.match(line):
            _refuse_elsewhere(lines, number + 1, path)
            return _Block.of(lines[first + 1 : number], first + 2)
        if not line.startswith("--") or _LIKE_OPEN.match(line):
            break
    hint = "end it with a line that reads: -- ///"
    raise _error("the options block is not closed", path, first + 1, _indent(lines[first]) + 1, hint)


def _refuse_elsewhere(lines: list[str], start: int, path: str) -> None:
    """Options that would not be read must not look as if they were."""
    for number in range(start, len(lines)):
        line, column = lines[number].strip(), _indent(lines[number]) + 1
        if _OPEN.match(line):
            message = "an options block must be the first thing in its file, and the only one"
            raise _error(message, path, number + 1, column, "move it to the first line")
        if number == start and _LIKE_OPEN.match(line):
            raise _error("this opens no options block", path, number + 1, column, "its first line reads: -- /// rule")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _decode(block: _Block, path: str) -> RuleOptions:
    try:
        raw = parse_toml(block.toml)
    except TomlError as problem:
        at = block.place(*(problem.place or (len(block.margins) + 1, 1)))
        raise _error(f"options are {problem.message}", path, *at) from problem
    fields = {item.name: item for item in msgspec.structs.fields(RuleOptions)}
    places = key_places(block.toml)
    for key, value in raw.items():
        if key not in fields:
            at = block.place(*closest(places, (key,)))
            raise _error(f"unknown option '{key}'", path, *at, hint_for(key, RuleOptions))
        wrong = _wrong(value, fields[key].type, (key,))
        if wrong is not None:
            raise _error(wrong.message, path, *block.place(*closest(places, wrong.path)), wrong.hint)
    options = msgspec.convert(raw, RuleOptions)
    if options.fuse_selects is not None:
        message = "'fuse_selects' is for rules in Ibis: a rule in SQL is executed as it is written"
        raise _error(message, path, *block.place(*closest(places, ("fuse_selects",))), "leave it out")
    unfit = next(flaws(options.writer), None)
    wrong = flaw(options) if unfit is None else Flaw(("writer", *unfit.path), unfit.message, unfit.hint)
    if wrong is not None:
        raise _error(wrong.message, path, *block.place(*closest(places, wrong.path)), wrong.hint)
    return options


def _wrong(value: Any, kind: Any, path: tuple[str, ...]) -> Flaw | None:
    if path != ("tier",):
        return wrong_type(value, kind, path)
    good = isinstance(value, int) and not isinstance(value, bool) and value in (0, 1, 2)
    hint = "0 unordered, 1 stable within a run, 2 ordered by key"
    return None if good else Flaw(path, "'tier' must be 0, 1 or 2", hint)


def _error(message: str, path: str, line: int, column: int = 1, hint: str | None = None) -> UserError:
    return UserError(message, code="options", where=Where(path, line, column), hint=hint, exit_code=FAILED)
