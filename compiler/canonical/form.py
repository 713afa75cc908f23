"""The canonical AST: one tree for rules that mean the same. Passes are functions in a tuple, each sound by itself.

The canonical form decides what is compared, never what is executed: the engine runs the executed form of
`compiler.names.qualify`. A pass may always do less (rules that mean the same then differ, which costs a rebuild), never
more (rules that differ would share a result). Idempotent: a canonical tree is its own canonical form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from compiler.canonical.arithmetic import spell_products, spell_sums
from compiler.canonical.booleans import simplify_connectives, simplify_filters
from compiler.canonical.bounds import merge_bounds, spell_whole_bounds
from compiler.canonical.branch_groups import aggregate_branches_once
from compiler.canonical.calls import spell_beginnings, spell_calls, spell_casts, spell_patterns, spell_plain_patterns
from compiler.canonical.case_tests import test_each_branch
from compiler.canonical.common_terms import factor_common_terms
from compiler.canonical.compared_constants import spell_dates, spell_moments, spell_whole_numbers
from compiler.canonical.comparisons import (
    compare_with_literals,
    expand_between,
    gather_in,
    spell_booleans,
    spell_distinct_from,
    spell_in,
)
from compiler.canonical.conditionals import spell_case, spell_coalesce, spell_nullif
from compiler.canonical.counts import (
    count_cases,
    count_rows,
    drop_counts_of_groups,
    drop_null_tests_of_totals,
    drop_orders_of_aggregates,
)
from compiler.canonical.ctes import inline_single_use_ctes, inline_small_ctes, order_ctes
from compiler.canonical.decided_terms import drop_decided_terms
from compiler.canonical.derived_keys import drop_derived_keys
from compiler.canonical.equalities import close_equalities, drop_constant_keys, put_constants
from compiler.canonical.facts import Facts
from compiler.canonical.fields import spell_fields
from compiler.canonical.folding import fold_literals, join_texts
from compiler.canonical.grouping import (
    drop_distinct_under_distinct,
    has_sets_of_constants,
    having_to_where,
    order_group_keys,
    spell_aggregates,
    spell_distinct,
)
from compiler.canonical.join_order import order_full_join, order_inner_joins, take_one_key
from compiler.canonical.joins import pull_inner_predicates, spell_joins
from compiler.canonical.limits import (
    drop_limits_of_totals,
    drop_orders_of_derived_tables,
    spell_limits,
    spell_no_rows,
)
from compiler.canonical.literals import spell_intervals, spell_numbers
from compiler.canonical.merging import merge_derived_tables
from compiler.canonical.names import number_names, order_arguments
from compiler.canonical.ordering import drop_idle_keys, drop_inner_orders, order_by_outputs, spell_ordering
from compiler.canonical.outer_joins import (
    drop_key_coalesce,
    merge_optional_filters,
    narrow_outer_joins,
    turn_right_joins,
)
from compiler.canonical.predicates import drop_parens, orient_comparisons, push_not, sort_connectors
from compiler.canonical.pushdown import absorb_projections, drop_true_terms, prune_columns, push_filters_under_keys
from compiler.canonical.qualify_filter import count_distinct, merge_grouped, merge_windowed
from compiler.canonical.regrouping import aggregate_once
from compiler.canonical.semi_joins import drop_inner_distinct, repeats_a_list, spell_semi_joins
from compiler.canonical.set_operations import (
    dissolve_union_wrappers,
    drop_branch_distinct,
    order_intersections,
    order_unions,
    spell_by_name,
)
from compiler.canonical.unread_joins import drop_unread_joins
from compiler.canonical.windows import (
    drop_default_frames,
    inline_named_windows,
    order_partitions,
    spell_window_calls,
)
from compiler.schema import INPUT_DB, Schema
from compiler.sql.dialect import render
from compiler.sql.encode import decode
from compiler.tree.walk import bare_copy, find_all, nodes

Pass = Callable[[exp.Query, Facts], exp.Query]

SPELLING_PASSES: tuple[Pass, ...] = (drop_parens, spell_fields)
"""What may be done where the result depends on what aliases are called."""

SPELLING: tuple[Pass, ...] = (
    drop_parens,
    spell_fields,
    spell_numbers,
    spell_moments,
    spell_intervals,
    spell_calls,
    spell_casts,
    spell_patterns,
    spell_plain_patterns,
    spell_beginnings,
    inline_named_windows,
    drop_default_frames,
    spell_window_calls,
    order_partitions,
)
"""Afterwards literals, calls and windows have one spelling, so that later passes can compare expressions."""

UNNESTING: tuple[Pass, ...] = (
    inline_single_use_ctes,
    inline_small_ctes,
    spell_limits,
    drop_limits_of_totals,
    spell_no_rows,
    drop_orders_of_derived_tables,
    merge_derived_tables,
    push_filters_under_keys,
    drop_true_terms,
    absorb_projections,
    prune_columns,
    order_ctes,
)
"""Afterwards derived tables and CTEs exist only if they cannot be merged, so that joins are between base tables."""

JOINING: tuple[Pass, ...] = (
    spell_joins,
    turn_right_joins,
    narrow_outer_joins,
    merge_optional_filters,
    drop_key_coalesce,
    drop_unread_joins,
    pull_inner_predicates,
    drop_inner_distinct,
    spell_semi_joins,
    order_inner_joins,
    order_full_join,
    take_one_key,
    close_equalities,
    put_constants,
)
"""Afterwards inner joins have their conditions in WHERE and are in one order, so that grouping sees all filters."""

GROUPING: tuple[Pass, ...] = (
    spell_ordering,
    order_by_outputs,
    drop_idle_keys,
    drop_constant_keys,
    drop_inner_orders,
    spell_aggregates,
    drop_orders_of_aggregates,
    count_rows,
    order_group_keys,
    having_to_where,
    spell_distinct,
    drop_derived_keys,
    drop_distinct_under_distinct,
    merge_grouped,
    merge_windowed,
    count_distinct,
    aggregate_once,
    aggregate_branches_once,
    count_cases,
    drop_counts_of_groups,
    drop_null_tests_of_totals,
)
"""Afterwards GROUP BY, DISTINCT and ORDER BY have only keys that matter, so that branches of a set can be compared."""

SETS: tuple[Pass, ...] = (
    spell_by_name,
    dissolve_union_wrappers,
    order_unions,
    order_intersections,
    drop_branch_distinct,
)
"""Afterwards the branches of a set operation are in one order, so that tables can be numbered by where they are."""

NAMING: tuple[Pass, ...] = (number_names,)
"""Afterwards no name is of the author's choosing, so that terms can be put in an order by their text."""

PREDICATES: tuple[Pass, ...] = (
    spell_sums,
    spell_products,
    fold_literals,
    join_texts,
    expand_between,
    spell_distinct_from,
    compare_with_literals,
    push_not,
    spell_coalesce,
    spell_nullif,
    spell_case,
    test_each_branch,
    spell_booleans,
    spell_in,
    gather_in,
    spell_dates,
    spell_whole_numbers,
    spell_whole_bounds,
    merge_bounds,
    drop_decided_terms,
    factor_common_terms,
    simplify_connectives,
    simplify_filters,
    orient_comparisons,
    sort_connectors,
    order_arguments,
)
"""Afterwards conditions and sums are in one form and order, in which the next round merges what it could not before."""

GROUPS = (SPELLING, UNNESTING, JOINING, GROUPING, SETS, NAMING, PREDICATES)
PASSES: tuple[Pass, ...] = tuple(rewrite for group in GROUPS for rewrite in group)
"""They go round until none changes anything, so a later group may also make work for an earlier one."""

LOGICAL: frozenset[Pass] = frozenset({
    close_equalities, put_constants, drop_constant_keys, drop_unread_joins, aggregate_once, aggregate_branches_once,
    drop_orders_of_aggregates, count_rows, fold_literals, compare_with_literals, test_each_branch, spell_dates,
    spell_whole_bounds, merge_bounds, drop_decided_terms, factor_common_terms, spell_whole_numbers, drop_derived_keys,
    count_cases, drop_counts_of_groups, drop_null_tests_of_totals, spell_plain_patterns, spell_beginnings, join_texts,
    order_intersections, order_group_keys,
})  # fmt: skip
"""Passes after which a canonical tree need not show what the engine was made to do: a list, a join or a comparison may
be gone. What an earlier version could have computed wrongly is looked for in a tree without them."""

BEFORE: tuple[tuple[Pass, Pass], ...] = (
    # A CTE is small by the size of its text, which grows by the CTEs that it reads once and changes as tables merge.
    (inline_single_use_ctes, inline_small_ctes),
    (inline_single_use_ctes, merge_derived_tables),
    (inline_small_ctes, merge_derived_tables),
    # A projection that was absorbed into the table below it has a shape that is merged no more.
    (merge_derived_tables, absorb_projections),
    # NULLIF in a filter has become a CASE by now, and is simplified as one.
    (spell_nullif, simplify_filters),
)
"""Passes of one group of which the first must come first; within a group all others may be exchanged."""

MOST_ROUNDS = 6
"""One pass makes work for another, so they go round until nothing changes. Stopping early is only weaker."""


def canonical(
    query: exp.Query, schemas: Mapping[str, Schema], *, volatile: bool = False, passes: tuple[Pass, ...] | None = None
) -> tuple[exp.Query, tuple[str, ...]]:
    """Return the canonical AST of an executed form (which is left as it is) and the inputs, in order of position.

    Inputs are named by position in the tree ("0", "1", …), so renaming a product changes nothing. `schemas`: of the
    inputs, by name. `passes`: fewer of them give a weaker form that is as sound, to find out which one does what.
    """
    facts = Facts(schemas)
    tree = bare_copy(query)
    for spell in SPELLING_PASSES:
        tree = spell(tree, facts)
    if not repeats_a_list(tree, facts):
        tree = number_names(tree, facts)  # first of all, as passes put things in order by names too
        # Volatile calls may not be moved, merged or dropped; to the passes a constant has one value.
        if not volatile and not has_sets_of_constants(tree, facts):
            chosen = PASSES if passes is None else passes
            idle = 0  # passes that have left the tree as it is since the last change of it
            for rewrite in chosen * MOST_ROUNDS:
                before = hash(tree)
                tree = rewrite(tree, facts)
                facts.notice(tree)
                idle = idle + 1 if hash(tree) == before else 0
                if idle == len(chosen):
                    break
            tree = order_arguments(tree, facts)  # a pass may have put a clause back elsewhere, which is no change
    positions: dict[str, str] = {}
    for table in find_all(tree, exp.Table, depth_first=True):
        if table.db == INPUT_DB:
            number = positions.setdefault(table.name, str(len(positions)))
            table.set("this", exp.Identifier(this=number, quoted=True))
    return tree, tuple(positions)


def named_tree(encoded: bytes, inputs: Sequence[str]) -> exp.Query:
    """Return an encoded canonical tree with the names of its inputs, by position, in place of the positions."""
    tree = decode(encoded)
    assert isinstance(tree, exp.Query)
    for table in find_all(tree, exp.Table):
        if table.db == INPUT_DB:
            table.set("this", exp.Identifier(this=inputs[int(table.name)], quoted=True))
    return tree


def rendered(tree: exp.Query, *, pretty: bool = False) -> str:
    """Return a canonical tree as SQL text, with the parentheses that text needs."""
    return render(parenthesised(tree.copy()), pretty=pretty)


_OPERATORS = (exp.Binary, exp.Unary, exp.Between, exp.In, exp.Not)
_SPELLED_AS_CALLS = (exp.Func, exp.Dot, exp.Paren, exp.PropertyEQ, exp.Kwarg, exp.Slice, exp.Distinct, exp.Alias)


def parenthesised(tree: exp.Expr) -> exp.Expr:
    """Put the parentheses that text needs into a canonical tree or a part of one, in place."""
    for node in nodes(tree):
        parent = node.parent
        if isinstance(parent, exp.Any) and not isinstance(node, exp.Query):
            _enclose(node)
            continue
        if isinstance(parent, exp.Escape):
            continue
        if (
            not _is_operator(node)
            or parent is None
            or not (_is_operator(parent) or isinstance(parent, exp.Bracket | exp.Cast))
        ):
            continue
        if isinstance(node, exp.Connector) and type(node) is type(parent) and node.arg_key == "this":
            continue
        _enclose(node)
    return tree


def _enclose(node: exp.Expr) -> None:
    paren = exp.Paren()
    node.replace(paren)
    paren.set("this", node)


def _is_operator(node: exp.Expr) -> bool:
    return isinstance(node, _OPERATORS) and (isinstance(node, exp.Connector) or not isinstance(node, _SPELLED_AS_CALLS))
