"""What to write instead of text that other tools expand to SQL: Jinja, SQLMesh's MODEL and macros."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlglot.tokenizer_core import Token, TokenType

_NAME = r"['\"](?P<name>[^'\"]*)['\"]"
_OPTIONS = "options go in the comment block at the top of the file: -- /// rule … -- ///"
_SPINE = "write generate_series(DATE '2026-01-01', DATE '2026-12-31', INTERVAL '1 day') AS days(day)"
_JINJA = (
    (rf"\{{\{{-?\s*ref\(\s*(?:['\"][^'\"]*['\"]\s*,\s*)?{_NAME}", "write only the name of the product: {name}"),
    (rf"\{{\{{-?\s*source\([^,]*,\s*{_NAME}", "write only the name of a source of rules.toml: {name}"),
    (rf"\{{\{{-?\s*var\(\s*{_NAME}", "write ${name}, and declare {name} under [vars] in rules.toml"),
    (r"\{\{-?\s*config\b", f"leave it out; {_OPTIONS}"),
    (r"\{\{-?\s*this\b", "a rule never reads its own product: write the whole query, and only what changed runs"),
    (
        r"\{%-?\s*(?:if|elif)\s+(?:not\s+)?is_incremental\b",
        "leave it out up to {{% endif %}}: a rule is the whole query",
    ),
    (
        r"\{%-?\s*(?:macro|snapshot|test|materialization)\b",
        "a rule is one query; Python can make several (docs/python.md)",
    ),
    (r"\{\{-?\s*dbt_utils\.(?:generate_)?surrogate_key\b", "write md5(concat_ws('-', a, b)) of the columns"),
    (r"\{\{-?\s*dbt_utils\.star\b", "write *, or * EXCEPT (a, b)"),
    (r"\{\{-?\s*dbt(?:_utils)?\.date_spine\b", _SPINE),
    (r"\{[{%]", "write out what it expands to, or write the rule in Python (docs/python.md)"),
)
_DECLARED = {
    "MODEL": f"leave MODEL (…) out; {_OPTIONS}",
    "AUDIT": "declare a check in its rule: [[checks]] in the options (docs/contracts.md)",
    "METRIC": "a rule is one query: write it as a SELECT",
}


def template_error(tokens: Sequence[Token], sql: str) -> tuple[Token, str, str] | None:
    """Return the first token that starts a template, its error, and what to write; None for plain SQL."""
    if len(tokens) > 1 and tokens[1].token_type == TokenType.L_PAREN and tokens[0].text.upper() in _DECLARED:
        word = tokens[0].text.upper()
        return tokens[0], f"{word} (…) is not read here", _DECLARED[word]
    for token in tokens:
        opening = sql[token.start : token.start + 2]
        if opening in {"{{", "{%"}:
            return token, f"Jinja is not expanded here: {_shown(sql, token.start)}", _hint(sql, token.start)
        if opening[:1] == "@" and opening[1:].isidentifier():
            name = re.match(r"@\w+", sql[token.start :])
            shown = name[0] if name else opening
            return token, f"macros are not expanded here: {shown}", f"write a variable of rules.toml: ${shown[1:]}"
    return None


def _hint(sql: str, start: int) -> str:
    for pattern, hint in _JINJA:
        match = re.match(pattern, sql[start:])
        if match is not None:
            return hint.format(**match.groupdict())
    raise AssertionError("the last pattern matches whatever opens a template")


def _shown(sql: str, start: int) -> str:
    closing = "}}" if sql[start + 1] == "{" else "%}"
    text = " ".join(sql[start:].partition(closing)[0].split())
    return f"{text} {closing}" if len(text) <= 60 else f"{text[:59]}…"  # noqa: PLR2004 — a line of a terminal
