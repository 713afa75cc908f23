"""Values given on the command line for project variables: `--var name=value`, read by the type of the declared one."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rules.config.toml_types import did_you_mean
from rules.errors import UserError


def with_given(declared: Mapping[str, Any], given: Iterable[str]) -> dict[str, Any]:
    """Return the variables with those that `given` ("name=value") sets otherwise. Raises `UserError`."""
    values = dict(declared)
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"'{text}' gives no value", code="usage", hint=f"write --var {name}=VALUE")
        if name not in declared:
            hint = did_you_mean(name, declared) if declared else "rules.toml declares variables under [vars]"
            raise UserError(f"unknown variable '{name}'", code="unknown-variable", hint=hint)
        values[name] = _read(name, value, declared[name])
    return values


def _read(name: str, text: str, declared: Any) -> Any:
    kind, read = next((what, how) for type_, what, how in _KINDS if isinstance(declared, type_))
    try:
        value = read(text)
        good = not isinstance(declared, dt.datetime) or (value.tzinfo is None) == (declared.tzinfo is None)
    except ValueError:
        good = False
    if not good:
        hint = f"rules.toml declares {name} = {_shown(declared)}"
        raise UserError(f"'{text}' is not {kind}, which variable '{name}' is", code="variable-type", hint=hint)
    return value


def _boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(text)
    return text == "true"


def _integer(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise ValueError(text)
    return value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


# A boolean is an integer to Python, and a date-time a date: the narrower first.
_KINDS: tuple[tuple[type, str, Callable[[str], Any]], ...] = (
    (bool, "true or false", _boolean),
    (int, "an integer of 64 bits", _integer),
    (float, "a finite number", _float),
    (str, "a string", str),
    (dt.datetime, "a date-time of that kind", dt.datetime.fromisoformat),
    (dt.date, "a date", dt.date.fromisoformat),
)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
