"""Write the inferred types of columns into a rule's front matter, or those of a source into rules.toml; no more."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rules.config.front_matter import block_lines, option_place, read_options
from rules.config.toml_positions import closest, key_places
from rules.errors import FAILED, UserError, Where
from rules.files.project_paths import FILE

if TYPE_CHECKING:
    from rules.config.contract import Contract

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


def with_types(text: str, path: str, types: Mapping[str, str]) -> str:
    """Return a SQL file's text whose front matter declares `types` of columns that have none there yet.

    Raises `UserError` where the front matter is written in a way that this cannot add to.
    """
    before = read_options(text, path)
    missing = {
        name: dtype for name, dtype in types.items() if name not in before.columns or not before.columns[name].type
    }
    if not missing:
        return text
    lines = text.split("\n")
    ending = "\r" if lines[0].endswith("\r") else ""
    block = block_lines(text, path)
    if block is None:
        lines[:0] = [f"-- /// rule{ending}", f"-- ///{ending}"]
        block = 0, 1
    added: dict[int, list[str]] = {}
    for name, dtype in missing.items():
        declared = f"-- type = {json.dumps(dtype)}{ending}"
        if name in before.columns:
            header = option_place(text, path, "columns", name).line or 1
            added.setdefault(header, []).append(declared)
        else:
            added.setdefault(block[1], []).extend([f"-- [columns.{_key(name)}]{ending}", declared])
    for position in sorted(added, reverse=True):
        lines[position:position] = added[position]
    written = "\n".join(lines)
    _require_declared(written, path, types)
    return written


def with_types_of_source(text: str, name: str, types: Mapping[str, str], contracts: Mapping[str, Contract]) -> str:
    """Return the text of rules.toml whose contract of a source declares `types` of columns that have none yet.

    Raises `UserError` where it is written in a way that this cannot add to.
    """
    known = contracts[name].columns if name in contracts else {}
    missing = {column: dtype for column, dtype in types.items() if column not in known or not known[column].type}
    if not missing:
        return text
    ending = "\r\n" if "\r\n" in text else "\n"
    lines = text.split("\n")
    places = key_places(text)
    added: list[str] = []
    for column, dtype in missing.items():
        declared = f"type = {json.dumps(dtype, ensure_ascii=False)}"
        if column in known:
            line = places["contracts", name, "columns", column][0]
            lines[line - 1] = f"{lines[line - 1]}\n{declared}{ending[:-1]}"
        else:
            added += [f"[contracts.{_key(name)}.columns.{_key(column)}]", declared]
    written = "\n".join(lines)
    if added:
        written = written.rstrip() + ending * 2 + ending.join(added) + ending
    try:
        found = tomllib.loads(written)["contracts"][name]["columns"]
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        found = {}
    if any(found.get(column, {}).get("type") != dtype for column, dtype in missing.items()):
        message = f"the contract cannot be added to a {FILE} that is written like this"
        hint = f"give each column a table of its own: [contracts.{name}.columns.NAME]"
        where = Where(FILE, *closest(places, ("contracts", name)))
        raise UserError(message, code="config", where=where, hint=hint, exit_code=FAILED)
    return written


def _require_declared(text: str, path: str, types: Mapping[str, str]) -> None:
    try:
        columns = read_options(text, path).columns
    except UserError:
        columns = {}
    if any(name not in columns or not columns[name].type for name in types):
        message = "the contract cannot be added to front matter that is written like this"
        hint = "give each column a table of its own: [columns.NAME]"
        where = Where(path, 1, 1)
        raise UserError(message, code="front-matter", where=where, hint=hint, exit_code=FAILED)


def _key(name: str) -> str:
    return name if _BARE.match(name) else json.dumps(name, ensure_ascii=False)
