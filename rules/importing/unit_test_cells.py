"""Values of unit tests, as YAML and CSV have them → values of TOML in the types that columns have here."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})
_DIGITS = 76


def cell(value: Any, kind: str) -> Any:
    """Return a value as TOML takes it, as a warehouse casts it. Raises ValueError where that is not known.

    kind: of the column, as the compiler spells it; "" where it is not known, and the value stays as it is.
    """
    for pattern, convert in _KINDS:
        if re.match(pattern, kind):
            return convert(value, kind)
    if kind and not re.match("list|large_list|struct", kind):
        raise ValueError(value)
    if kind and isinstance(value, str):
        value = json.loads(value)
    return value


def _text(value: Any, _kind: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError(value)


def _boolean(value: Any, _kind: str) -> bool:
    text = str(value).strip().lower()
    if text not in _TRUE | _FALSE:
        raise ValueError(value)
    return text in _TRUE


def _number(value: Any) -> Decimal:
    if isinstance(value, bool):
        return Decimal(int(value))
    try:
        return Decimal(str(value).strip())
    except InvalidOperation as error:
        raise ValueError(value) from error


def _integer(value: Any, _kind: str) -> int:
    number = _number(value)
    if number != number.to_integral_value():
        raise ValueError(value)
    return int(number)


def _float(value: Any, _kind: str) -> float:
    return float(_number(value))


def _decimal(value: Any, kind: str) -> str:
    """Return digits as a cast leaves them: halves are rounded away from zero."""
    found = re.search(r"<(\d+), *(-?\d+)>", kind)
    scale = int(found[2]) if found is not None else 0
    try:
        return str(_number(value).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, Context(prec=_DIGITS)))
    except InvalidOperation as error:
        raise ValueError(value) from error


def _date(value: Any, _kind: str) -> dt.date:
    return dt.datetime.fromisoformat(str(value).strip()).date()


def _moment(value: Any, kind: str) -> dt.datetime:
    """Return a moment; one with a zone is written in UTC for a column without."""
    found = dt.datetime.fromisoformat(re.sub(r"\s+UTC$", "+00:00", str(value).strip()))
    if '"' in kind:  # the name of its zone
        return found.astimezone(dt.UTC) if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)
    return found.astimezone(dt.UTC).replace(tzinfo=None) if found.tzinfo is not None else found


def _time(value: Any, _kind: str) -> str:
    return dt.time.fromisoformat(str(value).strip()).isoformat()


_KINDS: tuple[tuple[str, Callable[[Any, str], Any]], ...] = (
    ("large_string|string|utf8", _text),
    ("bool", _boolean),
    ("u?int", _integer),
    ("float|double|half", _float),
    ("decimal", _decimal),
    ("date", _date),
    ("timestamp", _moment),
    ("time", _time),
)
