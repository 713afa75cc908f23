"""How the rows that a rule yields differ from those that a unit test expects, cell by cell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

_MOST_PAIRED = 200
"""Of more rows than these that differ it is not found out which of the others each is most like."""

Row = dict[str, Any]


@dataclass(frozen=True)
class RowDifference:
    """A row that differs.

    expected: None if it should not be there; found: None if it is missing. number: from 1, of rows whose order counts.
    """

    expected: Row | None
    found: Row | None
    number: int | None = None

    @property
    def cells(self) -> list[str]:
        """The columns in which the rows differ."""
        if self.expected is None or self.found is None:
            return []
        return [name for name, value in self.expected.items() if not is_near(value, self.found[name])]


def differences(expected: pa.Table, found: pa.Table, *, ordered: bool) -> list[RowDifference]:
    """Return the rows that differ in the columns of `expected`. ordered: else the order of rows does not count."""
    wanted, got = expected.to_pylist(), found.select(expected.schema.names).to_pylist()
    if not expected.schema.names:  # no row is expected
        got = found.to_pylist()
    if ordered:
        pairs = [
            RowDifference(one, other, number)
            for number, (one, other) in enumerate(zip(wanted, got, strict=False), 1)
            if not is_near(one, other)
        ]
        rest = range(min(len(wanted), len(got)), max(len(wanted), len(got)))
        more = [
            RowDifference(wanted[at], None, at + 1) if at < len(wanted) else RowDifference(None, got[at], at + 1)
            for at in rest
        ]
        return pairs + more
    wanted, got = _unmatched(wanted, got)
    return _paired(wanted, got)


def _unmatched(wanted: list[Row], got: list[Row]) -> tuple[list[Row], list[Row]]:
    """Return the rows of each side that the other has not, as often as it has them more often."""
    by_text: dict[str, list[Row]] = {}
    for row in got:
        by_text.setdefault(_text(row), []).append(row)
    missing = []
    for row in wanted:
        same = by_text.get(_text(row))
        if same:
            same.pop()
        else:
            missing.append(row)
    left = [row for rows in by_text.values() for row in rows]
    for row in list(missing):  # floats on two sides of where they are rounded
        near = next((other for other in left if is_near(row, other)), None)
        if near is not None:
            missing.remove(row)
            left.remove(near)
    return missing, left


def _paired(wanted: list[Row], got: list[Row]) -> list[RowDifference]:
    """Pair the rows that are most alike; a row that has less than half its cells in common with any is alone."""
    pairs, left = [], list(got)
    for row in wanted:
        best = None
        if len(wanted) <= _MOST_PAIRED and len(left) <= _MOST_PAIRED:
            best = max(left, key=lambda other: _alike(row, other), default=None)
        if best is not None and 2 * _alike(row, best) >= len(row) > 1:
            left.remove(best)
            pairs.append(RowDifference(row, best))
        else:
            pairs.append(RowDifference(row, None))
    return pairs + [RowDifference(None, row) for row in left]


def _alike(one: Row, other: Row) -> int:
    return sum(is_near(value, other[name]) for name, value in one.items())


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.9g}" if value else "0"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{_text(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return repr(value)


def is_near(one: Any, other: Any) -> bool:
    """Whether two values are the same, floats to 9 digits: an author writes 0.3 for 0.1 + 0.2."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_near, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_near(one[key], other[key]) for key in one)
    return bool(one == other)


def shown(row: Row, names: Sequence[str] | None = None) -> str:
    """Return cells of a row as text."""
    return ", ".join(f"{name} = {cell(row[name])}" for name in (names if names is not None else row))


def cell(value: Any) -> str:
    """Return a value as text."""
    return "NULL" if value is None else repr(value) if isinstance(value, str) else str(value)
