"""Make small random queries of the shapes that the canonical passes rewrite, so that each pass meets what it is for.

`properties.queries` is rich in names and scopes and seldom writes what a pass looks for. Here few tables and columns
stand in many spellings: grouping sets, windows over derived tables, unions in wrappers, lists of floats, IN (SELECT …)
below OR. What an engine may answer in several ways is left out, as there.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

INT, STR, BOOL, FLOAT, DATE = "int", "str", "bool", "float", "date"
EXACT = (INT, INT, STR, STR, BOOL, DATE)

Columns = dict[str, str]
"""SQL of a column, by which it is read, and its kind."""

_TABLES: dict[str, dict[str, str]] = {
    "orders": {"order_id": INT, "customer_id": INT, "quantity": INT, "status": STR, "paid": BOOL, "amount": FLOAT,
               "placed_on": DATE},
    "customers": {"customer_id": INT, "tier": INT, "name": STR, "region": STR, "active": BOOL, "joined_on": DATE},
    "readings": {"sensor_id": INT, "counter": INT, "x": FLOAT, "y": FLOAT, "ok": BOOL},
    "events": {"customer_id": INT, "step": INT, "kind": STR},
}  # fmt: skip
_LITERALS = {
    INT: ("0", "1", "2", "3", "-1"),
    STR: ("'open'", "'ann'", "''", "'north'", "'click'"),
    BOOL: ("TRUE", "FALSE"),
    FLOAT: ("0.0", "1.0", "1.5", "0.1"),
    DATE: ("DATE '2024-01-31'", "DATE '1969-12-31'"),
}


def targeted_query(seed: int) -> str:
    """Return one query, the same one for the same seed on every machine."""
    return _Targets(random.Random(seed)).top()


class _Targets:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.number = 0

    def top(self) -> str:
        kinds = [self.pick((*EXACT, FLOAT)) for _ in range(self.rng.randint(1, 3))]
        if self.chance(0.15):
            body, columns = self.select(kinds, 1)
            names = list(columns)
            once = f"WITH c AS ({body}) SELECT {', '.join(f'c.{name}' for name in names)} FROM c"
            if self.chance(0.5):
                return once
            return f"{once} CROSS JOIN (SELECT MAX(d.{names[0]}) AS m FROM c AS d) AS e"
        sql, columns = self.select(kinds, 0)
        if FLOAT not in kinds and self.chance(0.25):
            keys = [f"{name}{self.pick(('', ' DESC', ' ASC NULLS LAST', ' NULLS FIRST'))}" for name in columns]
            sql += f" ORDER BY {', '.join([*keys, *keys[:1]])}"
            sql += self.pick(("", " LIMIT 3", " LIMIT 1 + 2", " LIMIT ALL", " LIMIT 2 OFFSET 0", " LIMIT 0"))
        return sql

    def pick(self, options: Sequence[T]) -> T:
        return self.rng.choice(options)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def select(self, kinds: Sequence[str], depth: int) -> tuple[str, Columns]:
        """A query whose outputs are of `kinds`, called c0, c1, …"""
        exact = FLOAT not in kinds
        makers: list[Callable[[Sequence[str], int], str]] = [self.plain, self.windowed]
        makers += [self.grouped, self.grouped, self.distinct] if exact else []
        makers += [self.union, self.union] if exact and depth < 2 else []
        makers += [self.wrapper] * 3 if depth < 2 else []
        if set(kinds) == {INT}:
            makers += [self.total]
        return self.pick(makers)(kinds, depth), {f"c{n}": kind for n, kind in enumerate(kinds)}

    def plain(self, kinds: Sequence[str], depth: int) -> str:
        from_, columns, where = self.from_clause(depth)
        items = ", ".join(f"{self.value(kind, columns)} AS c{n}" for n, kind in enumerate(kinds))
        return f"SELECT {items}{from_}{self.where(columns, depth, where)}" + self.pick(("",) * 9 + (" LIMIT 0",))

    def distinct(self, kinds: Sequence[str], depth: int) -> str:
        return self.plain(kinds, depth).replace("SELECT ", "SELECT DISTINCT ", 1)

    def total(self, kinds: Sequence[str], depth: int) -> str:
        from_, columns, where = self.from_clause(depth)
        items = ", ".join(f"{self.aggregate(columns)} AS c{n}" for n in range(len(kinds)))
        having = f" HAVING {self.aggregate(columns)} > 1" if self.chance(0.15) else ""
        return f"SELECT {items}{from_}{self.where(columns, depth, where)}{having}" + self.pick(("", "", " LIMIT 1"))

    def grouped(self, kinds: Sequence[str], depth: int) -> str:
        from_, columns, where = self.from_clause(depth)
        items, keys = [], []
        for n, kind in enumerate(kinds):
            column = self.column(kind, columns)
            if kind == INT and self.chance(0.5):
                items.append(f"{self.aggregate(columns)} AS c{n}")
            elif column is None or self.chance(0.1):
                items.append(f"{self.pick(_LITERALS[kind])} AS c{n}")
                keys.append(str(n + 1))
            else:
                items.append(f"{column} AS c{n}")
                keys.append(column)
        sql = f"SELECT {', '.join(items)}{from_}{self.where(columns, depth, where)}"
        plain = [key for key in keys if not key.isdigit()]
        if not keys:
            return sql
        if len(plain) == len(keys) and self.chance(0.3):
            sql += f" GROUP BY {self.pick(('ROLLUP', 'CUBE'))} ({', '.join(dict.fromkeys(keys))})"
        elif len(plain) == len(keys) and self.chance(0.1):
            sql += f" GROUP BY GROUPING SETS (({', '.join(dict.fromkeys(keys))}), ({keys[0]}))"
        else:
            self.rng.shuffle(keys)
            sql += f" GROUP BY {', '.join([*keys, *keys[:1]])}"
            if plain and self.chance(0.4):
                kind = columns[plain[0]]
                sql += f" HAVING {plain[0]} {self.pick(('=', '<>', '>'))} {self.pick(_LITERALS[kind])}"
                sql += self.pick(("", f" AND {self.aggregate(columns)} > 0"))
        return sql

    def windowed(self, kinds: Sequence[str], depth: int) -> str:
        from_, columns, where = self.from_clause(depth)
        items = []
        for n, kind in enumerate(kinds):
            value = self.window(columns, "OVER w") if kind == INT and self.chance(0.7) else self.value(kind, columns)
            items.append(f"{value} AS c{n}")
        sql = f"SELECT {', '.join(items)}{from_}{self.where(columns, depth, where)}"
        if " OVER w" in sql:
            sql += f" WINDOW w AS ({self.over(columns)})"
        elif self.chance(0.3):
            sql += f" QUALIFY {self.window(columns, f'OVER ({self.over(columns)})')} < 3"
        return sql

    def window(self, columns: Columns, over: str) -> str:
        call = self.pick(("rank()", "dense_rank()", "COUNT(*)", "COUNT(1)", f"MAX({self.any_int(columns)})"))
        return f"{call} {over}" if over == "OVER w" or self.chance(0.5) else f"{call} OVER ({self.over(columns)})"

    def over(self, columns: Columns) -> str:
        keys = [key for kind in (STR, BOOL, INT) if (key := self.column(kind, columns)) and self.chance(0.5)]
        parts = f"PARTITION BY {', '.join(keys)}" if keys else ""
        order = self.column(self.pick((INT, STR, DATE)), columns)
        if order and self.chance(0.7):
            frame = self.pick(("", " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"))
            return f"{parts} ORDER BY {order}{self.pick(('', ' DESC'))}{frame}".strip()
        return parts + self.pick(("", " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"))

    def union(self, kinds: Sequence[str], depth: int) -> str:
        branches = [self.select(kinds, depth + 1)[0] for _ in range(self.rng.randint(2, 3))]
        if self.chance(0.2):
            branches.append(branches[0])
        word = self.pick(("UNION ALL", "UNION ALL", "UNION", "EXCEPT", "INTERSECT", "UNION ALL BY NAME"))
        if self.chance(0.2):
            branches[-1] = f"(SELECT * FROM ({branches[-1]}) AS z ORDER BY c0)"
        bracketed = [one if one.startswith("(") else f"({one})" for one in branches[1:]]
        first = f"({branches[0]})" if depth or "LIMIT" in branches[0] else branches[0]
        return f" {word} ".join([first, *bracketed])

    def wrapper(self, kinds: Sequence[str], depth: int) -> str:
        inner = [
            *kinds,
            *(self.pick((*EXACT, FLOAT) if FLOAT in kinds else EXACT) for _ in range(self.rng.randint(0, 2))),
        ]
        body, names = self.select(inner, depth + 1)
        columns = {f"q.{name}": kind for name, kind in names.items()}
        rename = self.chance(0.6)
        items = [f"{f'q.c{n}' if rename else self.value(kind, columns)} AS c{n}" for n, kind in enumerate(kinds)]
        if len(kinds) == 1 and kinds[0] == INT and self.chance(0.3):
            items = [f"COUNT({self.pick(('*', *columns))}) AS c0"]
        distinct = "DISTINCT " if FLOAT not in kinds and self.chance(0.15) else ""
        where = f" WHERE {self.predicate(columns, depth)}" if self.chance(0.5) else ""
        return f"SELECT {distinct}{', '.join(items)} FROM ({body}) AS q{where}"

    def from_clause(self, depth: int) -> tuple[str, Columns, list[str]]:
        """FROM, the columns in sight, and terms for WHERE that read what a join may have left out."""
        first, columns = self.item(depth)
        text, terms = f" FROM {first}", []
        for _ in range(self.pick((0, 0, 1, 1, 2))):
            item, own = self.item(depth, optional=True)
            kind = self.pick(("JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "LEFT SEMI JOIN",
                              "LEFT ANTI JOIN"))  # fmt: skip
            of = self.pick([of for of in (INT, BOOL, STR) if of in own.values() and of in columns.values()] or [""])
            left, right = (self.column(of, each) for each in (columns, own))
            on = f"{left} = {right}" if left and right else "TRUE"
            if self.chance(0.3):
                both = {**columns, **own}
                on += f" AND {self.comparison(both)}"
            text += f" {kind} {item} ON {on}"
            if kind.endswith(("SEMI JOIN", "ANTI JOIN")):
                continue
            if right and self.chance(0.3):
                terms.append(self.pick((f"{right} IS NULL", f"{right} IS NOT NULL", self.comparison(own))))
            columns = {**columns, **own}
        return text, columns, terms

    def item(self, depth: int, *, optional: bool = False) -> tuple[str, Columns]:
        self.number += 1
        alias = f"t{self.number}"
        name = self.pick(tuple(_TABLES))
        if optional and self.chance(0.25):
            own = {f"{name[0]}.{column}": kind for column, kind in _TABLES[name].items()}
            body = f"SELECT * FROM {name} AS {name[0]} WHERE {self.comparison(own)}"
            return f"({body}) AS {alias}", {f"{alias}.{column}": kind for column, kind in _TABLES[name].items()}
        if depth < 2 and self.chance(0.15):
            body, columns = self.select([INT, self.pick(EXACT)], depth + 1)
            return f"({body}) AS {alias}", {f"{alias}.{column}": kind for column, kind in columns.items()}
        return f"{name} AS {alias}", {f"{alias}.{column}": kind for column, kind in _TABLES[name].items()}

    def where(self, columns: Columns, depth: int, terms: list[str]) -> str:
        if self.chance(0.6):
            terms = [*terms, self.predicate(columns, depth)]
        return f" WHERE {' AND '.join(terms)}" if terms else ""

    def column(self, kind: str, columns: Columns) -> str | None:
        found = [name for name, of in columns.items() if of == kind]
        return self.pick(found) if found else None

    def any_int(self, columns: Columns) -> str:
        return self.column(INT, columns) or "1"

    def value(self, kind: str, columns: Columns) -> str:
        a, b = (self.column(kind, columns) or self.pick(_LITERALS[kind]) for _ in range(2))
        if self.chance(0.5):
            return a
        p, one = self.comparison(columns), self.pick(_LITERALS[kind])
        options = [f"CASE WHEN {p} THEN {a} WHEN {self.comparison(columns)} THEN {a} ELSE {b} END",
                   f"CASE WHEN {p} THEN {a} ELSE CASE WHEN {self.comparison(columns)} THEN {b} END END",
                   f"COALESCE({a}, COALESCE({b}, {a}))", f"CASE WHEN {a} IS NULL THEN {b} ELSE {a} END",
                   f"CASE {a} WHEN {one} THEN {b} ELSE {a} END", one]  # fmt: skip
        if kind == INT:
            options += [f"{a} + 1 - {b} + 2", f"2 * {a} * {b}", f"arrow_cast({a}, 'Int64')", f"{a} / 1",
                        f"nullif({a}, {b})", f"nvl({a}, {b})"]  # fmt: skip
        if kind == BOOL:
            options += [f"({p})", f"CASE WHEN {p} THEN TRUE ELSE FALSE END", f"NOT ({p})"]
        if kind == STR:
            options += [f"upper({a})", f"nvl({a}, {b})", f"trim({a})", f"CAST({a} AS VARCHAR)"]
        return self.pick(options)

    def aggregate(self, columns: Columns) -> str:
        a, p = self.any_int(columns), self.comparison(columns)
        counted = self.pick(tuple(columns))
        return self.pick((
            "COUNT(*)", "COUNT(1)", f"COUNT({counted})", f"SUM({a})", f"MIN(DISTINCT {a})", f"MAX({a})",
            f"COUNT(CASE WHEN {p} THEN 1 END)", f"SUM(CASE WHEN {p} THEN {a} END)",
            f"COUNT(*) FILTER (WHERE {counted} IS NOT NULL)", f"COUNT(DISTINCT {a})",
        ))  # fmt: skip

    def comparison(self, columns: Columns) -> str:
        name = self.pick(tuple(columns))
        kind = columns[name]
        one, two = (self.pick(_LITERALS[kind]) for _ in range(2))
        other = self.column(kind, columns) or one
        listed = ", ".join(self.pick(_LITERALS[kind]) for _ in range(self.rng.randint(1, 4)))
        options = [f"{name} = {one}", f"{name} <> {one}", f"{name} {self.pick(('<', '>', '<=', '>='))} {other}",
                   f"{name} IN ({listed})", f"{name} NOT IN ({listed})", f"({name} = {one} OR {name} = {two})",
                   f"{name} IS NOT NULL", f"({name} IS DISTINCT FROM {other})", f"{name} BETWEEN {one} AND {two}",
                   f"({name} = {other} OR ({name} IS NULL AND {other} IS NULL))", f"{name} = {name}"]  # fmt: skip
        if kind == BOOL:
            options = [
                name,
                f"NOT {name}",
                f"{name} IS TRUE",
                f"{name} IS NOT FALSE",
                f"{name} = TRUE",
                f"{name} <> TRUE",
            ]
        if kind == STR:
            options += [f"{name} ILIKE 'A%'", f"{name} LIKE '%n%'"]
        return self.pick(options)

    def predicate(self, columns: Columns, depth: int, level: int = 0) -> str:
        roll = self.rng.random()
        if level < 2 and roll < 0.35:
            word = self.pick((" AND ", " OR "))
            return f"({word.join(self.predicate(columns, depth, level + 1) for _ in range(self.rng.randint(2, 3)))})"
        if level < 2 and roll < 0.45:
            return f"{self.pick(('NOT ', ''))}({self.predicate(columns, depth, level + 1)})"
        if level < 2 and roll < 0.5:
            test = self.pick(("IS TRUE", "IS FALSE", "= TRUE", "IS NULL"))
            return f"({self.predicate(columns, depth, level + 1)}) {test}"
        if depth < 2 and roll < 0.65:
            return self.membership(columns)
        if roll < 0.7:
            return self.pick(("TRUE", "FALSE", "NULL", f"{self.any_int(columns)} = NULL"))
        return self.comparison(columns)

    def membership(self, columns: Columns) -> str:
        kind = self.pick([kind for kind in (INT, STR) if kind in columns.values()] or [INT])
        mine = self.column(kind, columns) or self.pick(_LITERALS[kind])
        name = self.pick([table for table, own in _TABLES.items() if kind in own.values()])
        own = {f"s.{column}": of for column, of in _TABLES[name].items()}
        key = self.column(kind, own)
        where = f" WHERE {self.comparison(own)}" if self.chance(0.5) else ""
        body = f"SELECT {self.pick(('', 'DISTINCT '))}{key} FROM {name} AS s{where}"
        link = f"{key} = {mine}"
        correlated = f"{body} AND {link}" if where else f"{body} WHERE {link}"
        return self.pick((f"{mine} IN ({body})", f"{mine} NOT IN ({body})", f"{mine} = ANY ({body})",
                          f"EXISTS ({correlated})", f"NOT EXISTS ({correlated})",
                          f"{mine} IN ({body} ORDER BY {key})"))  # fmt: skip
