"""Windows: named ones are written out, defaults are left out, keys of partitions are ordered."""

from __future__ import annotations

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.canonical.predicate_facts import is_constant
from compiler.sql.encode import blind_key, encode
from compiler.sql.functions import WindowFunction

_PARTS = ("partition_by", "order", "spec")
_SIGNED = frozenset({"int8", "int16", "int32", "int64"})
_RANKS = frozenset({"rank", "dense_rank", "percent_rank", "cume_dist"})


def inline_named_windows(query: exp.Query, facts: Facts) -> exp.Query:
    """Write windows where they are used.

    SUM(q) OVER w … WINDOW w AS (PARTITION BY s) → SUM(q) OVER (PARTITION BY s)
    """
    for select in facts.nodes(query, exp.Select):
        named = select.args.get("windows") or []
        if not named or any(window.args.get("alias") for window in named):
            continue
        known = {_folded(window.this): window for window in named}
        uses = [node for node in _own_windows(select) if isinstance(node.args.get("alias"), exp.Identifier)]
        if len(known) != len(named) or any(_folded(node.args["alias"]) not in known for node in uses):
            continue
        for node in uses:
            definition = known[_folded(node.args["alias"])]
            node.set("alias", None)
            for part in _PARTS:
                value = definition.args.get(part)
                if isinstance(value, list):
                    node.set(part, [item.copy() for item in value])
                elif isinstance(value, exp.Expr):
                    node.set(part, value.copy())
        select.set("windows", None)
    return query


def drop_default_frames(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop a frame that is the default.

    OVER (ORDER BY a RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) → OVER (ORDER BY a)
    OVER (PARTITION BY a ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) → OVER (PARTITION BY a)
    … rows between 1 preceding and current row → … ROWS BETWEEN 1 PRECEDING AND CURRENT ROW

    Without an order all rows of a partition are peers, so a RANGE up to the current row is all of them; that is used
    only if neither the order of rows nor rounding can affect the result.
    """
    types: Types | None = None
    for node in facts.nodes(query, exp.Window):
        spec = node.args.get("spec")
        if not isinstance(spec, exp.WindowSpec):
            continue
        for part, word in list(spec.args.items()):
            if isinstance(word, str):  # the parser keeps some of these words as typed
                spec.set(part, word.upper())
        if spec.args.get("exclude"):
            continue
        if spec.args.get("start") != "UNBOUNDED" or spec.args.get("start_side") != "PRECEDING":
            continue
        to_current = spec.args.get("end") == "CURRENT ROW"
        to_end = spec.args.get("end") == "UNBOUNDED" and spec.args.get("end_side") == "FOLLOWING"
        unit = spec.args.get("kind")
        if node.args.get("order") is not None:
            default = unit == "RANGE" and to_current
        elif unit == "ROWS":
            default = to_end
        else:
            types = types or facts.types(query)
            default = unit == "RANGE" and (to_current or to_end) and _is_exact(node.this, types)
        if default:
            node.set("spec", None)
    return query


def order_partitions(query: exp.Query, facts: Facts) -> exp.Query:
    """Order the keys of partitions, drop repeated ones and constants.

    OVER (PARTITION BY b, a, b) → OVER (PARTITION BY a, b);  OVER (PARTITION BY 1 ORDER BY c) → OVER (ORDER BY c)

    The engine sorts by these keys, and another order of rows can affect ties, a LIMIT, the last bits of sums and
    which of 0.0 and -0.0 a group keeps: so nothing is done unless nothing in the query depends on the order of rows.
    """
    windows = [
        node
        for node in facts.nodes(query, exp.Window)
        if len(keys := node.args.get("partition_by") or []) > 1 or any(map(is_constant, keys))
    ]
    if not windows:
        return query
    if facts.is_order_dependent(query) or _may_show_order(query, facts) or not _adds_exactly(query, facts):
        return query
    for node in windows:
        unique = {(blind_key(key), encode(key)): key for key in node.args["partition_by"] if not is_constant(key)}
        node.set("partition_by", [unique[key] for key in sorted(unique)] or None)
    return query


def spell_window_calls(query: exp.Query, facts: Facts) -> exp.Query:
    """Drop default arguments of window functions.

    LAG(a, 1, NULL) OVER … → LAG(a) OVER …;  NTH_VALUE(a, 1) OVER … → FIRST_VALUE(a) OVER …;  COUNT(1) → COUNT(*)
    """
    for window in facts.nodes(query, exp.Window):
        node = window.this
        if isinstance(node, exp.IgnoreNulls | exp.RespectNulls | exp.Filter):
            node = node.this
        if isinstance(node, WindowFunction) and node.name.lower() in {"lag", "lead"}:
            arguments = list(node.expressions)
            if len(arguments) == 3 and isinstance(arguments[2], exp.Null):  # noqa: PLR2004 — value, offset, default
                arguments.pop()
            if len(arguments) == 2 and _is_one(arguments[1]):  # noqa: PLR2004 — value, offset
                arguments.pop()
            if len(arguments) < len(node.expressions):
                node.set("expressions", arguments)
        elif window.this is node and isinstance(node, exp.Func) and node.name.lower() == "nth_value":
            if len(node.expressions) == 2 and _is_one(node.expressions[1]):  # noqa: PLR2004 — value, position
                node.set("this", "first_value")
                node.set("expressions", node.expressions[:1])
        elif _counts_a_literal(node) and isinstance(window.this, exp.Count | exp.Filter):
            node.set("this", exp.Star())
    return query


def _own_windows(select: exp.Select) -> list[exp.Window]:
    """Windows that look for names in this SELECT: not those of its subqueries."""
    found: list[exp.Window] = []
    pending: list[exp.Expression] = list(select.iter_expressions())
    while pending:
        node = pending.pop()
        if isinstance(node, exp.Query):
            continue
        if isinstance(node, exp.Window):
            found.append(node)
        pending += node.iter_expressions()
    return found


def _folded(identifier: exp.Expr) -> str:
    return identifier.name if identifier.args.get("quoted") else identifier.name.lower()


def _counts_a_literal(node: exp.Expr) -> bool:
    return isinstance(node, exp.Count) and isinstance(node.this, exp.Literal) and not node.expressions


def _is_one(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and node.name == "1"


def _is_exact(function: exp.Expr, types: Types) -> bool:
    """Whether an aggregate's value depends neither on the order of its rows nor on rounding."""
    if isinstance(function, exp.Filter):
        function = function.this
    if isinstance(function, exp.Count):
        return True
    if isinstance(function, exp.Min | exp.Max):
        return types.is_exact(function.this)
    return isinstance(function, exp.Sum) and types.of(function.this) in _SIGNED


def _may_show_order(query: exp.Query, facts: Facts) -> bool:
    """Whether ties of an ORDER BY, groups or named windows, which hide frames, could depend on the order of rows."""
    clauses = ("order", "group", "distinct", "windows")
    return facts.has(query, exp.SetOperation) or any(
        select.args.get(clause) for select in facts.nodes(query, exp.Select, exp.Subquery) for clause in clauses
    )


def _adds_exactly(query: exp.Query, facts: Facts) -> bool:
    """Whether no aggregate and no window of the query depends on the order of its rows."""
    types = facts.types(query)
    for node in facts.nodes(query, exp.AggFunc):
        if not _is_exact(node, types):
            return False
    return all(
        _is_exact(node.this, types) or (isinstance(node.this, WindowFunction) and node.this.name.lower() in _RANKS)
        for node in facts.nodes(query, exp.Window)
    )
