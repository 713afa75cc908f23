"""A rule's options: the leading comment block of a SQL file.

    -- /// rule
    -- description = "Delay of each carrier"
    -- key = ["carrier"]
    -- ///

The block's lines, without their `-- `, are TOML (the shape is PEP 723's).
"""

from __future__ import annotations

import difflib
import re
import tomllib
from typing import Literal

import msgspec

from rules.errors import FAILED, UserError, Where

_OPEN = re.compile(r"--\s*///\s*rule\s*\Z")
_CLOSE = re.compile(r"--\s*///\s*\Z")


class RuleOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Options of one rule. `tier` is the determinism tier; 2 orders the product by `key`."""

    description: str = ""
    tags: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    volatile: bool = False
    tier: Literal[0, 1, 2] = 0


def read_options(text: str, path: str) -> RuleOptions:
    """Return the options in a SQL file's front matter, or the defaults. Raises `UserError`, located in the file."""
    lines = text.splitlines()
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None or not _OPEN.match(lines[first].strip()):
        return RuleOptions()
    body: list[str] = []
    for number in range(first + 1, len(lines)):
        line = lines[number].strip()
        if _CLOSE.match(line):
            return _decode(body, path, first + 2)
        if not line.startswith("--"):
            break
        body.append(line[2:].removeprefix(" "))
    raise _error("the options block is not closed", path, first + 1, hint="end it with a line that reads: -- ///")


def _decode(body: list[str], path: str, line: int) -> RuleOptions:
    try:
        raw = tomllib.loads("\n".join(body))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        message = re.sub(r" \(at .*\)$", "", str(error))
        at = line + int(place[1]) - 1 if place else line
        raise _error(f"options are not valid TOML: {message}", path, at, int(place[2]) + 3 if place else 1) from error
    try:
        return msgspec.convert(raw, RuleOptions)
    except msgspec.ValidationError as error:
        message = str(error)
        unknown = re.search(r"unknown field `(.*?)`", message)
        key = unknown[1] if unknown else (re.search(r"at `\$\.(\w+)", message) or ["", ""])[1]
        at = next((number for number, text in enumerate(body) if key and text.lstrip().startswith(key)), 0)
        if unknown:
            known = [item.name for item in msgspec.structs.fields(RuleOptions)]
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"
            raise _error(f"unknown option '{key}'", path, line + at, 4, hint) from error
        what = message.partition(" - at ")[0].replace("`", "")
        raise _error(f"option '{key}': {what[0].lower()}{what[1:]}", path, line + at, 4) from error


def _error(message: str, path: str, line: int, column: int = 1, hint: str | None = None) -> UserError:
    return UserError(message, code="options", where=Where(path, line, column), hint=hint, exit_code=FAILED)
