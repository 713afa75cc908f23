"""Rewrites of a query's text that keep its meaning: blanks, comments, case, quotes, and words for one thing."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

_PARTS = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")")
_COLUMN = r'"[^"]+"\."[^"]+"'
_PLAIN = re.compile(r'"([a-z_][a-z0-9_]*)"')
_RESERVED = {"select", "group", "order", "from", "name", "x", "y"}
_TYPES = {
    "BIGINT": ("INT8",), "VARCHAR": ("TEXT", "STRING"), "DOUBLE": ("DOUBLE PRECISION", "FLOAT8"), "BOOLEAN": ("BOOL",),
    "DECIMAL": ("NUMERIC",),
}  # fmt: skip
_CALLS = {"substring(": "substr(", "trim(": "btrim(", "nvl(": "ifnull(", "upper(": "UPPER(", "concat(": "CONCAT("}


def _outside(sql: str, change: Callable[[str], str]) -> str:
    """Change what is neither a literal nor a quoted name."""
    return "".join(part if number % 2 else change(part) for number, part in enumerate(_PARTS.split(sql)))


def _some(rng: random.Random, pattern: str, replacement: str, sql: str) -> str:
    """Replace one random match."""
    found = list(re.finditer(pattern, sql))
    if not found:
        return sql
    match = rng.choice(found)
    return sql[: match.start()] + match.expand(replacement) + sql[match.end() :]


def blanks(sql: str, rng: random.Random) -> str:
    """a b → a      b, over several lines."""
    return _outside(sql, lambda part: re.sub(" ", lambda _: rng.choice((" ", "  ", "\n", "\t", "\r\n")), part))


def comments(sql: str, rng: random.Random) -> str:
    """a, b → a, /* c */ b -- c; never between words that are one to the parser, such as ORDER BY."""
    words = (", ", ", /* ' \" ; */ ", ", -- it's\n", ", /* -- */ ")
    with_comments = _outside(sql, lambda part: re.sub(", ", lambda _: rng.choice(words), part))
    return f"/* a */{with_comments} -- end"


def lower_case(sql: str, _rng: random.Random) -> str:
    """SELECT COUNT(*) → select count(*)."""
    return _outside(sql, str.lower)


def upper_case(sql: str, _rng: random.Random) -> str:
    """select count(*) → SELECT COUNT(*)."""
    return _outside(sql, str.upper)


def no_quotes(sql: str, rng: random.Random) -> str:
    """ "orders"."amount" → Orders.amount."""

    def bare(match: re.Match[str]) -> str:
        text = match[1]
        return match[0] if text in _RESERVED else rng.choice((text, text.upper(), text.capitalize()))

    return _PLAIN.sub(bare, sql)


def other_types(sql: str, rng: random.Random) -> str:
    """CAST(a AS BIGINT) → CAST(a AS INT8)."""
    return _outside(sql, lambda part: re.sub(r"\bAS (BIGINT|VARCHAR|DOUBLE|BOOLEAN|DECIMAL)\b",
                                             lambda m: f"AS {rng.choice(_TYPES[m[1]])}", part))  # fmt: skip


def colon_casts(sql: str, _rng: random.Random) -> str:
    """CAST(a AS BIGINT) → a::BIGINT."""
    return re.sub(rf"CAST\(({_COLUMN}|'[^']*') AS (BIGINT|VARCHAR|DATE|DOUBLE|DECIMAL\(\d+, \d+\))\)", r"\1::\2", sql)


def typed_literals(sql: str, _rng: random.Random) -> str:
    """CAST('2024-01-31' AS DATE) → DATE '2024-01-31'."""
    return re.sub(r"CAST\(('[^']*') AS DATE\)", r"DATE \1", sql)


def other_calls(sql: str, _rng: random.Random) -> str:
    """substring(a, 1) → substr(a, 1)."""
    for call, other in _CALLS.items():
        sql = sql.replace(call, other)
    return sql


def other_operators(sql: str, _rng: random.Random) -> str:
    """NOT a IS NULL → a IS NOT NULL; a <> b → a != b."""
    sql = re.sub(rf"NOT ({_COLUMN}) IS NULL", r"\1 IS NOT NULL", sql)
    sql = re.sub(rf"NOT ({_COLUMN}) (IN|LIKE|BETWEEN)\b", r"\1 NOT \2", sql)
    return _outside(sql, lambda part: part.replace("<>", "!="))


def longer_joins(sql: str, _rng: random.Random) -> str:
    """JOIN → INNER JOIN; LEFT JOIN → LEFT OUTER JOIN."""
    sql = _outside(sql, lambda part: re.sub(r"\b(LEFT|RIGHT|FULL) JOIN\b", r"\1 OUTER JOIN", part))
    return _outside(sql, lambda part: re.sub(r"(?<!OUTER)(?<!CROSS)(?<!SEMI)(?<!ANTI) JOIN\b", " INNER JOIN", part))


def no_as(sql: str, _rng: random.Random) -> str:
    """FROM t AS a → FROM t a."""
    return re.sub(r'(FROM|JOIN) ("[^"]+") AS (")', r"\1 \2 \3", sql)


def other_numbers(sql: str, _rng: random.Random) -> str:
    """1.50 → 1.5; 0.1 → 1e-1."""
    sql = _outside(sql, lambda part: re.sub(r"(?<![\w.])1\.50?\b(?!\.)", "15e-1", part))
    return _outside(sql, lambda part: re.sub(r"(?<![\w.])0\.1\b", "1e-1", part))


def explicit_order(sql: str, _rng: random.Random) -> str:
    """ORDER BY a, b DESC → ORDER BY a ASC NULLS LAST, b DESC NULLS FIRST."""

    def spelled(match: re.Match[str]) -> str:
        return "ORDER BY " + ", ".join(_spelled(key) for key in match[1].split(", "))

    key = rf'(?:{_COLUMN}|"[^"]+")(?: DESC)?(?: NULLS (?:FIRST|LAST))?'
    return re.sub(rf"ORDER BY ({key}(?:, {key})*)", spelled, sql)


def _spelled(key: str) -> str:
    direction = "" if key.endswith(" DESC") or " DESC " in key else " ASC"
    if " NULLS " in key:
        return key if not direction else key.replace(" NULLS ", " ASC NULLS ")
    return key + direction + (" NULLS LAST" if direction else " NULLS FIRST")


def more_parentheses(sql: str, rng: random.Random) -> str:
    """a = 1 → ((a) = (1))."""
    return _some(
        rng, rf"({_COLUMN}) (=|<>|<=|>=|<|>) ({_COLUMN}|\d+|'[^']*')(?! [+*|&-])(?=[ )]|$)", r"((\1) \2 (\3))", sql
    )


def end_of_text(sql: str, rng: random.Random) -> str:
    """… → …; at the end, and a comment at the start."""
    return f"-- a rule's first line\n{sql}{rng.choice((';', ' ;', chr(10)))}"


REWRITES: tuple[Callable[[str, random.Random], str], ...] = (
    blanks, comments, lower_case, upper_case, no_quotes, other_types, colon_casts, typed_literals, other_calls,
    other_operators, longer_joins, no_as, other_numbers, explicit_order, more_parentheses,
    end_of_text,
)  # fmt: skip
