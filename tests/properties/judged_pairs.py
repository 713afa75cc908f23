"""The SQL pairs of fixtures/sql/pairs, as queries for a judge; and those on which it answers something else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from properties.disagreements import POSTGRESQL, SQLITE
from properties.outside_judges import Judge
from properties.reducing import parse, text_of
from support.databases import random_database
from support.pairs import is_ordered, load_pairs

_DATABASES = 4
_ROWS = 12


@dataclass(frozen=True)
class PairQuery:
    """One side of a pair. ordered: whether ORDER BY decides the order of its rows."""

    name: str
    sql: str
    ordered: bool

    def asked(self, judge: Judge) -> str:
        """Return how to ask a judge. Where ORDER BY does not say so, SQLite has NULLs at the other end."""
        return self.sql if judge.features.default_nulls else text_of(parse(self.sql))


def pair_queries() -> Iterator[PairQuery]:
    """Yield the sides of all pairs but those that leave a choice to the engine."""
    for label in ("equal", "unequal"):
        for pair in load_pairs(label):
            for side, sql in (("first", pair.first), ("second", pair.second)):
                name = f"{label}-{pair.theme}-{pair.name}-{side}"
                if pair.name in ANY_ROWS or pair.theme == "volatile":
                    continue
                yield PairQuery(name, sql, is_ordered(sql) and pair.name not in TIES)


@cache
def pair_databases(*, all_types: bool) -> list[dict[str, pa.Table]]:
    """Return databases without NaN, infinities and integer extremes, which judges treat in ways of their own.

    all_types: else without columns of types that SQLite does not have.
    """
    found: list[dict[str, pa.Table]] = []
    seed = 0
    while len(found) < _DATABASES:
        database = random_database(seed, _ROWS)
        seed += 1
        if all(
            _is_tame(value) for table in database.values() for column in table.columns for value in column.to_pylist()
        ):
            found.append(database if all_types else {name: _plain(table) for name, table in database.items()})
    return found


def _is_tame(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value) and abs(value) < 2**53
    return not isinstance(value, int) or abs(value) < 2**20


def _plain(table: pa.Table) -> pa.Table:
    """Return a table without dates, times and decimals, and without a column that differs from another by its case."""
    names: list[str] = []
    for field in table.schema:
        tests = (pa.types.is_integer, pa.types.is_string, pa.types.is_float64, pa.types.is_boolean)
        if any(test(field.type) for test in tests) and field.name.lower() not in names:
            names.append(field.name)
    return table.select(names)


ANY_ROWS = frozenset({
    "comma_and_cross_join_before_a_left_join_under_a_limit", "limit_under_versus_over_distinct",
    "limit_under_versus_over_a_join", "filter_over_a_limit", "limits_within_each_other",
})  # fmt: skip
"""A LIMIT without a total order, of which engines may keep other rows."""
TIES = frozenset({"ordinal_versus_constant"})
"""ORDER BY with ties, which engines may put in any order."""

_DATES = "SQLite has no dates and times"
_ZONES = "AT TIME ZONE keeps the zone in the engine, and drops it in PostgreSQL"
_DIVISION = "the engine refuses to divide by zero, SQLite answers NULL"
LEGAL_PAIRS: dict[str, dict[str, str]] = {
    SQLITE: {
        "equal-literals-cast_or_typed_date-first": _DATES,
        "equal-literals-cast_or_typed_date-second": _DATES,
        "unequal-casts_and_literals-date_or_text_literal-first": _DATES,
        "unequal-casts_and_literals-date_or_timestamp_literal-first": _DATES,
        "unequal-casts_and_literals-date_or_timestamp_literal-second": _DATES,
        "equal-ordering-parentheses_within_parentheses-first": "a query in two parentheses is one value to SQLite",
        "unequal-arithmetic-float_divided_by_itself-first": "0.0 / 0.0 is NULL to SQLite, which has no NaN",
        "unequal-arithmetic-wrapped_constant-first": "an integer that overflows becomes a float in SQLite",
        "unequal-case_expressions-guard_dropped-second": _DIVISION,
        "unequal-case_expressions-coalesce_over_what_can_fail_and_of_it-first": _DIVISION,
        "unequal-case_expressions-coalesce_over_what_can_fail_and_of_it-second": _DIVISION,
        "unequal-case_expressions-case_over_what_can_fail_and_of_it-first": _DIVISION,
        "unequal-casts_and_literals-try_cast_or_cast-first": "a text that is no number is 0 to SQLite",
        "unequal-casts_and_literals-try_cast_or_cast-second": "a text that is no number is 0 to SQLite",
        "unequal-casts_and_literals-bitwise_or_power-first": "SQLGlot writes ^ as a power for SQLite",
        "unequal-windows-ignore_nulls-second": "SQLite has no IGNORE NULLS, and SQLGlot drops it",
    },
    POSTGRESQL: {
        "unequal-arithmetic-decimal_divide_then_multiply-first": "a quotient of decimals has other digits",
        "unequal-arithmetic-rounding_or_cutting-first": "a float that becomes an integer is rounded, here it is cut",
        "unequal-arithmetic-rounding_or_cutting-second": "PostgreSQL rounds halves to even, the engine away from zero",
        "unequal-case_expressions-case_over_what_can_fail_and_of_it-first": "a derived table may compute, and fail at, "
        "what its reader asks for in CASE alone",
        "unequal-casts_and_literals-timestamp_precision-first": "TIMESTAMP(3) rounds, the engine cuts off",
        "unequal-dates_and_time_zones-zone_of_the_result-first": _ZONES,
        "unequal-dates_and_time_zones-zone_of_the_result-second": _ZONES,
        "unequal-dates_and_time_zones-zone_given_to_a_local_time-first": _ZONES,
        "unequal-dates_and_time_zones-zone_given_to_a_local_time-second": _ZONES,
        "unequal-dates_and_time_zones-day_or_24_hours-first": _ZONES,
        "unequal-dates_and_time_zones-day_or_24_hours-second": _ZONES,
        "unequal-dates_and_time_zones-truncated_in_a_zone-second": _ZONES,
    },
}
"""By judge: pairs on which it answers something else, and why that is nobody's fault."""
PAIR_FAULTS: dict[str, str] = {}
"""Pairs that show a fault of the engine, and which; to be emptied as faults are mended."""
