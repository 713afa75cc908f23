"""Step 6 of 7, execute: in how many rows at once a query is run whose table does not show in which batches it was made.

The engine emits a table of groups batch by batch, and moves all groups that are left each time (seen in DataFusion 55):
the time grows with the square of the groups, divided by the rows of a batch. 15 million groups of 60 million rows took
51 s of processor time in batches of 8,192 rows, 12 s of 16,384, 7.7 s of 32,768 and 6.2 s of 65,536.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from rules.config.profiles import BATCH_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.config.profiles import Profile
    from rules.engine.protocol import EngineInput

_SMALL = 16_384
"""The most rows of a batch of a small query. With twice as many, wide decimals leave the cache of a core that works
beside another: TPC-H q01 takes a third longer, the other queries as long."""
_LARGE = 65_536
"""Of a large one. With four times as many, eight queries of TPC-H at scale 10 take a twentieth longer."""
_LARGE_QUERY = 4_000_000
"""The rows of inputs from which on a query is large: as many groups of them are what batches matter for."""
_MOST_COLUMNS = 32
"""The columns up to which large batches of them take no more memory than usual ones of a wide table."""


def in_batches(profile: Profile, rows: int, inputs: Sequence[EngineInput]) -> Profile:
    """Return a profile with the size of batches that suits a query of so many rows.

    A profile that says what it wants, or limits the memory, gets no larger ones than it says.
    """
    most, columns = profile.batch_size, sum(len(entry.columns) for entry in inputs)
    if most == BATCH_ROWS and profile.memory_limit_mb is None and columns <= _MOST_COLUMNS:
        most = _LARGE
    return msgspec.structs.replace(profile, batch_size=most if rows >= _LARGE_QUERY else min(most, _SMALL))
