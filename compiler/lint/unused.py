"""R013: CTEs that nothing reads."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from compiler.lint.findings import Edit, Fix, Found, span, token_span
from compiler.lint.query_view import Subject
from compiler.names.resolve import fold
from compiler.sql.dialect import DIALECT


def unused_ctes(subject: Subject) -> list[Found]:
    """WITH a AS (…), b AS (…) SELECT … FROM a → R013 at b. A CTE that only an unused CTE reads is unused too."""
    used = _used(subject)
    found: list[Found] = []
    unused = [cte for cte in subject.names.ctes if id(cte) not in used]
    tokens = DIALECT().tokenize(subject.text) if unused else []
    at = {token.start: number for number, token in enumerate(tokens)}
    extents = {id(cte): _extent(tokens, at, cte) for cte in subject.names.ctes} if unused else {}
    for cte in unused:
        name = cte.args["alias"].this
        place = token_span(name) or span(cte)
        message = f"nothing reads the CTE '{fold(name)}'"
        # Only for a query that compiles can it be proved that nothing changes.
        fix = _removal(subject, tokens, extents, cte) if subject.executed is not None else None
        found.append(Found("R013", *place, message, "remove it", fix))
    return found


def _used(subject: Subject) -> set[int]:
    readers: dict[int, list[exp.CTE | None]] = {}
    for table, cte in subject.names.tables:
        inside = table.find_ancestor(exp.CTE)
        readers.setdefault(id(cte), []).append(inside)
    used: set[int] = set()
    grown = True
    while grown:
        grown = False
        for cte in subject.names.ctes:
            if id(cte) not in used and any(
                reader is None or id(reader) in used for reader in readers.get(id(cte), []) if reader is not cte
            ):
                used.add(id(cte))
                grown = True
    return used


def _removal(subject: Subject, tokens: list[Token], extents: Mapping[int, tuple[int, int]], cte: exp.CTE) -> Fix | None:
    """Return the fix: with the comma before the CTE, or after the first; with WITH if it is the only one.

    None where a comment would go with it.
    """
    with_ = cte.parent
    assert isinstance(with_, exp.With)
    siblings = [extents[id(one)] for one in with_.expressions]
    at = next(number for number, one in enumerate(with_.expressions) if one is cte)
    first, last = siblings[at]
    if len(siblings) == 1:
        opening = first - 1 if tokens[first - 1].token_type == TokenType.WITH else first - 2  # WITH RECURSIVE
        start, end = tokens[opening].start, tokens[last + 1].start
    elif at == 0:
        start, end = tokens[first].start, tokens[siblings[1][0]].start
    else:
        start, end = tokens[siblings[at - 1][1]].end + 1, tokens[last].end + 1
    if "--" in subject.text[start:end] or "/*" in subject.text[start:end]:
        return None
    return Fix("remove it", (Edit(start, end, ""),))


def _extent(tokens: list[Token], at: Mapping[int, int], cte: exp.Expr) -> tuple[int, int]:
    """Return the positions of a CTE's first and last token: its name, and the parenthesis after its query."""
    place = token_span(cte.args["alias"].this)
    assert place is not None
    first = at[place[0]]
    number = next(number for number in range(first, len(tokens)) if tokens[number].token_type == TokenType.ALIAS)
    depth = 0
    while True:
        number += 1
        kind = tokens[number].token_type
        depth += (kind == TokenType.L_PAREN) - (kind == TokenType.R_PAREN)
        if depth == 0 and kind == TokenType.R_PAREN:
            return first, number
