"""Random queries that SQLite, PostgreSQL and the engine read the same way: subqueries anywhere, every kind of join.

What they leave out is what engines may answer in several ways: LIMIT without a total order, ties that a window function
can see, inexact sums, division, overflow, more than one row in a scalar subquery.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from properties.portable_tables import BOOL, FLOAT, INT, STR, TABLES
from properties.portable_values import Columns, Features, Scope, Values

_ALIASES = ("t", "u", "v", "q", "p", "o", "m")
_CTES = ("d", "e", "f", "u")
_NAMES = ("k", "a", "b", "s", "x", "r", "c")
_BARE = {name for columns in TABLES.values() for name in columns}
KINDS = (INT, INT, INT, STR, FLOAT, BOOL)


@dataclass(frozen=True)
class Source:
    """A table in FROM; `merged` are columns that USING made one with those of the table before."""

    alias: str
    columns: Columns
    merged: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PortableQuery:
    """A query and what a judge must know of it: the kinds of its columns, and whether ORDER BY decides its order.

    correlated: whether a subquery reads what is around it.
    """

    sql: str
    kinds: tuple[str, ...]
    ordered: bool
    correlated: bool


def portable_query(seed: int, features: Features) -> PortableQuery:
    """Return one query, the same one for the same arguments on every machine."""
    return Queries(random.Random(seed), features).top()


@dataclass
class _Table:
    """What a query yields: its text and its columns."""

    sql: str
    columns: Columns = field(default_factory=dict)


class Queries(Values):
    """Random queries; see the module."""

    numbered = 0

    def top(self) -> PortableQuery:
        kinds = tuple(self.pick(KINDS) for _ in range(self.pick((1, 1, 2) if self.small else (1, 2, 3))))
        ordered = self.chance(0.35)
        made = self.query(kinds, Scope(), 0, order=ordered)
        return PortableQuery(made.sql, kinds, ordered, self.correlated)

    def query(self, kinds: Sequence[str], scope: Scope, depth: int, *, order: bool | None = None) -> _Table:
        """WITH …, then a SELECT or a set operation; LIMIT only with ORDER BY over all of it."""
        prefix, scope = self.ctes(scope, depth) if self.chance(self.share(depth, 0.3, 0.12)) else ("", scope)
        ordering = self.chance(0.15) if order is None else order
        body, first_key = self.set_operation(kinds, scope, depth), ""
        if body is None:
            body, first_key = self.select(kinds, scope, depth)
        sql = prefix + body.sql
        if ordering:
            numbers = [str(number + 1) for number in range(len(kinds))]
            self.rng.shuffle(numbers)
            keys = [self.order_key(number) for number in numbers]
            if first_key and self.chance(0.3):
                keys.insert(0, self.order_key(first_key))
            sql += f" ORDER BY {', '.join(keys)}"
            if self.chance(0.4) or (depth and self.chance(0.8)):
                sql += f" LIMIT {self.pick((0, 1, 1, 2, 3))}"
                if (depth == 0 or self.features.inner_offsets) and self.chance(0.25):
                    sql += " OFFSET 1"
        return _Table(sql, body.columns)

    def ctes(self, scope: Scope, depth: int) -> tuple[str, Scope]:
        parts = []
        known = dict(scope.ctes)
        for name in self.rng.sample(_CTES, self.pick((1, 1, 2))):
            if not self.features.shadowing:
                self.numbered += 1
                name = f"d{self.numbered}"  # noqa: PLW2901 — a name that no other CTE has
            kinds = [self.pick((INT, INT, STR, FLOAT)) for _ in range(self.pick((1, 2, 3)))]
            if self.chance(0.15):
                rows = [f"({', '.join(self.literal(kind) for kind in kinds)})" for _ in range(self.pick((1, 2, 3)))]
                body = _Table(f"VALUES {', '.join(rows)}", {f"column{n + 1}": kind for n, kind in enumerate(kinds)})
                renamed = True
            else:
                body = self.query(kinds, Scope(ctes=known), depth + 1)
                renamed = self.chance(0.2)
            columns, listed = body.columns, ""
            if renamed:
                columns = dict(zip(self.names(len(kinds)), kinds, strict=True))
                listed = f"({', '.join(columns)})"
            parts.append(f"{name}{listed} AS ({body.sql})")
            known = {**known, name: columns}
        return f"WITH {', '.join(parts)} ", replace(scope, ctes=known)

    def share(self, depth: int, outermost: float, inner: float) -> float:
        """Return how often something is done that makes a query longer."""
        return (outermost if depth == 0 else inner) * (0.6 if self.small else 1.0)

    def names(self, count: int) -> list[str]:
        """Return names of output columns: mostly c0, c1 …, at times such as tables have too."""
        return self.rng.sample(_NAMES, count) if self.chance(0.25) else [f"c{n}" for n in range(count)]

    def set_operation(self, kinds: Sequence[str], scope: Scope, depth: int) -> _Table | None:
        if not self.chance(self.share(depth, 0.25, 0.1)):
            return None
        words = ["UNION", "UNION ALL", "UNION ALL", "EXCEPT", "INTERSECT"]
        words += ["EXCEPT ALL", "INTERSECT ALL"] * 2 if self.features.bags else []
        word = self.pick(words)
        # INTERSECT binds tighter in the standard, not in SQLite: three branches only with one word, nested ones boxed.
        branches = [self.select(kinds, scope, depth + 1)[0]]
        while len(branches) < (self.pick((2, 2, 3)) if word.startswith("UNION") else 2):
            if self.chance(0.2):
                inner = self.query(kinds, scope, depth + 1)
                branches.append(_Table(f"SELECT * FROM ({inner.sql}) AS z"))
            else:
                branches.append(self.select(kinds, scope, depth + 1)[0])
        return _Table(f" {word} ".join(branch.sql for branch in branches), branches[0].columns)

    def select(self, kinds: Sequence[str], scope: Scope, depth: int) -> tuple[_Table, str]:
        """Return a SELECT, and a further expression by which its rows can be put in order ("" where there is none)."""
        names = self.names(len(kinds))
        columns = dict(zip(names, kinds, strict=True))
        if self.chance(0.05):
            items = [f"{self.value(kind, scope, depth)} AS {name}" for name, kind in columns.items()]
            return _Table(f"SELECT {', '.join(items)}", columns), ""
        from_, sources, view = self.from_clause(scope, depth)
        where = f" WHERE {self.predicate(view, depth)}" if self.chance(0.6) else ""
        roll = self.rng.random()
        if roll < 0.3:
            return _Table(self.grouped(columns, from_ + where, sources, view, depth), columns), ""
        distinct = "DISTINCT " if roll > 0.85 else ""
        items_view = replace(view, windows=not distinct and bool(view.columns) and self.chance(0.3))
        items = [f"{self.value(kind, items_view, depth)} AS {name}" for name, kind in columns.items()]
        key = (
            "" if distinct else self.value(self.pick((INT, STR)), replace(_qualified(sources), outer=view.outer), depth)
        )
        # A constant there would be the number of a column, or is refused.
        return _Table(f"SELECT {distinct}{', '.join(items)}{from_}{where}", columns), key if "." in key else ""

    def grouped(self, columns: Columns, rest: str, sources: list[Source], view: Scope, depth: int) -> str:
        own = _qualified(sources).columns
        keys = [text for text in own if self.chance(0.3)][: self.pick((0, 1, 1, 2, 2))]
        readable = {text: own[text] for text in keys}
        inner = Scope(readable, view.outer, view.ctes, aggregated=own)
        items = [f"{self.value(kind, inner, depth)} AS {name}" for name, kind in columns.items()]
        if not keys and not any(_has_aggregate(item) for item in items):
            items[0] = f"{self.aggregate_of(next(iter(columns.values())), inner)} AS {next(iter(columns))}"
        sql = f"SELECT {', '.join(items)}{rest}"
        if keys:
            listed = ", ".join(keys)
            way = self.rng.random() if self.features.sets else 1.0
            if way < 0.1:
                listed = f"{self.pick(('ROLLUP', 'CUBE'))} ({listed})"
            elif way < 0.15:
                listed = f"GROUPING SETS (({listed}), {self.pick(('()', f'({keys[0]})'))})"
            sql += f" GROUP BY {listed}"
        if self.chance(0.3):
            sql += f" HAVING {self.predicate(inner, depth)}"
        return sql

    def aggregate_of(self, kind: str, scope: Scope) -> str:
        if kind != BOOL:
            return self.aggregate(kind, scope)
        return f"({self.aggregate(INT, scope)} > 1)"

    def from_clause(self, scope: Scope, depth: int) -> tuple[str, list[Source], Scope]:
        """FROM with its joins, its sources, and the scope of what reads them."""
        text, first = self.source(scope, depth, set())
        sources = [first]
        text = f" FROM {text}"
        for _ in range(self.pick((0, 0, 1, 1, 1, 2) if depth == 0 or not self.small else (0, 0, 0, 1))):
            item, right = self.source(scope, depth, {source.alias for source in sources})
            kinds = ["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "CROSS JOIN", ","]
            # After an inner join ON FALSE, SQLite 3.40 loses the rows that they keep.
            if self.features.outer_joins and (len(sources) == 1 or self.features.later_outer_joins):
                kinds += ["RIGHT JOIN", "FULL JOIN"]
            kind = self.pick(kinds)
            shared = [name for name, of in right.columns.items() if sources[0].columns.get(name) == of]
            if kind in ("CROSS JOIN", ","):
                if kind == "," and len(sources) > 1:
                    kind = "CROSS JOIN"  # ON after a comma sees less
                text += f"{'' if kind == ',' else ' '}{kind} {item}"
            elif len(sources) == 1 and shared and self.chance(0.25):
                using = self.rng.sample(shared, self.pick((1, min(2, len(shared)))))
                text += f" {kind} {item} USING ({', '.join(using)})"
                right = replace(right, merged=frozenset(using))
            else:
                text += f" {kind} {item} ON {self.on(sources, right, scope, kind, depth)}"
            sources.append(right)
            if kind == ",":
                break
        return text, sources, self.view(scope, sources)

    def on(self, sources: list[Source], right: Source, scope: Scope, kind: str, depth: int) -> str:
        joined = [*sources, right]
        columns = _qualified(joined).columns
        both = _hiding(scope, joined, columns)
        own = {text: of for text, of in columns.items() if text.startswith(f"{right.alias}.")}
        left_columns = {text: of for text, of in columns.items() if text not in own}
        terms = []
        of = self.pick((INT, INT, INT, STR, FLOAT))
        pair = [[text for text, found in side.items() if found == of] for side in (left_columns, own)]
        if all(pair) and self.chance(0.85):
            equal = [self.pick(side) for side in pair]
            self.rng.shuffle(equal)
            terms.append(" = ".join(equal))
        if kind == "FULL JOIN" and terms:
            # PostgreSQL joins so only by what it can hash or merge.
            return f"{terms[0]} AND {self.comparison(both)}" if self.chance(0.3) else terms[0]
        if not terms or self.chance(0.4):
            roll = self.rng.random()
            column = self.pick(list(both.columns))
            literal = self.literal(both.columns[column], typed=False)
            if roll < 0.35:
                sides = [literal, column]
                self.rng.shuffle(sides)
                terms.append(f"{sides[0]} {self.pick(('=', '=', '<', '>='))} {sides[1]}")
            elif roll < 0.6 or kind == "FULL JOIN":
                terms.append(self.comparison(both))
            else:
                terms.append(self.predicate(both, depth + 1))
        if kind == "FULL JOIN":
            return "TRUE" if len(terms) < 2 else " AND ".join(terms)
        self.rng.shuffle(terms)
        return self.pick((" AND ", " AND ", " AND ", " OR ")).join(terms)

    def source(self, scope: Scope, depth: int, taken: set[str]) -> tuple[str, Source]:
        if depth < self.deepest and self.chance(self.share(depth, 0.25, 0.12)):
            alias = self.pick([name for name in _ALIASES if name not in taken])
            kinds = [self.pick((INT, INT, STR, FLOAT)) for _ in range(self.pick((1, 2, 3)))]
            body = self.query(kinds, Scope(ctes=scope.ctes), depth + 1)
            if self.features.alias_lists and self.chance(0.1):
                columns = dict(zip(self.names(len(kinds)), kinds, strict=True))
                return f"({body.sql}) AS {alias}({', '.join(columns)})", Source(alias, columns)
            return f"({body.sql}) AS {alias}", Source(alias, body.columns)
        if scope.ctes and self.chance(0.6):
            name = self.pick(sorted(scope.ctes))
            columns = scope.ctes[name]
        else:
            name = self.pick([table for table in TABLES if table not in scope.ctes])
            columns = TABLES[name]
        if name not in taken and self.chance(0.4):
            return name, Source(name, columns)
        alias = self.pick([one for one in _ALIASES if one not in taken])
        return f"{name} AS {alias}", Source(alias, columns)

    def view(self, scope: Scope, sources: list[Source]) -> Scope:
        """Return the scope of a SELECT over these sources: some columns are named without their table."""
        columns = {}
        for text, kind in _qualified(sources).columns.items():
            name = text.rpartition(".")[2]
            bare = sum(name in source.columns and name not in source.merged for source in sources) == 1
            readable = bare and name in _BARE and self.chance(0.25)
            columns[name if readable else text] = kind
        return replace(_hiding(scope, sources, columns), full=_qualified(sources).columns)

    def subquery(self, kinds: Sequence[str], scope: Scope, depth: int, *, one_row: bool = False) -> str:
        correlated = self.chance(0.55)
        inner = self.inside(scope) if correlated else Scope(ctes=scope.ctes)
        if not one_row:
            return f"({self.query(kinds, inner, depth).sql})"
        if self.chance(0.7):
            from_, sources, view = self.from_clause(inner, depth)
            where = f" WHERE {self.linked(view, depth)}" if self.chance(0.75) else ""
            aggregated = Scope({}, view.outer, view.ctes, aggregated=_qualified(sources).columns)
            item = self.aggregate_of(kinds[0], aggregated)
            if self.chance(0.2) and kinds[0] != BOOL:
                item = f"COALESCE({item}, {self.literal(kinds[0])})"
            having = f" HAVING {self.comparison(aggregated)}" if self.chance(0.1) else ""
            return f"(SELECT {item} AS c0{from_}{where}{having})"
        made = self.select(kinds, inner, depth)[0]
        return f"({made.sql} ORDER BY {self.order_key('1')} LIMIT 1)"

    def linked(self, view: Scope, depth: int) -> str:
        """Return a condition that, mostly, links a column of the query with one around it."""
        kind = self.pick((INT, INT, STR))
        mine = [text for text, of in view.columns.items() if of == kind]
        around = [text for level in view.outer for text, of in level.items() if of == kind]
        if not mine or not around or self.chance(0.25):
            return self.predicate(view, depth)
        self.correlated = True
        link = f"{self.pick(mine)} {self.pick(('=', '=', '=', '=', '<', '<>'))} {self.pick(around)}"
        return f"{link} AND {self.predicate(view, depth + 1)}" if self.chance(0.3) else link


def _qualified(sources: Sequence[Source]) -> Scope:
    """Return all columns of these sources with their tables; what USING made one column has its bare name."""
    merged = {name for source in sources for name in source.merged}
    columns: Columns = {}
    for position, source in enumerate(sources):
        for name, kind in source.columns.items():
            if name in merged and position < 2 and sum(name in each.columns for each in sources) == 2:
                columns[name] = kind
            else:
                columns[f"{source.alias}.{name}"] = kind
    return Scope(columns)


def _hiding(scope: Scope, sources: Sequence[Source], columns: Columns) -> Scope:
    """Return a scope with these columns, of whose surroundings only what they do not hide is left."""
    aliases = {source.alias for source in sources}
    names = {name for source in sources for name in source.columns}

    def is_seen(text: str) -> bool:
        table, _, name = text.rpartition(".")
        return table not in aliases if table else name not in names

    outer = tuple({text: kind for text, kind in level.items() if is_seen(text)} for level in scope.outer)
    return replace(scope, columns=columns, outer=outer)


def _has_aggregate(text: str) -> bool:
    """Whether a text may hold an aggregate outside of its subqueries."""
    level, inside = 0, []
    for at, sign in enumerate(text):
        if sign == "(":
            inside.append(text.startswith(("(SELECT", "(WITH", "(VALUES"), at))
        elif sign == ")":
            inside.pop()
        level = sum(inside)
        if level == 0 and text.startswith(("COUNT(", "SUM(", "MIN(", "MAX(", "AVG("), at):
            return True
    return False
