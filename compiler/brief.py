"""An expression as one short line for people: names as they were written, inner queries left out."""

from __future__ import annotations

import re

from sqlglot import exp
from sqlglot.errors import ErrorLevel

from compiler.dialect import DIALECT
from compiler.prepare import as_written

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_LONGEST = 240


class _Generator(DIALECT.Generator):
    def identifier_sql(self, expression: exp.Identifier) -> str:
        name = as_written(expression.name)
        return name if _PLAIN.fullmatch(name) else exp.Identifier(this=name, quoted=True).sql(dialect=DIALECT)

    def select_sql(self, _: exp.Select) -> str:
        return "SELECT …"

    def set_operations(self, _: exp.SetOperation) -> str:
        return "SELECT …"


def brief(node: exp.Expr) -> str:
    """Return an expression of an executed form in one line, cut with … where it is long.

    The generator works on `node` itself, for copies would cost more than all the rest; it may leave it changed.

    "o"."amount" > (SELECT AVG("p"."amount") FROM …) → o.amount > (SELECT …)
    """
    generator = _Generator(dialect=DIALECT, identify=False, comments=False, unsupported_level=ErrorLevel.IGNORE)
    text = " ".join(generator.generate(node, copy=False).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
