"""What to write instead of a call of another dialect's function, where that is certain."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from compiler.dialects.extents import Extents, fragment, is_operand, is_primary
from compiler.sql.foreign_calls import exact_match, rows

_AROUND = (exp.Filter, exp.Window, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls)


def counterpart(
    call: exp.Expr,
    name: str,
    kind: Callable[[exp.Expr], str | None],
    dialect: str | None,
    extents: Extents,
    *,
    own: bool = False,
) -> tuple[str, tuple[int, int, str]] | None:
    """Return what to write instead of a call of an unknown function, and the edit; None where that is not certain.

    kind: returns the kind of an expression. dialect: the one that the call is from, None for any; own: certainly.
    """
    arguments = list(call.args.get("expressions") or [])
    renamed = _renamed(call, name, kind, dialect, extents, own=own)
    if renamed is not None or isinstance(call.parent, _AROUND):
        return renamed
    match = exact_match(rows().get(name.lower(), ()), arguments, kind, dialect, own=own)
    place = extents.of(call) if match is not None else None
    if match is None or place is None or any(isinstance(one, exp.Distinct | exp.Order) for one in arguments):
        return None
    used = [value for values in match.values.values() for value in values]
    if any(extents.written(one) is None for one in used):
        return None
    written = match.written(extents.argument)
    top = fragment(written)
    if top is None:
        return None
    text = f"({written})" if is_operand(call) and not is_primary(top) else written
    return written, (*place, text)


def _renamed(
    call: exp.Expr,
    name: str,
    kind: Callable[[exp.Expr], str | None],
    dialect: str | None,
    extents: Extents,
    *,
    own: bool = False,
) -> tuple[str, tuple[int, int, str]] | None:
    """Return the counterpart of a call of which only the name is another: whatever else is in or around it may stay."""
    arguments = [_plain(one) for one in call.args.get("expressions") or []]
    match = exact_match(rows().get(name.lower(), ()), arguments, kind, dialect, own=own)
    place = extents.of(call)
    found = _RENAMING.fullmatch(match.row.text) if match is not None else None
    if match is None or found is None or place is None or match.captured:
        return None
    letters = [f"{{{one.letter}}}" for one in match.row.parameters]
    start, end = place[0], place[0] + len(name)
    if found[2].split(", ") != letters or extents.text[start:end].lower() != name.lower():
        return None
    return f"{found[1]}(…)", (start, end, found[1])


def _plain(argument: exp.Expr) -> exp.Expr:
    """Return the value of an argument that is DISTINCT or ordered."""
    while isinstance(argument, exp.Distinct | exp.Order):
        inner = argument.expressions[0] if isinstance(argument, exp.Distinct) else argument.this
        if not isinstance(inner, exp.Expr):
            break
        argument = inner
    return argument


_RENAMING = re.compile(r"(\w+)\((\{\w\}(?:, \{\w\})*)\)")
