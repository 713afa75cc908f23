"""How SQL writes a name: in quotes if it is not plain, or if the bare word would mean something else."""

from __future__ import annotations

import re
from functools import lru_cache

from sqlglot import exp
from sqlglot.generators.duckdb import DuckDBGenerator

from compiler.errors import SqlError
from compiler.sql.dialect import in_double_quotes, parse

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def in_sql(name: str) -> str:
    """Return a name as SQL writes it: order_id, "Order Id", "select".

    Words that PostgreSQL and its kin reserve are quoted even if this dialect does not require it.
    """
    plain = _PLAIN.match(name) and name not in DuckDBGenerator.RESERVED_KEYWORDS and is_name(name)
    return name if plain else in_double_quotes(name)


def as_prefix(written: str) -> str:
    """Return a table's name as written, or in quotes if it cannot precede a dot: not every alias can."""
    return written if not _BARE.match(written) or is_name(written.lower()) else in_double_quotes(written.lower())


_PLACES = (
    "SELECT {0}.{0}, {0}, 1 + {0} AS {0} FROM t AS {0} ORDER BY {0}",
    "SELECT sum({0}.{0}) AS s, sum({0}) OVER (PARTITION BY {0}.{0}, {0}) AS w FROM t GROUP BY {0}.{0}, {0} HAVING {0}",
    "SELECT CASE {0} WHEN {0} THEN {0} ELSE {0} END AS c FROM t WHERE NOT {0} AND a BETWEEN {0} AND {0} OR {0} IN (1)",
)
"""The places of column and table names that a fix may write."""
_ALL_PLACES = f"SELECT 1 FROM ({_PLACES[0]}) AS p1, ({_PLACES[1]}) AS p2, ({_PLACES[2]}) AS p3"
"""All places in one text, as a wide table has thousands of names to try."""


@lru_cache(maxsize=1 << 14)
def is_name(word: str) -> bool:
    """Whether an unquoted word is read as a name wherever a column, a table or an alias is allowed."""
    try:
        query = parse(_ALL_PLACES.format(word))
    except SqlError:
        return False
    names = {name for column in query.find_all(exp.Column) for name in (column.name, column.table) if name}
    return names <= {word, "t", "a"} and _identifiers(query) == _usual_identifiers()


@lru_cache(maxsize=1)
def _usual_identifiers() -> int:
    return _identifiers(parse(_ALL_PLACES.format("x_")))


def _identifiers(query: exp.Query) -> int:
    return sum(1 for _ in query.find_all(exp.Identifier))
