"""Habits about NULL: where it comes in an order, and what it makes of a call."""

from __future__ import annotations

from sqlglot import exp

from compiler.dialects.extents import same
from compiler.dialects.view import View
from compiler.sql.functions import function_name


def null_order(view: View) -> None:
    """ORDER BY a DESC puts NULLs first here, and last in DuckDB."""
    if view.letter not in "DBK":
        return
    for node in view.every(exp.Ordered):
        place = view.extents.of(node.this)
        if place is None or _is_never_null(node):
            continue
        words = view.extents.words_after(place[1], 2)
        end = place[1]
        if words and words[0][0] in {"ASC", "DESC"}:
            end, words = words[0][1], words[1:]
        if words and words[0][0] == "NULLS":
            continue
        descending = bool(node.args.get("desc"))
        if view.letter == "D" and not descending:
            continue
        here, there = ("first", "LAST") if descending else ("last", "FIRST")
        message = f"NULLs come {here} here, and {there.lower()} in {view.title}"
        view.add("R031", node, message, f"write NULLS {there}", (end, end, f" NULLS {there}"))


def _is_never_null(ordered: exp.Expr) -> bool:
    """Whether an aggregate is ordered by what its FILTER requires not to be NULL."""
    around = ordered.find_ancestor(exp.Filter, exp.Query)
    condition = around.expression if isinstance(around, exp.Filter) else None
    if condition is None or ordered.find_ancestor(exp.Where, exp.Filter) is not around:
        return False
    terms = list(condition.this.flatten()) if isinstance(condition.this, exp.And) else [condition.this]
    return any(
        isinstance(term, exp.Not)
        and isinstance(term.this, exp.Is)
        and isinstance(term.this.expression, exp.Null)
        and same(term.this.this, ordered.this)
        for term in terms
    )


_COMPARED: dict[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
}  # fmt: skip


def whole_frames(view: View) -> None:
    """last_value(n) OVER (ORDER BY k) ends at the current row here, and at the end of the partition in Snowflake."""
    if view.letter != "S":
        return
    for node in view.every(exp.Window):
        call = node.this
        while isinstance(call, exp.IgnoreNulls | exp.RespectNulls):
            call = call.this
        order = node.args.get("order")
        if function_name(call) not in {"last_value", "nth_value"} or order is None or node.args.get("spec") is not None:
            continue
        place = view.extents.of(node)
        message = f"'{function_name(call)}' ends at the current row here, and at the end of the partition in Snowflake"
        end = place[1] - 1 if place is not None and view.text[place[1] - 1 : place[1]] == ")" else None
        hint = f"write {_WHOLE_FRAME}"
        view.add("R046", node, message, hint, *([(end, end, f" {_WHOLE_FRAME}")] if end is not None else []))


_WHOLE_FRAME = "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"


def compared_rows(view: View) -> None:
    """(a, b) <> (1, 2) is TRUE of a NULL here, and that is the least value in (a, b) < (1, 2); elsewhere both are NULL.

    DuckDB compares NULL as a value, too: equal ones as here, but it is the greatest.
    """
    for node in view.every(*_COMPARED, exp.In):
        left = node.this
        equal = isinstance(node, exp.EQ | exp.NEQ | exp.In)
        rows = [left, *(node.expressions if isinstance(node, exp.In) else [node.expression])]
        if not all(isinstance(row, exp.Tuple) for row in rows) or (view.letter == "D" and equal):
            continue
        where = "the least value" if not equal else "a value like others"
        message = f"NULL is {where} in a comparison of rows here, and not in {view.title}"
        written = None
        if not isinstance(node, exp.In) and view.letter != "D":
            written = _by_columns(view, type(node), left.expressions, node.expression.expressions)
        view.replace("R036", node, message, written, None if written else "compare their columns one by one")


def _by_columns(view: View, kind: type[exp.Expr], left: list[exp.Expr], right: list[exp.Expr]) -> str | None:
    """Return what a comparison of rows means, written as comparisons of their columns."""
    if len(left) != len(right):
        return None
    pairs = [(view.extents.operand(one), view.extents.operand(other)) for one, other in zip(left, right, strict=True)]
    if any(None in pair for pair in pairs):
        return None
    sign = _COMPARED[kind]
    if kind in (exp.EQ, exp.NEQ):
        return f" {'AND' if kind is exp.EQ else 'OR'} ".join(f"{one} {sign} {other}" for one, other in pairs)
    *before, (last, bound) = pairs
    text = f"{last} {sign} {bound}"
    for one, other in reversed(before):
        text = f"{one} {sign[0]} {other} OR ({one} = {other} AND ({text}))"
    return text


def tested_rows(view: View) -> None:
    """(a, b) IS NULL is never true here; in PostgreSQL it is where both are NULL."""
    if view.letter not in "PR":
        return
    for node in view.every(exp.Is):
        row = node.this.unnest() if isinstance(node.this, exp.Paren) else node.this
        if not isinstance(row, exp.Tuple) or not isinstance(node.expression, exp.Null):
            continue
        around = node.parent if isinstance(node.parent, exp.Not) else None
        text = view.extents.written(around) if around is not None else None
        whole = around if around is not None and text is not None and not text.upper().startswith("NOT") else node
        test = "IS NULL" if whole is node else "IS NOT NULL"
        columns = [view.extents.operand(one) for one in row.expressions]
        written = " AND ".join(f"{one} {test}" for one in columns) if None not in columns else None
        message = f"a row is never NULL here; in {view.title} it is where all its columns are"
        view.replace("R036", whole, message, written, None if written else "test its columns one by one")


_QUANTIFIED: dict[type[exp.Expr], tuple[str, str, str]] = {
    exp.EQ: ("FALSE", "{test}", "TRUE"),
    exp.NEQ: ("TRUE", "NOT ({test})", "FALSE"),
}
"""Comparison with ANY or ALL of a list → what it is of an empty list, what decides it, and to what."""


def quantified_lists(view: View) -> None:
    """1 = ANY ([2, NULL]) is FALSE here, and NULL in PostgreSQL and DuckDB."""
    if view.letter not in "DP":
        return
    for node in view.every(exp.EQ, exp.NEQ):
        other = node.expression
        if not isinstance(other, exp.All if isinstance(node, exp.NEQ) else exp.Any):
            continue
        values = other.this.unnest()
        if isinstance(values, exp.Query | exp.Subquery) or _has_no_null(values):
            continue
        items, test = view.extents.operand(values), view.extents.written(node)
        empty, condition, decided = _QUANTIFIED[type(node)]
        written = None
        if items is not None and test is not None:
            none = f"cardinality({items}) = 0"
            none = f"{items} IS NULL OR {none}" if view.letter == "D" else none
            written = (
                f"CASE WHEN {none} THEN {empty} WHEN {condition.format(test=test)} THEN {decided}"
                f" WHEN cardinality(array_compact({items})) = cardinality({items}) THEN {test} END"
            )
        message = f"a NULL in a list is a value like others here; in {view.title} it makes this NULL"
        view.replace("R036", node, message, written, None if written else "leave NULLs out of the list")


def _has_no_null(values: exp.Expr) -> bool:
    """Whether a list is written with its values, which are literals."""
    written = function_name(values) == "make_array" or isinstance(values, exp.Array)
    items = values.args.get("expressions") or []
    return (
        written
        and bool(items)
        and all(isinstance(one.this if isinstance(one, exp.Neg) else one, exp.Literal) for one in items)
    )


def joined_lists(view: View) -> None:
    """[1] || NULL is [1] here, and NULL in DuckDB."""
    for node in view.every(exp.DPipe) if view.letter in "DP" else ():
        sides = [node.this, node.expression]
        if not any(view.kind(side) == "list" for side in sides):
            continue
        if view.letter == "P":
            lists = [side for side in sides if not isinstance(side.unnest(), exp.Null)]
            if len(lists) == 1:
                message = "NULL beside a list is an element of it here, and an empty list in PostgreSQL"
                view.replace("R036", node, message, view.extents.operand(lists[0]), "leave the NULL out")
            continue
        doubtful = [view.extents.operand(side) for side in sides if not isinstance(side, exp.Array)]
        whole = view.extents.written(node)
        if not doubtful:
            continue
        known = whole is not None and None not in doubtful
        tests = " AND ".join(f"{side} IS NOT NULL" for side in doubtful)
        written = f"CASE WHEN {tests} THEN {whole} END" if known else None
        message = f"|| takes a list of NULL for an empty one here; in {view.title} the whole is NULL"
        view.replace(
            "R036", node, message, written, None if written else "write CASE WHEN l IS NOT NULL THEN l || r END"
        )


_PLAIN_TEXTS = frozenset({"text", "int", "bool", "date", "decimal"})
"""Kinds of values whose texts are those of the other dialects; those of timestamps and floats are another habit."""


def null_arguments(view: View) -> None:
    """greatest(1, NULL) is 1 here, and NULL in Snowflake and BigQuery; concat('a', NULL) likewise."""
    for node in view.every(exp.Func):
        name = function_name(node)
        if name not in {"greatest", "least", "concat", "concat_ws"}:
            continue
        parts = list(node.args.get("expressions") or [])
        texts = [view.extents.operand(part) for part in parts]
        if name == "concat" and view.letter in "SBKR" and parts:
            kinds = ["text" if isinstance(part, exp.Null) else view.kind(part) for part in parts]
            certain = _PLAIN_TEXTS.issuperset(kinds) and None not in texts
            pieces = [
                text if kind == "text" else f"CAST({text} AS VARCHAR)" for text, kind in zip(texts, kinds, strict=True)
            ]
            message = f"concat leaves NULLs out here; in {view.title} one makes the whole NULL"
            view.replace("R036", node, message, " || ".join(map(str, pieces)) if certain else None, "write a || b")
        elif name == "concat_ws" and view.letter == "S":
            view.add(
                "R036", node, "concat_ws leaves NULLs out here; in Snowflake one makes the whole NULL", "write a || b"
            )
        elif name in {"greatest", "least"} and view.letter in "SB" and len(parts) > 1:
            whole = view.extents.written(node)
            tests = " OR ".join(f"{text} IS NULL" for text in texts)
            nan = _least_nan(view, parts) if name == "least" and view.letter == "B" else ""
            known = None not in texts and whole is not None and nan is not None
            written = f"CASE WHEN {tests} THEN NULL {nan}ELSE {whole} END" if known else None
            message = f"{name} leaves NULLs out here; in {view.title} one makes the whole NULL"
            view.replace("R036", node, message, written, "CASE WHEN a IS NULL OR b IS NULL THEN NULL ELSE … END")


def _least_nan(view: View, parts: list[exp.Expr]) -> str | None:
    """Return the branch of BigQuery's LEAST for NaN, which it is if a float is; None where types are not known."""
    kinds = [view.kind(part) for part in parts]
    if None in kinds:
        return None
    floats = [view.extents.operand(part) for part, kind in zip(parts, kinds, strict=True) if kind == "float"]
    tests = " OR ".join(f"isnan({text})" for text in floats)
    return f"WHEN {tests} THEN CAST('NaN' AS DOUBLE) " if tests else ""
