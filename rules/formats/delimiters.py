"""What may separate the fields of a CSV file that was read as one column."""

from __future__ import annotations

import json
from collections.abc import Sequence

_OTHERS = (";", "\t", "|")


def likely_delimiter(names: Sequence[str]) -> str | None:
    """Return what seems to separate the columns of a table, if it came as one column with this name."""
    return next((mark for mark in _OTHERS if mark in names[0]), None) if len(names) == 1 else None


def delimiter_hint(mark: str) -> str:
    """Return what to write if fields are separated by something else than the delimiter."""
    return f"if '{_shown(mark)}' separates the fields: delimiter = {json.dumps(mark)} under [sources.NAME]"


def _shown(mark: str) -> str:
    return "\\t" if mark == "\t" else mark
