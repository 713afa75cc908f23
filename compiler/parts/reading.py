"""How a rule reads an input, as plain data: the kind, a sentence of reason, and the queries that work part by part.

X is the input that comes in parts; every other input is read whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from compiler.schema import Schema

PARTIALS = "~partials"
"""The input's name under which `merge` and `finish` read partial results. No source or rule can be called so."""

PART = "~part"
"""The column with the number of its part, where the query of a part reads several at once."""


class Kind(StrEnum):
    """How a rule reads an input."""

    PART_WISE = "part-wise"
    """f(X₁ ⊎ X₂) = f(X₁) ⊎ f(X₂)."""
    MERGEABLE = "mergeable"
    """f(X₁ ⊎ X₂) = finish(partial(X₁) ⊎ partial(X₂))."""
    KEYED = "keyed"
    """One of the two, provided that no two parts share a value of a column."""
    WHOLE = "whole"


@dataclass(frozen=True)
class PartQuery:
    """A query that the engine can run.

    scans: for each input that it reads, the columns that the engine is shown; `PARTIALS` among them for partial
    results. schema: of its result. sorted: whether the order of its rows is content. together: of the query of a part,
    one of several at once, which has to be shown the column `PART` and yields it last: the rows of each part alone are
    those that the query makes of it, to the last bit and in order. None where that cannot be. of_none: whether it
    yields a row for a part without rows, which `together` does not.
    """

    sql: str
    scans: Mapping[str, tuple[str, ...]]
    schema: Schema
    sorted: bool = False
    together: PartQuery | None = None
    of_none: bool = False


@dataclass(frozen=True)
class PartQueries:
    """A way to make a rule's product from the parts of one of its inputs.

    Without `finish`, the product is the concatenation of what `each` yields of every part, in the parts' order, and of
    `rest`. With it, these are partial results, and the product is what `finish` yields of their concatenation.

    each: reads one part, under the input's own name, and the other inputs whole. rest: what the rule takes from other
    inputs alone (the other branches of a UNION ALL); it is run once, and reads none of the input. merge: reads a
    concatenation of partial results and yields another, of the same schema: `finish` of partials and of merged ones is
    the same, however they are grouped. None where merging is concatenation. Whatever reads partial results takes any
    number of them, zero and empty ones included.

    unshared: if not None, all this holds only if some column of those named has no value in two parts; NULL is a value.

    Proved is that the product is the same *bag* of rows as that of the whole query; where the query ends in ORDER BY,
    in its order, and rows that tie in it are in the order of all their columns. Of several right answers (LIMIT and
    numbering among ties) it is one.
    exact: whether its rows are the same to the last bit, however the input is cut and the partial results are grouped.
    A mean of integers is that of their exact sum, which the whole query has only up to 2^53. If not exact, the result
    is defined by the cut and the grouping: floats are added, or ties are broken by the order of rows.
    """

    each: PartQuery
    rest: PartQuery | None = None
    merge: PartQuery | None = None
    finish: PartQuery | None = None
    unshared: tuple[str, ...] | None = None
    exact: bool = True

    @property
    def product(self) -> Schema:
        """The schema of the product."""
        return (self.finish or self.each).schema


@dataclass(frozen=True)
class Reading:
    """How a rule reads an input: what it is called, why in one sentence, and the ways to work by parts, best first.

    Who executes takes the first way whose condition holds. There is one without a condition unless the kind is keyed
    or whole; a mergeable input may have a way with a condition, which is the cheaper one, before it.
    """

    kind: Kind
    reason: str
    ways: tuple[PartQueries, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the input any one of which makes a way possible, if no two parts share a value of it."""
        return tuple(sorted({column for way in self.ways for column in way.unshared or ()}))
