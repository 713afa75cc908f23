"""The canonical AST: one tree for rules that mean the same. Passes are functions in a tuple, each sound by itself.

The canonical form decides what is compared, never what is executed: the engine runs the executed form of
`compiler.qualify`. A pass may always do less (rules that mean the same then differ, which costs a rebuild), never more
(rules that differ would share a result). Idempotent: a canonical tree is its own canonical form.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from compiler.dialect import render
from compiler.passes.ctes import inline_single_use_ctes, order_ctes
from compiler.passes.fields import spell_fields
from compiler.passes.joins import spell_joins
from compiler.passes.names import number_names
from compiler.passes.ordering import spell_ordering
from compiler.passes.predicates import drop_parens, orient_comparisons, push_not, sort_connectors
from compiler.resolve import INPUT_DB

Pass = Callable[[exp.Query], exp.Query]

NAMING_PASSES: tuple[Pass, ...] = (drop_parens, spell_fields, number_names)
"""What may be done even to a rule with volatile calls: nothing is moved, merged or dropped."""

PASSES: tuple[Pass, ...] = (
    drop_parens,
    spell_fields,
    inline_single_use_ctes,
    order_ctes,
    spell_joins,
    spell_ordering,
    number_names,
    push_not,
    orient_comparisons,
    sort_connectors,
)

AGAIN: tuple[Pass, ...] = (number_names, orient_comparisons, sort_connectors)
"""Numbers follow the order in which scopes are visited, so they are given anew where that order has just changed."""


def canonical(query: exp.Query, *, volatile: bool = False) -> tuple[exp.Query, tuple[str, ...]]:
    """Return the canonical AST of an executed form (which is left as it is) and the inputs, in order of position.

    Inputs are named by position in the tree ("0", "1", …), so renaming a product changes nothing.
    """
    tree = query.copy()
    for rewrite in NAMING_PASSES if volatile else PASSES:
        tree = rewrite(tree)
    if not volatile and _numbers_may_have_moved(tree):
        for rewrite in AGAIN:
            tree = rewrite(tree)
    positions: dict[str, str] = {}
    for table in tree.find_all(exp.Table, bfs=False):
        if table.db == INPUT_DB:
            number = positions.setdefault(table.name, str(len(positions)))
            table.set("this", exp.Identifier(this=number, quoted=True))
    return tree, tuple(positions)


def _numbers_may_have_moved(tree: exp.Query) -> bool:
    """Whether the order of predicates can show in internal names: a query stands in one, or a source has no SELECT."""
    if tree.find(exp.Values, exp.Unnest, exp.Lateral) is not None:
        return True
    if any(with_.recursive for with_ in tree.find_all(exp.With)):
        return True
    if any(not isinstance(table.this, exp.Identifier) for table in tree.find_all(exp.Table)):
        return True
    predicates = (exp.And, exp.Or, exp.EQ, exp.NEQ)
    return any(select.find_ancestor(*predicates) is not None for select in tree.find_all(exp.Select))


def rendered(tree: exp.Query) -> str:
    """Return a canonical tree as SQL text, with the parentheses that text needs."""
    return render(_parenthesised(tree.copy()))


_OPERATORS = (exp.Binary, exp.Unary, exp.Between, exp.In, exp.Not)
_SPELLED_AS_CALLS = (exp.Func, exp.Dot, exp.Paren, exp.PropertyEQ, exp.Kwarg, exp.Slice, exp.Distinct, exp.Alias)


def _parenthesised(tree: exp.Query) -> exp.Query:
    for node in list(tree.walk()):
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
