"""Make small random queries of the kinds that can be made part by part, and of their look-alikes that cannot.

Aggregates of every kind over tables and joins, grouping sets, windows, dedupes, distinct rows, first rows, UNION ALL,
and queries around them. Where an engine may answer in several ways (ties), the order is total.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

_KEYS = {
    "orders": ("customer_id", "item_id", "status", "paid", "placed_on", "placed_at", "price"),
    "employees": ("manager_id", "name", "dept", "remote", "hired_on"),
    "events": ("customer_id", "kind", "step", "happened_at"),
    "readings": ("sensor_id", "ok", "read_at"),
}
_INTEGERS = {
    "orders": ("customer_id", "item_id", "quantity"),
    "employees": ("manager_id", "salary"),
    "events": ("customer_id", "step"),
    "readings": ("sensor_id", "counter"),
}
_DECIMALS = {"orders": ("price",), "employees": ("bonus",)}
_FLOATS = {"orders": ("amount",), "readings": ("x", "y")}
_BOOLEANS = {"orders": ("paid",), "employees": ("remote",), "readings": ("ok",)}
_SIDES = {
    "orders": "customers AS s ON s.customer_id = t.customer_id",
    "employees": "customers AS s ON s.name = t.name",
    "events": "customers AS s ON s.customer_id = t.customer_id",
    "readings": "items AS s ON s.item_id = t.sensor_id",
}
_NARROW = frozenset({"item_id", "quantity", "manager_id", "step", "sensor_id"})


def part_query(seed: int) -> str:
    """Return one query, the same one for the same seed on every machine."""
    return _Queries(random.Random(seed)).top()


class _Queries:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.table = rng.choice(list(_KEYS))

    def top(self) -> str:
        kind = self.rng.choice((
            self.grouped, self.grouped, self.grouped, self.totals, self.sets, self.windowed, self.deduped, self.distinct,
            self.first, self.union, self.union_grouped, self.around, self.shared, self.looked_up, self.rows, self.sorted,
            self.ranked_groups, self.grouped_windows,
        ))  # fmt: skip
        return kind()

    def pick(self, *values: str) -> str:
        return self.rng.choice(values)

    def source(self, *, side: bool = True) -> str:
        text = f"FROM {self.table} AS t"
        if side and self.rng.random() < 0.4:
            text += f" {self.pick('JOIN', 'LEFT JOIN', 'LEFT SEMI JOIN', 'LEFT ANTI JOIN')} {_SIDES[self.table]}"
        if self.rng.random() < 0.4:
            text += f" WHERE {self.condition()}"
        return text

    def condition(self) -> str:
        number = self.pick(*_INTEGERS[self.table])
        return self.pick(f"t.{number} > 1", f"t.{number} IS NOT NULL", f"NOT t.{number} = 2", f"t.{number} IS NULL")

    def keys(self, most: int = 2) -> list[str]:
        return [f"t.{key}" for key in self.rng.sample(_KEYS[self.table], self.rng.randint(1, most))]

    def aggregate(self) -> str:
        integer = self.pick(*_INTEGERS[self.table])
        narrow = self.pick(*[one for one in _INTEGERS[self.table] if one in _NARROW])
        calls = [
            "COUNT(*)", f"COUNT(t.{integer})", f"SUM(t.{integer})", f"SUM(t.{integer} + 1)", f"AVG(t.{narrow})",
            f"MIN(t.{self.pick(*_KEYS[self.table])})", f"MAX(t.{self.pick(*_KEYS[self.table])})",
            f"BIT_AND(t.{integer})", f"BIT_OR(t.{integer})", f"BIT_XOR(t.{integer})",
            f"COUNT(DISTINCT t.{self.pick(*_KEYS[self.table])})",
        ]  # fmt: skip
        for decimal in _DECIMALS.get(self.table, ()):
            calls += [f"SUM(t.{decimal})", f"AVG(t.{decimal})", f"SUM(t.{decimal} * t.{decimal})", f"AVG(-t.{decimal})"]
        for of_floats in _FLOATS.get(self.table, ()):
            calls += [f"MIN(t.{of_floats})", f"MAX(t.{of_floats})", f"COUNT(t.{of_floats})", f"MAX(-t.{of_floats})"]
        for boolean in _BOOLEANS.get(self.table, ()):
            calls += [f"BOOL_AND(t.{boolean})", f"BOOL_OR(NOT t.{boolean})"]
        call = self.pick(*calls)
        return call + (f" FILTER (WHERE {self.condition()})" if self.rng.random() < 0.2 else "")

    def aggregates(self) -> list[str]:
        return [self.aggregate() for _ in range(self.rng.randint(1, 4))]

    def items(self, values: Sequence[str]) -> str:
        return ", ".join(f"{value} AS c{number}" for number, value in enumerate(values))

    def end(self, width: int) -> str:
        if self.rng.random() < 0.6:
            return ""
        text = " ORDER BY " + ", ".join(
            f"c{number}{self.pick('', ' DESC', ' NULLS FIRST')}" for number in self.rng.sample(range(width), width)
        )
        return text + self.pick("", " LIMIT 3", " LIMIT 2 OFFSET 1")

    def grouped(self) -> str:
        keys, values = self.keys(), self.aggregates()
        having = f" HAVING {self.pick('COUNT(*) > 1', f'{self.aggregate()} IS NOT NULL')}" * (self.rng.random() < 0.3)
        shown = [f"coalesce(CAST({keys[0]} AS VARCHAR), 'none')", *keys[1:], *values]
        return f"SELECT {self.items(shown)} {self.source()} GROUP BY {', '.join(keys)}{having}{self.end(len(shown))}"

    def totals(self) -> str:
        values = self.aggregates()
        return f"SELECT {self.items(values)} {self.source()}{self.pick('', ' HAVING COUNT(*) > 2')}"

    def sets(self) -> str:
        keys, values = self.keys(3), self.aggregates()
        listed = ", ".join(keys)
        how = self.pick(f"ROLLUP ({listed})", f"CUBE ({listed})", f"GROUPING SETS (({listed}), ({keys[0]}), ())")
        shown = [*keys, *values, *([f"GROUPING({keys[0]})"] if self.rng.random() < 0.5 else [])]
        return f"SELECT {self.items(shown)} {self.source()} GROUP BY {how}{self.end(len(shown))}"

    def windowed(self) -> str:
        keys = self.keys()
        order = self.pick("", f" ORDER BY t.{self.pick(*_KEYS[self.table])}")
        call = self.pick("COUNT(*)", "RANK()", f"SUM(t.{self.pick(*_INTEGERS[self.table])})") if order else "COUNT(*)"
        shown = [*keys, f"{call} OVER (PARTITION BY {', '.join(keys)}{order})"]
        return f"SELECT {self.items(shown)} {self.source()}"

    def deduped(self) -> str:
        key = self.keys(1)[0]
        columns = [f"t.{column}" for column in _KEYS[self.table]]
        return (
            f"SELECT {self.items(columns)} {self.source(side=False)} "
            f"QUALIFY ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {', '.join(columns)}) = 1"
        )

    def distinct(self) -> str:
        keys = self.keys()
        return f"SELECT DISTINCT {self.items(keys)} {self.source()}{self.end(len(keys))}"

    def first(self) -> str:
        columns = [f"t.{column}" for column in _KEYS[self.table]]
        order = ", ".join(f"{column}{self.pick('', ' DESC')}" for column in self.rng.sample(columns, len(columns)))
        return (
            f"SELECT {self.items(columns)} {self.source(side=False)} ORDER BY {order} LIMIT {self.pick('0', '1', '4')}"
        )

    def union(self) -> str:
        word = self.pick("UNION ALL", "UNION ALL", "UNION", "EXCEPT", "INTERSECT")
        sides = [
            "SELECT o.customer_id AS k, o.status AS v FROM orders AS o",
            "SELECT c.customer_id, c.name FROM customers AS c WHERE c.active",
            "SELECT e.customer_id AS i, e.kind AS j FROM events AS e",
        ]
        first, second, third = self.rng.sample(sides, 3)
        first = first.replace("customer_id AS k", "customer_id").replace("customer_id", "customer_id AS c0", 1)
        return f"{first} {word} {second}" + (f" UNION ALL {third}" if self.rng.random() < 0.4 else "")

    def union_grouped(self) -> str:
        return (
            "SELECT u.k AS c0, COUNT(*) AS c1, MAX(u.v) AS c2 FROM (SELECT o.customer_id AS k, o.status AS v FROM orders AS o "
            f"UNION ALL SELECT {self.pick('c.customer_id, c.name FROM customers', 'c.customer_id, c.status FROM orders')} "
            f"AS c) AS u {self.pick('', 'WHERE u.k > 1 ')}GROUP BY u.k"
        )

    def around(self) -> str:
        body = self.pick(self.grouped(), self.totals(), self.distinct(), self.windowed(), self.sets())
        value = self.pick("COUNT(*)", "COUNT(DISTINCT q.c0)", "MAX(q.c0)", "MIN(q.c0)")
        group = self.pick("", " GROUP BY q.c0")
        return f"SELECT {value} AS c0 FROM ({body}) AS q{group}"

    def shared(self) -> str:
        key, value = self.keys(1)[0], self.aggregate()
        rest = "SELECT a.k AS c0, a.v AS c1, b.m AS c2 FROM c AS a CROSS JOIN (SELECT COUNT(*) AS m FROM c) AS b"
        return f"WITH c AS (SELECT {key} AS k, {value} AS v {self.source()} GROUP BY {key}) {rest}"

    def looked_up(self) -> str:
        number = self.pick("customer_id", "customer_id + 1")
        inner = f"SELECT o.{number} FROM orders AS o WHERE o.status = 'open'"
        test = self.pick(f"c.customer_id IN ({inner})", f"c.customer_id NOT IN ({inner})", f"EXISTS ({inner})")
        return f"SELECT c.name AS c0, c.tier AS c1 FROM customers AS c WHERE {test}"

    def rows(self) -> str:
        values = [*self.keys(3), f"t.{self.pick(*_INTEGERS[self.table])} * 2"]
        more = self.pick("", "(SELECT MAX(c.tier) FROM customers AS c)", "unnest(make_array(1, NULL, 1))")
        return f"SELECT {self.items([*values, more] if more else values)} {self.source()}"

    def sorted(self) -> str:
        keys = self.keys(3)
        order = ", ".join(f"c{number}{self.pick('', ' DESC')}" for number in range(len(keys)))
        return f"SELECT {self.items(keys)} {self.source()} ORDER BY {order}"

    def ranked_groups(self) -> str:
        key, value = self.keys(1)[0], self.aggregate()
        over = self.pick("ORDER BY COUNT(*)", f"PARTITION BY COUNT(*) ORDER BY {key}")
        return f"SELECT {self.items([key, value, f'RANK() OVER ({over})'])} {self.source()} GROUP BY {key}"

    def grouped_windows(self) -> str:
        key = self.keys(1)[0]
        body = f"SELECT {key} AS k, COUNT(*) OVER (PARTITION BY {key}) AS n {self.source()}"
        if self.rng.random() < 0.5:
            return f"SELECT q.n AS c0, COUNT(*) AS c1, MAX(q.k) AS c2 FROM ({body}) AS q GROUP BY q.n"
        return f"SELECT COUNT(*) AS c0, MAX(q.n) AS c1 FROM ({body}) AS q"
