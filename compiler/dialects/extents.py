"""Where in a text an expression is written, from its first character to its last, parentheses and calls included.

SQLGlot notes the places of names and literals only. So the tokens around those are tried until the text between them,
read by itself, is the very expression.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.errors import SqlError
from compiler.sql.dialect import DIALECT, parse, render
from compiler.sql.encode import dump

_AROUND = 12
"""Tokens to try before the first and after the last whose place is known."""
_PRIMARY = (
    exp.Column, exp.Literal, exp.Paren, exp.Case, exp.Cast, exp.Subquery, exp.Bracket, exp.Boolean, exp.Null, exp.Func,
    exp.Star, exp.Parameter, exp.Exists,
)  # fmt: skip
_OPERATORS = (exp.Binary, exp.Unary, exp.Between, exp.In, exp.Is, exp.Bracket, exp.Cast, exp.AtTimeZone, exp.Escape)


def is_primary(node: exp.Expr) -> bool:
    """Whether an expression needs no parentheses beside an operator."""
    connects = isinstance(node, exp.Binary | exp.Neg | exp.Not | exp.RegexpLike | exp.RegexpILike | exp.And | exp.Or)
    return isinstance(node, _PRIMARY) and (not connects or isinstance(node, exp.Paren))


def is_operand(node: exp.Expr) -> bool:
    """Whether an operator is right around an expression."""
    around = node.parent
    return isinstance(around, _OPERATORS) and not isinstance(around, exp.Paren | exp.Alias)


def fragment(text: str) -> exp.Expr | None:
    """Return the expression that a text is; None if it is none."""
    try:
        query = parse(f"SELECT {text} AS x")
    except SqlError:
        return None
    selects = query.selects if isinstance(query, exp.Select) else []
    alone = (
        len(selects) == 1
        and isinstance(selects[0], exp.Alias)
        and len([one for one in query.args.values() if one]) == 1
    )
    return selects[0].this if alone else None


def same(one: exp.Expr, other: exp.Expr) -> bool:
    """Whether two expressions are written alike; which table a name is bound to does not count."""
    return bool(dump(one, _blind) == dump(other, _blind))


def _blind(node: exp.Expr) -> object:
    return ["Table", {"this": node.name}] if isinstance(node, exp.Table) else None


class Extents:
    """The places of the expressions of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [(token.start, token.end + 1) for token in DIALECT().tokenize(text)]
        self._starts = {start: at for at, (start, _) in enumerate(self.tokens)}
        self._found: dict[int, tuple[exp.Expr, tuple[int, int] | None]] = {}

    def of(self, node: exp.Expr) -> tuple[int, int] | None:
        """Return the first character of an expression and the one behind its last; None if they cannot be known."""
        if id(node) not in self._found:
            self._found[id(node)] = (node, self._search(node))
        return self._found[id(node)][1]

    def _search(self, node: exp.Expr) -> tuple[int, int] | None:
        known = []
        for inner in node.walk():
            start = (inner._meta or {}).get("start")  # noqa: SLF001 — `.meta` would create a dict on every node
            at = self._starts.get(start) if start is not None else None
            if at is not None:
                known.append(at)
        if not known:
            return None
        least, most = min(known), max(known)
        for width in range(2 * _AROUND):
            for before in range(max(0, width - _AROUND), min(width, _AROUND) + 1):
                first, last = least - before, most + width - before
                if first < 0 or last >= len(self.tokens):
                    continue
                start, end = self.tokens[first][0], self.tokens[last][1]
                part = self.text[start:end]
                if (part.count("(") != part.count(")") and "'" not in part) or part[-4:].upper() == "OVER":
                    continue
                found = fragment(part)
                if found is not None and same(found, node):
                    return start, end
        return None

    def written(self, node: exp.Expr) -> str | None:
        """Return an expression as it is written; if its place cannot be known, as it is rendered."""
        place = self.of(node)
        if place is not None:
            return self.text[slice(*place)]
        if node.find(exp.Query) is not None:
            return None
        try:
            return render(node)
        except SqlError:
            return None

    def operand(self, node: exp.Expr) -> str | None:
        """Return an expression as it is written, in parentheses if it needs them beside an operator."""
        text = self.written(node)
        return text if text is None or is_primary(node) else f"({text})"

    def argument(self, node: exp.Expr, *, alone: bool) -> str:
        """Return an expression as it is written. alone: it is an argument of a call, which needs no parentheses."""
        return (self.written(node) if alone else self.operand(node)) or ""

    def words_after(self, end: int, count: int) -> list[tuple[str, int]]:
        """Return the tokens that follow a place: each in upper case, with the place behind it."""
        return [(self.text[start:stop].upper(), stop) for start, stop in self.tokens if start >= end][:count]
