"""Random values, predicates and aggregates in SQL that SQLite, PostgreSQL and the engine read the same way."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from properties.portable_tables import BOOL, FLOAT, INT, STR

T = TypeVar("T")
Columns = dict[str, str]
SQL_TYPES = {INT: "BIGINT", STR: "VARCHAR", FLOAT: "DOUBLE PRECISION", BOOL: "BOOLEAN"}
LITERALS = {
    INT: ("0", "1", "2", "3", "-1"),
    STR: ("'a'", "'b'", "''", "'ab'", "'A'"),
    FLOAT: ("0.0", "1.5", "-2.25", "1.0", "0.5"),
    BOOL: ("TRUE", "FALSE"),
}
COMPARISONS = ("=", "=", "=", "<>", "<", "<=", ">", ">=")


@dataclass(frozen=True)
class Features:
    """What a judge understands beyond the common subset.

    outer_joins: RIGHT and FULL JOIN; later_outer_joins: after other joins too. quantified: op ANY and op ALL. bags:
    EXCEPT ALL and INTERSECT ALL. nan: NaN and infinities. sets: ROLLUP, CUBE and GROUPING SETS. default_nulls: NULLS
    LAST is what ORDER BY does by itself. distinct_from: IS DISTINCT FROM. alias_lists: derived tables may rename their
    columns. shadowing: names are found as the standard says where a CTE is called like a table or another CTE, or a
    column like an output of a subquery. inner_offsets: OFFSET is heeded in subqueries (in EXISTS, SQLite forgets a
    DISTINCT before it).
    """

    outer_joins: bool = True
    quantified: bool = True
    bags: bool = True
    nan: bool = True
    sets: bool = True
    default_nulls: bool = True
    distinct_from: bool = True
    alias_lists: bool = True
    shadowing: bool = True
    inner_offsets: bool = True
    later_outer_joins: bool = True


@dataclass(frozen=True)
class Scope:
    """What an expression can read: column texts with their kinds, and the same of the queries around it.

    full: the columns of the query itself with their tables. aggregated: the sources of a grouped query, over which
    aggregates range. windows: whether a window function may be used.
    """

    columns: Columns = field(default_factory=dict)
    outer: tuple[Columns, ...] = ()
    ctes: dict[str, Columns] = field(default_factory=dict)
    aggregated: Columns | None = None
    windows: bool = False
    full: Columns | None = None


class Values(ABC):
    """Random expressions from one source of chance; `budget` bounds the subqueries in expressions of one query.

    Most queries are small: they are compiled fast, and one fault in them is not hidden by another.
    """

    def __init__(self, rng: random.Random, features: Features) -> None:
        self.rng = rng
        self.features = features
        self.small = rng.random() < 0.7
        self.budget = 1 if self.small else rng.choice((1, 2, 3))
        self.deepest = 2 if self.small else 3
        self.correlated = False

    @abstractmethod
    def subquery(self, kinds: Sequence[str], scope: Scope, depth: int, *, one_row: bool = False) -> str:
        """Return a query over these kinds, in parentheses; it may read what is around it."""

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def pick(self, options: Sequence[T]) -> T:
        return self.rng.choice(options)

    def nests(self, depth: int) -> bool:
        return depth < self.deepest and self.budget > 0

    def column(self, kind: str, scope: Scope) -> str | None:
        """Return a column of a kind: of the query itself, or of one around it."""
        levels = [list(level.items()) for level in (scope.columns, *scope.outer)]
        found = [[text for text, of in level if of == kind] for level in levels]
        if found[0] and (not any(found[1:]) or self.chance(0.75)):
            return self.pick(found[0])
        further = [level for level in found[1:] if level]
        if not further:
            return self.pick(found[0]) if found[0] else None
        self.correlated = True
        return self.pick(further[0] if self.chance(0.7) else self.pick(further))

    def literal(self, kind: str, *, typed: bool = True) -> str:
        if self.chance(0.12):
            return f"CAST(NULL AS {SQL_TYPES[kind]})" if typed or self.chance(0.5) else "NULL"
        if kind == FLOAT:
            text = self.pick(LITERALS[FLOAT])
            if self.features.nan and self.chance(0.15):
                return f"CAST('{self.pick(('NaN', 'Infinity'))}' AS DOUBLE PRECISION)"
            return f"CAST({text} AS DOUBLE PRECISION)" if typed else text
        return self.pick(LITERALS[kind])

    def atom(self, kind: str, scope: Scope) -> str:
        if scope.aggregated is not None and kind in (INT, FLOAT, STR) and self.chance(0.5):
            return self.aggregate(kind, scope)
        column = None if self.chance(0.12) else self.column(kind, scope)
        return column or self.literal(kind)

    def value(self, kind: str, scope: Scope, depth: int) -> str:
        """Return an expression of a kind that can stand anywhere."""
        roll = self.rng.random()
        if kind == BOOL:
            return f"({self.predicate(scope, depth)})" if roll < 0.9 else self.literal(BOOL)
        if self.nests(depth) and roll < 0.1:
            self.budget -= 1
            return self.subquery([kind], scope, depth + 1, one_row=True)
        if scope.windows and kind in (INT, FLOAT) and roll < 0.22:
            return self.window(kind, scope)
        one = self.atom(kind, scope)
        if roll < (0.75 if self.small else 0.6):
            return one
        other, third = self.atom(kind, scope), self.atom(kind, scope)
        test = self.predicate(scope, depth + 1)
        options = [
            f"COALESCE({one}, {other})",
            f"NULLIF({one}, {other})",
            f"CASE WHEN {test} THEN {one} ELSE {other} END",
            f"CASE WHEN {test} THEN {one} END",
            f"CASE {one} WHEN {self.literal(kind)} THEN {other} WHEN {third} THEN {one} ELSE {third} END",
            f"COALESCE({one}, {self.value(kind, scope, depth + 1)})",
        ]
        if kind == INT:
            options += [f"({one} + {other})", f"({one} - {other})", f"({one} * {self.pick(('2', '-1', '0'))})",
                        f"(-{_bracketed(one)})", f"abs({one})", f"({one} % 3)"]  # fmt: skip
        elif kind == FLOAT:
            # No minus in front, which would make -0.0: those of the tables can be taken away to see what they do.
            options += [f"({one} + {other})", f"({one} * 2)", f"(0.0 - {one})", f"({one} - 0.5)",
                        f"CAST({self.atom(INT, scope)} AS DOUBLE PRECISION)"]  # fmt: skip
        elif kind == STR:
            options += [f"({one} || {other})", f"upper({one})", f"substr({one}, 1, 1)", f"lower({one})"]
        return self.pick(options)

    def predicate(self, scope: Scope, depth: int, level: int = 0) -> str:
        """Return a truth value, with parentheses where it has connectives."""
        roll = self.rng.random()
        if level < 2 and roll < (0.2 if depth == 0 else 0.1):
            word = self.pick((" AND ", " OR "))
            parts = [self.predicate(scope, depth, level + 1) for _ in range(self.pick((2, 2, 3)))]
            return f"({word.join(parts)})"
        if level < 3 and roll < 0.28:
            return f"NOT {_bracketed(self.predicate(scope, depth, level + 1))}"
        if level < 2 and roll < 0.36:
            test = self.pick(("IS NULL", "IS NOT NULL", "IS TRUE", "IS FALSE", "IS NOT TRUE", "IS NOT FALSE"))
            return f"({_bracketed(self.predicate(scope, depth, level + 1))} {test})"
        if level < 2 and roll < 0.4:
            inner = self.predicate(scope, depth, level + 1)
            return f"COALESCE({inner}, {self.predicate(scope, depth, level + 1)})"
        if level < 2 and roll < 0.43:
            inner, then = (self.predicate(scope, depth, level + 1) for _ in range(2))
            return f"CASE WHEN {inner} THEN {then} ELSE {self.pick(('TRUE', 'FALSE', 'NULL'))} END"
        if self.nests(depth) and roll < 0.75:
            self.budget -= 1
            return self.subquery_test(scope, depth)
        if roll > 0.97:
            return self.pick(("TRUE", "FALSE", "CAST(NULL AS BOOLEAN)", "1 = 1", "2 < 1"))
        return self.comparison(scope)

    def subquery_test(self, scope: Scope, depth: int) -> str:
        kind = self.pick((INT, INT, INT, STR, FLOAT))
        roll = self.rng.random()
        negated = self.pick(("", "NOT "))
        if roll < 0.35:
            return f"{self.tested(kind, scope)} {negated}IN {self.subquery([kind], scope, depth + 1)}"
        if roll < 0.65:
            return f"{negated}EXISTS {self.subquery([self.pick((INT, STR))], scope, depth + 1)}"
        if roll < 0.68:
            pair = f"({self.atom(INT, scope)}, {self.atom(STR, scope)})"
            return f"{pair} {negated}IN {self.subquery([INT, STR], scope, depth + 1)}"
        if roll < 0.85 and self.features.quantified:
            test = f"{self.pick(COMPARISONS)} {self.pick(('ANY', 'ALL'))}"
            return f"{self.tested(kind, scope)} {test} {self.subquery([kind], scope, depth + 1)}"
        one_row = self.subquery([kind], scope, depth + 1, one_row=True)
        sides = [self.tested(kind, scope), one_row]
        self.rng.shuffle(sides)
        if self.chance(0.2):
            return f"{one_row} IS {negated}NULL"
        return f"{sides[0]} {self.pick(COMPARISONS)} {sides[1]}"

    def tested(self, kind: str, scope: Scope) -> str:
        """Return what stands before IN or a comparison: mostly a column, a constant at times."""
        return self.literal(kind) if self.chance(0.15) else self.atom(kind, scope)

    def comparison(self, scope: Scope) -> str:
        kind = self.pick((INT, INT, INT, STR, STR, FLOAT))
        one = self.atom(kind, scope)
        other = self.atom(kind, scope) if self.chance(0.5) else self.literal(kind, typed=False)
        roll = self.rng.random()
        if roll < 0.12:
            return f"{one} IS {self.pick(('', 'NOT '))}NULL"
        if roll < 0.2:
            listed = ", ".join(self.literal(kind, typed=False) for _ in range(self.pick((1, 2, 3))))
            return f"{one} {self.pick(('', 'NOT '))}IN ({listed})"
        if roll < 0.26:
            between = f"{self.literal(kind)} AND {other}"
            return f"({one} {self.pick(('', 'NOT '))}BETWEEN {between})"
        if roll < 0.36 and self.features.distinct_from:
            # In parentheses: without, the engine takes what follows, AND and OR too, for a part of the right side.
            return f"({one} IS {self.pick(('', 'NOT '))}DISTINCT FROM {other})"
        if roll < 0.46 and kind == STR:
            pattern = self.pick(("'a%'", "'%b'", "'_'", "''", "'%'", "'A%'"))
            return f"{one} {self.pick(('', 'NOT '))}LIKE {pattern}"
        sides = [one, other]
        if self.chance(0.25):
            sides.reverse()
        return f"{sides[0]} {self.pick(COMPARISONS)} {sides[1]}"

    def aggregate(self, kind: str, scope: Scope) -> str:
        """Return an aggregate over the sources of the query itself."""
        own = scope.aggregated or {}
        inner = Scope(columns=own, ctes=scope.ctes)
        of = [text for text, found in own.items() if found == kind]
        if kind == INT and (not of or self.chance(0.5)):
            everything = list(own) or ["1"]
            options = ["COUNT(*)", f"COUNT({self.pick(everything)})", f"COUNT(DISTINCT {self.pick(everything)})"]
            return self.filtered(self.pick(options), inner)
        one = self.pick(of) if of else self.literal(kind)
        calls = [f"MIN({one})", f"MAX({one})"]
        if kind != STR:
            calls += [f"SUM({one})", f"SUM(CASE WHEN {self.comparison(inner)} THEN {one} END)"]
        if kind == INT:
            calls += [f"SUM(DISTINCT {one})", f"MAX({one} + 1)"]
        if kind == FLOAT:
            calls += [f"AVG({one})"]
        return self.filtered(self.pick(calls), inner)

    def filtered(self, call: str, inner: Scope) -> str:
        return f"{call} FILTER (WHERE {self.comparison(inner)})" if self.chance(0.12) else call

    def window(self, kind: str, scope: Scope) -> str:
        """Return a window function whose value no tie and no order of rows can change."""
        columns = list(scope.columns)
        of = [text for text, found in scope.columns.items() if found == kind]
        partition = f"PARTITION BY {self.pick(columns)}" if self.chance(0.6) else ""
        some = f"ORDER BY {self.order_key(self.pick(columns))}"
        shuffled = self.rng.sample(columns, len(columns))
        total = "ORDER BY " + ", ".join(self.order_key(column) for column in shuffled)
        if kind == INT and (not of or self.chance(0.5)):
            call, order = self.pick((("ROW_NUMBER()", total), ("RANK()", some), ("DENSE_RANK()", some),
                                     ("COUNT(*)", some), ("COUNT(*)", "")))  # fmt: skip
            return f"{call} OVER ({' '.join(filter(None, (partition, order)))})"
        one = self.pick(of) if of else self.literal(kind)
        frame = self.pick(("ROWS BETWEEN 1 PRECEDING AND CURRENT ROW",
                           "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING",
                           "ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING", "ROWS UNBOUNDED PRECEDING"))  # fmt: skip
        calls = (f"SUM({one})", f"MIN({one})", f"MAX({one})", f"COUNT({one})" if kind == INT else f"MAX({one})")
        options = (
            (self.pick(calls), ""),
            (self.pick(calls), some),
            (self.pick(calls), f"{total} {frame}"),
            (f"{self.pick(('LAG', 'LEAD'))}({one})", total),
            (f"FIRST_VALUE({one})", total),
        )
        call, order = self.pick(options)
        return f"{call} OVER ({' '.join(filter(None, (partition, order)))})"

    def order_key(self, text: str) -> str:
        way = self.pick(("", " DESC"))
        if self.features.default_nulls and self.chance(0.4):
            return text + way
        return text + way + self.pick((" NULLS FIRST", " NULLS LAST"))

    def inside(self, scope: Scope) -> Scope:
        """Return the scope of a subquery: nothing of its own yet, and all that is around it."""
        own = scope.columns if self.features.shadowing or scope.full is None else scope.full
        return Scope(outer=(own, *scope.outer), ctes=scope.ctes)


def _bracketed(text: str) -> str:
    return text if text.startswith("(") and text.endswith(")") and _is_one(text) else f"({text})"


def _is_one(text: str) -> bool:
    """Whether the first parenthesis of a text is closed by its last one."""
    level = 0
    for at, sign in enumerate(text):
        level += (sign == "(") - (sign == ")")
        if level == 0:
            return at == len(text) - 1
    return False


Maker = Callable[[Sequence[str], Scope, int], str]
