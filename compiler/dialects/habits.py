"""The habits of other dialects: what this engine reads, too, and gives another value for; in the order of the search.

Each is found only where types show that the value differs, and is written so that the dialect's value comes out here;
what is written so is no habit again. Values of DuckDB and of PostgreSQL are those of the engines
(tests/cli/test_dialects.py, tests/services/test_dialect_postgresql.py), the others' those of their documentation.
"""

from __future__ import annotations

from collections.abc import Callable

from compiler.dialects.cast_habits import chosen_texts, mixed_values, numbered_days, tried_casts, zones_of_texts
from compiler.dialects.constant_groups import constant_groups
from compiler.dialects.interval_habits import elapsed_seconds, multiplied_intervals, units
from compiler.dialects.meaning_habits import other_meanings
from compiler.dialects.moment_habits import date_and_interval, formats, numbers_of_moments, time_zones
from compiler.dialects.null_habits import (
    compared_rows,
    joined_lists,
    null_arguments,
    null_order,
    quantified_lists,
    tested_rows,
    whole_frames,
)
from compiler.dialects.number_habits import (
    averages,
    decimal_literals,
    division,
    powers,
    rounding,
    tried_integers,
    type_widths,
    unsigned_numbers,
)
from compiler.dialects.order_habits import least_numbers, names_in_order, ordered_lists
from compiler.dialects.pattern_habits import empty_separators, line_breaks, replacements
from compiler.dialects.text_habits import (
    bytes_of_texts,
    escape_characters,
    index_base,
    like_escapes,
    similar_to,
    string_escapes,
    substring_starts,
    texts_of_values,
)
from compiler.dialects.view import View
from compiler.dialects.width_habits import hexadecimal, shifts

HABITS: tuple[Callable[[View], None], ...] = (
    decimal_literals,  # first: the kinds of what is around them depend on it
    division, averages, tried_integers, rounding, null_order, texts_of_values, date_and_interval, time_zones,
    null_arguments, compared_rows, tested_rows, quantified_lists, joined_lists, whole_frames,
    multiplied_intervals, elapsed_seconds, units, unsigned_numbers,
    escape_characters, like_escapes, index_base, substring_starts, similar_to, type_widths,
    string_escapes, bytes_of_texts, formats, numbers_of_moments, powers, constant_groups, tried_casts,
    zones_of_texts, numbered_days, mixed_values, chosen_texts, shifts, hexadecimal, line_breaks, replacements,
    empty_separators, ordered_lists, least_numbers, names_in_order, other_meanings,
)  # fmt: skip
