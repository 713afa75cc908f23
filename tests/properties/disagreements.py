"""Where a judge answers something else: classes that are known, each with a name, a sentence and whose fault it is.

`KNOWN_FAULTS` is emptied as faults are mended; a test fails when a listed one no longer occurs. `LEGAL` are differences
that SQL leaves to the engine, or in which a judge departs from it; the random queries avoid them, but for the
`LEGAL_CLASSES`, which are told by what is left of a query when it is shrunk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ENGINE, OURS, NOBODY = "engine", "ours", "legal"
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
RUNTIME = "fails when it is executed"


@dataclass(frozen=True)
class Fault:
    """A fault that still shows, or a class of legal differences.

    example: over the portable database of this number, by a judge that shows it.
    pattern: what the shrunk text of such a query, or the message of a failure, holds. fails: it is no wrong answer,
    but an error at run time that compiling did not foresee. zeros: it is gone once the tables hold no -0.0. ordered:
    the rows of the example come in another order.
    """

    name: str
    whose: str
    sentence: str
    pattern: re.Pattern[str]
    example: str
    database: int
    judge: str = SQLITE
    fails: bool = False
    zeros: bool = False
    ordered: bool = False


@dataclass(frozen=True)
class Legal:
    """A difference that is none of the engine's faults: what a build yields, and what the judge answers."""

    name: str
    sentence: str
    judge: str
    sql: str
    ours: object
    theirs: object


KNOWN_FAULTS: tuple[Fault, ...] = ()

LEGAL_CLASSES: tuple[Fault, ...] = (
    Fault(
        "signed zeros in order",
        NOBODY,
        "ORDER BY puts -0.0 before 0.0 here, as docs/semantics.md says; they are equal to both judges",
        re.compile(r"\bORDER BY\b"),
        "SELECT u.y AS c0, u.k AS c1 FROM u ORDER BY 1 NULLS LAST, 2 NULLS LAST LIMIT 1",
        7,
        zeros=True,
    ),
)

LEGAL: tuple[Legal, ...] = (
    Legal(
        "division by zero",
        "SQLite answers NULL where PostgreSQL and the engine refuse",
        SQLITE,
        "SELECT 1 / (k - k) AS c FROM (SELECT 1 AS k) AS q",
        RUNTIME,
        None,
    ),
    Legal(
        "integer overflow",
        "an integer that overflows wraps in the engine; SQLite goes on with a float",
        SQLITE,
        "SELECT 9223372036854775807 + k AS c FROM (SELECT 1 AS k) AS q",
        -9223372036854775808,
        9223372036854775808.0,
    ),
    Legal(
        "overflow is an error",
        "an integer that overflows wraps in the engine; PostgreSQL refuses",
        POSTGRESQL,
        "SELECT CAST(9223372036854775807 AS BIGINT) + k AS c FROM (SELECT 1 AS k) AS q",
        -9223372036854775808,
        RUNTIME,
    ),
    Legal(
        "place of NULLs",
        "NULL is the smallest value to SQLite, the largest to PostgreSQL and the engine, where ORDER BY says nothing",
        SQLITE,
        "WITH d(k) AS (VALUES (1), (NULL)) SELECT k AS c FROM d ORDER BY k LIMIT 1",
        1,
        None,
    ),
    Legal(
        "text of a float",
        "how a float becomes text is each engine's own affair",
        POSTGRESQL,
        "SELECT CAST(CAST(1 AS DOUBLE PRECISION) AS VARCHAR) AS c",
        "1.0",
        "1",
    ),
    Legal(
        "mean of integers",
        "AVG of integers is a float in the engine, as in SQLite, and a decimal of some 16 digits in PostgreSQL",
        POSTGRESQL,
        "WITH d(k) AS (VALUES (1), (1), (0)) SELECT AVG(k) * 3 AS c FROM d",
        2.0,
        "2.00000000000000000001",
    ),
    Legal(
        "text as a number",
        "SQLite reads a number from the beginning of a text and ignores the rest",
        SQLITE,
        "SELECT CAST(s AS BIGINT) AS c FROM (SELECT '12x' AS s) AS q",
        RUNTIME,
        12,
    ),
    Legal(
        "names seen ahead",
        "SQLite lets a CTE read one that comes after it; by the standard the name is the table's",
        SQLITE,
        "WITH d AS (SELECT COUNT(*) AS n FROM t), t AS (SELECT 1 FROM v WHERE FALSE) SELECT n > 0 AS c FROM d",
        True,  # noqa: FBT003 — the value it yields
        0,
    ),
)
