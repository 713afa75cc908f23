"""Sort keys of FROM items that are joined in any order: by the query's use of each, independent of its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.canonical.grouping import is_plain_group
from compiler.canonical.joins import conjuncts, where_terms
from compiler.names.lexical import Reference
from compiler.sql.encode import blind_key, encode
from compiler.tree.walk import find_all

_MOST_TELLING = 8
"""A term of more tables than this counts the same for each of them."""
_INTERNAL = re.compile(r"_[tc]\d+")
_SYMMETRIC = frozenset({exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ})
_CONNECTIVES = frozenset({exp.And, exp.Or})
_UPWARD = frozenset({exp.LT, exp.LTE})
_SUMS = frozenset({exp.Add, exp.Sub})
_TABLES = frozenset({exp.Table, exp.TableAlias})
_FLIPPED: Mapping[type[exp.Expr], str] = {exp.GT: "LT", exp.GTE: "LTE"}

Owned = Mapping[int, list[exp.Column]]
"""The columns of each FROM item, by the node's id."""


def columns_of_items(query: exp.Query, facts: Facts) -> Owned:
    """The columns of every FROM item of a query, subqueries' references to it included."""
    owned: dict[int, list[exp.Column]] = {}
    references: list[Reference] = facts.names(query).references
    for reference in references:
        owned.setdefault(id(reference.item), []).append(reference.column)
    return owned


def item_keys(
    select: exp.Select,
    items: list[exp.Expr],
    owned: Owned,
    types: Types,
    ignored: AbstractSet[int] = frozenset(),
) -> dict[int, tuple[str, ...]]:
    """Return a sort key of each FROM item, made from all places that use its columns, without names."""
    own = {id(column): item for item in items for column in owned.get(id(item), ()) if id(column) not in ignored}
    outputs = {id(item): _output_positions(item) for item in items}
    labels = {
        column: outputs[id(item)].get(name, name)
        for item in items
        for node in owned.get(id(item), ())
        for column, name in ((id(node), node.name),)
    }
    uses: dict[int, list[str]] = {id(item): [] for item in items}
    for label, unit in _units(select):
        found: dict[int, set[int]] = {}
        for column in find_all(unit, exp.Column):
            if id(column) in own:
                found.setdefault(id(own[id(column)]), set()).add(id(column))
        if len(found) > _MOST_TELLING:
            shared = label + _Telling(frozenset(), labels, ignored, types).of(unit)
            for item in found:
                uses[item].append(shared)
        else:
            for item, columns in found.items():
                uses[item].append(label + _Telling(columns, labels, ignored, types).of(unit))
    return {id(item): (_body(item), *sorted(uses[id(item)])) for item in items}


def _units(select: exp.Select) -> Iterator[tuple[str, exp.Expr]]:
    """The parts of a SELECT that differ without names, each with a label of its place."""
    for index, item in enumerate(select.expressions):
        yield f"s{index:06}", item
    for term in where_terms(select):
        yield "w", term
    for join in select.args.get("joins") or []:
        if join.args.get("on") is not None:
            for term in conjuncts(join.args["on"]):
                yield "j", term
    for node in as_list(select.args.get("group")):
        # Another pass orders the keys by the names of the tables, which follow from the order decided here.
        for one in node.expressions if is_plain_group(node) else [node]:
            yield "group", one
    for key in ("having", "order", "qualify", "distinct"):
        for node in as_list(select.args.get(key)):
            yield key, node


def as_list(value: object) -> list[exp.Expr]:
    """Return the nodes of an argument, one or several."""
    values = value if isinstance(value, list) else [value]
    return [node for node in values if isinstance(node, exp.Expr)]


def _body(item: exp.Expr) -> str:
    return blind_key(item.this) if isinstance(item, exp.Subquery) else ""


def _output_positions(item: exp.Expr) -> dict[str, str]:
    if isinstance(item, exp.Subquery) and isinstance(item.this, exp.Query):
        return {name: f"#{index}" for index, name in enumerate(item.this.named_selects)}
    return {}


@dataclass(frozen=True)
class _Telling:
    """Describes trees: the columns in `own` are marked, and parts that other passes order by name are in one order."""

    own: AbstractSet[int]
    labels: Mapping[int, str]
    ignored: AbstractSet[int]
    types: Types

    def of(self, node: exp.Expr) -> str:
        """Describe a tree."""
        kind = type(node)
        if kind is exp.Column:
            if id(node) in self.ignored:
                return "?"
            name = self.labels.get(id(node), node.name)
            return ("!" if id(node) in self.own else "") + _INTERNAL.sub("", name)
        if kind in _TABLES:
            return kind.__name__
        if kind is exp.Identifier:
            return _INTERNAL.sub("", node.name)
        if kind is exp.Alias:
            return self.of(node.this)
        if not any(True for _ in node.iter_expressions()):
            return encode(node).decode()
        if kind is exp.GroupingSets or (kind is exp.Tuple and isinstance(node.parent, exp.GroupingSets)):
            return self._unordered(kind.__name__, node.expressions)
        return self._arithmetic(node) or self._comparison(node) or self._call(node)

    def _arithmetic(self, node: exp.Expr) -> str | None:
        """Describe an integer sum by its added and subtracted terms, a product by its factors."""
        if type(node) is exp.Mul and self.types.is_integer(node):
            return self._unordered("Mul", _terms(node))
        if type(node) not in _SUMS or not self.types.is_integer(node):
            return None
        signed: list[str] = []
        pending = [(node, "+")]
        while pending:
            term, sign = pending.pop()
            if type(term) in _SUMS:
                other = {"+": "-", "-": "+"}[sign] if isinstance(term, exp.Sub) else sign
                pending += [(term.this, sign), (term.expression, other)]
            else:
                signed.append(sign + self.of(term))
        return f"Sum({','.join(sorted(signed))})"

    def _comparison(self, node: exp.Expr) -> str | None:
        kind = type(node)
        if kind in _CONNECTIVES:
            return self._unordered(kind.__name__, _terms(node))
        if kind in _SYMMETRIC:
            return self._unordered(kind.__name__, (node.this, node.expression))
        if kind in _FLIPPED:
            return f"{_FLIPPED[kind]}({self.of(node.expression)},{self.of(node.this)})"
        if kind in _UPWARD:
            return f"{kind.__name__}({self.of(node.this)},{self.of(node.expression)})"
        return None

    def _call(self, node: exp.Expr) -> str:
        parts = [
            f"{key}="
            + ",".join(
                self.of(child) if isinstance(child, exp.Expr) else str(child)
                for child in (value if isinstance(value, list) else [value])
            )
            for key, value in sorted(node.args.items())
            if value is not None and value is not False and value != []
        ]
        return f"{type(node).__name__}({';'.join(parts)})"

    def _unordered(self, name: str, nodes: Iterable[exp.Expr]) -> str:
        return f"{name}({','.join(sorted(map(self.of, nodes)))})"


def _terms(root: exp.Expr) -> Iterator[exp.Expr]:
    pending = [root]
    while pending:
        node = pending.pop()
        if type(node) is type(root):
            pending += [node.expression, node.this]
        else:
            yield node
