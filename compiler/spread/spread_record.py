"""What `compiler.spread.spreading` proves of a rule, as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """What is proved of a rule. sql: the query that may run on any number of partitions; None if there is none.

    reason: one sentence. The query yields the rows of the rule's own, in an order that follows from them.
    looks_ahead: whether the engine may skip rows, as it finds out while it runs, that could make the query fail. Which
    these are is another thing on several partitions, so there it must not look for them.
    """

    sql: str | None
    reason: str
    looks_ahead: bool = False
    order: tuple[str, ...] = ()
    """The outputs by which its rows have to be put in order, if the query does not do so."""
