"""What to write instead of a call of another dialect's function, where that is certain."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from compiler.dialects.extents import Extents, fragment, is_operand, is_primary
from compiler.sql.foreign_calls import exact_match, rows

_AROUND = (exp.Filter, exp.Window, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls)


def counterpart(
    call: exp.Expr, name: str, kind: Callable[[exp.Expr], str | None], dialect: str | None, extents: Extents
) -> tuple[str, tuple[int, int, str]] | None:
    """Return what to write instead of a call of an unknown function, and the edit; None where that is not certain.

    kind: returns the kind of an expression. dialect: the one that the call is from, None for any.
    """
    arguments = list(call.args.get("expressions") or [])
    if isinstance(call.parent, _AROUND):
        return None
    match = exact_match(rows().get(name.lower(), ()), arguments, kind, dialect)
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
