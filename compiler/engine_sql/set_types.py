"""Set operations whose types the engine unifies only while it runs, or by counting days."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.analysis.types import INTEGERS, Types
from compiler.canonical.facts import Facts
from compiler.errors import SqlError
from compiler.tree.positions import located

_WORDS = {"text": "text", "number": "a number", "time": "a date or time"}


def require_like_types(query: exp.Query, facts: Facts) -> None:
    """Refuse SELECT t.s UNION SELECT t.day, where the engine casts the text while it runs, and may fail.

    Also a number beside a date, which is a count of days to it, and a number beside text in EXCEPT and INTERSECT. Only
    where the types are certain. Raises `SqlError` at the output of the right side.
    """
    operations = facts.nodes(query, exp.SetOperation)
    if not operations:
        return
    types = facts.types(query)
    for operation in operations:
        if operation.args.get("by_name"):
            continue
        refused = {frozenset({"text", "time"}), frozenset({"number", "time"})}
        if not isinstance(operation, exp.Union):
            refused.add(frozenset({"number", "text"}))
        left = list(_branches(operation.this))
        for branch in _branches(operation.expression):
            for place, item in enumerate(branch.selects):
                kind = _kind(item, types)
                others = {_kind(one.selects[place], types) for one in left if place < len(one.selects)}
                clash = next((other for other in others if frozenset({kind, other}) in refused), None)
                if clash is not None and kind is not None:
                    raise _error(operation, item, place, clash, kind)


def _branches(side: exp.Expr) -> Iterator[exp.Select]:
    pending = [side]
    while pending:
        node = pending.pop().unnest()
        if isinstance(node, exp.SetOperation) and not node.args.get("by_name"):
            pending += [node.expression, node.this]
        elif isinstance(node, exp.Select):
            yield node


def _kind(item: exp.Expr, types: Types) -> str | None:
    """Return the kind of an output; None also for a literal, which is cast before the query runs."""
    value = item.unalias().unnest()
    if isinstance(value, exp.Literal):
        return None
    found = types.of(value) or ""
    if found in {"string", "string_view", "large_string"}:
        return "text"
    if found.startswith(("date", "timestamp")):
        return "time"
    return "number" if found in INTEGERS or found.startswith(("float", "decimal")) else None


def _error(operation: exp.SetOperation, item: exp.Expr, place: int, left: str, right: str) -> SqlError:
    word = type(operation).__name__.upper()
    message = f"column {place + 1} of {word} is {_WORDS[left]} on the left and {_WORDS[right]} on the right"
    return located(item, message, hint="cast one of the two: CAST(… AS …)", code="set-operation")
