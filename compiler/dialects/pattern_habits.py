"""Habits about patterns: line breaks in regular expressions, what a replacement says of the match, separators."""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.dialects.view import View
from compiler.sql.functions import function_name

_SEARCHES = frozenset({"regexp_like", "regexp_match", "regexp_matches", "regexp_count", "regexp_replace",
                       "regexp_substr", "regexp_instr"})  # fmt: skip
_MADE = re.compile(r"\(\?s:\.\*?\)")
_APART = re.compile(r"\\.|\[\^?\]?(?:[^\]\\]|\\.|\[:\w+:\])*\]", re.DOTALL)
_REPLACEMENT = 2


def line_breaks(view: View) -> None:
    """'a.b' matches no line break here; a point of PostgreSQL does."""
    for node in view.every(exp.RegexpLike, exp.RegexpILike, exp.Func) if view.letter == "P" else ():
        if isinstance(node, exp.RegexpLike | exp.RegexpILike) and function_name(node) is None:
            pattern: exp.Expr | None = node.expression
        elif function_name(node) in _SEARCHES:
            parts = [*([node.this] if isinstance(node.args.get("this"), exp.Expr) else []), *_listed(node)]
            pattern = parts[1] if len(parts) > 1 else None
        else:
            continue
        place = view.extents.of(pattern) if pattern is not None else None
        if not isinstance(pattern, exp.Literal) or pattern.name.startswith(("(?s)", "***")):
            continue
        if "." not in _APART.sub("", _MADE.sub("", pattern.name)):
            continue
        written = "'(?s)" + pattern.name.replace("'", "''") + "'"
        message = ". matches no line break here, and any character in PostgreSQL"
        view.add("R047", node, message, f"write {written}", *([(*place, written)] if place else []), part=pattern)


def _doubled(found: re.Match[str]) -> str:
    """Return a dollar as a replacement has it here, and what only has a meaning here as it is."""
    return found[1] or "$$"


def _listed(node: exp.Expr) -> list[exp.Expr]:
    return list(node.args.get("expressions") or [])


def replacements(view: View) -> None:
    r"""$1 in a replacement is a group here, and a dollar in DuckDB and PostgreSQL; \& is the match in PostgreSQL."""
    for node in view.every(exp.Func) if view.letter in "DP" else ():
        parts = _listed(node) if function_name(node) == "regexp_replace" else []
        text = parts[_REPLACEMENT] if len(parts) > _REPLACEMENT else None
        if text is None:
            continue
        message = f"groups are written in a replacement in another way than in {view.title}"
        if not isinstance(text, exp.Literal):
            continue
        written = re.sub(r"(\$\$|\$\{\d\})|\$", _doubled if view.settled is None else "$$", text.name)
        if view.letter == "P":
            if re.search(r"\\[^1-9&]|\\$", text.name):
                view.add("R047", node, message, r"write '\1' for the first group", part=text)
                continue
            written = written.replace(r"\&", r"\0")
        place = view.extents.of(text)
        if written != text.name and place is not None:
            quoted = "'" + written.replace("'", "''") + "'"
            view.add("R047", node, message, f"write {quoted}", (*place, quoted), part=text)


def empty_separators(view: View) -> None:
    """split_part(s, '', 1) is the whole text here, and its first character in DuckDB."""
    for node in view.every(exp.Func) if view.letter == "D" else ():
        parts = _listed(node) if function_name(node) == "split_part" else []
        separator = parts[1].unnest() if len(parts) > 1 else None
        if separator is None or (isinstance(separator, exp.Literal) and separator.name):
            continue
        message = "an empty separator leaves the text whole here; in DuckDB it parts the characters"
        view.add("R046", node, message, "write CASE WHEN t <> '' THEN split_part(s, t, n) ELSE substr(s, n, 1) END")
