"""Ibis's tree → the tree that our parser would have made, node by node.

Ibis calls functions through SQLGlot's own nodes, whose names belong to no engine. Its generator knows how each node
is spelled: with every operand a placeholder, the single call is written out, read by our grammar, and given its
operands. So Ibis's calls and an author's become the same nodes, and the same whitelist judges both.
"""

from __future__ import annotations

from collections.abc import Callable

from ibis.backends.sql.dialects import DataFusion
from sqlglot import exp

from compiler.sql.dialect import parse
from compiler.sql.functions import function_name
from compiler.sql.supported import check

_PLACEHOLDER = "~operand"
# Part of a call's spelling, so they are written with it.
_SYNTAX = (exp.Var, exp.DataType, exp.Literal, exp.Identifier, exp.Null, exp.Boolean)
# Between a call and its operands.
_TRANSPARENT = (exp.Order, exp.Ordered, exp.Distinct, exp.Tuple)
# Nodes with one meaning in both dialects.
_OWN = (exp.And, exp.Or, exp.Case, exp.If, exp.Cast, exp.TryCast, exp.Exists, exp.Count, exp.Avg, exp.Sum)
# Ibis gives every window a frame.
_FRAMELESS = frozenset({"cume_dist", "dense_rank", "lag", "lead", "ntile", "percent_rank", "rank", "row_number"})
_BOUNDS = ("kind", "start", "end", "start_side", "end_side")


def adopted(tree: exp.Expr) -> exp.Query:
    """Return Ibis's tree in the nodes of our dialect. Raises `SqlError`."""
    return check(_adopt(tree.copy()))  # Ibis uses one node in several places


def _adopt(node: exp.Expr) -> exp.Expr:
    """Return `node` with everything below it in our dialect's nodes."""
    for key, value in list(node.args.items()):
        if isinstance(value, list | tuple):
            node.set(key, [_adopt(item) if isinstance(item, exp.Expr) else item for item in value])
        elif isinstance(value, exp.Expr):
            node.set(key, _adopt(value))
    if isinstance(node, exp.Func | exp.Interval) and not isinstance(node, _OWN):
        return _respelled(node)
    settle = _SETTLED.get(type(node))
    return node if settle is None else settle(node)


def _respelled(call: exp.Expr) -> exp.Expr:
    """StrPosition(this=name, substr='x') → strpos(name, 'x'), as the engine's grammar reads it."""
    operands: list[exp.Expr] = []
    _hide_operands(call, operands)
    spelled = parse(f"SELECT {call.sql(dialect=DataFusion)} AS call").selects[0].this.pop()
    for node in spelled.walk():
        node._meta = None  # noqa: SLF001 — places in a text that nobody wrote

    def shown(node: exp.Expr) -> exp.Expr:
        hidden = isinstance(node, exp.Column) and node.name.startswith(_PLACEHOLDER)
        return operands[int(node.name.removeprefix(_PLACEHOLDER))] if hidden else node

    result: exp.Expr = spelled.transform(shown, copy=False)
    return result


def _hide_operands(node: exp.Expr, operands: list[exp.Expr]) -> None:
    for child in list(node.iter_expressions()):
        if isinstance(child, _TRANSPARENT):
            _hide_operands(child, operands)
        elif not isinstance(child, _SYNTAX):
            child.replace(exp.column(f"{_PLACEHOLDER}{len(operands)}", quoted=True))
            operands.append(child)


def _settle_frame(node: exp.WindowSpec) -> exp.Expr:
    """ROWS BETWEEN 3 preceding … → ROWS BETWEEN 3 PRECEDING …."""
    node.set("over", None)
    for word in _BOUNDS:
        if isinstance(node.args.get(word), str):
            node.set(word, node.args[word].upper())
    return node


def _settle_window(node: exp.Window) -> exp.Expr:
    """rank() OVER (ORDER BY x ROWS …) → rank() OVER (ORDER BY x), if the function has no use for a frame."""
    node.set("over", "OVER")
    if function_name(node) in _FRAMELESS:
        node.set("spec", None)
    return node


def _settle_division(node: exp.Div) -> exp.Expr:
    """A / b → CAST(a AS DOUBLE) / b: Ibis divides integers into fractions, the engine does not."""
    if not node.args.get("typed"):
        node.set("this", exp.cast(node.this, "DOUBLE"))
    node.set("typed", value=True)
    node.set("safe", value=False)
    return node


def _settle_choice(node: exp.If) -> exp.Expr:
    """IF(p, a, b) → CASE WHEN p THEN a ELSE b END."""
    if node.arg_key == "ifs":
        return node
    default = node.args.get("false")
    node.set("false", None)
    return exp.Case(ifs=[node], default=default)


def _settle_join(node: exp.Join) -> exp.Expr:
    for word in ("side", "kind", "method"):
        if node.args.get(word):
            node.set(word, node.args[word].upper())
    return node


def _settle_alias(node: exp.CTE | exp.Subquery | exp.Table) -> exp.Expr:
    """AS t4 → AS "t4"."""
    alias = node.args.get("alias")
    name = alias.this if isinstance(alias, exp.TableAlias) else alias
    if name is not None:
        identifier = exp.to_identifier(name.name if isinstance(name, exp.Identifier) else name, quoted=True)
        node.set("alias", exp.TableAlias(this=identifier))
    return node


def _settle_null_test(node: exp.Is) -> exp.Expr:
    """X IS (NOT NULL) → NOT (x IS NULL)."""
    test = node.expression
    if not isinstance(test, exp.Not):
        return node
    node.set("expression", test.this)
    return exp.Not(this=node)


def _settle_star(node: exp.Star) -> exp.Expr:
    """Mark a star as written: SQLGlot's parser makes others of its own, which `check` refuses."""
    node.meta["start"] = 1
    return node


def _with(name: str, *, value: object = None) -> Callable[[exp.Expr], exp.Expr]:
    def settle(node: exp.Expr) -> exp.Expr:
        node.set(name, value)
        return node

    return settle


_SETTLED: dict[type[exp.Expr], Callable[..., exp.Expr]] = {
    exp.Cast: _with("copy"),
    exp.Count: _with("big_int"),
    exp.DPipe: _with("safe", value=True),
    exp.Div: _settle_division,
    exp.If: _settle_choice,
    exp.Is: _settle_null_test,
    exp.Join: _settle_join,
    exp.Star: _settle_star,
    exp.CTE: _settle_alias,
    exp.Subquery: _settle_alias,
    exp.Table: _settle_alias,
    exp.TryCast: _with("copy"),
    exp.Window: _settle_window,
    exp.WindowSpec: _settle_frame,
}
