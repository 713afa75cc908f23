"""Rules that an earlier version of rules could have computed wrongly; they run once more after an upgrade.

A corrected rule's fingerprint contains the names of the corrections, so results without them are not found. Each
examines the canonical tree, so that rules of one meaning still share a fingerprint, and may say yes too often, which
costs one run; never too seldom, which would leave a wrong table in use. What an upgraded rule needs is therefore asked
of a tree in which everything is left that the engine was shown (`Compiler.query_digest`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sqlglot import exp

from compiler.analysis.floats import Floats
from compiler.analysis.readset import input_columns
from compiler.canonical.facts import Facts
from compiler.engine_sql.timestamps import (
    had_session_zone,
    may_have_binned_to_null,
    may_have_truncated_upwards,
    may_have_wrapped_dates,
)
from compiler.engine_sql.workarounds.absent_lists import may_have_kept_absent_lists
from compiler.engine_sql.workarounds.casts import may_have_lost_casts
from compiler.engine_sql.workarounds.constants import may_have_kept_constants, may_have_kept_single_rows
from compiler.engine_sql.workarounds.distinct_counts import may_have_counted_null
from compiler.engine_sql.workarounds.extremes import float_extremes
from compiler.engine_sql.workarounds.first_rows import numbers_rows_of_keys
from compiler.engine_sql.workarounds.hidden_tables import may_have_hidden_tables
from compiler.engine_sql.workarounds.join_conditions import (
    may_have_filtered_null_safe,
    may_have_joined_null_safe,
    may_have_met_swapped,
)
from compiler.engine_sql.workarounds.join_names import may_have_confused_names
from compiler.engine_sql.workarounds.multisets import ignored_copies
from compiler.engine_sql.workarounds.running_windows import running_windows
from compiler.engine_sql.workarounds.simplified import may_have_been_simplified, may_have_merged_lists
from compiler.engine_sql.workarounds.statistics import may_have_added_constants
from compiler.engine_sql.workarounds.subqueries.misread import may_have_lost_nulls, may_have_misread_subqueries
from compiler.engine_sql.workarounds.totals import is_total, may_have_passed_totals
from compiler.engine_sql.workarounds.unions import shows_union_order
from compiler.engine_sql.workarounds.unique_keys import may_have_left_out_keys
from compiler.engine_sql.workarounds.zeros import zero_comparisons
from compiler.tree.walk import branches, nodes

Correction = Callable[[exp.Query, Facts], bool]


def reads_floats(tree: exp.Query, facts: Facts) -> bool:
    """Whether a query reads a column of floats of an input, whose statistics the engine once believed."""
    floats = {
        (name, column.name)
        for name, schema in facts.schemas.items()
        for column in schema.columns
        if column.type.startswith("float")
    }
    return bool(floats) and any(read in floats for _, read in input_columns(facts.names(tree)))


def takes_first_floats(tree: exp.Query, facts: Facts) -> bool:
    """Whether ORDER BY and LIMIT may take the first of several groups by a float, of which NaN could be repeated."""
    if not facts.nodes(tree, exp.Limit, exp.Fetch) or not facts.nodes(tree, exp.Order):
        return False
    floats = Floats(facts.names(tree), facts.schemas)
    return any(floats.may_be(key) for node in facts.nodes(tree, exp.Select, exp.SetOperation) for key in _keys(node))


def may_compare_floats(tree: exp.Query, facts: Facts) -> bool:
    """Whether a set operation compares what may be floats."""
    floats = Floats(facts.names(tree), facts.schemas)
    operations = facts.nodes(tree, exp.Except, exp.Intersect)
    return any(floats.may_be(item) for one in operations for branch in branches(one) for item in branch.selects)


def may_have_passed_listed_totals(tree: exp.Query, facts: Facts) -> bool:
    """Whether a filter may have passed an aggregate without GROUP BY with which IN, ANY or ALL compares."""
    lists = [node.find(exp.Query) for node in facts.nodes(tree, exp.In, exp.Any, exp.All)]
    listed = any(is_total(branch) for query in lists if query is not None for branch in branches(query))
    return listed and may_have_passed_totals(tree, facts)


def _keys(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the keys of a query's groups; those of DISTINCT are its items."""
    if node.args.get("distinct"):
        yield from (item.unalias() for branch in branches(node) for item in branch.expressions)
    group = node.args.get("group")
    if group is not None:
        yield from (part for part in nodes(group) if isinstance(part, exp.Condition))


def takes_any_rows(tree: exp.Query, facts: Facts) -> bool:
    """Whether a LIMIT without ORDER BY takes rows, which of an input of several files once were those of any file."""
    return any(
        limit.parent is not None and limit.parent.args.get("order") is None
        for limit in facts.nodes(tree, exp.Limit, exp.Offset, exp.Fetch)
    )


def groups_by_all_within(tree: exp.Query, facts: Facts) -> bool:
    """Whether an inner query has GROUP BY ALL, of which keys that nobody reads once were in no fingerprint."""
    groups = (group for group in facts.nodes(tree, exp.Group) if group.args.get("all"))
    return any(group.parent is not tree for group in groups)


CORRECTIONS: Mapping[str, Correction] = {
    "absent-lists": may_have_kept_absent_lists,
    "bitwise-operators": may_have_been_simplified,
    "constants-below-nulls": may_have_kept_constants,
    "constants-first": may_have_met_swapped,
    "copies": ignored_copies,
    "copies-of-zeros": lambda tree, facts: ignored_copies(tree, facts) and may_compare_floats(tree, facts),
    "date-bin": may_have_binned_to_null,
    "date-trunc": may_have_truncated_upwards,
    "distinct-counts-of-null": may_have_counted_null,
    "filters-above-listed-totals": may_have_passed_listed_totals,
    "filters-above-totals": may_have_passed_totals,
    "float-extremes": lambda tree, facts: bool(float_extremes(tree, facts)),
    "float-statistics": reads_floats,
    "first-of-floats": takes_first_floats,
    "float-zeros": lambda tree, facts: bool(zero_comparisons(tree, facts)),
    "hidden-tables": may_have_hidden_tables,
    "inner-group-by-all": groups_by_all_within,
    "joins-by-name": may_have_confused_names,
    "keys-of-joined-groups": may_have_left_out_keys,
    "limit-order": takes_any_rows,
    "lossy-casts": may_have_lost_casts,
    "neighbours-of-first-rows": numbers_rows_of_keys,
    "null-safe-filters": may_have_filtered_null_safe,
    "null-safe-joins": may_have_joined_null_safe,
    "nulls-of-null-safe-joins": may_have_lost_nulls,
    "several-lists": may_have_merged_lists,
    "running-extremes": lambda tree, facts: bool(running_windows(tree, facts)),
    "single-rows-below-nulls": may_have_kept_single_rows,
    "sums-of-constants": may_have_added_constants,
    "subqueries": may_have_misread_subqueries,
    "to-timestamp": had_session_zone,
    "try-cast": may_have_wrapped_dates,
    "union-order": shows_union_order,
}
"""Name of a corrected fault → whether a rule with a canonical tree could have met it."""


def corrections(tree: exp.Query, facts: Facts) -> list[str]:
    """Return the names of the corrections that concern a canonical tree, sorted."""
    return [name for name, concerns in sorted(CORRECTIONS.items()) if concerns(tree, facts)]
