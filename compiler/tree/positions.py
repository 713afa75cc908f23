"""Places of nodes in the rule's text: node → located `SqlError`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.errors import SqlError

if TYPE_CHECKING:
    from sqlglot import exp


def position(node: exp.Expr) -> tuple[int | None, int | None]:
    """Return the 1-based line and column of the first token known in `node`, else in the nodes around it.

    SQLGlot notes positions on identifiers, literals, functions and a few more. It walks `o.amount` from the name, so
    the first token is the earliest in the text, not in the tree.
    """
    around: exp.Expr | None = node
    while around is not None:
        places = [place for inner in around.walk() if (place := _own(inner)) is not None]
        if places:
            return min(places)
        around = around.parent
    return None, None


def located(node: exp.Expr, message: str, *, hint: str | None = None, code: str = "sql") -> SqlError:
    """Return a `SqlError` placed at `node`."""
    line, column = position(node)
    return SqlError(message, line=line, column=column, hint=hint, code=code)


def _own(node: exp.Expr) -> tuple[int, int] | None:
    """Return the start of the node's own token; SQLGlot counts columns to its last character."""
    meta = node.meta if node._meta else {}  # noqa: SLF001 — `.meta` would create a dict on every node
    line, last, start, end = (meta.get(key) for key in ("line", "col", "start", "end"))
    if line is None or last is None or start == 0:
        return (
            None  # a query begins with a keyword, which is not a node: a node at that place is from SQLGlot's own text
        )
    width = end - start if start is not None and end is not None else 0
    return line, max(1, last - width)
