"""rules.toml → Project: names, sources, variables, profiles, all validated, each error with its line."""

from __future__ import annotations

import datetime
import difflib
import math
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from rules.errors import UserError, Where
from rules.profiles import PROFILES, Profile
from rules.roots import FILE

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
Value = int | float | str | bool | datetime.date | datetime.datetime
Format = Literal["parquet", "csv", "json", "arrow"]


class ProjectTable(msgspec.Struct, forbid_unknown_fields=True):
    """[project]."""

    name: str
    rules: tuple[str, ...] = ("rules",)


class Source(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[sources.NAME]: where a table comes from. `columns` types text formats and is a contract for the others."""

    path: str
    format: Format | None = None
    columns: dict[str, str] = {}
    delimiter: str = ","
    header: bool = True
    nulls: tuple[str, ...] = ("",)


class ProfileTable(msgspec.Struct, forbid_unknown_fields=True):
    """[profiles.NAME]: overrides of a built-in profile."""

    jobs: int | None = None
    partitions: int | None = None
    batch_size: int | None = None
    memory_limit_mb: int | None = None


class File(msgspec.Struct, forbid_unknown_fields=True):
    """All of rules.toml."""

    project: ProjectTable
    sources: dict[str, Source] = {}
    vars: dict[str, Any] = {}
    policy: dict[str, Any] = {}
    profiles: dict[str, ProfileTable] = {}


@dataclass(frozen=True)
class Project:
    """A project's configuration. `root` is absolute."""

    root: Path
    name: str
    rule_folders: tuple[str, ...]
    sources: dict[str, Source]
    variables: dict[str, Value]
    profiles: dict[str, Profile] = field(default_factory=dict)

    def profile(self, name: str) -> Profile:
        """Return the profile called `name`. Raises `UserError`."""
        if name not in self.profiles:
            raise UserError(f"unknown profile '{name}'", code="unknown-profile", hint=_close(name, self.profiles))
        return self.profiles[name]


def load_project(root: Path) -> Project:
    """Read and validate rules.toml. Raises `UserError`."""
    text = read_text(root / FILE, FILE)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(text, str(error)) from error
    try:
        file = msgspec.convert(raw, File)
    except msgspec.ValidationError as error:
        raise _validation_error(text, str(error)) from error
    for kind, names in (("sources", file.sources), ("vars", file.vars)):
        for name in names:
            if not NAME.match(name):
                message = f"'{name}' is not a usable name in [{kind}]: letters, digits and _ only, no digit first"
                raise UserError(message, code="config", where=_key_where(text, (kind,), name))
    if file.policy:
        key = next(iter(file.policy))
        raise UserError(f"unknown key '{key}' in [policy]", code="config", where=_key_where(text, ("policy",), key))
    variables = {name: _value(text, name, value) for name, value in file.vars.items()}
    profiles = _profiles(text, file.profiles)
    return Project(root, file.project.name, file.project.rules, file.sources, variables, profiles)


def read_text(path: Path, shown: str) -> str:
    """Return a file's text, which must be UTF-8 (a byte order mark is ignored). Raises `UserError`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {shown}: {error.strerror}", code="unreadable", where=Where(shown)) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        message = f"not UTF-8: byte 0x{data[error.start]:02x} cannot be read"
        raise UserError(message, code="encoding", where=Where(shown, line, column), hint="save the file as UTF-8") from error


def _profiles(text: str, tables: dict[str, ProfileTable]) -> dict[str, Profile]:
    profiles = dict(PROFILES)
    for name, table in tables.items():
        if name not in PROFILES:
            where = _key_where(text, ("profiles",), name)
            raise UserError(f"unknown profile '{name}'", code="config", where=where, hint=_close(name, PROFILES))
        given = {key: value for key, value in msgspec.structs.asdict(table).items() if value is not None}
        for key, value in given.items():
            if value < 1:
                where = _key_where(text, ("profiles", name), key)
                raise UserError(f"'{key}' must be at least 1", code="config", where=where)
        profiles[name] = msgspec.structs.replace(profiles[name], **given)
    return profiles


def _value(text: str, name: str, value: Any) -> Value:
    good = isinstance(value, int | float | str | bool | datetime.date) and not (
        isinstance(value, float) and not math.isfinite(value)
    )
    if not good:
        message = f"variable '{name}' must be an integer, a finite float, a string, a boolean, a date or a date-time"
        raise UserError(message, code="config", where=_key_where(text, ("vars",), name))
    checked: Value = value
    return checked


def _syntax_error(text: str, message: str) -> UserError:
    place = re.search(r"\(at line (\d+), column (\d+)\)", message)
    line, column = (int(place[1]), int(place[2])) if place else (text.count("\n") + 1, 1)
    clean = re.sub(r" \(at .*\)$", "", message)
    return UserError(f"not valid TOML: {clean[0].lower()}{clean[1:]}", code="config", where=Where(FILE, line, column))


def _validation_error(text: str, message: str) -> UserError:
    what, _, path = message.partition(" - at `$")
    keys = [key for key in re.split(r"[.\[\]`]+", path) if key and key != "..."]
    unknown = re.search(r"unknown field `(.*?)`", what)
    missing = re.search(r"missing required field `(.*?)`", what)
    table = _dotted(keys)
    if unknown:
        where = _key_where(text, tuple(keys), unknown[1])
        hint = _close(unknown[1], _known_keys(keys))
        return UserError(f"unknown key '{unknown[1]}'{table}", code="config", where=where, hint=hint)
    if missing:
        where = _table_where(text, tuple(keys))
        return UserError(f"missing key '{missing[1]}'{table}", code="config", where=where)
    where = _key_where(text, tuple(keys[:-1]), keys[-1]) if keys else Where(FILE, 1, 1)
    named = ".".join(keys)
    return UserError(f"'{named}': {what[0].lower()}{what[1:]}".replace("`", ""), code="config", where=where)


def _known_keys(keys: list[str]) -> list[str]:
    tables: dict[str, type[msgspec.Struct]] = {"project": ProjectTable, "sources": Source, "profiles": ProfileTable}
    struct = tables.get(keys[0], File) if keys else File
    return [item.name for item in msgspec.structs.fields(struct)]


def _dotted(keys: list[str]) -> str:
    return f" in [{'.'.join(keys)}]" if keys else ""


def _table_where(text: str, table: tuple[str, ...]) -> Where:
    for number, line in enumerate(text.splitlines(), 1):
        if table and _header(line) == table:
            return Where(FILE, number, 1)
    return Where(FILE, 1, 1)


def _key_where(text: str, table: tuple[str, ...], key: str) -> Where:
    """Find a key's place by reading headers line by line: tomllib keeps no positions."""
    current: tuple[str, ...] = ()
    assigned = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]")
    nested = re.compile(rf"[{{,]\s*[\"']?{re.escape(key)}[\"']?\s*=")
    for number, line in enumerate(text.splitlines(), 1):
        header = _header(line)
        if header is not None:
            current = header
            if header[: len(table) + 1] == (*table, key):
                return Where(FILE, number, line.index(key) + 1)
            continue
        inline = nested.search(line)
        if current == table and assigned.match(line):
            return Where(FILE, number, line.index(key) + 1)
        if inline and (current == table[:-1] or current == table):
            return Where(FILE, number, line.index(key, inline.start()) + 1)
    return _table_where(text, table)


def _header(line: str) -> tuple[str, ...] | None:
    match = re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line)
    if match is None or "=" in line.split("]", 1)[0]:
        return None
    return tuple(part.strip().strip("\"'") for part in match[1].split("."))


def _close(name: str, known: Any) -> str | None:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(sorted(known))}"
