"""What the rows of each partition of a product are, by digests: so that a partition that is there already is kept.

A partition is the rows with the same values of the columns by which a published table is divided, in their order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cache.digests import TableDigester, table_digest
from cache.table_files import read_batches, schema_of
from rules.exporting.partitions import split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class PartitionContent(NamedTuple):
    """digests: of each column, by name; values: of the columns of the partition, as Arrow's scalars."""

    rows: int
    digests: Mapping[str, str]
    values: tuple[Any, ...]

    def digest(self, without: Sequence[str] = ()) -> str:
        """Return the digest of its rows, in their order, without some columns."""
        return table_digest(self.rows, {name: one for name, one in self.digests.items() if name not in without})


def partition_contents(table: Path, keys: Sequence[str]) -> dict[str, PartitionContent]:
    """Return the contents of the partitions of a stored table, by folder as `rules.exporting.partitions` names them.

    Raises `UserError` for a value that cannot name a folder, and OSError.
    """
    schema = schema_of(table)
    digesters: dict[str, TableDigester] = {}
    rows: dict[str, int] = {}
    values: dict[str, tuple[Any, ...]] = {}
    for batch in read_batches(table):
        for folder, some in split(batch, keys):
            if folder not in digesters:
                digesters[folder], rows[folder] = TableDigester(schema), 0
                values[folder] = tuple(some.column(key)[0] for key in keys)
            digesters[folder].update(some)
            rows[folder] += some.num_rows
    return {
        folder: PartitionContent(rows[folder], digesters[folder].finish().columns, values[folder])
        for folder in sorted(digesters)
    }
