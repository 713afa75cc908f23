"""Make random queries over the tables of support.databases: valid as a rule, mostly valid to the engine, repeatable.

What they are rich in is what a compiler gets wrong: CTEs that shadow inputs and each other, names that look like
internal ones, correlated subqueries, columns that nobody reads under DISTINCT, set operations and EXISTS, aliases that
hide columns.
What they leave out is what an engine may answer in several ways: a LIMIT without a total order, ties that a window's
function can see, sums of floats, and -0.0 beside 0.0 as a key.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa

from support.databases import TABLES

INT, STR, BOOL, DATE, DEC, FLOAT = "int", "str", "bool", "date", "dec", "float"
KEYS = (INT, INT, STR, BOOL, DATE, DEC)

_TABLE_NAMES = (
    "_t0",
    "_t1",
    "_t2",
    "_0",
    "x",
    "y",
    "z",
    "orders",
    "items",
    "customers",
    "select",
    "a b",
    "~_t0",
    "T",
    "r",
)
_COLUMN_NAMES = (
    "_c0", "_c1", "_c2", "_c9", "_t0", "a", "b", "A", "group", "order_id", "name", "Name", "status", "tier", "x y", "_",
)  # fmt: skip
_JOINS = (
    "JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", ",", "LEFT SEMI JOIN", "LEFT ANTI JOIN",
)  # fmt: skip
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_RESERVED = {"select", "group", "order", "from"}
_LITERALS = {
    INT: ("0", "1", "2", "3", "5", "-1", "NULL"),
    STR: ("'open'", "'ann'", "''", "'north'", "'a%b'", "NULL"),
    BOOL: ("TRUE", "FALSE", "NULL"),
    DATE: ("DATE '2024-01-31'", "DATE '1969-12-31'"),
    DEC: ("1.50", "0.01", "CAST(NULL AS DECIMAL(10, 2))"),
    FLOAT: ("0.1", "1.5", "CAST('NaN' AS DOUBLE)"),
}


@dataclass(frozen=True)
class Source:
    """Something in FROM: its alias, and its columns with their kinds."""

    alias: str
    columns: dict[str, str]


@dataclass
class Frame:
    """One SELECT's view: its sources, the aliases it has used, the sources around it, and the CTEs in sight."""

    sources: list[Source] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    outer: tuple[Source, ...] = ()
    ctes: dict[str, dict[str, str]] = field(default_factory=dict)


def quoted(name: str) -> str:
    """Return a name as SQL, in quotes where it needs them."""
    return name if _PLAIN.fullmatch(name) and name not in _RESERVED else f'"{name}"'


def random_query(seed: int) -> str:
    """Return one query, the same one for the same seed on every machine."""
    return Queries(random.Random(seed)).top()


def small_query(seed: int) -> str:
    """Return a query with few subqueries, the same one for the same seed on every machine."""
    queries = Queries(random.Random(seed))
    queries.budget = (0, 0, 1, 2)[seed % 4]
    return queries.top()


def _kind(dtype: pa.DataType) -> str | None:
    for test, kind in (
        (pa.types.is_integer, INT), (pa.types.is_string, STR), (pa.types.is_boolean, BOOL), (pa.types.is_date, DATE),
        (pa.types.is_decimal, DEC), (pa.types.is_floating, FLOAT),
    ):  # fmt: skip
        if test(dtype):
            return kind
    return None


_BASE = {
    name: {column.name: kind for column in schema if (kind := _kind(column.type)) is not None}
    for name, schema in TABLES.items()
}


class Queries:
    """Random queries from one source of chance; `budget` bounds the subqueries and CTEs of one query."""

    tables: ClassVar[dict[str, dict[str, str]]] = _BASE

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.budget = rng.choice((3, 6, 10))

    def top(self) -> str:
        if self.chance(0.06):
            return self.recursive()
        sql, _ = self.query(Frame(), 0)
        return sql

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def query(self, frame: Frame, depth: int, kinds: Sequence[str] | None = None) -> tuple[str, dict[str, str]]:
        """WITH …, then a SELECT or a set operation; ORDER BY and LIMIT over every column at times."""
        prefix, inner = self.with_clause(frame, depth)
        if kinds is None:
            kinds = [self.rng.choice((*KEYS, FLOAT)) for _ in range(self.rng.randint(1, 4))]
        operation = self.chance(0.2) and FLOAT not in kinds
        if operation:
            sql, columns = self.set_operation(inner, depth, kinds)
        else:
            sql, columns = self.select(inner, depth, kinds)
        if FLOAT not in kinds and self.chance(0.3 if depth == 0 else 0.12):
            keys = list(columns)
            self.rng.shuffle(keys)
            order = ", ".join(f"{quoted(key)}{self.rng.choice(('', ' DESC', ' NULLS FIRST'))}" for key in keys)
            if self.chance(0.2) and not operation:
                order = ", ".join(str(number) for number in range(1, len(keys) + 1))
            sql += f" ORDER BY {order}"
            if self.chance(0.5) or depth:
                sql += f" LIMIT {self.rng.choice((1, 3, 7))}" + self.rng.choice(("", "", " OFFSET 1"))
        return prefix + sql, columns

    def with_clause(self, frame: Frame, depth: int) -> tuple[str, Frame]:
        inner = Frame(outer=frame.outer, ctes=dict(frame.ctes))
        parts = []
        names: set[str] = set()
        while depth < 3 and self.budget > 0 and self.chance(0.45 if depth == 0 else 0.2):
            self.budget -= 1
            name = self.rng.choice(_TABLE_NAMES)
            if name in names:
                continue
            names.add(name)
            body, columns = self.query(Frame(ctes=dict(inner.ctes)), depth + 1)
            renamed = ""
            if self.chance(0.2):
                fresh = dict(zip(self.rng.sample(_COLUMN_NAMES, len(columns)), columns.values(), strict=True))
                renamed, columns = f"({', '.join(map(quoted, fresh))})", fresh
            parts.append(f"{quoted(name)}{renamed} AS ({body})")
            inner.ctes[name] = columns
        return (f"WITH {', '.join(parts)} " if parts else ""), inner

    def set_operation(self, frame: Frame, depth: int, kinds: Sequence[str]) -> tuple[str, dict[str, str]]:
        left, columns = self.select(frame, depth + 1, kinds)
        right, _ = self.select(frame, depth + 1, kinds)
        word = self.rng.choice(("UNION", "UNION ALL", "UNION ALL", "EXCEPT", "INTERSECT"))
        if self.chance(0.3):
            right, _ = self.query(Frame(outer=frame.outer, ctes=frame.ctes), depth + 1, kinds)
            right = f"({right})"
        return f"{left} {word} {right}", columns

    def select(self, frame: Frame, depth: int, kinds: Sequence[str]) -> tuple[str, dict[str, str]]:
        view = Frame(outer=frame.outer, ctes=frame.ctes)
        from_ = self.from_clause(view, depth)
        names = self.rng.sample(_COLUMN_NAMES, len(kinds))
        where = f" WHERE {self.predicate(view, depth)}" if self.chance(0.6) else ""
        columns = dict(zip(names, kinds, strict=True))
        shape = self.rng.random()
        if shape < 0.25 and FLOAT not in kinds:
            return self.grouped(view, columns, from_ + where), columns
        distinct = "DISTINCT " if shape > 0.85 and FLOAT not in kinds else ""
        items = []
        for name, kind in columns.items():
            if not distinct and kind == INT and self.chance(0.15):
                items.append(f"{self.window(view)} AS {quoted(name)}")
            elif kind == INT and depth < 2 and self.budget > 0 and self.chance(0.1):
                items.append(f"{self.scalar(view, depth)} AS {quoted(name)}")
            else:
                items.append(f"{self.value(view, kind)} AS {quoted(name)}")
        qualify = f" QUALIFY {self.window(view)} < 3" if not distinct and self.chance(0.05) else ""
        return f"SELECT {distinct}{', '.join(items)}{from_}{where}{qualify}", columns

    def grouped(self, view: Frame, columns: dict[str, str], rest: str) -> str:
        items, groups = [], []
        for number, (name, kind) in enumerate(columns.items(), 1):
            if kind in (INT, DEC) and self.chance(0.5):
                items.append(f"{self.aggregate(view, kind)} AS {quoted(name)}")
                continue
            value = self.column(view, kind) or self.value(view, kind)
            items.append(f"{value} AS {quoted(name)}")
            groups.append(str(number) if value[0] in "'-0123456789NTFDC" or self.chance(0.3) else value)
        sql = f"SELECT {', '.join(items)}{rest}"
        if groups:
            sql += f" GROUP BY {', '.join(groups)}"
        if self.chance(0.3):
            sql += f" HAVING {self.aggregate(view, INT)} {self.rng.choice(('>', '<=', '<>'))} {self.rng.choice('0123')}"
        return sql

    def from_clause(self, view: Frame, depth: int) -> str:
        text = " FROM " + self.source(view, depth)
        segment = list(view.sources)  # since the last comma: ON sees nothing before it
        while len(view.sources) < 3 and self.chance(0.4):
            kind = self.rng.choice(_JOINS)
            before = [] if kind == "," else list(segment)
            right = self.source(view, depth)
            segment = [*before, view.sources[-1]]
            text += f"{kind} {right}" if kind == "," else f" {kind} {right}"
            if kind not in (",", "CROSS JOIN"):
                text += f" ON {self.join_condition(view, before)}"
            if kind.endswith(("SEMI JOIN", "ANTI JOIN")):
                view.sources.pop()
                segment.pop()
        return text

    def join_condition(self, view: Frame, before: list[Source]) -> str:
        right = view.sources[-1]
        kinds = {kind for source in before for kind in source.columns.values()} & set(right.columns.values()) - {FLOAT}
        if not kinds:
            return "TRUE"
        kind = self.rng.choice(sorted(kinds))
        sides = [self.column(Frame(sources=of), kind, bare=False) for of in (before, [right])]
        more = f" AND {self.comparison(Frame(sources=[*before, right]), bare=False)}" if self.chance(0.25) else ""
        return f"{sides[0]} = {sides[1]}{more}"

    def source(self, view: Frame, depth: int) -> str:
        alias = self.rng.choice([name for name in _TABLE_NAMES if name not in view.taken])
        if depth < 3 and self.budget > 0 and self.chance(0.3):
            self.budget -= 1
            body, columns = self.query(Frame(ctes=view.ctes), depth + 1)
            renamed = ""
            if self.chance(0.15):
                columns = dict(zip(self.rng.sample(_COLUMN_NAMES, len(columns)), columns.values(), strict=True))
                renamed = f"({', '.join(map(quoted, columns))})"
            view.taken.add(alias)
            view.sources.append(Source(alias, columns))
            return f"({body}) AS {quoted(alias)}{renamed}"
        if view.ctes and self.chance(0.6):
            name = self.rng.choice(sorted(view.ctes))
            columns = view.ctes[name]
        else:
            name = self.rng.choice([table for table in sorted(_BASE) if table not in view.ctes])
            columns = _BASE[name]
        if name not in view.taken and self.chance(0.3):
            view.taken.add(name)
            view.sources.append(Source(name, columns))
            return quoted(name)
        view.taken.add(alias)
        view.sources.append(Source(alias, columns))
        return f"{quoted(name)} AS {quoted(alias)}"

    def column(self, view: Frame, kind: str, *, bare: bool = True, outer: bool = False) -> str | None:
        sources = list(view.outer) if outer else view.sources
        found = [(source, name) for source in sources for name, of in source.columns.items() if of == kind]
        if outer:  # an alias of this query hides the one outside
            hidden = {source.alias for source in view.sources}
            found = [(source, name) for source, name in found if source.alias not in hidden]
        if not found:
            return None
        source, name = self.rng.choice(found)
        everywhere = [*view.sources, *view.outer]
        unique = sum(name in each.columns for each in everywhere) == 1
        if bare and unique and not outer and self.chance(0.4):
            return quoted(name)
        return f"{quoted(source.alias)}.{quoted(name)}"

    def value(self, view: Frame, kind: str, *, bare: bool = True) -> str:
        column = self.column(view, kind, bare=bare)
        if column is None or self.chance(0.12):
            literal = self.rng.choice(_LITERALS[kind])
            return (
                f"CAST({literal} AS {'BIGINT' if kind == INT else 'VARCHAR' if kind == STR else 'BOOLEAN'})"
                if literal == "NULL"
                else literal
            )
        roll = self.rng.random()
        if roll < 0.6:
            return column
        other = self.column(view, kind, bare=bare) or column
        if kind == INT:
            chosen = f"CASE WHEN {column} > 1 THEN {other} ELSE 0 END"
            return self.rng.choice((f"{column} + 1", f"({column} - {other}) * 2", chosen,
                                    f"coalesce({column}, {other}, 7)", f"-{column}", f"{column} & 3 | 1"))  # fmt: skip
        if kind == STR:
            return self.rng.choice((f"upper({column})", f"{column} || '-' || {other}", f"nullif({column}, {other})",
                                    f"substring({column}, 1, 2)"))  # fmt: skip
        if kind == BOOL:
            return f"({self.comparison(view, bare=bare)})"
        return f"coalesce({column}, {other})"

    def comparison(self, view: Frame, *, bare: bool = True) -> str:
        kinds = sorted({kind for source in view.sources for kind in source.columns.values()}) or [INT]
        kind = self.rng.choice(kinds)
        left = self.column(view, kind, bare=bare) or self.rng.choice(_LITERALS[kind])
        right = self.column(view, kind, bare=bare) if self.chance(0.4) else self.rng.choice(_LITERALS[kind])
        roll = self.rng.random()
        if kind == BOOL and roll < 0.5:
            return left
        if roll < 0.15:
            return f"{left} IS {self.rng.choice(('', 'NOT '))}NULL"
        if roll < 0.25 and kind in (INT, STR):
            return f"{left} {self.rng.choice(('', 'NOT '))}IN ({', '.join(self.rng.sample(_LITERALS[kind], 3))})"
        if roll < 0.32 and kind == INT:
            return f"{left} {self.rng.choice(('', 'NOT '))}BETWEEN 0 AND 3"
        if roll < 0.4:
            # In parentheses: without, the engine takes what follows, AND and OR too, for a part of the right side.
            return f"({left} IS {self.rng.choice(('', 'NOT '))}DISTINCT FROM {right})"
        if roll < 0.5 and kind == STR:
            return f"{left} {self.rng.choice(('LIKE', 'NOT LIKE', 'ILIKE'))} '%n%'"
        return f"{left} {self.rng.choice(('=', '<>', '<', '<=', '>', '>='))} {right}"

    def predicate(self, view: Frame, depth: int, level: int = 0) -> str:
        roll = self.rng.random()
        if level < 3 and roll < 0.3:
            word = self.rng.choice((" AND ", " OR "))
            return "(" + word.join(self.predicate(view, depth, level + 1) for _ in range(self.rng.randint(2, 3))) + ")"
        if level < 3 and roll < 0.4:
            return f"NOT {self.predicate(view, depth, level + 1)}"
        if depth < 2 and self.budget > 0 and roll < 0.55:
            self.budget -= 1
            return self.subquery_predicate(view, depth)
        return self.comparison(view)

    def subquery_predicate(self, view: Frame, depth: int) -> str:
        negated = self.rng.choice(("", "NOT "))
        inner = Frame(outer=(*view.sources, *view.outer), ctes=view.ctes)
        if self.chance(0.5):
            kind = self.rng.choice((INT, STR))
            if self.chance(0.5):
                body, _ = self.query(Frame(ctes=view.ctes), depth + 1, [kind])
            else:
                body = self.correlated(inner, depth, lambda sub: self.value(sub, kind))
            return f"{self.column(view, kind) or self.rng.choice(_LITERALS[kind])} {negated}IN ({body})"
        body = self.correlated(inner, depth, self.exists_item)
        return f"{negated}EXISTS ({body})"

    def exists_item(self, view: Frame) -> str:
        # Over a join whose sides share a column's name, the engine correlates EXISTS (SELECT *) by the wrong one.
        items = ("1", "NULL", self.value(view, STR), "*" if len(view.sources) == 1 else "2")
        return self.rng.choice(items)

    def scalar(self, view: Frame, depth: int) -> str:
        self.budget -= 1
        inner = Frame(outer=(*view.sources, *view.outer), ctes=view.ctes)
        return f"({self.correlated(inner, depth, lambda sub: self.aggregate(sub, INT))})"

    def correlated(self, frame: Frame, depth: int, item: object) -> str:
        """SELECT item FROM … WHERE a column of the query around it = one of its own."""
        sub = Frame(outer=frame.outer, ctes=frame.ctes)
        from_ = self.from_clause(sub, depth + 2)
        conditions = []
        kind = self.rng.choice((INT, STR))
        mine, theirs = self.column(sub, kind, bare=False), self.column(sub, kind, outer=True)
        if mine and theirs and self.chance(0.8):
            conditions.append(f"{mine} = {theirs}")
        if not conditions or self.chance(0.4):
            conditions.append(self.comparison(sub))
        assert callable(item)
        return f"SELECT {item(sub)}{from_} WHERE {' AND '.join(conditions)}"

    def aggregate(self, view: Frame, kind: str) -> str:
        filtered = f" FILTER (WHERE {self.comparison(view)})" if self.chance(0.15) else ""
        column = self.column(view, kind)
        if kind == DEC:
            return f"{self.rng.choice(('sum', 'min', 'max'))}({column or '1.50'}){filtered}"
        of = self.rng.choice((INT, INT, STR, FLOAT, BOOL))
        counted = self.column(view, of)
        calls = ["count(*)"] if counted is None else ["count(*)", f"count({counted})"]
        if counted and of != FLOAT:
            calls.append(f"count(DISTINCT {counted})")
        if column:
            calls += [f"sum({column})", f"max({column})", f"min({column})"]
        return self.rng.choice(calls) + filtered

    def window(self, view: Frame) -> str:
        partition = self.column(view, self.rng.choice((STR, BOOL, INT)), bare=False)
        order = self.column(view, self.rng.choice((INT, DATE, STR)), bare=False)
        over = f"PARTITION BY {partition}" if partition and self.chance(0.6) else ""
        if order and self.chance(0.7):
            over = f"{over} ORDER BY {order}{self.rng.choice(('', ' DESC'))}".strip()
            call = self.rng.choice(("rank()", "dense_rank()", "count(*)"))
        else:
            call = "count(*)"
        return f"{call} OVER ({over})"

    def recursive(self) -> str:
        name, first, second = quoted(self.rng.choice(_TABLE_NAMES)), *map(quoted, self.rng.sample(_COLUMN_NAMES, 2))
        static = f"SELECT 1 AS {first}, 'a' AS {second}"
        listed = ""
        if self.chance(0.5):
            static, listed = "SELECT 1, 'a'", f"({first}, {second})"
        step = f"SELECT {first} + 1, {second} || 'b' FROM {name} WHERE {first} < {self.rng.randint(2, 5)}"
        outer = self.rng.choice((first, second))
        return f"WITH RECURSIVE {name}{listed} AS ({static} UNION ALL {step}) SELECT q.{outer} AS v FROM {name} AS q"
