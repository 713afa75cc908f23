"""The codes of `rules check`: the name of each, whether it is on by default, and whether it can be turned off.

Light, because a check of an unchanged project reads it and little else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple

ALL, DEFAULT = "ALL", "DEFAULT"
"""The words that select several codes at once."""


class Code(NamedTuple):
    """A check. always: it reports SQL that cannot be built or cannot be intended, so nothing turns it off."""

    code: str
    name: str
    summary: str
    on: bool = True
    always: bool = False
    fixable: bool = False
    of: str = ""
    """A dialect in which it is a habit; it is found only in projects that come from such a one."""
    advice: bool = False
    """Whether it fails a check only where it is selected by name, or with --strict."""


CODES: tuple[Code, ...] = (
    Code("R001", "unqualified-column", "a column without its table before it", fixable=True),
    Code(
        "R002",
        "ambiguous-column",
        "a column that several tables in scope have, or that one table has twice",
        always=True,
    ),
    Code("R003", "unknown-column", "a column that no table in scope has", always=True),
    Code("R004", "unknown-table", "a table or alias that does not exist", always=True),
    Code("R005", "select-star", "SELECT *", fixable=True),
    Code("R006", "undeclared-volatile", "a volatile call in a rule without volatile = true", always=True),
    Code("R007", "unordered", "LIMIT, a window or an aggregate that depends on an unspecified order"),
    Code("R008", "ties", "the same, with an order that may leave ties", on=False),
    Code("R009", "not-in-nullable", "NOT IN over a subquery that may yield NULL"),
    Code("R010", "implicit-cross-join", "a table that no condition joins to the others"),
    Code("R011", "unnamed-column", "an output column without a name", always=True),
    Code("R012", "float-equality", "floats compared for equality"),
    Code("R013", "unused-cte", "a CTE that nothing reads", fixable=True),
    Code("R014", "unused-variable", "a variable of rules.toml that no rule uses"),
    Code("R015", "unused-input", "an input that is never read"),
    Code("R016", "integer-division", "integer division, which drops the remainder", fixable=True, advice=True),
    Code("R017", "sum-overflow", "a sum of integers, which wraps around silently if it overflows", on=False),
    Code("R018", "engine-difference", "SQL that the engine reads differently from most others", fixable=True),
    Code("R019", "unused-suppression", "a suppression comment that suppresses nothing", fixable=True),
    Code("R020", "unknown-variable", "a $variable that rules.toml does not declare", always=True),
    Code("R021", "unknown-function", "a function that the engine does not have", always=True, fixable=True),
    Code("R022", "slow-function", "a Python function that the engine has in a faster form"),
    Code("R023", "rejected-name", "a table that the project's own policy keeps a rule from reading"),
    Code("R030", "rounding", "a fraction that becomes a whole number in another way", fixable=True, of="duckdb"),
    Code("R031", "null-order", "an ORDER BY that puts NULLs at the other end", fixable=True, of="duckdb"),
    Code("R032", "timestamp-text", "a timestamp whose text is another one", fixable=True, of="duckdb"),
    Code("R033", "date-interval", "a date that an interval does not make a timestamp", fixable=True, of="duckdb"),
    Code("R034", "zone-shift", "AT TIME ZONE of a timestamp that has a time zone", fixable=True, of="duckdb"),
    Code("R035", "float-text", "a float whose text is another one", fixable=True, of="duckdb"),
    Code("R036", "null-argument", "a call that leaves NULLs out", fixable=True, of="snowflake"),
    Code("R037", "like-escape", "a backslash in a LIKE pattern", fixable=True, of="duckdb"),
    Code("R038", "index-base", "an index of a list that counts from elsewhere", fixable=True, of="spark"),
    Code("R039", "substring-start", "a substring that starts at 0 or before it", fixable=True, of="duckdb"),
    Code("R040", "similar-to", "SIMILAR TO, which need not match the whole text", fixable=True, of="duckdb"),
    Code("R041", "decimal-literal", "a fraction that is a float", fixable=True, of="duckdb"),
    Code("R042", "type-width", "a type that has fewer bits", fixable=True, of="postgres"),
    Code("R043", "string-escape", "a backslash in a text that escapes nothing", fixable=True, of="snowflake"),
    Code("R044", "date-format", "a format of dates in another dialect's spelling", fixable=True, of="postgres"),
    Code("R045", "day-numbering", "days or weeks that are numbered from elsewhere", fixable=True, of="spark"),
    Code("R046", "other-meaning", "a function, cast or operator with another meaning", fixable=True, of="spark"),
    Code(
        "R047",
        "regex-flavour",
        "a function of regular expressions that matches otherwise",
        fixable=True,
        of="snowflake",
    ),
    Code("R048", "second-fraction", "seconds without their fraction", fixable=True, of="postgres"),
    Code("R900", "syntax-error", "text that is not one readable query", always=True),
    Code("R901", "unsupported", "SQL that the engine cannot run, or would misread", always=True),
    Code("R902", "invalid-rule", "a rule that cannot be compiled for another reason", always=True),
    Code("R903", "invalid-file", "a file that cannot be read as a rule", always=True),
)
BY_CODE = {one.code: one for one in CODES}
BY_NAME = {one.name: one for one in CODES}
ALWAYS = frozenset(one.code for one in CODES if one.always)

# The errors of the compiler and the loader that have a code of their own here; every other error is R902.
OF_ERRORS = {
    "ambiguous-column": "R002", "unknown-column": "R003", "unknown-table": "R004", "unknown-input": "R004",
    "undeclared-volatile": "R006", "unnamed-column": "R011", "unknown-variable": "R020", "unknown-function": "R021",
    "syntax": "R900", "template": "R900", "empty": "R900", "several-statements": "R900",
    "not-a-query": "R900", "sql": "R901", "foreign-sql": "R901",
    "unsupported": "R901", "engine": "R901", "type": "R901", "unknown-type": "R901",
    "options": "R903", "encoding": "R903", "unreadable": "R903", "rule-name": "R903", "duplicate-name": "R903",
    "rule-changed": "R903",
}  # fmt: skip


def lookup(word: str) -> str | None:
    """Return the code for a word: a code or a name, in any case."""
    found = BY_CODE.get(word.upper()) or BY_NAME.get(word.lower())
    return found.code if found is not None else None


def suggest(word: str) -> str:
    """Return the hint for a word that is not a code."""
    known = [*BY_NAME, *BY_CODE, ALL, DEFAULT]
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else "docs/checks.md lists all codes"


def expand(words: Iterable[str]) -> frozenset[str]:
    """Return the codes for valid words."""
    codes: set[str] = set()
    for word in words:
        if word.upper() in (ALL, DEFAULT):
            codes |= {one.code for one in CODES if one.on or word.upper() == ALL}
        else:
            code = lookup(word)
            assert code is not None, word
            codes.add(code)
    return frozenset(codes)
