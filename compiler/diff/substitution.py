"""Inputs that replaced others in a rule: FROM t became FROM u, and everything made from t is now made from u.

Exact if two canonical trees differ in nothing else. If they do, a removed input is taken to have become an added one if
the rule reads much the same columns of both: a guess, on which the wording and places of edits depend, but no class.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from compiler.diff.common_parts import leave_out_common
from compiler.diff.stable_names import with_stable_names
from compiler.names.lexical import resolve_names
from compiler.schema import INPUT_DB
from compiler.sql.encode import dump
from compiler.tree.walk import find_all, nodes

_ALIKE = 0.5
"""The least share of columns that are read of either of two inputs and have to be read of both."""


def input_tables(query: exp.Query) -> list[exp.Table]:
    """Return the places at which a canonical tree reads its inputs, in the order of its text."""
    return [table for table in find_all(query, exp.Table, depth_first=True) if table.db == INPUT_DB]


def substituted(before: exp.Query, after: exp.Query) -> dict[int, str]:
    """Return number → new input for the `input_tables` of a tree that became other inputs in a second tree."""
    old, new = input_tables(before), input_tables(after)
    if len(old) == len(new) and _blind(before) == _blind(after):
        pairs = enumerate(zip(old, new, strict=True))
        return {number: other.name for number, (one, other) in pairs if one.name != other.name}
    counts = Counter(table.name for table in old), Counter(table.name for table in new)
    gone, come = counts[0] - counts[1], counts[1] - counts[0]
    read, read_now = _columns(before), _columns(after)
    found: dict[int, str] = {}
    for name in sorted(gone):
        best = max(sorted(come), key=lambda other: _likeness(read[name], read_now[other]), default=None)
        if best is None or _likeness(read[name], read_now[best]) < _ALIKE:
            continue
        numbers = [number for number, table in enumerate(old) if table.name == name]
        if gone[name] == len(numbers) == come[best]:
            found |= dict.fromkeys(numbers, best)
            del come[best]
        elif gone[name] == 1:  # one of several: the one that leaves the fewest differences
            choices = [found | {number: best} for number in numbers]
            found = min(choices, key=lambda choice: _left(before, after, choice))
            come -= Counter([best])
    return found


def _blind(query: exp.Query) -> Any:
    def without_name(node: exp.Expr) -> Any:
        return ["input", node.alias] if isinstance(node, exp.Table) and node.db == INPUT_DB else None

    return dump(query, without_name)


def _columns(query: exp.Query) -> Mapping[str, set[str]]:
    """Return the columns that are read of each input."""
    found: dict[str, set[str]] = defaultdict(set)
    for reference in resolve_names(query).references:
        if isinstance(reference.item, exp.Table) and reference.item.db == INPUT_DB:
            found[reference.item.name].add(reference.column.parts[1].name)
    return found


def _likeness(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0


def _left(before: exp.Query, after: exp.Query, choice: Mapping[int, str]) -> int:
    """Return the number of nodes not common to two trees if some inputs count as others."""
    old, new = before.copy(), after.copy()
    with_stable_names(old, choice)
    with_stable_names(new)
    leave_out_common(old, new, lambda *_: None)
    return sum(1 for tree in (old, new) for _ in nodes(tree))
