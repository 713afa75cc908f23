"""Fields of structs: one spelling."""

from __future__ import annotations

from sqlglot import exp

from compiler.canonical.facts import Facts


def spell_fields(query: exp.Query, facts: Facts) -> exp.Query:
    """Write every field access as a subscript, which is what the engine is shown: t.s.a → t.s['a']."""
    for dot in facts.nodes(query, exp.Dot):
        dot.replace(exp.Bracket(this=dot.this, expressions=[exp.Literal.string(dot.name)]))
    return query
