"""Where in the rule's text a node stands: turns a node into a located `SqlError`."""

from __future__ import annotations

from sqlglot import exp

from compiler.errors import SqlError


def position(node: exp.Expr) -> tuple[int | None, int | None]:
    """Return the 1-based line and column of the first token known in or above `node`.

    SQLGlot notes positions on identifiers, functions and a few more; the last character is what it counts, so the
    token's length is taken off.
    """
    for candidate in (*node.walk(bfs=False), *_ancestors(node)):
        meta = candidate.meta if candidate._meta else {}  # noqa: SLF001 — `.meta` would create a dict on every node
        line, last, start, end = (meta.get(key) for key in ("line", "col", "start", "end"))
        if line is not None and last is not None:
            width = end - start if start is not None and end is not None else 0
            return line, max(1, last - width)
    return None, None


def located(node: exp.Expr, message: str, *, hint: str | None = None, code: str = "sql") -> SqlError:
    """Return a `SqlError` placed at `node`."""
    line, column = position(node)
    return SqlError(message, line=line, column=column, hint=hint, code=code)


def _ancestors(node: exp.Expr) -> list[exp.Expr]:
    above = []
    parent = node.parent
    while parent is not None:
        above.append(parent)
        parent = parent.parent
    return above
