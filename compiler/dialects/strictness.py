"""What is refused in a rule in another dialect because too little is known of it, where `rules check` lets it be."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.dialects.view import View

Unsettled = tuple[exp.Expr, str, str, str]
"""A node, the code of the habit that may be there, why it is refused, and what to write."""
_INTEGERS = (exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT)
_TEXTS = (exp.DType.VARCHAR, exp.DType.TEXT, exp.DType.CHAR)
_CAST = "cast it to the type that it has there"


def unsettled(view: View) -> Iterator[Unsettled]:
    """Yield the expressions whose meaning depends on a type that is not known."""
    for node in view.every(exp.Div):
        if not _is_settled(view, "R016", node) and any(
            _is_unknown(view, side) for side in (node.this, node.expression)
        ):
            yield node, "R016", f"what {view.title} makes of this division depends on types that are not known", _CAST
    for node in view.every(exp.Cast):
        to = node.args["to"].this
        if to in (*_INTEGERS, *_TEXTS) and _is_unknown(view, node.this):
            code = "R030" if to in _INTEGERS else "R035"
            if _is_settled(view, code, node):
                continue
            yield node, code, f"what {view.title} makes of this cast depends on a type that is not known", _CAST
    for node in view.every(exp.Distinct):
        if isinstance(node.parent, exp.Func) and len(node.expressions) > 1:
            message = f"whether {view.title} counts rows with a NULL among several values is not known to be as here"
            yield node, "R046", message, "count the rows of a subquery with SELECT DISTINCT"
    for node in view.every(exp.Bracket):
        index = node.expressions[0] if len(node.expressions) == 1 else None
        if view.letter in "SBK" and index is not None and not isinstance(index, exp.Literal):
            message = f"the first element has the index 1 here, and 0 in {view.title}"
            yield node, "R038", message, "write array_element(l, n + 1) in a rule in our SQL"


def _is_settled(view: View, code: str, node: exp.Expr) -> bool:
    return view.settled is not None and view.settled(code, node)


def _is_unknown(view: View, node: exp.Expr) -> bool:
    return view.kind(node) is None and not isinstance(node.unnest(), exp.Null | exp.Boolean)
