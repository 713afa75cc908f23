"""Which names a function of a project cannot have: those that are read as something else where they are called."""

from __future__ import annotations

from sqlglot import exp

from compiler.errors import SqlError
from compiler.sql.dialect import parse

_OF_THE_ENGINE = frozenset(
    {"any", "cluster", "current_catalog", "current_user", "distribute", "exclude", "exists", "explain", "group",
     "interval", "minus", "offset", "order", "session_user", "some", "sort", "top", "union", "user"}
)  # fmt: skip
"""Names that we read as calls, and the engine does not everywhere: in SELECT a, minus(b) it takes MINUS for EXCEPT."""
_CALLS = ("SELECT {0}({0}(t.x)) AS y FROM t", "SELECT t.x AS y FROM t WHERE t.x > 0 AND {0}(t.x) > {0}(1)")


def is_callable(name: str) -> bool:
    """Whether a function of this name, an identifier in lower case, is called by `name(…)` wherever a value may be."""
    if name in _OF_THE_ENGINE:
        return False
    for text in _CALLS:
        sql = text.format(name)
        try:
            calls = [one for one in parse(sql).find_all(exp.Anonymous) if one.name.lower() == name]
        except SqlError:
            return False
        if len(calls) != text.count("{0}"):
            return False
    return True
