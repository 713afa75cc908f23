"""rules.toml → Project: names, sources, variables, profiles, all validated, each error with its line."""

from __future__ import annotations

import datetime as dt
import functools
import json
import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from cache.filedigest import digest_of_bytes, open_regular
from cache.housekeeping import Limits
from compiler.lint.codes import ALL, DEFAULT, lookup, suggest
from rules.config.contract import Contract, flaw
from rules.config.front_matter import Spoken
from rules.config.lineage_events import EventsTable, flaw_of_events
from rules.config.profile_reading import read_pins, read_profiles, with_pins, with_settings
from rules.config.profiles import RuntimeProfile, Tier
from rules.config.publish_settings import Destination, PublishTable, destination_of
from rules.config.source_reading import read_pattern, read_sources, require_distinct
from rules.config.store_limits import StoreTable, limits_of, size_of
from rules.config.table_reading import checked_table, flawless, place_in
from rules.config.toml_documents import TomlError, end_of, parse_toml
from rules.config.toml_positions import key_places
from rules.config.toml_types import did_you_mean, kind_of
from rules.config.variables import with_given
from rules.errors import UserError, Where
from rules.files.project_paths import FILE, is_text
from rules.formats.source import Source
from rules.formats.source_patterns import Pattern, is_pattern
from rules.storage.shared_settings import CacheTable, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
Value = int | float | str | bool | dt.date | dt.datetime
TABLES = (
    "project",
    "sources",
    "vars",
    "policy",
    "profiles",
    "contracts",
    "store",
    "folders",
    "engine",
    "parts",
    "cache",
    "openlineage",
    "publish",
)


class ProjectTable(msgspec.Struct, forbid_unknown_fields=True):
    """[project]."""

    name: str
    rules: tuple[str, ...] = ("rules",)
    tier: Tier | None = None
    dialect: Spoken | None = None


class FolderTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[folders."PATH"]: what the rules in a folder have that do not say otherwise."""

    tier: Tier | None = None
    dialect: Spoken | None = None


class EngineTable(msgspec.Struct, forbid_unknown_fields=True):
    """[engine]. disable: optimisations that no profile may use."""

    disable: tuple[str, ...] = ()


class Policy(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[policy]: what `rules check` reports. select, ignore, per_file_ignores: codes, names, DEFAULT or ALL.

    on_qualify: "FILE.py:FUNCTION", see `rules.lint.policy_hook`; "" for none. from_dialect: the dialect that the rules
    were written in, whose habits are looked for.
    """

    select: tuple[str, ...] = (DEFAULT,)
    ignore: tuple[str, ...] = ()
    per_file_ignores: dict[str, tuple[str, ...]] = {}
    qualify: Literal["always", "joins"] = "always"
    star: Literal["never", "local"] = "never"
    on_qualify: str = ""
    from_dialect: Literal["duckdb", "snowflake", "bigquery", "spark", "postgres", "redshift"] | None = None


class Parts(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[parts]: which tables have parts. min_rows: the rows from which on a table is cut, see `cache.parts.cut`."""

    min_rows: int = 1_000_000


@dataclass(frozen=True)
class Project:
    """A project's configuration. `root` is absolute.

    contracts: those that rules.toml declares, by product or source. patterns: entries of [sources] that declare many;
    their sources are among `sources`. given: values of variables that are other than it declares, as `--var` has them;
    what is done with them says nothing about the project as its files have it. settings: what `--set` changes of the
    profile. limits: what [store] keeps.
    """

    root: Path
    name: str
    rule_folders: tuple[str, ...]
    sources: dict[str, Source]
    variables: dict[str, Value]
    profiles: dict[str, RuntimeProfile] = field(default_factory=dict)
    contracts: dict[str, Contract] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    policy: Policy = field(default_factory=Policy)
    patterns: tuple[Pattern, ...] = ()
    settings: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    tier: Tier | None = None
    folders: dict[str, FolderTable] = field(default_factory=dict)
    """By paths relative to the project, as they are written."""
    disabled: tuple[str, ...] = ()
    """Keys of the engine's optimisations that no profile may use."""
    parts: Parts = field(default_factory=Parts)
    dialect: Spoken | None = None
    """The dialect of rules that declare none, and whose folders do not."""
    events: EventsTable | None = None
    """Where events about builds go, if anywhere."""
    targets: dict[str, Destination] = field(default_factory=dict)
    """Where `rules publish` sends products, by name."""
    spoken: dict[str, str] = field(default_factory=dict)
    """The dialects of single rule files, as the command line gives them; by path."""
    unsaved: Mapping[str, str] = field(default_factory=dict)
    """Texts of rule files in SQL that count in place of the files, by path relative to the project."""
    downloads: int = 10**10
    """Bytes that copies of objects from elsewhere may take up in the store, see `cache.downloads`."""
    runs_python: bool = True
    """Whether the project's Python may be run; what depends on Python that nobody has run before is then unknown."""
    declared: str = field(default="", compare=False, repr=False)
    """The text of rules.toml as it was read: the file may have changed by the time an error says where something is."""
    digest: str = field(default="", compare=False)
    """The digest of rules.toml, as it was read."""

    def text(self, path: str) -> str:
        """Return the text of a file of the project; of rules.toml, the one that was read. Raises `UserError`."""
        if path == FILE:
            return self.declared
        unsaved = self.unsaved.get(path)
        return read_text(self.root / path, path) if unsaved is None else require_text(unsaved, path)

    def where(self, *keys: str) -> Where:
        """Return where rules.toml says something, or the nearest thing around it: for errors found after loading."""
        return place_in(self.declared, *keys)

    def source_where(self, name: str, *keys: str) -> Where:
        """Return where rules.toml declares a source, or what `keys` lead to from its table."""
        pattern = self.pattern_of(name)
        own = ("sources", name) in key_places(self.declared)
        return self.where("sources", name if own or pattern is None else pattern.key, *keys)

    def pattern_of(self, name: str) -> Pattern | None:
        """Return the pattern that a source comes from; None for one that is declared by itself."""
        return next((one for one in self.patterns if name in one.sources), None)

    def source_owner(self, name: str) -> str:
        """Return what declares a source, as people call it."""
        pattern = self.pattern_of(name)
        if pattern is None:
            return f"[sources.{name}] of {FILE}"
        return f"{pattern.sources[name]}, of [sources.{json.dumps(pattern.key)}] of {FILE}"

    def profile(self, name: str) -> RuntimeProfile:
        """Return the profile called `name`. Raises `UserError`."""
        if name not in self.profiles:
            raise UserError(f"unknown profile '{name}'", code="unknown-profile", hint=did_you_mean(name, self.profiles))
        return with_pins(with_settings(self.profiles[name], self.settings, self.root), self.disabled)


def load_project(
    root: Path, given: Iterable[str] = (), settings: Iterable[str] = (), *, data: Path | None = None
) -> Project:
    """Read and validate rules.toml. Raises `UserError`.

    given ("name=value"): other values of variables; settings ("key=value"): changes of the profile. data: where the
    files of sources are, if not at `root`.
    """
    if not is_text(str(root)):
        message = f"the project is in {root}, whose name is not UTF-8"
        raise UserError(message, code="no-project", hint="rename it: the engine and the index take no other names")
    read = read_bytes(root / FILE, FILE)
    text = decoded(read, FILE)
    try:
        raw = parse_toml(text)
    except TomlError as error:
        raise UserError(error.message, code="config", where=Where(FILE, *(error.place or end_of(text)))) from error
    _require_tables(text, raw)
    table = checked_table(text, raw.get("project"), ProjectTable, ("project",))
    entries = raw.get("sources", {})
    patterns = tuple(read_pattern(text, data or root, key, entries) for key in entries if is_pattern(key))
    sources = read_sources(text, entries, patterns)
    profiles = read_profiles(raw.get("profiles", {}), root, functools.partial(place_in, text, "profiles"))
    disable = checked_table(text, raw.get("engine", {}), EngineTable, ("engine",)).disable
    pins = read_pins(disable, functools.partial(place_in, text, "engine", "disable"))
    require_distinct(text, sources, patterns)
    for kind in ("sources", "vars"):
        for name in raw.get(kind, {}):
            if not NAME.match(name) and not (kind == "sources" and is_pattern(name)):
                message = f"'{name}' is not a usable name in [{kind}]: letters, digits and _ only, no digit first"
                raise UserError(message, code="config", where=place_in(text, kind, name))
    policy = _policy(text, raw.get("policy", {}))
    parts = _parts(text, raw.get("parts", {}))
    variables = {name: _value(text, name, value) for name, value in raw.get("vars", {}).items()}
    folders = tuple(dict.fromkeys(os.path.normpath(folder) for folder in table.rules))
    contracts = {name: _contract(text, name, value) for name, value in raw.get("contracts", {}).items()}
    texts = tuple(given)
    variables = with_given(variables, texts)
    limits = _limits(text, raw.get("store", {}))
    downloads = size_of(checked_table(text, raw.get("store", {}), StoreTable, ("store",)).downloads) or 0
    _require_shared(text, raw.get("cache", {}))
    of_tiers = (table.tier, dict(_folders(text, root, raw.get("folders", {}))))
    events = _events(text, raw["openlineage"]) if "openlineage" in raw else None
    targets = {name: _target(text, name, value) for name, value in raw.get("publish", {}).items()}
    rest = (policy, patterns, tuple(settings), limits, *of_tiers, pins, parts, table.dialect, events, targets)
    return Project(
        root, table.name, folders, sources, variables, profiles, contracts, texts, *rest,
        downloads=downloads, declared=text, digest=digest_of_bytes(read),
    )  # fmt: skip


def read_text(path: Path, shown: str) -> str:
    """Return a file's text, which must be UTF-8 (a byte order mark is ignored). Raises `UserError`."""
    return decoded(read_bytes(path, shown), shown)


def read_bytes(path: Path, shown: str) -> bytes:
    """Return what is in a file. Raises `UserError`."""
    try:
        with open(path, "rb", opener=open_regular) as file:
            return file.read()
    except OSError as error:
        raise UserError(f"cannot read {shown}: {error.strerror}", code="unreadable", where=Where(shown)) from error


def decoded(data: bytes, shown: str) -> str:
    """Return bytes from outside as text, which must be UTF-8 (a byte order mark is ignored). Raises `UserError`.

    shown: where they come from.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        read = error.object  # the bytes after a byte order mark
        before = read[: error.start].decode()
        message = f"not UTF-8: byte 0x{read[error.start]:02x} cannot be read"
        where = _place_of(shown, before)
        raise UserError(message, code="encoding", where=where, hint="save the file as UTF-8") from error
    return require_text(text, shown)


def require_text(text: str, shown: str) -> str:
    """Return a text without NUL characters. Raises `UserError`. shown: where it comes from."""
    if "\0" in text:
        where = _place_of(shown, text[: text.index("\0")])
        raise UserError(
            "a NUL character, which no text holds", code="encoding", where=where, hint="save the file as UTF-8"
        )
    return text


def _place_of(shown: str, before: str) -> Where:
    return Where(shown, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _require_tables(text: str, raw: dict[str, Any]) -> None:
    """Only known tables, each of them a table, and a [project]."""
    for key, value in raw.items():
        if key not in TABLES:
            raise UserError(
                f"unknown key '{key}'", code="config", where=place_in(text, key), hint=did_you_mean(key, TABLES)
            )
        if not isinstance(value, dict):
            message = f"'{key}' must be a table, not {kind_of(value)}"
            raise UserError(
                message, code="config", where=place_in(text, key), hint=f"write [{key}] on a line of its own"
            )
    if "project" not in raw:
        hint = 'add [project] with name = "…" at the top'
        raise UserError("the table [project] is missing", code="config", where=Where(FILE, 1, 1), hint=hint)


def _contract(text: str, name: str, value: Any) -> Contract:
    contract = checked_table(text, value, Contract, ("contracts", name))
    wrong = flaw(contract)
    if wrong is not None:
        where = place_in(text, "contracts", name, *wrong.path)
        raise UserError(wrong.message, code="config", where=where, hint=wrong.hint)
    return contract


def _policy(text: str, value: Any) -> Policy:
    policy = checked_table(text, value, Policy, ("policy",))
    lists: dict[tuple[str, ...], tuple[str, ...]] = {("select",): policy.select, ("ignore",): policy.ignore}
    lists |= {("per_file_ignores", name): codes for name, codes in policy.per_file_ignores.items()}
    for path, words in lists.items():
        for number, word in enumerate(words):
            if word.upper() not in (ALL, DEFAULT) and lookup(word) is None:
                where = place_in(text, "policy", *path, str(number))
                raise UserError(f"there is no code '{word}'", code="config", where=where, hint=suggest(word))
    if policy.on_qualify and not re.fullmatch(r"[^:]+\.py:[A-Za-z_]\w*", policy.on_qualify):
        message = f"'on_qualify' must name a file and a function in it, not '{policy.on_qualify}'"
        where = place_in(text, "policy", "on_qualify")
        raise UserError(message, code="config", where=where, hint='as in on_qualify = "policy.py:allowed"')
    return policy


def _folders(text: str, root: Path, tables: dict[str, Any]) -> Iterator[tuple[str, FolderTable]]:
    for name, value in tables.items():
        table = checked_table(text, value, FolderTable, ("folders", name))
        path = os.path.normpath(name).replace(os.sep, "/")
        if path.startswith("..") or Path(path).is_absolute() or not (root / path).is_dir():
            known = [str(one.relative_to(root)) for one in root.glob("**/") if ".rules" not in one.parts]
            message = f"there is no folder '{name}' in the project"
            raise UserError(
                message, code="config", where=place_in(text, "folders", name), hint=did_you_mean(name, known)
            )
        yield name, table


def _parts(text: str, value: Any) -> Parts:
    parts = checked_table(text, value, Parts, ("parts",))
    if parts.min_rows < 1:
        where = place_in(text, "parts", "min_rows")
        raise UserError("'min_rows' must be at least 1", code="config", where=where)
    return parts


def _limits(text: str, value: Any) -> Limits:
    table = checked_table(text, value, StoreTable, ("store",))
    return flawless(text, limits_of(table), "store")


def _target(text: str, name: str, value: Any) -> Destination:
    table = checked_table(text, value, PublishTable, ("publish", name))
    return flawless(text, destination_of(name, table), "publish", name)


def _require_shared(text: str, value: Any) -> None:
    """Refuse a [cache] that is not usable; who uses it reads it: `rules.storage.shared_settings`."""
    flawless(text, settings_of(checked_table(text, value, CacheTable, ("cache",))), "cache")


def _events(text: str, value: Any) -> EventsTable:
    table = checked_table(text, value, EventsTable, ("openlineage",))
    return flawless(text, flaw_of_events(table) or table, "openlineage")


def _value(text: str, name: str, value: Any) -> Value:
    good = isinstance(value, int | float | str | bool | dt.date) and not (
        isinstance(value, float) and not math.isfinite(value)
    )
    if not good:
        message = f"variable '{name}' must be an integer, a finite float, a string, a boolean, a date or a date-time"
        raise UserError(message, code="config", where=place_in(text, "vars", name))
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        where = place_in(text, "vars", name)
        raise UserError(
            f"variable '{name}' does not fit into 64 bits", code="config", where=where, hint="write a float"
        )
    checked: Value = value
    return checked
