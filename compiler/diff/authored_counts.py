"""Counts of the rows that pass a test in the words of the author: the canonical form has no sum of ones and zeros.

Sentences about edits show canonical trees, in which SUM(CASE WHEN p THEN 1 ELSE 0 END) is COUNT(*) FILTER (WHERE p).
"""

from __future__ import annotations

from sqlglot import exp

from compiler.errors import SqlError
from compiler.sql.dialect import parse
from compiler.tree.walk import find_all


def with_authored_counts(trees: tuple[exp.Query, exp.Query], meanings: tuple[str, str]) -> tuple[exp.Query, exp.Query]:
    """Return two canonical trees, in place, with such counts as sums where both authors write only sums.

    meanings: of the rules, as text. Where they mix the two, a count stays one: the other way is no edit.
    """
    found = [_counts(tree) for tree in trees]
    if not all(_sums_only(meaning) for counts, meaning in zip(found, meanings, strict=True) if counts):
        return trees
    for count in (count for counts in found for count in counts):
        branch = exp.If(this=count.expression.this.copy(), true=exp.Literal.number(1))
        count.replace(exp.Sum(this=exp.Case(ifs=[branch], default=exp.Literal.number(0))))
    return trees


def _counts(tree: exp.Query) -> list[exp.Filter]:
    """Return the counts of the rows that pass a test, innermost first."""
    filters = find_all(tree, exp.Filter)[::-1]
    return [one for one in filters if isinstance(one.this, exp.Count) and isinstance(one.this.this, exp.Star)]


def _sums_only(meaning: str) -> bool:
    """Whether a rule has sums of cases, and no count that has a case or a filter."""
    try:
        query = parse(meaning)
    except SqlError:  # what an earlier version of the compiler read
        return False
    counts = find_all(query, exp.Count)
    if any(isinstance(count.this, exp.Case) or isinstance(count.parent, exp.Filter) for count in counts):
        return False
    return any(isinstance(call.this, exp.Case) for call in find_all(query, exp.Sum))
