"""Removal of the common parts of two queries, so that only the parts that an edit can have touched remain.

Linear in the trees. If the order of parts has a meaning (ORDER BY, outer joins), they have one place only before
the first and after the last that differ; terms, group keys, CTEs and cross-joined tables have that of their clause.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard, TypeVar

from sqlglot import exp

from compiler.diff.stable_names import Keys, derived_query
from compiler.tree.walk import nodes

E = TypeVar("E", bound=exp.Expr)
Pair = tuple[exp.Expr, exp.Expr]
Met = Callable[[exp.Select, exp.Select], None]
_HANDLED = {"with_", "from_", "joins", "expressions", "where", "having", "qualify", "group"}


@dataclass
class Left:
    """What is left of two trees.

    same: nodes of both that have the same place: queries, and their clauses. expressions: what differs within select
    items of one name, or within the one term of a clause, apart from the rest: it keeps its parents, and is compared by
    itself.
    """

    same: list[Pair] = field(default_factory=list)
    expressions: list[Pair] = field(default_factory=list)


def leave_out_common(old: exp.Query, new: exp.Query, met: Met) -> Left:
    """Remove the common parts of two queries under stable names, in place.

    met: is shown each SELECT with the one that has its place in the other tree, while both are whole.
    """
    comparison = _Comparison(met)
    comparison.queries(old, new)
    return comparison.left


def pairs_of_nodes(old: exp.Expr, new: exp.Expr, same: Iterable[Pair]) -> int:
    """Return the number of pairs of nodes that `sqlglot.diff` compares in two trees: those of a kind, leaves apart.

    same: nodes that it need not match.
    """
    known = {id(node) for pair in same for node in pair}
    counts: list[Counter[tuple[type[exp.Expr], bool]]] = []
    for tree in (old, new):
        whole = [node for node in nodes(tree) if not isinstance(node, exp.Identifier)]
        inner = {id(node.parent) for node in whole}
        kinds = ((type(node), id(node) in inner) for node in whole if id(node) not in inner or id(node) not in known)
        counts.append(Counter(kinds))
    return sum(count * counts[1][kind] for kind, count in counts[0].items())


class _Comparison:
    def __init__(self, met: Met) -> None:
        self.left = Left()
        self._met = met
        self._key = Keys().of

    def queries(self, old: exp.Expr, new: exp.Expr) -> None:
        """Remove the common parts of two queries that have one place."""
        if isinstance(old, exp.SetOperation) and isinstance(new, exp.SetOperation) and type(old) is type(new):
            self.left.same.append((old, new))
            for key in ("this", "expression"):
                one, other = old.args[key], new.args[key]
                if self._key(one) == self._key(other):
                    empty = exp.Select(), exp.Select()
                    one.replace(empty[0])
                    other.replace(empty[1])
                    self.left.same.append(empty)
                else:
                    self.queries(one, other)
            self._drop_equal(old, new, {"order", "limit", "offset", "with_"})
        elif isinstance(old, exp.Select) and isinstance(new, exp.Select):
            self._met(old, new)
            self._selects(old, new)

    def _selects(self, old: exp.Select, new: exp.Select) -> None:
        inner = [*self._ctes(old, new), *self._from(old, new)]
        items = self._items(old, new)
        for clause in ("where", "having", "qualify"):
            self._terms(old, new, clause)
        self._group(old, new)
        self._drop_equal(old, new, (old.args.keys() | new.args.keys()) - _HANDLED)
        self.left.same.append((old, new))
        for clause in ("with_", "from_", "where", "having", "qualify", "group"):
            one, other = old.args.get(clause), new.args.get(clause)
            if one is not None and other is not None:
                self.left.same.append((one, other))
        for one, other in inner:
            self.left.same.append((one, other))
            if isinstance(one.parent, exp.Join) and isinstance(other.parent, exp.Join):
                self.left.same.append((one.parent, other.parent))
            self.queries(one.this, other.this)
        for one, other in items:
            self._expressions(one, other)

    def _ctes(self, old: exp.Select, new: exp.Select) -> list[Pair]:
        """Drop equal CTEs; return those that have one name and differ."""
        one, other = old.args.get("with_"), new.args.get("with_")
        if one is None or other is None or bool(one.args.get("recursive")) != bool(other.args.get("recursive")):
            return []
        left, right = self._without_equal(one.expressions, other.expressions)
        for select, with_, kept in ((old, one, left), (new, other, right)):
            with_.set("expressions", kept)
            if not kept:
                select.set("with_", None)
        return _same_names(left, right)

    def _from(self, old: exp.Select, new: exp.Select) -> list[Pair]:
        """Drop equal FROM items; return the derived tables that have one name and differ."""
        (crossed, joins), (new_crossed, new_joins) = _parts_of_from(old), _parts_of_from(new)
        items, new_items = self._without_equal([one.this for one in crossed], [one.this for one in new_crossed])
        rest, new_rest = self._without_ends(joins, new_joins)
        for select, kept_items, kept_joins in ((old, items, rest), (new, new_items, new_rest)):
            kept = set(map(id, (*kept_items, *(join.this for join in kept_joins))))
            from_ = select.args.get("from_")
            if from_ is not None and id(from_.this) not in kept:
                select.set("from_", None)
            select.set("joins", [join for join in select.args.get("joins") or [] if id(join.this) in kept] or None)
        pairs = _same_names(items, new_items)
        if len(rest) == len(new_rest):
            for one, other in zip(rest, new_rest, strict=True):
                pairs += _same_names([one.this], [other.this])
        return pairs

    def _items(self, old: exp.Select, new: exp.Select) -> list[Pair]:
        """Drop equal select items: by position if branches or EXISTS, IN and the like read them so, else by name.

        Those that have one name and differ are taken out too, and returned.
        """
        left, right = self._without_equal(old.selects, new.selects)
        if old.parent is not None and derived_query(old.parent) is None:
            left, right = self._without_ends(old.selects, new.selects)
        named = {item.alias_or_name: item for item in right}
        pairs = [(item, named.pop(item.alias_or_name)) for item in left if item.alias_or_name in named]
        paired = {id(item) for pair in pairs for item in pair}
        for select, items in ((old, left), (new, right)):
            rest = [item for item in items if id(item) not in paired]
            select.args.pop("expressions", None)
            if rest:
                select.set("expressions", rest)
        return pairs

    def _expressions(self, old: exp.Expr, new: exp.Expr) -> None:
        """Go down in two expressions that differ, as long as they differ only in the nodes below."""
        if isinstance(old, exp.Select | exp.SetOperation) and isinstance(new, exp.Select | exp.SetOperation):
            self.left.expressions.append((old, new))
            self.queries(old, new)
            return
        below: list[Pair] = []
        if isinstance(old, exp.Connector) and type(old) is type(new):
            terms, new_terms = self._without_equal(list(old.flatten()), list(new.flatten()))
            if len(terms) == len(new_terms) == 1:
                below.append((terms[0], new_terms[0]))
        if below or (type(old) is type(new) and self._differ_below(old, new, below)):
            for one, other in below:
                self._expressions(one, other)
        else:
            self.left.expressions.append((old, new))

    def _differ_below(self, old: exp.Expr, new: exp.Expr, below: list[Pair]) -> bool:
        """Whether two nodes of a kind differ only in children, equal in number; these are added to `below`.

        If not, the ends of lists that are equal are dropped.
        """
        alike = True
        for key in sorted(old.args.keys() | new.args.keys()):
            one, other = old.args.get(key), new.args.get(key)
            if _are_nodes(one) and _are_nodes(other):
                kept, new_kept = self._without_ends(one, other)
                if len(kept) == len(new_kept):
                    below += zip(kept, new_kept, strict=True)
                else:
                    alike = False
                    old.set(key, kept)  # [] where none is left: CASE has to have its branches
                    new.set(key, new_kept)
            elif isinstance(one, exp.Expr) and isinstance(other, exp.Expr):
                if self._key(one) != self._key(other):
                    below.append((one, other))
                    alike = alike and not isinstance(one, exp.Identifier)  # which no edit script has
            else:
                alike = alike and (one or None) == (other or None)
        return alike and bool(below)

    def _terms(self, old: exp.Select, new: exp.Select, clause: str) -> None:
        one, other = old.args.get(clause), new.args.get(clause)
        if one is None or other is None:
            return
        left, right = self._without_equal(_flat(one.this), _flat(other.this))
        alone = len(left) == len(right) == 1
        for select, node, terms in ((old, one, left), (new, other, right)):
            if alone:
                select.set(clause, None)
                terms[0].parent, terms[0].arg_key = node, "this"
            elif terms:
                node.set("this", exp.and_(*terms, copy=False, wrap=False))
            else:
                select.set(clause, None)
        if alone:
            self._expressions(left[0], right[0])

    def _group(self, old: exp.Select, new: exp.Select) -> None:
        one, other = old.args.get("group"), new.args.get("group")
        if one is None or other is None:
            return
        if self._key(one) == self._key(other):
            old.set("group", None)
            new.set("group", None)
            return
        left, right = self._without_equal(one.expressions, other.expressions)
        one.set("expressions", left or None)
        other.set("expressions", right or None)

    def _drop_equal(self, old: exp.Expr, new: exp.Expr, keys: set[str]) -> None:
        for key in sorted(keys):
            one, other = old.args.get(key), new.args.get(key)
            if isinstance(one, exp.Expr) and isinstance(other, exp.Expr) and self._key(one) == self._key(other):
                old.set(key, None)
                new.set(key, None)

    def _without_equal(self, old: Sequence[E], new: Sequence[E]) -> tuple[list[E], list[E]]:
        """Return the multiset difference of two collections."""
        known: dict[str, list[int]] = defaultdict(list)
        for index, node in enumerate(new):
            known[self._key(node)].append(index)
        gone: set[int] = set()
        left: list[E] = []
        for node in old:
            indices = known.get(self._key(node))
            if indices:
                gone.add(indices.pop(0))
            else:
                left.append(node)
        return left, [node for index, node in enumerate(new) if index not in gone]

    def _without_ends(self, old: Sequence[E], new: Sequence[E]) -> tuple[list[E], list[E]]:
        """Return two lists without their common beginning, and then without their common end."""
        keys, new_keys = list(map(self._key, old)), list(map(self._key, new))
        shorter = min(len(keys), len(new_keys))
        start = 0
        while start < shorter and keys[start] == new_keys[start]:
            start += 1
        end = 0
        while end < shorter - start and keys[-1 - end] == new_keys[-1 - end]:
            end += 1
        return list(old[start : len(old) - end]), list(new[start : len(new) - end])


def _parts_of_from(select: exp.Select) -> tuple[list[exp.Expr], list[exp.Join]]:
    """Return FROM and the cross joins that follow it, whose order means nothing, and the joins after these."""
    from_ = select.args.get("from_")
    joins: list[exp.Join] = select.args.get("joins") or []
    number = next((index for index, join in enumerate(joins) if not _is_cross(join)), len(joins))
    return [*([from_] if from_ is not None else []), *joins[:number]], joins[number:]


def _is_cross(join: exp.Join) -> bool:
    given = {key for key, value in join.args.items() if value}
    return join.args.get("kind") == "CROSS" and given == {"this", "kind"} and not isinstance(join.this, exp.Lateral)


def _same_names(old: Sequence[exp.Expr], new: Sequence[exp.Expr]) -> list[Pair]:
    named = {one.alias: one for one in new if derived_query(one) is not None}
    return [(one, named[one.alias]) for one in old if derived_query(one) is not None and one.alias in named]


def _are_nodes(value: object) -> TypeGuard[list[exp.Expr]]:
    return isinstance(value, list) and bool(value) and all(isinstance(node, exp.Expr) for node in value)


def _flat(node: exp.Expr) -> list[exp.Expr]:
    return list(node.flatten()) if isinstance(node, exp.And) else [node]
