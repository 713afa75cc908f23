# ruff: noqa: E501 — texts of queries, and shares of what is chosen
"""Random expressions and queries of the kinds that `compiler.spark` allows, over values that go wrong easily."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from random import Random

import pyarrow as pa

from support.spark_cases import nasty

ROWS = 48
_INTS = ("n", "m", "i", "h", "g")
_DECIMALS = ("p", "q", "w", "z")
_COLUMNS = {
    "int": _INTS, "decimal": _DECIMALS, "float": ("x", "y"), "text": ("s", "r"), "bool": ("b", "c"), "date": ("d", "e"),
    "moment": ("t", "u"), "zoned": ("v",),
}  # fmt: skip
KINDS = tuple(_COLUMNS)
_ODD = ("stamp", "zoned", "list", "small", "many", "bytes", "nanos", "clock", "pair", "coded")
"""Columns of types that are not on the list."""
_TEXTS = ("'a'", "''", "'ü😀'", "'it''s'", "'\\'", "'${x}'", "' a '", "'\x7f'", "'ß'")
_PATTERNS = ("a%", "_", "%b", "%", "", "a_b", "%ü%", "_%_", "ß", "a%b%")
_DAYS = ("1582-10-04", "1582-10-15", "0001-01-01", "9999-12-31", "2000-02-29", "1970-01-01", "1900-03-01")
_PARTS = ("year", "quarter", "month", "week", "day", "doy", "dow")
_TIMES = ("hour", "minute", "second")
_BEGINNINGS = {
    "moment": ("day", "hour", "minute", "second", "millisecond", "microsecond"),
    "zoned": ("minute", "second", "millisecond", "microsecond"),
}
"""Longer units leave the range of nanoseconds, in which the local engine computes them."""
_COMPARISONS = ("=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM")


def table(chance: Random) -> pa.Table:
    """Return rows whose values are drawn from those of `nasty`, column by column, with those of more types."""
    base = nasty()
    day = datetime.datetime(1582, 10, 10, 1, 2, 3, 4)
    more = {
        "g": pa.array([0, 1, -1, 127, -128, None], pa.int8()),
        "z": pa.array([*base["z"].to_pylist(), *(Decimal(f"{sign}{'9' * 28}.9999999999") for sign in ("", "-"))],
                      pa.decimal128(38, 10)),
        "stamp": pa.array([day, datetime.datetime(2024, 3, 31, 2, 30), None], pa.timestamp("ms")),
        "zoned": pa.array([day, None], pa.timestamp("us", "Europe/Berlin")),
        "list": pa.array([[1, None], [], None], pa.list_(pa.int64())),
        "small": pa.array([1.5, float("nan"), -0.0, None], pa.float32()),
        "many": pa.array([0, (1 << 64) - 1, None], pa.uint64()),
        "bytes": pa.array([b"", b"\x00\xff", None], pa.binary()),
        "nanos": pa.array([1, None], pa.timestamp("ns")),
        "clock": pa.array([0, 1, None], pa.time64("us")),
        "pair": pa.array([{"a": 1}, None], pa.struct([("a", pa.int64())])),
        "coded": pa.array(["a", None]).dictionary_encode(),
    }  # fmt: skip
    drawn = {name: base[name].combine_chunks() for name in base.column_names if name != "id"} | more
    columns = {name: values.take(pa.array([chance.randrange(len(values)) for _ in range(ROWS)]))
               for name, values in drawn.items()}  # fmt: skip
    return pa.table({"id": pa.array(range(ROWS), pa.int64()), **columns})


class Writer:
    """Writes random SQL. chance: which alone decides what."""

    def __init__(self, chance: Random, alias: str = "t") -> None:
        self._chance, self._alias = chance, alias

    def value(self, kind: str, depth: int = 2) -> str:
        """Return an expression of a kind of type."""
        if depth <= 0 or self._chance.random() < 0.2:
            return self._leaf(kind)
        ways: dict[str, Callable[[int], str]] = {
            "int": self._int, "decimal": self._decimal, "float": self._float, "text": self._text, "bool": self._bool,
            "date": self._date, "moment": self._moment, "zoned": self._zoned,
        }  # fmt: skip
        return ways[kind](depth - 1) if self._chance.random() < 0.8 else self._choice(kind, depth - 1)

    def total(self, depth: int = 1) -> str:
        """Return an aggregate."""
        name = self._chance.choice(("SUM", "MIN", "MAX", "COUNT", "AVG", "COUNT(DISTINCT", "COUNT(*)"))
        kinds = {"SUM": ("int", "decimal"), "AVG": ("decimal", "int")}.get(name, KINDS)
        if name == "COUNT(*)":
            found = name
        elif name.endswith("DISTINCT"):
            found = f"{name} {self.value(self._chance.choice(kinds), depth)})"
        else:
            found = f"{name}({self.value(self._chance.choice(kinds), depth)})"
        return f"{found} FILTER (WHERE {self.value('bool', 1)})" if self._chance.random() < 0.2 else found

    def odd(self) -> str:
        """Return an expression with a column of a type that is not on the list."""
        name = f"{self._alias}.{self._chance.choice(_ODD)}"
        return self._chance.choice(
            (
                f"{name} IS NULL",
                f"{name} IS NOT NULL",
                name,
                f"COALESCE({name}, {name})",
                f"{name} = {name}",
                f"CAST({name} AS VARCHAR)",
            )
        )

    def _leaf(self, kind: str) -> str:
        pick = self._chance.choice
        if self._chance.random() < 0.75:
            return f"{self._alias}.{pick(_COLUMNS[kind])}"
        literals = {
            "int": ("0", "1", "-1", "7", "2147483648", "9223372036854775807", "-128"),
            "decimal": ("CAST(0 AS DECIMAL(12, 2))", "CAST(-3 AS DECIMAL(14, 4))"),
            "float": ("0.5", "1e0", "0.1", "-2.5", "1e16"),
            "text": _TEXTS,
            "bool": ("TRUE", "FALSE"),
            "date": tuple(f"DATE '{day}'" for day in _DAYS),
            "moment": tuple(f"CAST('{day} 23:59:59.000001' AS TIMESTAMP(6))" for day in _DAYS),
            "zoned": (f"{self._alias}.v",),
        }
        return pick(literals[kind])

    def _choice(self, kind: str, depth: int) -> str:
        one, other = self.value(kind, depth), self.value(kind, depth)
        return self._chance.choice(
            (
                f"CASE WHEN {self.value('bool', depth)} THEN {one} ELSE {other} END",
                f"CASE WHEN {self.value('bool', depth)} THEN {one} END",
                f"COALESCE({one}, {other})",
            )
        )

    def _int(self, depth: int) -> str:
        one, other = self.value("int", depth), self.value("int", depth)
        return self._chance.choice(
            (
                f"({one} + {other})", f"({one} - {other})", f"({one} * {other})", f"(-{one})",
                f"({one} / {self._chance.choice((1, 2, 7, 9223372036854775807))})", f"({one} % 7)", f"({one} % 2)",
                f"CAST({one} AS BIGINT)", f"char_length({self.value('text', depth)})",
                f"EXTRACT({self._chance.choice(_PARTS)} FROM {self.value('date', depth)})",
                f"EXTRACT({self._chance.choice((*_PARTS, *_TIMES))} FROM {self.value('moment', depth)})",
            )
        )  # fmt: skip

    def _decimal(self, depth: int) -> str:
        one, other = self.value("decimal", depth), self.value(self._chance.choice(("decimal", "int")), depth)
        return self._chance.choice(
            (
                f"({one} + {other})", f"({one} - {other})", f"({other} - {one})", f"({one} * {other})",
                f"({one} * {other})", f"({one} / {self._chance.choice((3, 7, 10))})", f"({one} / ({one} * {one} + 1))",
                f"(-{one})", f"CAST({one} AS DECIMAL(38, 12))", f"CAST({self.value('int', depth)} AS DECIMAL(20, 2))",
                f"CAST({one} AS DECIMAL(20, 5))",
            )
        )  # fmt: skip

    def _float(self, depth: int) -> str:
        one, other = self.value("float", depth), self.value(self._chance.choice(("float", "int", "decimal")), depth)
        return self._chance.choice(
            (
                f"({one} + {other})", f"({one} - {other})", f"({one} * {other})", f"({other} / 7.0)", f"(-{one})",
                f"(0.1 * {self.value('decimal', depth)})", f"CAST({self.value('decimal', depth)} AS DOUBLE)",
                f"CAST({self.value('int', depth)} AS DOUBLE)", f"({one} / (0.5 * {self.value('int', depth)}))",
            )
        )  # fmt: skip

    def _text(self, depth: int) -> str:
        one = self.value("text", depth)
        start, length = self._chance.choice((1, 2, 3, 100)), self._chance.choice((0, 1, 2, 100))
        return self._chance.choice(
            (
                f"({one} || {self.value('text', depth)})", f"substr({one}, {start})",
                f"substr({one}, {start}, {length})", f"CAST({self.value('int', depth)} AS VARCHAR)",
            )
        )  # fmt: skip

    def _date(self, depth: int) -> str:
        one, sign = self.value("date", depth), self._chance.choice("+-")
        amount, unit = self._chance.choice((0, 1, 12, 90)), self._chance.choice(("DAY", "WEEK", "MONTH", "YEAR"))
        moment = self.value(self._chance.choice(("moment", "zoned")), depth)
        return self._chance.choice((f"({one} {sign} INTERVAL '{amount}' {unit})", f"CAST({moment} AS DATE)"))

    def _moment(self, depth: int, kind: str = "moment") -> str:
        one, sign = self.value(kind, depth), self._chance.choice("+-")
        amount = self._chance.choice((0, 1, 12, 90))
        unit = self._chance.choice(("SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "YEAR"))
        return self._chance.choice(
            (
                f"({one} {sign} INTERVAL '{amount}' {unit})",
                f"date_trunc('{self._chance.choice(_BEGINNINGS[kind])}', {one})",
            )
        )

    def _zoned(self, depth: int) -> str:
        return self._moment(depth, "zoned")

    def _bool(self, depth: int) -> str:
        kind = self._chance.choice(KINDS)
        other_kind = self._chance.choice(("int", "decimal", "float")) if kind in {"int", "decimal"} else kind
        one, other, third = self.value(kind, depth), self.value(other_kind, depth), self.value(kind, depth)
        text = self.value("text", depth)
        pattern = self._chance.choice(_PATTERNS)
        return self._chance.choice(
            (
                f"({one} {self._chance.choice(_COMPARISONS)} {other})", f"({one} {self._chance.choice(_COMPARISONS)} {third})",
                f"({one} BETWEEN {other} AND {third})", f"({one} IN ({third}, {self._leaf(kind)}, NULL))",
                f"({one} NOT IN ({third}, {self._leaf(kind)}))", f"({one} IS NULL)", f"({one} IS NOT NULL)",
                f"({self.value('bool', depth)} AND {self.value('bool', depth)})",
                f"({self.value('bool', depth)} OR {self.value('bool', depth)})", f"(NOT {self.value('bool', depth)})",
                f"({self.value('bool', depth)} IS TRUE)", f"({self.value('bool', depth)} IS NOT FALSE)",
                f"({text} LIKE '{pattern}')", f"starts_with({text}, {self.value('text', depth)})",
                f"ends_with({text}, {self.value('text', depth)})",
            )
        )  # fmt: skip


def expression(chance: Random) -> str:
    """Return a random expression over one row of t."""
    write = Writer(chance)
    return write.odd() if chance.random() < 0.03 else write.value(chance.choice(KINDS), chance.choice((1, 2, 3)))


def query(chance: Random) -> str:
    """Return a random query of t."""
    one, other = Writer(chance), Writer(chance, "o")
    pick, kind = chance.choice, chance.choice(("int", "text", "bool", "date", "decimal", "moment"))
    key, totals = one.value(kind, 2), ", ".join(f"{one.total()} AS c{place}" for place in range(4))
    condition, second = one.value("bool", 2), other.value(kind, 1)
    joined = f"FROM t AS t {pick(('JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN'))} t AS o ON {one.value(kind, 1)} = {second}"
    negated = pick(("", "NOT "))
    return pick(
        (
            f"SELECT {totals} FROM t WHERE {condition}",
            f"SELECT {key} AS k, {totals} FROM t GROUP BY {key}",
            f"SELECT {key} AS k, COUNT(*) AS n FROM t WHERE {condition} GROUP BY {key} HAVING {one.total(0)} IS NOT NULL",
            f"SELECT DISTINCT {key} AS k, {one.value(kind, 1)} AS l FROM t WHERE {condition}",
            f"SELECT {key} AS k FROM t UNION SELECT {one.value(kind, 2)} FROM t",
            f"SELECT {key} AS k, t.id FROM t UNION ALL SELECT {one.value(kind, 2)}, t.id FROM t",
            f"SELECT t.id, o.id AS other {joined}",
            f"SELECT t.id, o.id AS other {joined} WHERE {condition}",
            f"SELECT t.id FROM t WHERE {negated}EXISTS (SELECT 1 FROM t AS o WHERE {second} = {one.value(kind, 1)})",
            f"SELECT t.id FROM t WHERE {one.value(kind, 1)} {negated}IN (SELECT {second} FROM t AS o WHERE o.id < 9)",
            f"SELECT t.id, {key} AS k FROM t WHERE {condition} ORDER BY k {pick(('', 'DESC', 'NULLS FIRST'))}, id LIMIT 7",
            f"SELECT t.id, {key} AS k FROM t ORDER BY k LIMIT 20",
            f"SELECT {key} AS k, {one.value('bool', 1)} AS l FROM t ORDER BY k LIMIT {pick((1, 5, 20))}",
            f"SELECT t.id AS k FROM t ORDER BY {one.value(kind, 2)} {pick(('', 'DESC', 'NULLS FIRST'))}{pick(('', ', t.id'))} LIMIT 9",
            f"SELECT {key} AS k FROM t WHERE {condition} LIMIT {pick((3, 48))}",
            f"SELECT {key} AS k, COUNT(*) AS n FROM t GROUP BY {key} ORDER BY {one.total(0)}, {key} LIMIT 4",
            f"SELECT {totals}, COUNT(DISTINCT {one.value('int', 1)}) AS d FROM t GROUP BY {key} LIMIT 99",
            f"SELECT t.id FROM t WHERE {one.value('decimal', 1)} > {pick(('2', '0.5', '-1.2'))} * (SELECT {other.total()} FROM t AS o WHERE o.id < 9)",
            f"SELECT t.id, (SELECT MAX({other.value(kind, 0)}) FROM t AS o WHERE o.id < 5) AS k FROM t",
            f"SELECT g.k, COUNT(g.v) AS n FROM (SELECT {key} AS k, {one.value('int', 2)} AS v FROM t) AS g GROUP BY g.k",
        )
    )
