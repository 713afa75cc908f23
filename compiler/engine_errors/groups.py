"""The engine's errors about aggregates, grouping and windows, in SQL's terms."""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.engine_errors.advice import (
    Advice,
    Adviser,
    Refusal,
    aggregates,
    calls,
    is_below,
    is_grouping,
    is_within,
    of_kind,
    plain,
)
from compiler.sql import functions
from compiler.sql.engine_types import in_sql


def _range(match: re.Match[str], refusal: Refusal) -> Advice:
    message = f"a frame in RANGE cannot be ordered by {in_sql(match['type'])}"
    return Advice(message, "write ROWS BETWEEN", of_kind(refusal.query, exp.Window))


def _in_where(_: re.Match[str], refusal: Refusal) -> Advice:
    nodes = tuple(node for node in aggregates(refusal.query) if is_within(node, exp.Where))
    return Advice("an aggregate cannot be used in WHERE", "filter groups with HAVING", nodes[:1])


def _nested(_: re.Match[str], refusal: Refusal) -> Advice:
    nodes = tuple(node for node in aggregates(refusal.query) if is_within(node, exp.AggFunc) or _filters(node))
    return Advice("an aggregate cannot be nested in another", "compute the inner one in a CTE", nodes[:1])


def _filters(node: exp.Expr) -> bool:
    """Whether a node is in the condition of FILTER."""
    around = node.find_ancestor(exp.Filter, exp.Select)
    return isinstance(around, exp.Filter) and is_below(node, around.expression)


def _windows_within(*kinds: type[exp.Expr], what: str) -> Adviser:
    def advise(_: re.Match[str], refusal: Refusal) -> Advice:
        nodes = tuple(node for node in refusal.query.find_all(exp.Window) if is_within(node, *kinds) or _filters(node))
        return Advice(f"a window function cannot be used inside {what}", "compute the inner one in a CTE", nodes[:1])

    return advise


def _ungrouped(match: re.Match[str], refusal: Refusal) -> Advice:
    table, name = match["table"] or "", match["column"]
    hint = f"group by it too, or take one of its values: MIN({name})"
    return Advice(
        f"column '{name}' must be in GROUP BY or inside an aggregate",
        hint,
        _ungrouped_uses(refusal.query, table, name),
    )


def _ungrouped_uses(query: exp.Query, table: str, name: str) -> tuple[exp.Expr, ...]:
    """Return the first use of a column in a grouped query, outside its aggregates and GROUP BY."""
    for select in query.find_all(exp.Select):
        order = select.args.get("order")
        items = [
            *select.selects,
            *(one for one in (select.args.get("having"), select.args.get("qualify"), order) if one),
        ]
        if not (select.args.get("group") or select.args.get("having") or any(item.find(exp.AggFunc) for item in items)):
            continue
        grouped = {str(key) for key in select.args["group"].expressions} if select.args.get("group") else set()
        for item in items:
            for column in item.find_all(exp.Column):
                outside = column.find_ancestor(exp.AggFunc, exp.Select) is select
                if outside and column.name == name and table in {"", column.table} and str(column) not in grouped:
                    return (column,)
    return ()


def _having(_: re.Match[str], refusal: Refusal) -> Advice:
    nodes = tuple(refusal.query.find_all(exp.Having))
    return Advice("HAVING reads a value that is neither grouped nor aggregated", "filter rows with WHERE", nodes[:1])


def _grouping(match: re.Match[str], refusal: Refusal) -> Advice:
    name = match["column"].rpartition(".")[2]
    calls = [one for one in refusal.query.find_all(exp.Func) if is_grouping(one)]
    nodes = [one for one in calls if name in str(one)]
    # An expression is named in the engine's words, and not in the author's.
    asked = f"'{name}'" if nodes and name.isidentifier() else "an expression"
    message = f"GROUPING asks for {asked}, which is not in GROUP BY"
    return Advice(message, "GROUPING takes the expressions of GROUP BY", tuple((nodes or calls)[:1]))


def _distinct_order(_: re.Match[str], refusal: Refusal) -> Advice:
    nodes = [
        select.args["order"]
        for select in refusal.query.find_all(exp.Select)
        if select.args.get("distinct") and select.args.get("order")
    ]
    return Advice(
        "SELECT DISTINCT can be ordered only by what it selects",
        "select the column too, or order by an output",
        tuple(nodes[:1]),
    )


def _hidden_order(match: re.Match[str], refusal: Refusal) -> Advice:
    table, name = match["table"].strip('"'), match["column"].strip('"')
    nodes = tuple(
        column
        for order in refusal.query.find_all(exp.Order)
        for column in order.find_all(exp.Column)
        if (column.table, column.name) == (table, name)
    )
    message = f"ORDER BY reads the column '{table}.{name}', but an output is called '{name}' too"
    return Advice(message, "rename the output, or select the column too", nodes[:1])


def _misused(match: re.Match[str], refusal: Refusal) -> Advice:
    name = match["name"]
    known = functions.lookup(name)
    if known is not None and known.kinds == {"window"}:
        bare = [
            one
            for one in calls(refusal.query, name)
            if not isinstance(one.parent, exp.Window | exp.IgnoreNulls | exp.RespectNulls)
        ]
        return Advice(f"'{name}' is a window function", f"write {name}(…) OVER (…)", tuple(bare))
    if name in {"rollup", "cube"}:
        return Advice(
            f"{name.upper()} cannot be used here",
            "write out the GROUPING SETS",
            tuple(refusal.query.find_all(exp.Group)),
        )
    return Advice(f"'{name}' cannot be called here", None, calls(refusal.query, name))


def _frame(match: re.Match[str], refusal: Refusal) -> Advice:
    why = match["why"]
    if "non negative" in why:
        why = "its bounds must be non-negative whole numbers"
    elif "larger" in why:
        why = "it would end before it starts"
    else:
        why = why.replace("start bound cannot", "it cannot start").replace("end bound cannot", "it cannot end")
        why = why.replace("be UNBOUNDED", "with UNBOUNDED")
    nodes = tuple(one for one in refusal.query.find_all(exp.WindowSpec))
    return Advice(
        f"the window's frame is invalid: {why}",
        "write ROWS BETWEEN … PRECEDING AND … FOLLOWING",
        nodes or tuple(refusal.query.find_all(exp.Window)),
    )


def _named_window(match: re.Match[str], refusal: Refusal) -> Advice:
    nodes = tuple(one for one in refusal.query.find_all(exp.Window) if match["name"] in str(one))
    return Advice(f"unknown window '{match['name']}'", f"declare it: WINDOW {match['name']} AS (…)", nodes[:1])


def _nulls(match: re.Match[str], refusal: Refusal) -> Advice:
    nodes = tuple(refusal.query.find_all(exp.IgnoreNulls, exp.RespectNulls)) or calls(refusal.query, match["name"])
    return Advice(f"'{match['name']}' does not take IGNORE NULLS or RESPECT NULLS", "leave them out", nodes[:1])


def _literal_argument(_: re.Match[str], refusal: Refusal) -> Advice:
    wants = ("ntile", "lag", "lead", "nth_value")
    nodes = tuple(one for one in refusal.query.find_all(exp.Window) if functions.function_name(one) in wants)
    name = functions.function_name(nodes[0]) if len(nodes) == 1 else None
    shown = f"'{name}'" if name else "a window function"
    return Advice(f"{shown} needs a constant as its offset or count", "write a number", nodes)


def _positive_ntile(_: re.Match[str], refusal: Refusal) -> Advice:
    nodes = tuple(one for one in refusal.query.find_all(exp.Window) if functions.function_name(one) == "ntile")
    return Advice("'ntile' needs a positive number", None, nodes)


def _qualify(_: re.Match[str], refusal: Refusal) -> Advice:
    """Word an error of QUALIFY: a name of both a column and an output means the column to the engine, as in WHERE."""
    for clause in refusal.query.find_all(exp.Qualify):
        select = clause.parent
        windows = (
            {item.alias for item in select.selects if item.find(exp.Window)} if isinstance(select, exp.Select) else ()
        )
        for column in clause.find_all(exp.Column):
            if column.name in windows:
                message = f"'{column.name}' in QUALIFY is the column {column.table}.{column.name}, not the output"
                return Advice(message, "rename the output, or write the window function itself", (column,))
    nodes = tuple(refusal.query.find_all(exp.Qualify))
    return Advice(
        "QUALIFY filters by window functions, but the query has none",
        "filter rows with WHERE, groups with HAVING",
        nodes[:1],
    )


ADVISERS: tuple[tuple[str, Adviser], ...] = (
    (r"Cannot run range queries on datatype: (?P<type>.+)$", _range),
    (r"Aggregate functions are not allowed in the WHERE clause", _in_where),
    (r"Aggregate function calls cannot be nested", _nested),
    (r"Aggregate function calls cannot contain window", _windows_within(exp.AggFunc, what="an aggregate")),
    (r"Window function calls cannot be nested", _windows_within(exp.Window, what="another")),
    (r'column "(?:(?P<table>[^".]+)\.)?(?P<column>[^".]+)" must appear in the GROUP BY', _ungrouped),
    (r"HAVING clause references: (?P<what>.*) must appear in the GROUP BY", _having),
    (r"Argument (?P<column>.+?) to grouping function is not in grouping columns", _grouping),
    (r"For SELECT DISTINCT, ORDER BY expressions", _distinct_order),
    (
        (
            r"qualified field name (?P<table>\"[^\"]+\"|\w+)\.(?P<column>\"[^\"]+\"|\w+) and unqualified "
            r".* would be ambiguous"
        ),
        _hidden_order,
    ),
    (
        r"SELECT DISTINCT ON expressions must match initial ORDER BY",
        plain("DISTINCT ON must be ordered by its own expressions first", "begin ORDER BY with them", exp.Distinct),
    ),
    (r"QUALIFY clause requires window functions", _qualify),
    (r"Invalid function '(?P<name>\w+)'", _misused),
    (r"Invalid window frame: (?P<why>.*)", _frame),
    (
        r"RANGE requires exactly one ORDER BY column",
        plain(
            "a frame in RANGE needs exactly one ORDER BY column",
            "write ROWS BETWEEN, or order by one column",
            exp.WindowSpec,
            exp.Window,
        ),
    ),
    (r'The window "(?P<name>\w+)" is not defined', _named_window),
    (r"NULLS are not permitted for (?P<name>\w+)", _nulls),
    (
        r"WITHIN GROUP is only supported for ordered-set",
        plain("only percentiles take WITHIN GROUP", "write the order inside: array_agg(x ORDER BY y)", exp.WithinGroup),
    ),
    (
        (
            r"There is only support Literal types for field at idx|Expected a signed integer literal for the "
            r"second argument of nth_value"
        ),
        _literal_argument,
    ),
    (r"NTILE requires a positive integer", _positive_ntile),
)
"""Pattern of the engine's error → the function that words it; the first match counts."""
