"""What compiling takes and makes, as plain data that the index memoises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from compiler.analysis.edges import Edge
    from compiler.analysis.shape_digests import Shape
    from compiler.analysis.traits import Traits
    from compiler.schema import Schema


@dataclass(frozen=True)
class Parsed:
    """What the text alone says: the tables a rule reads and the project variables it uses, as it writes them.

    functions: those it calls that the engine does not have, in lower case.
    """

    tables: tuple[str, ...]
    variables: tuple[str, ...]
    functions: tuple[str, ...] = ()


class Tier(IntEnum):
    """How much of a product's order is a promise."""

    UNORDERED = 0
    STABLE = 1
    """Within a run."""
    CANONICAL = 2
    """Ordered by its key."""


@dataclass(frozen=True)
class Options:
    """A rule's options that can change its result."""

    volatile: bool = False
    tier: int = 0
    key: tuple[str, ...] = ()
    order_by: tuple[str, ...] = ()
    """Columns that order rows of equal keys."""
    normalize: Literal["cnf", "dnf"] | None = None
    """The normal form in which predicates are executed, see `compiler.engine_sql.normal_forms`."""
    dialect: str | None = None
    """The dialect that the text is in, one of `compiler.sql.foreign_table.DIALECTS`; None: ours."""

    @property
    def order(self) -> tuple[str, ...]:
        """The columns that a product of tier 2 is ordered by, as declared."""
        return tuple(dict.fromkeys((*self.key, *self.order_by)))


@dataclass(frozen=True)
class EngineIdentity:
    """What of the engine is part of a fingerprint.

    settings: those that can change any result (optimizer flags). float_settings: those that can change only float
    aggregates and order-dependent constructs (partitions, batch size, memory limit).
    """

    version: str
    settings: Mapping[str, object]
    float_settings: Mapping[str, object]
    stable_settings: Mapping[str, object] | None = None
    """The same for rules of tier 2, if it differs: their values are to depend on no number of partitions either."""


@dataclass(frozen=True)
class CompiledQuery:
    """A query that is run once: what is executed, its meaning, the columns it scans, its schema; see `Compiled`.

    ordered: whether its rows are in the order of an ORDER BY.
    """

    sql: str
    meaning: str
    scans: Mapping[str, tuple[str, ...]]
    schema: Schema
    ordered: bool


@dataclass(frozen=True)
class Compiled:
    """A compiled rule.

    inputs: names of the inputs, by position in the canonical AST; reads: for each of them the sorted columns of its
    read set. scans: for each input of the executed form the columns the engine is shown, a superset of the read set.
    sql: the executed form. meaning: the same without what is done to it for the engine's sake, such as an order that
    nobody asked for. canonical: the encoded canonical AST. parts: what the fingerprint covers, for reasons.
    lineage: the edges from the columns of the scans to the output columns.
    """

    fingerprint: str
    inputs: tuple[str, ...]
    reads: tuple[tuple[str, ...], ...]
    scans: Mapping[str, tuple[str, ...]]
    schema: Schema
    sql: str
    meaning: str
    canonical: bytes
    parts: Mapping[str, object]
    traits: Traits
    shape: Shape
    lineage: tuple[Edge, ...]
