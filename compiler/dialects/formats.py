"""Formats of dates and times as other dialects write them → those of strftime, which the engine reads."""

from __future__ import annotations

import re
from collections.abc import Mapping

from compiler.sql.strftime_formats import reads_whole_times

_ORACLE = {
    "YYYY": "%Y", "YY": "%y", "MM": "%m", "DD": "%d", "HH24": "%H", "HH12": "%I", "HH": "%I", "MI": "%M", "SS": "%S",
    "DDD": "%j", "Mon": "%b", "Dy": "%a", "AM": "%p", "PM": "%p", "MS": "%3f", "US": "%6f", "FF3": "%3f", "FF6": "%6f",
    "IYYY": "%G", "IW": "%V", "yyyy": "%Y", "mm": "%m", "dd": "%d", "hh24": "%H", "mi": "%M", "ss": "%S",
}  # fmt: skip
"""Of PostgreSQL and Redshift."""
_SNOWFLAKE = {
    "YYYY": "%Y", "YY": "%y", "MM": "%m", "MON": "%b", "MMMM": "%B", "DD": "%d", "DY": "%a", "HH24": "%H", "HH12": "%I",
    "AM": "%p", "PM": "%p", "MI": "%M", "SS": "%S", "FF3": "%3f", "FF6": "%6f", "FF9": "%9f",
}  # fmt: skip
"""Of Snowflake, which reads them in any case."""
_ELSEWHERE = re.compile("SSSS")
"""Of PostgreSQL and Redshift: the seconds since midnight."""
_JAVA = {
    "yyyy": "%Y", "yy": "%y", "MM": "%m", "MMM": "%b", "MMMM": "%B", "dd": "%d", "HH": "%H", "hh": "%I", "mm": "%M",
    "ss": "%S", "SSS": "%3f", "SSSSSS": "%6f", "a": "%p", "E": "%a", "EEE": "%a", "EEEE": "%A", "DDD": "%j",
}  # fmt: skip
"""Of Spark."""


def ours(written: str, letter: str, *, read: bool) -> str | None:
    """Return a format of the dialect with this letter as strftime has it; None if a part of it has no counterpart.

    read: whether a text is read by it, not made.
    """
    words: Mapping[str, str] = {"K": _JAVA, "S": _SNOWFLAKE}.get(letter, _ORACLE)
    if words is _ORACLE and _ELSEWHERE.search(written):
        return None
    text = written.upper() if words is _SNOWFLAKE else written
    pattern = r"([A-Za-z])\1*" if words is _JAVA else "|".join(sorted(words, key=len, reverse=True))
    found, at = [], 0
    while at < len(text):
        match = re.match(pattern, text[at:])
        if match is not None and match[0] in words:
            found.append(words[match[0]])
            at += len(match[0])
        elif text[at].isalpha() or text[at] in "\"'%":
            return None
        else:
            found.append(written[at])
            at += 1
    made = "".join(found)
    if read and (not reads_whole_times(made) or (words is _JAVA and "%y" in made)):  # yy is 2000 to 2099 in Java
        return None
    return made
