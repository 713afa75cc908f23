"""Names for the outputs of an ad-hoc query, whose columns need no names of their own."""

from __future__ import annotations

from sqlglot import exp

from compiler.errors import SqlError
from compiler.names.qualify import is_named
from compiler.sql.dialect import render
from compiler.tree.walk import output_leaf

_LONGEST = 60


def name_outputs(query: exp.Query) -> None:
    """SELECT COUNT(*) FROM t → SELECT COUNT(*) AS "count(*)" FROM t, in place. Existing names stay.

    A column is named after its expression, and numbered if another column already has that name.
    """
    select = output_leaf(query)
    if select is None:
        return
    taken = {item.alias_or_name for item in select.selects if is_named(item)}
    for item in select.selects:
        if is_named(item):
            continue
        text = name = _text_of(item)
        number = 1
        while name in taken:
            number += 1
            name = f"{text} ({number})"
        taken.add(name)
        alias = exp.Alias(alias=exp.to_identifier(name, quoted=True))
        item.replace(alias)
        alias.set("this", item)


def _text_of(item: exp.Expr) -> str:
    try:
        text = " ".join(render(item.copy()).split())
    except SqlError:  # an expression that cannot be written is refused later, at its place
        return "column"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
