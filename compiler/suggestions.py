"""What somebody may have meant by a name that does not exist."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """Return "did you mean 'x'?" for the closest known name, or None."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else None


def column_suggestion(name: str, known: Iterable[str]) -> str | None:
    """Return how to write a column whose name differs only in case, else "did you mean 'x'?", or None."""
    known = list(known)
    if name in {"generate_series", "range", "unnest"} and name not in known:
        return f"name the column of {name}(…) after it: FROM {name}(…) AS t(name)"
    alike = [one for one in known if one.lower() == name.lower()]
    if alike and not re.fullmatch("[a-z_][a-z0-9_]*", alike[0]):
        quoted = '"' + alike[0].replace('"', '""') + '"'
        return f"write {quoted}: without quotes a name is read in lower case"
    return suggestion(name, known)
