"""Random queries made of what `compiler.engine_sql.sure_plans` lists, over columns of every type."""

from __future__ import annotations

import random

import pyarrow as pa

TYPES: dict[str, pa.DataType] = {
    "i": pa.int64(), "i8": pa.int8(), "u": pa.uint64(), "f": pa.float64(), "f4": pa.float32(),
    "d": pa.decimal128(10, 2), "w": pa.decimal128(38, 10), "x": pa.decimal256(60, 5), "s": pa.string(),
    "b": pa.bool_(), "dt": pa.date32(), "ts": pa.timestamp("us"), "tn": pa.timestamp("ns"),
    "tz": pa.timestamp("us", "UTC"), "tm": pa.time64("us"), "bi": pa.binary(), "du": pa.duration("us"),
    "l": pa.list_(pa.int64()), "st": pa.struct([("a", pa.int64())]), "m": pa.map_(pa.string(), pa.int64()),
}  # fmt: skip
TABLES = {name: pa.schema(list(TYPES.items())) for name in ("t", "v")}
_NUMBERS = ("i", "i8", "u", "f", "f4", "d", "w", "x")
_LITERALS = ("0", "1", "-1", "2.5", "NULL", "TRUE", "'a'", "'2024-01-01'", "9223372036854775807", "1e300")
_OUT_OF_PLACE = ("COUNT(*)", "SUM(p.i)", "RANK() OVER (ORDER BY p.i)", "SUM(p.i) OVER ()", "MAX(SUM(p.i))")


class SureQueries:
    """Makes one query for each seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def query(self) -> str:
        """Return a query."""
        if self._one_in(6):
            return f"WITH y AS ({self._select(2)}) SELECT COUNT(*) AS n, MIN(y.c0) AS m FROM y"
        return self._select(2)

    def _one_in(self, number: int) -> bool:
        return self._rng.randrange(number) == 0

    def _column(self, tables: list[str], names: tuple[str, ...] = tuple(TYPES)) -> str:
        return f"{self._rng.choice(tables)}.{self._rng.choice(names)}"

    def _number(self, tables: list[str], depth: int) -> str:
        if depth <= 0:
            return self._rng.choice([self._column(tables, _NUMBERS), "0", "1", "2.5", "NULL"])
        first, second = self._number(tables, depth - 1), self._number(tables, depth - 1)
        return self._rng.choice([
            f"({first} {self._rng.choice('+-*%')} {second})", f"(- {first})", f"COALESCE({first}, {second})",
            f"CASE WHEN {self._test(tables, depth - 1)} THEN {first} ELSE {second} END",
            f"CASE {first} WHEN {second} THEN {first} END", *[self._column(tables, _NUMBERS)] * 3,
        ])  # fmt: skip

    def _test(self, tables: list[str], depth: int) -> str:
        if depth <= 0:
            plain = self._column(tables, ("b",)), f"({self._column(tables)} IS NULL)"
            return self._rng.choice([*plain, "TRUE", f"({self._column(tables, _NUMBERS)} > 1)"])
        first, second = self._test(tables, depth - 1), self._test(tables, depth - 1)
        number, other = self._number(tables, depth - 1), self._number(tables, depth - 1)
        name = self._rng.choice(list(TYPES))
        return self._rng.choice([
            f"({first} {self._rng.choice(['AND', 'OR'])} {second})", f"(NOT {first})", f"COALESCE({first}, {second})",
            f"({first} IS {self._rng.choice(['', 'NOT '])}{self._rng.choice(['NULL', 'TRUE', 'FALSE'])})",
            f"({number} {self._rng.choice(['=', '<>', '>', '<='])} {other})", f"({number} IN ({other}, 1, NULL))",
            f"({number} BETWEEN {other} AND 7)", f"({tables[0]}.{name} = {tables[-1]}.{name})",
        ])  # fmt: skip

    def _value(self, tables: list[str], depth: int) -> str:
        makers = (self._number, self._number, self._test)
        made = [make(tables, depth) for make in makers]
        return self._rng.choice([*made, self._column(tables), self._column(tables), self._rng.choice(_LITERALS)])

    def _select(self, depth: int) -> str:
        tables = ["p", "q"][: self._rng.choice([1, 1, 2])]
        source = "t AS p"
        if depth > 0 and self._one_in(4):
            names = [name if self._one_in(2) else None for name in TYPES]
            items = [f"z.{name}" if kept else self._value(["z"], 1) for name, kept in zip(TYPES, names, strict=True)]
            inner = ", ".join(f"{item} AS {name}" for item, name in zip(items, TYPES, strict=True))
            distinct = "DISTINCT " if self._one_in(3) else ""
            source = f"(SELECT {distinct}{inner} FROM v AS z WHERE {self._test(['z'], 1)}) AS p"
        if len(tables) > 1:
            kind = self._rng.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
            name = self._rng.choice(list(TYPES))
            on = self._rng.choice([f"p.{name} = q.{name}", f"p.{name} = q.{name} AND p.i > q.i", "p.i = q.u", "TRUE"])
            source += f" {kind} v AS q ON {on}"
        where = f" WHERE {self._test(tables, 2)}" if self._one_in(2) else ""
        if self._one_in(20):
            where = f" WHERE {self._rng.choice(_OUT_OF_PLACE)} > 1"
        if self._one_in(2):
            return self._grouped(tables, f"{source}{where}")
        items = [self._value(tables, 2) for _ in range(self._rng.randint(1, 3))]
        if self._one_in(2):
            calls = ("RANK()", "ROW_NUMBER()", f"SUM({self._number(tables, 1)})", f"MIN({self._column(tables)})")
            within = self._rng.choice(["", f"PARTITION BY {self._value(tables, 1)} "])
            items.append(f"{self._rng.choice(calls)} OVER ({within}ORDER BY {self._column(tables)} DESC)")
        selected = ", ".join(f"{item} AS c{number}" for number, item in enumerate(items))
        order = f" ORDER BY {self._column(tables)}, c0 LIMIT 5" if self._one_in(3) else ""
        return f"SELECT {selected} FROM {source}{where}{order}"

    def _grouped(self, tables: list[str], source: str) -> str:
        keys = [self._value(tables, 1) for _ in range(self._rng.choice([0, 1, 1, 2]))]
        counted, number = self._value(tables, 1), self._number(tables, 1)
        calls = [f"COUNT({counted})", f"COUNT(DISTINCT {counted})", "COUNT(*)", f"SUM(DISTINCT ({number}))"]
        calls += [f"{call}({number})" for call in ("SUM", "AVG", "MIN", "MAX")]
        chosen = self._rng.sample(calls, self._rng.randint(1, 3))
        selected = ", ".join(f"{item} AS c{number}" for number, item in enumerate([*keys, *chosen]))
        if self._one_in(20):
            keys.append(self._rng.choice(_OUT_OF_PLACE))
            selected = f"{keys[-1]} AS k, {selected}"
        grouping = f" GROUP BY {', '.join(map(str, range(1, len(keys) + 1)))}" if keys else ""
        having = f" HAVING {chosen[0]} > 1" if self._one_in(4) else ""
        return f"SELECT {selected} FROM {source}{grouping}{having}"
