"""Parts: how a table is cut into horizontal slices, how their digests compose, and the tree in which they are merged.

Everything here follows from content and names alone: not from when a part came, from what was computed before, or from
the machine. Every cut is local: whether there is one between two neighbours depends on these two, so that a change
anywhere moves the cuts beside it and no others (content-defined chunking, as in A. Muthitacharoen, B. Chen and
D. Mazières, "A low-bandwidth network file system", SOSP 2001).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import xxhash

from cache.keys import Content, hash_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A part of the digests of tables in parts, and of the keys of what is computed by parts: raise it whenever the same
# table would be cut, or the same rule computed, in another way.
PARTS_FORMAT = 4

_TARGET_SHARE = 20
_RUN_ENDS = 4
"""How soon a run ends that has enough rows, on average after so large a share of these."""
_LEAST, _MEAN, _MOST = 4, 12, 48
"""The children of a node in a tree of merges."""


def rows_of_part(min_rows: int) -> int:
    """Return how many rows a part should have, if a table is cut from `min_rows` rows on."""
    return max(1, min_rows // _TARGET_SHARE)


def cut(pieces: Sequence[tuple[str, int]], min_rows: int) -> list[slice]:
    """Cut a table, given as its smallest pieces in order (name, rows), into parts: slices of `pieces`, all with rows.

    A table has one part, or none, if it has less than `min_rows` rows. A piece of as many rows as a part should have is
    a part; smaller neighbours share one, and the larger a piece is, the likelier a part ends with it.
    """
    if sum(rows for _, rows in pieces) < min_rows:
        return [slice(0, len(pieces))]
    target = rows_of_part(min_rows)
    ends = [
        place
        for place, ((name, rows), (_, following)) in enumerate(itertools.pairwise(pieces), 1)
        if following >= target or (_fraction(name) * target < rows << 64)
    ]
    found: list[slice] = []
    for start, end in itertools.pairwise([0, *ends, len(pieces)]):
        if found and not any(rows for _, rows in pieces[start:end]):
            found[-1] = slice(found[-1].start, end)  # what has no rows is no part
        elif found and not any(rows for _, rows in pieces[found[-1]]):
            found[-1] = slice(found[-1].start, end)
        else:
            found.append(slice(start, end))
    return found


def runs(pieces: Sequence[tuple[str, int]], min_rows: int) -> list[slice]:
    """Divide a large file, given as its pieces in order (name, rows), into runs of these.

    Each but the last has at least `min_rows` rows. The more rows a piece has, the likelier a run ends with it.
    """
    found: list[slice] = []
    start = rows = 0
    for place, (name, count) in enumerate(pieces, 1):
        rows += count
        if rows >= min_rows and _fraction(name) * min_rows < _RUN_ENDS * count << 64:
            found.append(slice(start, place))
            start, rows = place, 0
    if rows or not found:
        found.append(slice(start, len(pieces)))
    else:
        found[-1] = slice(found[-1].start, len(pieces))  # what has no rows is no part
    return found


def composed(parts: Sequence[Content]) -> Content:
    """Return the content of a table from that of its parts, in order, without its rows. There is at least one part.

    Parts without rows say nothing; a table of one part has the content of that part. All have the same columns.
    """
    filled = [part for part in parts if part.rows] or list(parts[:1])
    if len(filled) == 1:
        return filled[0]
    columns = {
        name: (kind, hash_json(["parts", PARTS_FORMAT, kind, [[part.rows, part.columns[name][1]] for part in filled]]))
        for name, (kind, _) in filled[0].columns.items()
    }
    return Content(sum(part.rows for part in filled), columns)


def merged_together(artifacts: Sequence[str], level: int) -> Iterator[slice]:
    """Yield which neighbours are merged into one node of a tree: slices of the artifacts of a level, in order.

    Where a node ends depends on the artifacts in it, so a change of one moves its node and, seldom, a neighbour.
    """
    start = 0
    for place, artifact in enumerate(artifacts, 1):
        size = place - start
        ends = size >= _LEAST and _fraction(f"{level} {artifact}") % _MEAN == 0
        if place == len(artifacts) or ends or size == _MOST:
            yield slice(start, place)
            start = place


def is_flat(artifacts: Sequence[object]) -> bool:
    """Whether so few partial results are finished without being merged before."""
    return len(artifacts) <= _MEAN


def _fraction(name: str) -> int:
    """Return a number below 2**64 that is as good as random, and always the same for a name."""
    return xxhash.xxh3_64_intdigest(name.encode(errors="surrogateescape"))
