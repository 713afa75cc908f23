"""Rewrite the executed form so that the engine does what the SQL says. Workarounds are functions in a tuple.

They run after the canonical form is made: the meaning of a rule, and so its fingerprint, does not depend on them. The
rules whose products were wrong before a workaround existed are found by `compiler.engine_sql.corrections`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from compiler.canonical.facts import Facts
from compiler.engine_sql.timestamps import stay_in_range
from compiler.engine_sql.workarounds.absent_lists import forget_absent_lists
from compiler.engine_sql.workarounds.casts import keep_lossy_casts
from compiler.engine_sql.workarounds.constants import forget_constants
from compiler.engine_sql.workarounds.distinct_counts import count_values_that_are_not_null
from compiler.engine_sql.workarounds.extremes import order_float_extremes
from compiler.engine_sql.workarounds.first_rows import compare_neighbours
from compiler.engine_sql.workarounds.hidden_tables import set_apart_hidden_tables
from compiler.engine_sql.workarounds.join_conditions import key_null_safe_joins, put_columns_first
from compiler.engine_sql.workarounds.join_names import set_apart_joined_names
from compiler.engine_sql.workarounds.joins import mirror_right_joins
from compiler.engine_sql.workarounds.multisets import count_copies
from compiler.engine_sql.workarounds.nullability import settle_nullability
from compiler.engine_sql.workarounds.ordered_columns import set_apart_ordered_columns
from compiler.engine_sql.workarounds.repeated_keys import drop_repeated_keys
from compiler.engine_sql.workarounds.running_windows import sort_running_windows
from compiler.engine_sql.workarounds.set_operations import name_branches_alike
from compiler.engine_sql.workarounds.simplified import hide_bitwise_operands, keep_lists_apart
from compiler.engine_sql.workarounds.statistics import add_up_constants
from compiler.engine_sql.workarounds.subqueries.unnesting import unnest_subqueries
from compiler.engine_sql.workarounds.totals import keep_filters_above_totals
from compiler.engine_sql.workarounds.unions import read_unions_in_order
from compiler.engine_sql.workarounds.unique_keys import hide_unique_keys
from compiler.engine_sql.workarounds.zeros import equate_zeros
from compiler.schema import Schema

Workaround = Callable[[exp.Query, Facts], exp.Query]

WORKAROUNDS: tuple[Workaround, ...] = (
    set_apart_hidden_tables,
    unnest_subqueries,
    stay_in_range,
    settle_nullability,
    count_copies,
    name_branches_alike,
    put_columns_first,
    key_null_safe_joins,
    mirror_right_joins,
    hide_bitwise_operands,
    equate_zeros,  # knows the types of MIN and MAX, not of what they become
    compare_neighbours,  # what it writes has constants, of which others below know
    order_float_extremes,
    add_up_constants,
    keep_lists_apart,
    keep_lossy_casts,
    forget_absent_lists,
    forget_constants,
    read_unions_in_order,
    count_values_that_are_not_null,
    hide_unique_keys,
    drop_repeated_keys,
    sort_running_windows,
    set_apart_joined_names,  # puts a query around tables, which those before it look at
    set_apart_ordered_columns,
    keep_filters_above_totals,  # puts limits, which show no order of rows, though others would think so
)


def for_engine(query: exp.Query, schemas: Mapping[str, Schema]) -> tuple[exp.Query, bool]:
    """Return the rewritten executed form, which is consumed, and whether anything had to be rewritten.

    schemas: of the inputs, by the names that the tree has for them. The outputs keep their names and order.
    """
    facts = Facts(schemas)
    changed = False
    for work_around in WORKAROUNDS:
        before = query
        known = hash(before)  # SQLGlot forgets it when the tree changes; a question to `facts` brings in a new one
        query = work_around(query, facts)
        if query is not before or query._hash != known:  # noqa: SLF001 — there is no other sign of a change
            changed = True
        facts.notice(query)
    return query, changed
