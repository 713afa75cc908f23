"""Mutations of values: each makes another query of most queries, in a way that a careless pass may overlook."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from compiler.sql.functions import ScalarFunction
from properties.drafts import COMPARISONS, Draft, name, own, owner

_FLOATS = ("float32", "float64")


def _floats(draft: Draft, *kinds: type[exp.Expr]) -> list[exp.Expr]:
    def of_floats(node: exp.Expr) -> bool:
        return any(draft.types.of(column) in _FLOATS for column in own(node, exp.Column))

    return draft.find(*kinds, where=of_floats)


def other_column(draft: Draft) -> None:
    """a.x → a.y of the same type."""
    columns = [node for node in draft.tree.find_all(exp.Column) if node.table]
    node = draft.pick(columns)
    if node is None:
        return
    kind = draft.types.of(node)
    others = [
        one for one in columns
        if one.table == node.table and one.name != node.name and draft.types.of(one) == kind
    ]  # fmt: skip
    other = draft.pick(others)
    if kind is not None and other is not None:
        draft.put(node, other.copy())


def column_of_another_item(draft: Draft) -> None:
    """a.x → b.x, where both are in sight."""
    columns = [node for node in draft.tree.find_all(exp.Column) if node.table]
    node = draft.pick(columns)
    if node is not None:
        kind = draft.types.of(node)
        others = [one for one in columns if one.table != node.table and owner(one) is owner(node)
                  and kind is not None and draft.types.of(one) == kind]  # fmt: skip
        other = draft.pick(others)
        if other is not None:
            draft.put(node, other.copy())


def swap_case_branches(draft: Draft) -> None:
    """CASE WHEN p THEN a ELSE b END → CASE WHEN p THEN b ELSE a END."""
    node = draft.pick(draft.find(exp.Case, where=lambda n: n.args.get("default") is not None))
    if node is not None:
        branch, default = node.args["ifs"][0], node.args["default"].copy()
        node.set("default", branch.args["true"].copy())
        branch.set("true", default)
        draft.changed = True


def drop_else(draft: Draft) -> None:
    """CASE WHEN p THEN a ELSE b END → CASE WHEN p THEN a END."""
    node = draft.pick(draft.find(exp.Case, where=lambda n: n.args.get("default") is not None))
    if node is not None:
        node.set("default", None)
        draft.changed = True


def negate_case(draft: Draft) -> None:
    """CASE WHEN p THEN a ELSE b END → CASE WHEN NOT p THEN b ELSE a END, which differs where p is NULL."""
    node = draft.pick(draft.find(exp.Case, where=lambda n: n.args.get("default") is not None and n.this is None
                                 and len(n.args["ifs"]) == 1))  # fmt: skip
    if node is not None:
        branch, default = node.args["ifs"][0], node.args["default"].copy()
        node.set("default", branch.args["true"].copy())
        branch.set("true", default)
        branch.set("this", exp.Not(this=branch.this.copy()))
        draft.changed = True


def swap_coalesce(draft: Draft) -> None:
    """COALESCE(a, b) → COALESCE(b, a)."""
    node = draft.pick(draft.find(exp.Coalesce, where=lambda n: bool(n.expressions)))
    if node is not None:
        first, second = node.this.copy(), node.expressions[0].copy()
        node.set("this", second)
        node.set("expressions", [first, *(item.copy() for item in node.expressions[1:])])
        draft.changed = True


def drop_coalesce(draft: Draft) -> None:
    """COALESCE(a, b) → a."""
    node = draft.pick(draft.find(exp.Coalesce))
    if node is not None:
        draft.put(node, node.this.copy())


def swap_nullif(draft: Draft) -> None:
    """nullif(a, b) → nullif(b, a)."""
    node = draft.pick(draft.find(ScalarFunction, where=lambda n: n.name.lower() == "nullif"))
    if node is not None:
        node.set("expressions", [item.copy() for item in reversed(node.expressions)])
        draft.changed = True


def concat_for_pipes(draft: Draft) -> None:
    """a || b → concat(a, b), which skips NULL."""
    node = draft.pick(draft.find(exp.DPipe))
    if node is not None:
        draft.put(node, ScalarFunction(this="concat", expressions=[node.this.copy(), node.expression.copy()]))


def reassociate_floats(draft: Draft) -> None:
    """(x + y) + z → x + (y + z)."""
    node = draft.pick([one for one in _floats(draft, exp.Add, exp.Mul) if type(one.this) is type(one)])
    if node is not None:
        inner = type(node)(this=node.this.expression.copy(), expression=node.expression.copy())
        draft.put(node, type(node)(this=node.this.this.copy(), expression=inner))


def commute_floats(draft: Draft) -> None:
    """x + y → y + x: of two NaN the first one's sign stays."""
    node = draft.pick([one for one in _floats(draft, exp.Add, exp.Mul) if one.this != one.expression])
    if node is not None:
        draft.put(node, type(node)(this=node.expression.copy(), expression=node.this.copy()))


def add_zero_to_float(draft: Draft) -> None:
    """x → x + 0.0: -0.0 becomes 0.0."""
    node = draft.pick(draft.find(exp.Column, where=lambda n: draft.types.of(n) in _FLOATS))
    if node is not None:
        draft.put(node, exp.Add(this=node.copy(), expression=exp.Literal.number("0.0")))


def widen(draft: Draft) -> None:
    """a → a + 0, an int that becomes a bigint."""
    node = draft.pick(draft.find(exp.Column, exp.Add, exp.Sub, exp.Mul, where=lambda n: draft.types.of(n) == "int32"
                                 and not isinstance(n.parent, (*COMPARISONS, exp.Is))))  # fmt: skip
    if node is not None:
        draft.put(node, exp.Add(this=node.copy(), expression=exp.Literal.number("0")))


def drop_cast(draft: Draft) -> None:
    """CAST(a AS BIGINT) → a."""
    node = draft.pick(draft.find(exp.Cast, where=lambda n: not isinstance(n.this, exp.Literal)))
    if node is not None:
        draft.put(node, node.this.copy())


def add_cast(draft: Draft) -> None:
    """a → CAST(a AS …) of a narrower or a wider type."""
    targets = {"int32": "BIGINT", "int64": "INT", "float32": "DOUBLE", "float64": "FLOAT"}
    node = draft.pick(draft.find(exp.Column, where=lambda n: draft.types.of(n) in targets))
    if node is not None:
        kind = exp.DataType.build(targets[draft.types.of(node) or ""])
        draft.put(node, exp.Cast(this=node.copy(), to=kind))


def change_arithmetic(draft: Draft) -> None:
    """a + b → a - b; a * b → a + b."""
    node = draft.pick(draft.find(exp.Add, exp.Sub, exp.Mul))
    if node is not None:
        other = exp.Sub if isinstance(node, exp.Add) else exp.Add
        draft.put(node, other(this=node.this.copy(), expression=node.expression.copy()))


def regroup_arithmetic(draft: Draft) -> None:
    """(a - b) - c → a - (b - c); (a + b) * c → a + b * c."""
    node = draft.pick(draft.find(exp.Sub, exp.Mul, where=lambda n: isinstance(n.this, exp.Add | exp.Sub)))
    if node is not None:
        inner = type(node)(this=node.this.expression.copy(), expression=node.expression.copy())
        draft.put(node, type(node.this)(this=node.this.this.copy(), expression=inner))


def move_over_comparison(draft: Draft) -> None:
    """a + 1 > b → a > b - 1, which differs where the sum wraps around."""
    found = draft.find(exp.LT, exp.GT, exp.LTE, exp.GTE, where=lambda n: isinstance(n.this, exp.Add))
    node = draft.pick(found)
    if node is not None:
        rest = exp.Sub(this=node.expression.copy(), expression=node.this.expression.copy())
        draft.put(node, type(node)(this=node.this.this.copy(), expression=rest))


def change_call(draft: Draft) -> None:
    """upper(a) → lower(a); trim(a) → ltrim(a)."""
    others = {"upper": "lower", "trim": "ltrim", "btrim": "rtrim", "nvl": "nullif", "concat": "concat_ws"}
    node = draft.pick(draft.find(ScalarFunction, where=lambda n: n.name.lower() in others))
    if node is not None:
        node.set("this", others[node.name.lower()])
        draft.changed = True


def drop_negation(draft: Draft) -> None:
    """-a → a."""
    node = draft.pick(draft.find(exp.Neg))
    if node is not None:
        draft.put(node, node.this.copy())


def or_for_and_of_not(draft: Draft) -> None:
    """a <> 1 AND a <> 2 → a <> 1 OR a <> 2, below NOT too; NOT (a AND b) → NOT a AND NOT b."""
    node = draft.pick(draft.find(exp.Not, where=lambda n: isinstance(n.this, exp.And | exp.Or)))
    if node is not None:
        kind = type(node.this)
        sides = [exp.Not(this=side.copy()) for side in (node.this.this, node.this.expression)]
        draft.put(node, kind(this=sides[0], expression=sides[1]))


def rename_output(draft: Draft) -> None:
    """SELECT a AS b → SELECT a AS "B"."""
    select = draft.tree
    if not isinstance(select, exp.Select) or select.args.get("order"):
        return
    item = draft.pick([one for one in select.selects if isinstance(one, exp.Alias)])
    if item is not None:
        text = item.alias.swapcase() if draft.rng.random() < 0.5 else item.alias + " "
        if text != item.alias and text not in select.named_selects:
            item.set("alias", name(text))
            draft.changed = True


MUTATIONS: tuple[Callable[[Draft], None], ...] = (
    other_column, column_of_another_item, swap_case_branches, drop_else, negate_case, swap_coalesce, drop_coalesce,
    swap_nullif, concat_for_pipes, reassociate_floats, commute_floats, add_zero_to_float, widen, drop_cast,
    add_cast, change_arithmetic, regroup_arithmetic, move_over_comparison, change_call, drop_negation,
    or_for_and_of_not, rename_output,
)  # fmt: skip
