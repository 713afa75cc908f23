"""Habits that are functions: of the same name here, with another meaning, by the table."""

from __future__ import annotations

from sqlglot import exp

from compiler.dialects.number_habits import has_decimals, has_floats
from compiler.dialects.view import View
from compiler.sql.foreign_calls import exact_match, meanings
from compiler.sql.functions import function_name


def other_meanings(view: View) -> None:
    """Functions of the same name with another meaning, by the table."""
    for node in view.every(exp.Func):
        name = _written_name(view, node)
        rows = [row for row in meanings().get(name or "", ()) if row.speaks(view.dialect)]
        if not rows:
            continue
        arguments = list(node.args.get("expressions") or [])
        if node.args.get("this") is not None and isinstance(node.this, exp.Expr):
            arguments.insert(0, node.this)
        match = exact_match(rows, arguments, view.kind, view.dialect)
        loose = next((row for row in rows if not row.exact and row.matches(arguments, view.kind) is not None), None)
        if match is None and loose is None:
            continue
        row = match.row if match is not None else loose
        assert row is not None
        if match is not None and row.code == "R047" and "#" in row.text and match.captured.startswith("^(?:"):
            continue
        known_there = not (row.code == "R030" and any(has_decimals(view, one) for one in arguments))
        if not known_there and not any(has_floats(view, one) for one in arguments):
            continue
        if name == "regexp_replace" and _has_reference(arguments, view.letter):
            message = f"groups are written in a replacement in another way than in {view.title}"
            view.add("R047", node, message, r"write '\1' for the first group, and no $")
            continue
        texts = {id(one): view.extents.operand(one) for one in arguments}
        known = known_there and match is not None and all(text is not None for text in texts.values())
        written = match.written(view.extents.argument) if match is not None and known else None
        message = f"'{name}' means something else in {view.title}"
        view.replace(
            row.code, node, message, written, None if written else f"write {row.text.replace('{', '').replace('}', '')}"
        )


def _written_name(view: View, node: exp.Expr) -> str | None:
    """Return the name of a call as it is written: TRIM(a, b) is read as btrim, and so is TRIM(b FROM a)."""
    name, place = function_name(node), view.extents.of(node)
    if name != "btrim" or place is None or not view.text[place[0] : place[1]].lower().startswith("trim"):
        return name
    sides = [view.extents.of(one) for one in node.expressions]
    in_order = all(one is not None for one in sides) and sides == sorted(one for one in sides if one is not None)
    return "trim" if in_order else name


def _has_reference(arguments: list[exp.Expr], letter: str) -> bool:
    """Whether a replacement may name a group as others do: $1 in Java."""
    text = arguments[2] if len(arguments) > 2 else None  # noqa: PLR2004 — text, pattern, replacement
    return isinstance(text, exp.Literal) and ("$" in text.name or (letter == "K" and "\\" in text.name))
