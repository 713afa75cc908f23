"""How the engine's functions are called, in its own words."""

from __future__ import annotations

from typing import NamedTuple

from datafusion import SessionConfig, SessionContext

_QUERY = """
SELECT routine_name AS name, MIN(syntax_example) AS syntax, MIN(description) AS said
FROM information_schema.routines
WHERE syntax_example IS NOT NULL
GROUP BY routine_name
"""


class Signature(NamedTuple):
    """How a function is called: `substr(str, start_pos[, length])`, and what it does, in Markdown."""

    syntax: str
    description: str


def signatures() -> dict[str, Signature]:
    """Return the signatures of all functions that have one, by name; asking takes some 20 ms."""
    context = SessionContext(SessionConfig().with_information_schema(enabled=True))
    rows = [row for batch in context.sql(_QUERY).collect() for row in batch.to_pylist()]
    return {row["name"]: Signature(row["syntax"], row["said"] or "") for row in rows}
