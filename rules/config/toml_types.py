"""Errors in the type of a TOML value, in words, item by item, so that each is reported at its item."""

from __future__ import annotations

import difflib
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import msgspec

from rules.errors import Flaw

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KINDS: dict[type, str] = {
    str: "a string", bool: "true or false", int: "an integer", float: "a float", tuple: "a list", list: "a list",
    dict: "a table",
}  # fmt: skip


def wrong_table(value: Mapping[str, Any], kind: type[msgspec.Struct], path: tuple[str, ...], what: str) -> Flaw | None:
    """Return the first key of a table that is unknown, missing or of a wrong type; `what`: a key is called here."""
    fields = {item.encode_name: item for item in msgspec.structs.fields(kind)}
    for key in value:
        if key not in fields:
            inside = f" in [{'.'.join(path)}]" if path else ""
            return Flaw((*path, key), f"unknown {what} '{key}'{inside}", hint_for(key, kind))
    for name, item in fields.items():
        if item.required and name not in value:
            return Flaw(path, f"missing {what} '{name}' in [{'.'.join(path)}]", f'add {name} = "…"')
        if name in value:
            wrong = wrong_type(value[name], item.type, (*path, name))
            if wrong is not None:
                return wrong
    return None


def wrong_type(value: Any, kind: Any, path: tuple[str, ...]) -> Flaw | None:
    """Return the error of a value for a field of type `kind`, None if nothing is. `path` ends with its key."""
    inner = get_args(kind)
    if kind is Any:
        return None
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        return wrong_table(value, kind, path, "key")
    if get_origin(kind) is tuple and isinstance(value, list):
        found = (wrong_type(item, inner[0], (*path, str(number))) for number, item in enumerate(value))
        return next((wrong for wrong in found if wrong is not None), None)
    if get_origin(kind) is dict and isinstance(value, dict):
        found = (wrong_type(item, inner[1], (*path, key)) for key, item in value.items())
        return next((wrong for wrong in found if wrong is not None), None)
    if get_origin(kind) in {UnionType, Union}:
        kind = next(option for option in inner if option is not NoneType)
    name = path[-2] if len(path) > 1 and path[-1].isdecimal() else path[-1]
    if get_origin(kind) is Literal and isinstance(value, str):
        known = get_args(kind)
        return None if value in known else Flaw(path, f"'{name}' cannot be '{value}'", did_you_mean(value, known))
    if get_origin(kind) is Literal and isinstance(get_args(kind)[0], int):
        *others, last = map(str, get_args(kind))
        good = type(value) is int and value in get_args(kind)
        return None if good else Flaw(path, f"'{name}' must be {', '.join(others)} or {last}", None)
    plain = str if get_origin(kind) is Literal else get_origin(kind) or kind
    if issubclass(plain, msgspec.Struct):
        plain = dict
    if isinstance(value, plain) and not (plain is int and isinstance(value, bool)):
        return None
    return Flaw(path, f"'{name}' must be {_KINDS[plain]}, not {kind_of(value)}", None)


def kind_of(value: Any) -> str:
    """Return what a TOML value is, in words."""
    if isinstance(value, bool):
        return "a boolean"
    return _KINDS.get(type(value), "a date or time")


def hint_for(key: str, kind: type[msgspec.Struct]) -> str:
    """Return what to do about a key that a table does not have: what its `CALLED_ELSEWHERE` says, else what is near."""
    elsewhere: Mapping[str, str] = getattr(kind, "CALLED_ELSEWHERE", {})
    return elsewhere.get(key) or did_you_mean(key, (item.encode_name for item in msgspec.structs.fields(kind)))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the hint for an unknown name: the closest known one, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"
