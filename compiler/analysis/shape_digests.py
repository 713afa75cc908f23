"""What `compiler.analysis.shape` finds of a query, as plain data that the index memoises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """rows: digest of all that decides about rows. columns: name → digest of what its values are made of.

    open: the columns whose values may differ between two runs that both are right (ties, the last bits of float sums);
    open_rows: whether the rows may. in_order: whether rows come in the order of the one input that is read.
    """

    rows: str
    columns: Mapping[str, str]
    open: frozenset[str]
    open_rows: bool
    in_order: bool
