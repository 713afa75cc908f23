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


def null_arguments(view: View) -> None:
    """greatest(1, NULL) is 1 here, and NULL in Snowflake and BigQuery; concat('a', NULL) likewise."""
    for node in view.every(exp.Func):
        name = function_name(node)
        if name not in {"greatest", "least", "concat", "concat_ws"}:
            continue
        parts = list(node.args.get("expressions") or [])
        texts = [view.extents.operand(part) for part in parts]
        if name == "concat" and view.letter in "SBKR" and len(parts) > 1:
            kinds = ["text" if isinstance(part, exp.Null) else view.kind(part) for part in parts]
            certain = all(kind is not None for kind in kinds) and None not in texts
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
            written = f"CASE WHEN {tests} THEN NULL ELSE {whole} END" if None not in texts and whole else None
            message = f"{name} leaves NULLs out here; in {view.title} one makes the whole NULL"
            view.replace("R036", node, message, written, "CASE WHEN a IS NULL OR b IS NULL THEN NULL ELSE … END")
