"""Lengths of time as people write them: 90s, 10m, 1h30m, 250ms, or a number of seconds."""

from __future__ import annotations

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|min|m|h|d)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_MOST = 1e9
"""Thirty years, which are as good as no limit: clocks and waits of the system take no more than 292."""
SHAPE = "a length of time such as 90s, 10m or 1h30m"


def seconds_of(text: str) -> float:
    """Return a length of time in seconds, more than 0 and at most `_MOST`. Raises ValueError for anything else."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        found = float(text)
    else:
        parts = _PART.findall(text)
        if not parts or re.sub(r"\s", "", text) != "".join(number + unit for number, unit in parts):
            raise ValueError(text)
        found = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if not 0 < found < float("inf"):
        raise ValueError(text)
    return min(found, _MOST)
