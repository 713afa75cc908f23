"""Where a rule was edited: the edit script of `sqlglot.diff` over two canonical trees, read by clause and by output.

Both trees are put under names that edits do not move (`compiler.diff.stable_names`), and what both have at the same
place is left out: it is matched before the search for matches begins, so that a term of WHERE is never taken for a
select item that is like it, and cost follows the size of the edit. Then the edit script (Fluri et al., "Change
Distilling", 2007) inserts, removes, moves and updates nodes; each belongs to a clause of some query, and that decides
what it touches.

The script never says that two rules are the same: one that is empty, or too dear to make, is not known. What it says is
a claim, which `compiler.analysis.shape` proves or not (`graph.impact.classify`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Literal

from sqlglot import diff, exp
from sqlglot.diff import Insert, Move, Remove, Update

from compiler.diff.common_parts import leave_out_common, pairs_of_nodes
from compiler.diff.fixed_outputs import read_fixed_columns
from compiler.diff.stable_names import Keys, derived_query, is_recursive, with_stable_names
from compiler.diff.substitution import substituted
from compiler.names.lexical import Names
from compiler.sql.dialect import DIALECT
from compiler.tree.selects import is_aggregated, is_key_of_all, yields_rows
from compiler.tree.walk import find_all, nodes

Reach = Literal["cosmetic", "additive", "column", "row"]

MOST_PAIRS = 10_000
"""The most pairs of nodes of one kind that `sqlglot.diff` compares: at 20 µs a pair, a fifth of a second."""
_CLAUSES = {
    "with_": "WITH",
    "distinct": "DISTINCT",
    "expressions": "SELECT",
    "from_": "FROM",
    "joins": "FROM",
    "where": "WHERE",
    "group": "GROUP BY",
    "having": "HAVING",
    "qualify": "QUALIFY",
    "windows": "WINDOW",
    "order": "ORDER BY",
    "limit": "LIMIT",
    "offset": "OFFSET",
    "": "SET OPERATION",
}
"""The clauses in the order in which they are named; any other is called by its argument's name."""


@dataclass(frozen=True)
class EditScript:
    """What an edit script touches.

    known: whether there is one; if not, anything may have been touched. clauses: in which a node was edited, in the
    query or in one within it. added, changed, removed: output columns. reordered: whether those that stay have other
    places. rows: whether it touches what decides which rows there are, or their order.
    """

    known: bool
    clauses: tuple[str, ...] = ()
    added: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    reordered: bool = False
    rows: bool = False

    @property
    def reaches(self) -> Reach:
        """The class of the edit, judging by the script."""
        if self.rows or not self.known:
            return "row"
        if self.changed or self.removed or self.reordered:
            return "column"
        return "additive"

    @property
    def columns(self) -> frozenset[str]:
        """The output columns that it touches."""
        return self.added | self.changed | self.removed


def edit_script(before: exp.Query, after: exp.Query, most_pairs: int = MOST_PAIRS) -> EditScript:
    """Return where two canonical trees with the names of their inputs differ. Both are left as they are.

    most_pairs: the number of pairs of nodes that may be compared.
    """
    old, new = before.copy(), after.copy()
    for tree in (old, new):
        read_fixed_columns(tree)
    sides = _Side(old, with_stable_names(old, substituted(before, after))), _Side(new, with_stable_names(new))
    outputs = [tuple(output.alias_or_name for output in side.query.selects) for side in sides]
    added, removed = set(outputs[1]) - set(outputs[0]), set(outputs[0]) - set(outputs[1])
    stay = [[name for name in names if name not in added | removed] for names in outputs]

    def met(*selects: exp.Select) -> None:
        if is_aggregated(selects[0]) != is_aggregated(selects[1]):
            for side, select in zip(sides, selects, strict=True):
                side.mark_grouping(select)
        if len({_values(select) for select in selects}) > 1:
            for side, select in zip(sides, selects, strict=True):
                side.mark_distinct(select)

    left = leave_out_common(old, new, met)
    parts: list[tuple[exp.Expr, exp.Expr]] = [(old, new), *left.expressions]
    if sum(pairs_of_nodes(*part, left.same) for part in parts) > most_pairs:
        return EditScript(known=False, added=frozenset(added), removed=frozenset(removed))
    touched = {output.alias_or_name for output in (*old.selects, *new.selects)}
    touched |= {_output_of(one, old) for one, _ in left.expressions} - {""}
    for part in parts:
        _mark_edits(*part, left.same, sides)
    changed = (sides[0].outputs | sides[1].outputs) - added - removed
    rows = any(side.rows for side in sides)
    reordered = stay[0] != stay[1]
    missed = (
        touched - added - removed - changed if isinstance(old, exp.Select) and isinstance(new, exp.Select) else set()
    )
    clauses = sides[0].clauses | sides[1].clauses
    if not (clauses or reordered) or (missed and not rows):
        return EditScript(known=False, added=frozenset(added), removed=frozenset(removed))
    order = dict.fromkeys((*_CLAUSES.values(), *sorted(clauses)))
    return EditScript(
        known=True,
        clauses=tuple(clause for clause in order if clause in clauses or (reordered and clause == "SELECT")),
        added=frozenset(added),
        changed=frozenset(changed),
        removed=frozenset(removed),
        reordered=reordered,
        rows=rows,
    )


def _mark_edits(
    old: exp.Expr, new: exp.Expr, same: list[tuple[exp.Expr, exp.Expr]], sides: tuple[_Side, _Side]
) -> None:
    """Mark every node that the edit script names, and those whose match is elsewhere or has another name.

    same: nodes that are known to match.
    """
    inside = {id(node) for node in nodes(old)}
    script = diff(old, new, matchings=[pair for pair in same if id(pair[0]) in inside], dialect=DIALECT)
    matches: dict[int, int] = {}
    pairs: list[tuple[exp.Expr, exp.Expr]] = []
    for edit in script:
        if isinstance(edit, Remove):
            sides[0].mark(edit.expression)
        elif isinstance(edit, Insert):
            sides[1].mark(edit.expression)
        else:
            matches[id(edit.source)] = id(edit.target)
            pairs.append((edit.source, edit.target))
            # The roots have one place, but their parents are not compared.
            if isinstance(edit, Update) or (isinstance(edit, Move) and edit.source is not old):
                sides[0].mark(edit.source)
                sides[1].mark(edit.target)
    for one, other in pairs:
        # An edit of only the parent would not show that this node moved to, or from, another clause.
        moved = one is not old and (one.arg_key != other.arg_key or matches.get(id(one.parent)) != id(other.parent))
        if moved or _words(one) != _words(other):
            sides[0].mark(one)
            sides[1].mark(other)


def _words(node: exp.Expr) -> list[tuple[str, Any]]:
    """Return the part of a node that `sqlglot.diff` ignores: the identifiers directly below it."""
    values = ((key, value if isinstance(value, list) else [value]) for key, value in node.args.items())
    return sorted((key, one.this) for key, found in values for one in found if isinstance(one, exp.Identifier))


class _Side:
    """One of two trees, and the parts that edits touch: rows, outputs by name, and clauses."""

    def __init__(self, query: exp.Query, names: Names) -> None:
        self.query = query
        self.rows = False
        self.outputs: set[str] = set()
        self.clauses: set[str] = set()
        self._readers: dict[int, list[exp.Table]] = defaultdict(list)
        for table, cte in names.tables:
            self._readers[id(cte)].append(table)
        self._sorted_by: dict[int, set[str]] = defaultdict(set)
        for column, _ in names.bare:
            owner = column.find_ancestor(exp.Select, exp.SetOperation)
            self._sorted_by[id(owner)].add(column.name)
        selects = find_all(query, exp.Select)
        self._whole = {id(select) for select in selects if _items_decide(select)}
        self._keys = {id(item) for select in selects for item in select.selects if is_key_of_all(select, item)}
        self._done: set[int] = set()

    def mark(self, node: exp.Expr, *, edited: bool = True) -> None:
        """Mark a node as touched. edited: by the script itself, not because of a node below it."""
        if isinstance(node, exp.Select | exp.SetOperation):
            if edited and isinstance(node.parent, exp.SetOperation):
                self.clauses.add(_CLAUSES[""])
            self._mark_rows(node)
            if node.parent is None or not edited:
                return
        child = node
        while child.parent is not None and not isinstance(child.parent, exp.Select | exp.SetOperation):
            child = child.parent
        owner = child.parent
        if owner is None:
            self.rows = True
            return
        key = child.arg_key or ""
        if edited:
            operand = isinstance(owner, exp.SetOperation) and key in {"this", "expression"}
            self.clauses.add(_CLAUSES.get("" if operand else key, key))
        if isinstance(owner, exp.Select) and key == "expressions":
            self._mark_item(owner, child)
        else:
            self._mark_rows(owner)

    def mark_grouping(self, select: exp.Select) -> None:
        """Mark a SELECT as touched if only one version has one row a group."""
        self.clauses.add(_CLAUSES["expressions"])
        self._mark_rows(select)

    def mark_distinct(self, select: exp.Select) -> None:
        """Mark a SELECT DISTINCT as touched if it yields other values, whatever their names."""
        if select.args.get("distinct") is not None:
            self._mark_rows(select)

    def _mark_item(self, select: exp.Select, item: exp.Expr) -> None:
        name = item.alias_or_name
        if (
            id(item) in self._keys
            or yields_rows(item)
            or id(select) in self._whole
            or name in self._sorted_by[id(select)]
        ):
            self._mark_rows(select)
        if select is self.query:
            self.outputs.add(name)
        elif select.parent is not None and derived_query(select.parent) is None:
            self.mark(select.parent, edited=False)
        # A reader of a derived table's column names the column's content, so it is edited too.

    def _mark_rows(self, query: exp.Expr) -> None:
        if id(query) in self._done:
            return
        self._done.add(id(query))
        parent = query.parent
        if parent is None:
            self.rows = True
        elif isinstance(parent, exp.SetOperation):
            self._mark_rows(parent)
        elif isinstance(parent, exp.CTE):
            for table in self._readers[id(parent)]:
                self.mark(table, edited=False)
        else:
            self.mark(parent, edited=False)


def _items_decide(select: exp.Select) -> bool:
    """Whether any select item takes part in deciding the rows."""
    group, order = select.args.get("group"), select.args.get("order")
    keys = [*(group.expressions if group is not None else []), *(order.expressions if order is not None else [])]
    if any(map(_is_ordinal, keys)):
        return True
    node = select.parent
    while node is not None:
        if isinstance(node, exp.SetOperation | exp.Lateral) or (isinstance(node, exp.CTE) and is_recursive(node)):
            return True
        node = node.parent
    return False


def _output_of(node: exp.Expr, query: exp.Query) -> str:
    """Return the output of a query that a node belongs to, "" if that is one of an inner query."""
    while node.parent is not None and not isinstance(node.parent, exp.Select | exp.SetOperation):
        node = node.parent
    return node.alias_or_name if node.parent is query else ""


def _values(select: exp.Select) -> tuple[str, ...]:
    return tuple(sorted(Keys().of(item.unalias()) for item in select.selects))


def _is_ordinal(key: exp.Expr) -> bool:
    return isinstance(key.this if isinstance(key, exp.Ordered) else key, exp.Literal)
