"""Make small random queries in which every rewrite and mutation finds a place: rich in syntax, poor in depth.

The queries of properties.queries are rich in scopes and names. These add what rules are written with: BETWEEN and IN
lists, CASE and COALESCE, arithmetic, casts, keys of USING, named windows, frames and HAVING on keys.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from properties.queries import BOOL, DATE, DEC, FLOAT, INT, STR, Frame, Queries, Source

_SHARED = (
    ("orders", "customers", "customer_id"),
    ("orders", "items", "item_id"),
    ("events", "customers", "customer_id"),
    ("employees", "items", "name"),
    ("orders", "events", "customer_id"),
)
_COMPARED = {
    INT: ("0", "1", "2", "3", "5"),
    STR: ("'open'", "'held'", "'ann'", "''", "'north'", "'Open'"),
    BOOL: ("TRUE", "FALSE"),
    DATE: ("DATE '2024-01-31'", "DATE '2024-01-01'"),
    DEC: ("1.50", "0.01"),
    FLOAT: ("0.1", "1.5", "0.0"),
}
_WORDS = ("=", "=", "<>", "<", "<=", ">", ">=")
_ROW_FRAMES = ("ROWS", "RANGE")


def shaped_query(seed: int) -> str:
    """Return one query, the same one for the same seed on every machine."""
    return Shapes(random.Random(seed)).top()


class Shapes(Queries):
    """Queries of little depth whose predicates and values are of every kind."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.budget = rng.choice((0, 0, 1, 1, 2))

    def top(self) -> str:
        if self.chance(0.12):
            return self.framed()
        sql, _ = self.query(Frame(), 0)
        return sql

    def select(self, frame: Frame, depth: int, kinds: Sequence[str]) -> tuple[str, dict[str, str]]:
        if depth == 0 and self.chance(0.15):
            return self.keyed(frame)
        return super().select(frame, depth, kinds)

    def keyed(self, frame: Frame) -> tuple[str, dict[str, str]]:
        """A grouped query with a HAVING on its key and on an aggregate, plain or with a rollup of nothing."""
        view = Frame(ctes=frame.ctes)
        from_ = self.from_clause(view, 1)
        kind = self.rng.choice((INT, STR, BOOL, DATE))
        key = self.column(view, kind, bare=False) or "1"
        where = f" WHERE {self.comparison(view)}" if self.chance(0.5) else ""
        columns = {"k": kind, "n": INT, "m": INT}
        having = f" HAVING {key} IS NOT NULL" if self.chance(0.5) and key != "1" else ""
        items = f"{key} AS k, {self.aggregate(view, INT)} AS n, {self.aggregate(view, INT)} AS m"
        return f"SELECT {items}{from_}{where} GROUP BY {'1' if self.chance(0.3) else key}{having}", columns

    def framed(self) -> str:
        """Windows with frames over one table, whose rows come in the order in which they are stored."""
        view = Frame()
        table = self.rng.choice(("orders", "events", "employees", "readings"))
        view.sources.append(self.base(table, "t"))
        items = []
        for name in ("a", "b"):
            value = self.column(view, INT, bare=False)
            call = self.rng.choice((f"sum({value})", f"count({value})", "count(*)", f"min({value})", f"max({value})"))
            partition, order = self.column(view, STR, bare=False), self.column(view, INT, bare=False)
            over = f"PARTITION BY {partition} " if partition and self.chance(0.6) else ""
            over += f"ORDER BY {order}{self.rng.choice(('', ' DESC', ' NULLS FIRST'))}"
            if self.chance(0.6):
                start = self.rng.choice(("UNBOUNDED PRECEDING", "1 PRECEDING", "CURRENT ROW"))
                over += f" {self.rng.choice(_ROW_FRAMES)} BETWEEN {start} AND "
                over += self.rng.choice(("CURRENT ROW", "CURRENT ROW", "1 FOLLOWING", "UNBOUNDED FOLLOWING"))
            items.append(f"{call} OVER ({over}) AS {name}")
        where = f" WHERE {self.comparison(view)}" if self.chance(0.5) else ""
        return f"SELECT {', '.join(items)} FROM {table} AS t{where}"

    def from_clause(self, view: Frame, depth: int) -> str:
        if not self.chance(0.12):
            return super().from_clause(view, depth)
        left, right, key = self.rng.choice(_SHARED)
        if {left, right} & (set(view.ctes) | view.taken):
            return super().from_clause(view, depth)
        view.taken |= {left, right, "l", "r"}
        view.sources += [self.base(left, "l"), self.base(right, "r")]
        return f" FROM {left} AS l {self.rng.choice(('JOIN', 'LEFT JOIN'))} {right} AS r ON l.{key} = r.{key}"

    def value(self, view: Frame, kind: str, *, bare: bool = True) -> str:
        a, b = self.column(view, kind, bare=bare), self.column(view, kind, bare=bare)
        if a is None or b is None or self.chance(0.45):
            return super().value(view, kind, bare=bare)
        condition = self.comparison(view, bare=bare)
        literal = self.rng.choice(_COMPARED[kind])
        common = [
            f"CASE WHEN {condition} THEN {a} ELSE {b} END",
            f"CASE WHEN {condition} THEN {a} WHEN {a} IS NULL THEN {b} END",
            f"coalesce({a}, {b}, {literal})",
            f"nullif({a}, {literal})",
        ]
        own = {
            INT: [f"{a} + {literal}", f"{a} * 2 + {b}", f"{a} - {b} - 1", f"CAST({a} AS BIGINT)",
                  f"nvl({a}, {literal})", f"CASE {a} WHEN 1 THEN {b} WHEN 2 THEN {a} END", f"({a} + {b}) * 3",
                  f"{a} + {b} + {a}"],
            STR: [f"upper({a})", f"substring({a}, 2)", f"concat({a}, 'x', {b})", f"{a} || {b}", f"trim({a})",
                  f"CASE {a} WHEN 'open' THEN {b} ELSE 'none' END", f"nvl({a}, 'none')"],
            BOOL: [f"({condition} AND {a})", f"({a} OR {b})", f"({a} IS TRUE)", f"NOT {a}", f"({condition})"],
            DATE: [a, f"nvl({a}, {b})"],
            DEC: [f"{a} + {b}", f"{a} * 2", f"CAST({a} AS DECIMAL(14, 2))", f"-{a}"],
            FLOAT: [f"{a} + {b} + {literal}", f"{a} + ({b} + {literal})", f"{a} * {b}", f"{a} - {b}", f"-{a}"],
        }[kind]  # fmt: skip
        return self.rng.choice([*common[:3], *own] if kind == DATE else [*common, *own, *own])

    def comparison(self, view: Frame, *, bare: bool = True) -> str:
        kinds = sorted({kind for source in view.sources for kind in source.columns.values()}) or [INT]
        kind = self.rng.choice(kinds)
        a, b = self.column(view, kind, bare=bare), self.column(view, kind, bare=bare)
        if a is None or b is None or self.chance(0.25):
            return super().comparison(view, bare=bare)
        literals = _COMPARED[kind]
        low, high = self.rng.choice(literals), self.rng.choice(literals)
        negated = self.rng.choice(("", "", "NOT "))
        common = [
            f"{a} {self.rng.choice(_WORDS)} {low}",
            f"{a} {self.rng.choice(_WORDS)} {b}",
            f"{low} {self.rng.choice(_WORDS)} {a}",
            f"{a} {negated}IN ({', '.join(self.rng.sample(literals, min(len(literals), self.rng.randint(2, 5))))})",
            f"{a} IS {negated}NULL",
            f"({a} = {low} OR {b} = {high})",
            f"({a} <> {low} AND {b} <> {high})",
            f"coalesce({a}, {b}) = {low}",
        ]
        own = {
            INT: [f"{a} {negated}BETWEEN {low} AND {high}", f"{a} + {low} > {high}", f"{a} + {b} < 3",
                  f"({a} >= {low} AND {a} <= {high})", f"coalesce({a}, 0) {self.rng.choice(_WORDS)} {low}"],
            STR: [f"{a} {negated}LIKE 'o%'", f"upper({a}) = 'OPEN'", f"{a} {negated}BETWEEN {low} AND {high}"],
            BOOL: [a, f"NOT {a}", f"{a} = TRUE", f"{a} IS {negated}TRUE", f"{a} <> {b}", f"({a} IS FALSE)"],
            DATE: [f"{a} {negated}BETWEEN {low} AND {high}", f"{a} < DATE '2024-02-29'"],
            DEC: [f"{a} + {b} > {low}"],
            FLOAT: [f"{a} + {b} > {low}", f"{a} {negated}BETWEEN {low} AND {high}"],
        }[kind]  # fmt: skip
        return self.rng.choice([*common, *own])

    def base(self, table: str, alias: str) -> Source:
        return Source(alias, self.tables[table])
