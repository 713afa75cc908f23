"""Texts that nobody should have written: SQL, front matters and rules.toml of the fixtures, broken by a seed.

Mutations are of characters, tokens, lines and bytes. A text is bytes: it need not be UTF-8.
"""

from __future__ import annotations

import functools
import random
import re

from support.checking import all_cases
from support.projects import FIXTURES

_TOKEN = re.compile(r"\s+|\w+|\"[^\"\n]*\"|'[^'\n]*'|--[^\n]*|.", re.DOTALL)
_PIECES = [
    "(", ")", "[", "]", "{", "}", "<", ">", "((", "))", "[[", "{{", "}}", "/*", "*/", "--", ";", ",", ".", "..",
    "::", ":", "->", "=>", "||", "|", "&", "^", "~", "!", "@", "#", "$", "$x", "$$", "?", "\\", "`", "'", '"', "''",
    '""', "E'\\", "%", "=", "==", "<>", "!=", "<=>", "*", "/", "+", "-", "|>", "@>", "\x00", "\x07", "\x1b[31m",
    "\x7f", "\x85", "\x9b", "\r", "\r\n", "\n", "\t", "\u2028", "\u202e", "\u200b", "\ufeff", "\xa0", "é", "表", "🦆",
    "é", "\u017f", "İ", "0", "1", "-1", "1.", ".5", "1e9", "1e999", "9" * 30, "9" * 5000, "0x1F", "1_000",
    "x" * 300, "x" * 20_000, "NULL", "TRUE", "SELECT", "FROM", "WHERE", "GROUP BY", "HAVING", "ORDER BY", "LIMIT",
    "OFFSET", "WITH", "RECURSIVE", "AS", "JOIN", "LEFT JOIN", "CROSS JOIN", "SEMI JOIN", "NATURAL", "USING", "ON",
    "UNION", "UNION ALL", "EXCEPT", "INTERSECT", "CASE", "WHEN", "THEN", "ELSE", "END", "IN", "EXISTS", "NOT",
    "BETWEEN", "LIKE", "ESCAPE", "IS", "DISTINCT", "ALL", "ANY", "OVER", "PARTITION BY", "ROWS", "RANGE",
    "PRECEDING", "FOLLOWING", "QUALIFY", "WINDOW", "FILTER", "WITHIN GROUP", "IGNORE NULLS", "VALUES", "LATERAL",
    "UNNEST", "PIVOT", "UNPIVOT", "TABLESAMPLE", "CAST", "TRY_CAST", "INTERVAL", "DATE", "TIMESTAMP", "EXTRACT",
    "AT TIME ZONE", "STRUCT", "MAP", "ARRAY", "ROW", "GROUPING SETS", "CUBE", "ROLLUP", "INSERT", "CREATE", "COPY",
    "SET", "EXPLAIN", "FOR", "TO", "COLLATE", "DIV", "MOD", "ROWNUM", "-- ///", "-- /// rule", "# ", "[x]", "[[x]]",
    "x = 1", "x.y = 1", "tags = [", "key = ", "columns = {", '"""', "'''", "inf", "nan", "1979-05-27", "07:32:00",
    "true",
]  # fmt: skip
_BYTES = [b"\x00", b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xef\xbb\xbf", b"\xfe\xff", b"\x80", b"\xf4\x90\x80\x80"]
KINDS = ("sql", "front", "toml")


@functools.cache
def corpus(kind: str) -> tuple[str, ...]:
    """Return the texts that are mutated: "sql" rules, "front" rules with options, "toml" for rules.toml."""
    if kind == "toml":
        found = [path.read_text("utf-8") for path in sorted(FIXTURES.glob("*/rules.toml"))]
        return (*found, *_TOML)
    rules = [path.read_text("utf-8") for path in sorted(FIXTURES.glob("*/rules/**/*.sql"))]
    if kind == "front":
        return (*(text for text in rules if text.lstrip().startswith("-- ///")), *_FRONT)
    files = sorted(
        [*FIXTURES.glob("sql/*.sql"), *FIXTURES.glob("sql/semantics/*.sql"), *FIXTURES.glob("sql/pairs/**/*.sql")]
    )
    pairs = [one.strip() for path in files for one in re.split(r";\s*\n", path.read_text("utf-8")) if one.strip()]
    return (*rules, *(case.text for case in all_cases()), *pairs)


def mutant(kind: str, seed: int) -> bytes:
    """Return a text that is like one of the corpus."""
    chance = random.Random(f"{kind} {seed}")
    texts = corpus(kind)
    text = chance.choice(texts)
    if len(text) > 4000 and chance.random() < 0.8:  # short ones break sooner, and are sooner read
        start = chance.randrange(len(text) - 2000)
        text = text[start : start + 2000]
    for _ in range(chance.choice([1, 1, 1, 2, 2, 3, 5, 10])):
        text = chance.choice(_MUTATIONS)(text, chance, texts)
    data = text.encode("utf-8", "surrogatepass")
    if chance.random() < 0.1:
        data = _broken_bytes(data, chance)
    return data.replace(b"\n", b"\r\n") if chance.random() < 0.03 else data


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text) or [""]


def _insert(text: str, chance: random.Random, _texts: tuple[str, ...]) -> str:
    tokens = _tokens(text)
    space = chance.choice(["", " "])
    tokens.insert(chance.randrange(len(tokens) + 1), f"{space}{chance.choice(_PIECES)}{space}")
    return "".join(tokens)


def _replace(text: str, chance: random.Random, _texts: tuple[str, ...]) -> str:
    tokens = _tokens(text)
    tokens[chance.randrange(len(tokens))] = chance.choice(_PIECES)
    return "".join(tokens)


def _delete(text: str, chance: random.Random, _texts: tuple[str, ...]) -> str:
    tokens = _tokens(text)
    start = chance.randrange(len(tokens))
    del tokens[start : start + chance.choice([1, 1, 1, 3, 10])]
    return "".join(tokens)


def _swap(text: str, chance: random.Random, _texts: tuple[str, ...]) -> str:
    tokens = _tokens(text)
    one, other = chance.randrange(len(tokens)), chance.randrange(len(tokens))
    tokens[one], tokens[other] = tokens[other], tokens[one]
    return "".join(tokens)


def _repeat(text: str, chance: random.Random, _texts: tuple[str, ...]) -> str:
    """A few tokens again and again: chains and nests."""
    tokens = _tokens(text)
    start = chance.randrange(len(tokens))
    piece = tokens[start : start + chance.choice([1, 2, 4, 8])]
    tokens[start:start] = piece * chance.choice([1, 2, 5, 30, 200])
    return "".join(tokens)


def _nest(text: str, chance: random.Random, _texts: tuple[str, ...]) -> str:
    """An opening many times over, now and then with what closes it."""
    opening, closing = chance.choice([
        ("(", ")"), ("[", "]"), ("{'a': ", "}"), ("CASE WHEN ", " THEN 1 END"), ("abs(", ")"), ("NOT ", ""), ("- ", ""),
        ("CAST(", " AS INT)"), ("(SELECT ", ")"), ("STRUCT<", ">"), ("STRUCT(", ")"), ("f(x -> ", ")"), ("/*", "*/"),
        ("EXISTS (SELECT ", ")"), ("a JOIN ", ""), ("SUM(", ") OVER ()"),
        ("x.", ""), ("$", ""), ("a = ", ""), ("[[", "]]"),
    ])  # fmt: skip
    tokens = _tokens(text)
    start = chance.randrange(len(tokens))
    end = min(len(tokens), start + chance.choice([0, 1, 3, 10]))
    times = chance.choice([2, 10, 40, 300])
    middle = "".join(tokens[start:end])
    closed = closing * times if chance.random() < 0.6 else ""
    return "".join([*tokens[:start], opening * times, middle, closed, *tokens[end:]])


def _cut(text: str, chance: random.Random, _texts: tuple[str, ...]) -> str:
    return text[: chance.randrange(len(text) + 1)]


def _splice(text: str, chance: random.Random, texts: tuple[str, ...]) -> str:
    """Tokens of another text in place of some."""
    tokens, others = _tokens(text), _tokens(chance.choice(texts)[:3000])
    start, from_ = chance.randrange(len(tokens)), chance.randrange(len(others))
    tokens[start : start + chance.choice([0, 1, 5])] = others[from_ : from_ + chance.choice([1, 5, 20])]
    return "".join(tokens)


def _character(text: str, chance: random.Random, _texts: tuple[str, ...]) -> str:
    position = chance.randrange(len(text) + 1)
    char = chr(chance.choice([chance.randrange(128), chance.randrange(0x250), chance.randrange(0x110000)]))
    return text[:position] + char + text[position + chance.choice([0, 1]) :]


_MUTATIONS = (_insert, _insert, _replace, _replace, _delete, _delete, _swap, _repeat, _nest, _cut, _splice, _character)


def _broken_bytes(data: bytes, chance: random.Random) -> bytes:
    position = chance.randrange(len(data) + 1)
    return data[:position] + chance.choice(_BYTES) + data[position + chance.choice([0, 0, 1]) :]


_FRONT = (
    """-- /// rule
-- description = "Orders"
-- tags = ["a", "b"]
-- key = ["id"]
-- tier = 2
-- volatile = false
-- exact = true
-- [columns.id]
-- type = "int64"
-- not_null = true
-- accepted = [1, 2, 3]
-- references = "customers.id"
-- [columns.amount]
-- description = "in cents"
-- [[checks]]
-- name = "positive"
-- sql = "SELECT * FROM one WHERE amount < 0"
-- severity = "warn"
-- ///
SELECT o.id, o.amount FROM orders AS o
""",
    """-- /// rule
-- columns = { id = { type = "int64" }, amount = { not_null = true } }
-- checks = [{ name = "a", expression = "amount > 0" }]
-- ///
SELECT o.id, o.amount FROM orders AS o
""",
)
_TOML = (
    """[project]
name = "sample"
rules = ["rules"]

[sources.orders]
path = "data/orders.parquet"
columns = { id = "int64", amount = "int64" }
[sources.typed]
path = "data/typed.csv"
format = "csv"
delimiter = ";"
header = true
nulls = ["", "NA"]

[vars]
least = 500
day = 2026-01-31
when = 2026-01-31T10:00:00Z
ratio = 0.5
name = "x"

[policy]
select = ["DEFAULT"]
ignore = ["R001"]
qualify = "joins"
[policy.per_file_ignores]
"rules/*.sql" = ["R005"]

[profiles.prod_fast]
jobs = 2
partitions = 1

[contracts.one]
key = ["id"]
[contracts.one.columns.id]
type = "int64"
not_null = true
[[contracts.one.checks]]
name = "positive"
sql = "SELECT * FROM one WHERE amount < 0"
""",
)
