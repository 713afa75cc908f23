"""Formats of dates and times of DuckDB and BigQuery, which are nearly strftime's → those that the engine reads.

Most codes are the same. A code that means something else here would give another text in silence: `%f` is microseconds
in DuckDB and nanoseconds here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_CODE = re.compile(r"%(?:E(?:\d|\*|#)?\w|-?.|$)", re.DOTALL)


def _same(letters: str) -> dict[str, str]:
    return {f"%{letter}": f"%{letter}" for letter in letters}


_DUCKDB = {
    **_same("aAbBdGHIjmMpSuUVwWyY%"),
    **{f"%-{letter}": f"%-{letter}" for letter in "dHIjmMSy"},
    "%f": "%6f", "%g": "%3f", "%n": "%9f", "%x": "%Y-%m-%d", "%X": "%H:%M:%S", "%c": "%Y-%m-%d %H:%M:%S",
}  # fmt: skip
_BIGQUERY = {
    **_same("aAbBcCdDeFgGhHIjklmMnpPRSTuUVwWxXyY%"),
    "%t": "\t", "%E4Y": "%Y", "%E3S": "%S.%3f", "%E6S": "%S.%6f",
}  # fmt: skip
_SHOWN: Mapping[str, Mapping[str, str]] = {"D": _DUCKDB, "B": _BIGQUERY}
"""Letter of a dialect → its codes in a format by which a text is made → ours."""
_READ: Mapping[str, Mapping[str, str]] = {"D": _same("aAbBdHIjmMpSyY%"), "B": _same("aAbBdDeFhHIjmMpRSTyY%")}
"""The same for a format by which a text is read."""


def ours(written: str, letter: str, *, read: bool) -> str | None:
    """Return a format of the dialect with this letter as the engine has it; None if a part of it has no counterpart.

    read: whether a text is read by it, not made.
    """
    codes = (_READ if read else _SHOWN)[letter]
    found, at = [], 0
    for match in _CODE.finditer(written):
        code = codes.get(match[0])
        if code is None:
            return None
        found += [written[at : match.start()], code]
        at = match.end()
    made = "".join([*found, written[at:]])
    return made if not read or reads_whole_times(made) else None


def reads_whole_times(format_: str) -> bool:
    """Whether the engine reads all that a text of this format of strftime says of a time.

    It takes midnight, in silence, where a format has an hour without minutes, or half a day without AM or PM.
    """
    codes = set(re.findall(r"%[-\d]?([A-Za-z])", format_))
    if not codes & set("HIklMSfpTRr"):
        return True
    return bool(codes & set("TRr")) or ("M" in codes and (bool(codes & set("Hk")) or codes >= {"I", "p"}))
