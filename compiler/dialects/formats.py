"""Formats of dates and times as other dialects write them → those of strftime, which the engine reads."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ORACLE = {
    "YYYY": "%Y", "YY": "%y", "MM": "%m", "DD": "%d", "HH24": "%H", "HH12": "%I", "HH": "%I", "MI": "%M", "SS": "%S",
    "DDD": "%j", "Mon": "%b", "Dy": "%a", "AM": "%p", "PM": "%p", "MS": "%3f", "US": "%6f", "FF3": "%3f", "FF6": "%6f",
    "IYYY": "%G", "IW": "%V", "yyyy": "%Y", "mm": "%m", "dd": "%d", "hh24": "%H", "mi": "%M", "ss": "%S",
}  # fmt: skip
"""Of PostgreSQL, Snowflake and Redshift."""
_JAVA = {
    "yyyy": "%Y", "yy": "%y", "MM": "%m", "MMM": "%b", "MMMM": "%B", "dd": "%d", "HH": "%H", "hh": "%I", "mm": "%M",
    "ss": "%S", "SSS": "%3f", "SSSSSS": "%6f", "a": "%p", "E": "%a", "EEE": "%a", "EEEE": "%A", "DDD": "%j",
}  # fmt: skip
"""Of Spark."""


def ours(written: str, letter: str) -> str | None:
    """Return a format of the dialect with this letter as strftime has it; None if a part of it has no counterpart."""
    words: Mapping[str, str] = _JAVA if letter == "K" else _ORACLE
    pattern = r"([A-Za-z])\1*" if letter == "K" else "|".join(sorted(words, key=len, reverse=True))
    found, at = [], 0
    while at < len(written):
        match = re.match(pattern, written[at:])
        if match is not None and match[0] in words:
            found.append(words[match[0]])
            at += len(match[0])
        elif written[at].isalpha() or written[at] in "\"'%":
            return None
        else:
            found.append(written[at])
            at += 1
    return "".join(found)
