"""[profiles.NAME] of rules.toml and `--set KEY=VALUE` → runtime profiles, each key and value checked at its place."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from rules.config import engine_keys
from rules.config.durations import SHAPE, seconds_of
from rules.config.profiles import (
    DEFAULTS,
    FIELDS_BY_KEY,
    KINDS,
    PROFILES,
    SETTINGS,
    RuntimeProfile,
)
from rules.config.toml_types import did_you_mean, kind_of, wrong_type
from rules.errors import UserError, Where
from rules.files.locations import WILDCARDS, LocationError, location_of
from rules.storage.writer_options import WriterOptions, flaws

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_REMOTE = re.compile(r"sc://[^/:;\s]+(:\d{1,5})?(/;?\S*)?\Z")
_PREFIX = "datafusion."
_MOST = (1 << 31) - 1
_DURATIONS = ("timeout", "product_timeout")
_LIKE_BUILT_IN = 0.8
"""How alike a name must be to a built-in profile's for it to be taken for a slip, unless it says what it inherits."""
_KINDS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "bool": (bool, "true or false"),
    "int": (int, "an integer"),
    "float": ((int, float), "a number"),
    "text": ((str, int, float), "a string"),
}

Locate = Callable[..., Where]
"""From keys below [profiles] to a place in rules.toml."""


class _WrongSettingError(Exception):
    """A key or value that cannot be: the message, a hint, and the keys that lead to it from its table."""

    def __init__(self, message: str, hint: str | None = None, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.hint, self.path = message, hint, path


def read_profiles(tables: Mapping[str, Any], root: Path, locate: Locate) -> dict[str, RuntimeProfile]:
    """Return the built-in profiles and those of [profiles]. Raises `UserError`, located by `locate`.

    A table of a built-in profile's name changes that one. Any other inherits the profile that its `inherits` names, or
    the default one.
    """
    found = dict(PROFILES)
    pending: list[str] = []

    def make(name: str) -> RuntimeProfile:
        if name not in tables or (name in found and name not in PROFILES) or name in done:
            return found[name]
        if name in pending:
            chain = " → ".join([*pending[pending.index(name) :], name])
            raise _error(f"profiles inherit one another: {chain}", locate(pending[-1], "inherits"))
        pending.append(name)
        try:
            given, inherits = _given(tables[name], root, built_in=name in PROFILES)
            base = PROFILES[name] if name in PROFILES else make(_base(name, inherits, tables, locate))
        except _WrongSettingError as wrong:
            message = wrong.message.replace("unknown setting", "unknown key")
            inside = f" in [profiles.{name}]" if message != wrong.message else ""
            raise _error(f"{message}{inside}", locate(name, *wrong.path), wrong.hint) from None
        pending.pop()
        done.add(name)
        found[name] = _changed(base, given, name)
        return found[name]

    done: set[str] = set()
    for name in tables:
        if not _NAME.match(name):
            message = f"'{name}' is not a usable name of a profile: letters, digits, _ and - only, no digit first"
            raise _error(message, locate(name))
        make(name)
    return found


def with_settings(profile: RuntimeProfile, texts: Iterable[str], root: Path) -> RuntimeProfile:
    """Return a profile with what `texts` ("key=value") set. Raises `UserError`."""
    given: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals:
            raise UserError(f"'{text}' gives no value", code="usage", hint=f"write --set {key}=VALUE")
        try:
            given |= dict(_settings({key: _of_text(key, value.strip())}, root))  # the last one counts
        except _WrongSettingError as wrong:
            raise UserError(f"--set {text}: {wrong.message}", code="setting", hint=wrong.hint) from None
    return _changed(profile, given, profile.name)


def read_pins(names: Iterable[str], locate: Callable[[str], Where]) -> tuple[str, ...]:
    """Return the engine's keys of the optimisations that [engine] disables. locate: from an item's number to its place.

    An item is a key of the engine, the last part of one, or the name of a profile's setting. Raises `UserError`.
    """
    last = {key.rpartition(".")[2]: key for key in engine_keys.KINDS}
    found = []
    for number, name in enumerate(names):
        key = (SETTINGS[name].key if name in SETTINGS else None) or last.get(name, name)
        where = locate(str(number))
        if key not in engine_keys.KINDS:
            raise _error(f"the engine has no switch '{name}'", where, _suggestion(name))
        if engine_keys.KINDS[key] != "bool":
            raise _error(f"'{name}' is no switch of the engine: it is not true or false", where)
        if engine_keys.is_own(key):
            raise _error(f"'{key}' is set by rules itself: what queries mean depends on it", where, "leave it out")
        if engine_keys.is_speed_only(key):
            raise _error(f"'{key}' changes no table", where, "leave it out")
        found.append(key)
    return tuple(dict.fromkeys(found))


def with_pins(profile: RuntimeProfile, pins: Iterable[str]) -> RuntimeProfile:
    """Return a profile under which some of the engine's optimisations are off, which counts for every rule."""
    off = dict.fromkeys(pins, "false")
    if not off:
        return profile
    named: dict[str, Any] = {FIELDS_BY_KEY[key]: False for key in off if key in FIELDS_BY_KEY}
    return msgspec.structs.replace(profile, engine_keys=dict(sorted({**profile.engine_keys, **off}.items())), **named)


def _error(message: str, where: Where, hint: str | None = None, facts: dict[str, str] | None = None) -> UserError:
    return UserError(message, code="config", where=where, hint=hint, facts=facts)


def _base(name: str, inherits: Any, tables: Mapping[str, Any], locate: Locate) -> str:
    if inherits is None:
        close = difflib.get_close_matches(name, PROFILES, n=1, cutoff=_LIKE_BUILT_IN)
        if close:
            own = {"if it is your own": f'add inherits = "{close[0]}"'}
            raise _error(f"unknown profile '{name}'", locate(name), f"did you mean '{close[0]}'?", own)
        return next(iter(PROFILES))
    known = [*PROFILES, *(one for one in tables if one != name)]
    if inherits not in known:
        raise _error(f"unknown profile '{inherits}'", locate(name, "inherits"), did_you_mean(str(inherits), known))
    return str(inherits)


def _given(table: Any, root: Path, *, built_in: bool) -> tuple[dict[str, Any], Any]:
    """Return what a profile's table sets, checked, and what it inherits. Raises `_WrongSettingError`."""
    if not isinstance(table, dict):
        raise _WrongSettingError(
            f"a profile must be a table, not {kind_of(table)}", "write [profiles.NAME] on a line of its own"
        )
    inherits = table.get("inherits")
    if inherits is not None and not isinstance(inherits, str):
        raise _WrongSettingError(f"'inherits' must be a string, not {kind_of(inherits)}", path=("inherits",))
    if built_in and inherits is not None:
        raise _WrongSettingError("a built-in profile inherits nothing", "leave it out", ("inherits",))
    given: dict[str, Any] = {}
    flat = {key: value for key, value in table.items() if key not in {"inherits", "writer"}}
    if "writer" in table:
        given["writer"] = _writer(table["writer"])
    for name, value in _settings(flat, root):
        if name in given:
            raise _WrongSettingError(f"'{name}' is set twice", "the engine calls it by another name", (name,))
        given[name] = value
    return given, inherits


def _writer(table: Any) -> WriterOptions:
    """Return what [profiles.NAME.writer] says of all products, which names no column. Raises `_WrongSettingError`."""
    wrong = wrong_type(table, WriterOptions, ("writer",))
    if wrong is not None:
        raise _WrongSettingError(wrong.message, wrong.hint, wrong.path)
    options = msgspec.convert(table, WriterOptions)
    for name in ("sort_by", "bloom_filters", "columns"):
        if getattr(options, name):
            message = f"'{name}' names columns, which not every product has"
            raise _WrongSettingError(message, "say it in [writer] of a rule's options", ("writer", name))
    unfit = next(flaws(options), None)
    if unfit is not None:
        raise _WrongSettingError(unfit.message, unfit.hint, ("writer", *unfit.path))
    return options


def _settings(table: Mapping[str, Any], root: Path) -> Iterator[tuple[str, Any]]:
    """Yield the settings of a table by name, those that have none by their key. Raises `_WrongSettingError`."""
    for key, value in table.items():
        if key == "datafusion" and isinstance(value, dict):
            yield from _keys_below((key,), value, root)
        elif key.startswith(_PREFIX):
            yield _engine_setting(key, value, (key,), root)
        elif key in SETTINGS:
            yield key, _checked(key, value, (key,), root)
        else:
            raise _WrongSettingError(f"unknown setting '{key}'", _suggestion(key), (key,))


def _keys_below(path: tuple[str, ...], table: Mapping[str, Any], root: Path) -> Iterator[tuple[str, Any]]:
    """`datafusion.execution.batch_size = 1` is a table in a table in a table."""
    for key, value in table.items():
        inside = (*path, key)
        if isinstance(value, dict):
            yield from _keys_below(inside, value, root)
        else:
            yield _engine_setting(".".join(inside), value, inside, root)


def _engine_setting(key: str, value: Any, path: tuple[str, ...], root: Path) -> tuple[str, Any]:
    if key not in engine_keys.KINDS:
        raise _WrongSettingError(f"the engine has no setting '{key}'", _suggestion(key), path)
    if engine_keys.is_own(key):
        raise _WrongSettingError(
            f"'{key}' is set by rules itself: what queries mean depends on it", "leave it out", path
        )
    name = FIELDS_BY_KEY.get(key)
    if name is not None:
        if SETTINGS[name].factor != 1 or SETTINGS[name].suffix:
            raise _WrongSettingError(f"'{key}' has a name of its own here", f"set {name}", path)
        return name, _checked(name, value, path, root)
    types, what = _KINDS[engine_keys.KINDS[key]]
    if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
        raise _WrongSettingError(f"'{key}' must be {what}, not {kind_of(value)}", None, path)
    if key == "datafusion.optimizer.max_passes" and isinstance(value, int) and value < 1:
        raise _WrongSettingError(
            f"'{key}' must be at least 1", "without a pass the engine plans some queries wrong", path
        )
    return key, str(value).lower() if isinstance(value, bool) else str(value)


def _checked(name: str, value: Any, path: tuple[str, ...], root: Path) -> Any:
    """Return a setting's value. Raises `_WrongSettingError`."""
    setting, kind = SETTINGS[name], KINDS[name]
    if name == "evidence" and isinstance(value, bool):
        return "full" if value else "none"
    if name == "tier":
        if isinstance(value, bool) or value not in (0, 1, 2):
            raise _WrongSettingError(
                "'tier' must be 0, 1 or 2", "0 unordered, 1 stable within a run, 2 ordered by key", path
            )
        return value
    if name == "remote" and isinstance(value, str) and not _REMOTE.match(value):
        raise _WrongSettingError(f"'remote' must be sc://HOST:PORT, not '{value}'", None, path)
    if name == "spark_staging" and isinstance(value, str):
        return _staging(value, path)
    if name in _DURATIONS:
        return _duration(value, path)
    wrong = wrong_type(value, kind, path)
    if wrong is not None:
        message = wrong.message.replace(f"'{path[-1]}'", f"'{'.'.join(path)}'")
        raise _WrongSettingError(message, wrong.hint, path)
    is_number = isinstance(value, int) and not isinstance(value, bool) and value != DEFAULTS[name]
    if is_number and not setting.least <= value <= _MOST:
        or_default = ", or 0 as by default" if DEFAULTS[name] == 0 else ""
        bound = f"at least {setting.least}{or_default}" if value < setting.least else f"at most {_MOST:,}"
        raise _WrongSettingError(f"'{'.'.join(path)}' must be {bound}", None, path)
    return str(root / Path(value).expanduser()) if name == "temp_directory" else value


def _staging(value: str, path: tuple[str, ...]) -> str:
    """Return the prefix of a bucket. Raises `_WrongSettingError`."""
    if not value.startswith("s3://"):
        raise _WrongSettingError(f"'{path[-1]}' must be s3://BUCKET/PREFIX, not '{value}'", None, path)
    try:
        place = location_of(f"{value.rstrip('/')}/x")
    except LocationError as error:
        raise _WrongSettingError(f"'{path[-1]}': {error.message}", error.hint, path) from None
    if any(sign in place.path for sign in WILDCARDS):
        raise _WrongSettingError(f"'{path[-1]}' must be s3://BUCKET/PREFIX, not '{value}'", None, path)
    return value


def _duration(value: Any, path: tuple[str, ...]) -> str:
    """Return a length of time as it is written; a number is one of seconds. Raises `_WrongSettingError`."""
    text = f"{value}s" if isinstance(value, int | float) and not isinstance(value, bool) else value
    if isinstance(text, str):
        with contextlib.suppress(ValueError):
            seconds_of(text)
            return text
    shown = f"'{value}'" if isinstance(value, str) else kind_of(value) if isinstance(value, bool) else str(value)
    raise _WrongSettingError(f"'{path[-1]}' must be {SHAPE}, not {shown}", None, path)


def _of_text(key: str, text: str) -> Any:
    """Return a value of the command line by the type of its setting; a text that is none of that type as it is."""
    name = FIELDS_BY_KEY.get(key, key)
    kind: Any = engine_keys.KINDS.get(key)
    if name in KINDS:
        kinds = [one for one in (get_args(KINDS[name]) or (KINDS[name],)) if one is not type(None)]
        plain = int if name == "tier" else str if get_origin(KINDS[name]) is Literal else kinds[0]
        kind = {bool: "bool", int: "int"}.get(plain, "text")
    if (kind == "bool" or name == "evidence") and text in {"true", "false"}:
        return text == "true"
    if kind in {"int", "float"}:
        try:
            return int(text) if kind == "int" else float(text)
        except ValueError:
            return text
    return text


def _suggestion(key: str) -> str:
    known = [*(one for one in engine_keys.KINDS if not engine_keys.is_own(one)), *SETTINGS]
    if key.startswith(_PREFIX):
        known = [one for one in known if one.startswith(_PREFIX)]
    last = {one.rpartition(".")[2]: one for one in known}
    close = [last[one] for one in difflib.get_close_matches(key.rpartition(".")[2], last, n=1, cutoff=0.75)]
    behind = {one.removeprefix(_PREFIX): one for one in known}
    close += [behind[one] for one in difflib.get_close_matches(key.removeprefix(_PREFIX), behind, n=1, cutoff=0.6)]
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(sorted(SETTINGS))}, and the engine's keys (docs/profiles.md)"


def _changed(base: RuntimeProfile, given: Mapping[str, Any], name: str) -> RuntimeProfile:
    keys = {key: value for key, value in given.items() if key.startswith(_PREFIX)}
    named = {key: value for key, value in given.items() if key not in keys}
    if "writer" in named:
        named["writer"] = named["writer"].over(base.writer)
    return msgspec.structs.replace(
        base, name=name, engine_keys=dict(sorted({**base.engine_keys, **keys}.items())), **named
    )
