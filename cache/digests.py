"""Digest the columns of a table while it streams by.

Every level of a column (see `cache.levels`) feeds three xxh3_128 streams (values, lengths, row numbers of nulls); the
column digest joins them with the normalised type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import xxhash

from cache.keys import hash_json
from cache.levels import Level, UnsupportedTypeError, level_of, type_name

# A part of every digest: raise it whenever the same table would get another digest.
DIGEST_FORMAT = 1


@dataclass(frozen=True, slots=True)
class TableDigest:
    """Digest of a table, 32 hex digits each: of every column, in order, and of all of them with the row count."""

    rows: int
    columns: dict[str, str]
    table: str


class TableDigester:
    """Digests columns of a stream of record batches; memory use does not grow with the stream."""

    def __init__(self, schema: pa.Schema, columns: Sequence[str] | None = None) -> None:
        """Digest `columns` (default: all) of batches with this schema.

        Raises UnsupportedTypeError, KeyError for a column that the schema lacks, ValueError for a repeated name.
        """
        self._names = list(schema.names if columns is None else columns)
        self._types = column_types(schema, self._names)
        self._rows = 0
        self._states = [_LevelState() for _ in self._names]
        self._schema = schema
        self._indices = [schema.get_field_index(name) for name in self._names]

    def update(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch. It may differ from the schema in layout (views, dictionaries), else ValueError."""
        if not batch.schema.equals(self._schema):
            check_types(batch.schema, self._types)
            self._schema = batch.schema
            self._indices = [self._schema.get_field_index(name) for name in self._names]
        for index, state in zip(self._indices, self._states, strict=True):
            state.update(level_of(batch.column(index)))
        self._rows += batch.num_rows

    @property
    def bytes(self) -> int:
        """Size of what has been digested: one number for equal rows, however they are laid out."""
        return sum(state.bytes for state in self._states)

    def finish(self) -> TableDigest:
        """Return the digest of all rows so far."""
        columns = {
            name: hash_json([DIGEST_FORMAT, self._types[name], state.summary()])
            for name, state in zip(self._names, self._states, strict=True)
        }
        return TableDigest(self._rows, columns, table_digest(self._rows, columns))


class _LevelState:
    """The running hashes of one level and of its children."""

    __slots__ = ("children", "lengths", "nulls", "rows", "size", "values")

    def __init__(self) -> None:
        self.rows = 0
        self.size = 0
        self.values = xxhash.xxh3_128()
        self.lengths = xxhash.xxh3_128()
        self.nulls = xxhash.xxh3_128()
        self.children: list[_LevelState] = []

    def update(self, level: Level) -> None:
        if level.rows == 0:
            return
        self.values.update(level.values.data)
        self.size += level.values.nbytes
        if level.lengths is not None:
            self.lengths.update(level.lengths.data)
            self.size += level.lengths.nbytes
        if level.nulls is not None:
            self.nulls.update((level.nulls + self.rows).data)
        self.rows += level.rows
        if not self.children:
            self.children = [_LevelState() for _ in level.children]
        for state, child in zip(self.children, level.children, strict=True):
            state.update(child)

    @property
    def bytes(self) -> int:
        return self.size + sum(child.bytes for child in self.children)

    def summary(self) -> list[object]:
        # Children exist only once their parent had rows, so a level without rows must not mention them.
        if self.rows == 0:
            return [0]
        hashes = [self.values.hexdigest(), self.lengths.hexdigest(), self.nulls.hexdigest()]
        return [self.rows, *hashes, [child.summary() for child in self.children]]


def table_digest(rows: int, columns: Mapping[str, str]) -> str:
    """Return the digest of a table, from its row count and the digests of its columns."""
    return hash_json([DIGEST_FORMAT, rows, list(columns.items())])


def ingested_digest(rows: int, columns: Mapping[str, Sequence[str]]) -> str:
    """Return the digest by which an ingested table is stored. columns: name → type and digest."""
    return hash_json(["ingested", rows, [[name, *facts] for name, facts in columns.items()]])


def column_types(schema: pa.Schema, names: Sequence[str]) -> dict[str, str]:
    """Return the normalised types of the named columns, in the order given.

    Raises UnsupportedTypeError, KeyError for a column that the schema lacks, ValueError for a repeated name.
    """
    types: dict[str, str] = {}
    for name in names:
        fields = schema.get_all_field_indices(name)
        if not fields:
            message = f"no column {name!r} to digest; the columns are {', '.join(schema.names)}"
            raise KeyError(message)
        if name in types or len(fields) > 1:
            message = f"column {name!r} occurs more than once"
            raise ValueError(message)
        try:
            types[name] = type_name(schema.field(fields[0]).type)
        except UnsupportedTypeError as error:
            raise UnsupportedTypeError(error.dtype, name) from error
    return types


def check_types(schema: pa.Schema, types: dict[str, str]) -> None:
    """Raise ValueError unless the schema has all these columns with these normalised types."""
    for name, found in column_types(schema, list(types)).items():
        if found != types[name]:
            message = f"column {name!r} is {types[name]} in the schema and {found} in a batch"
            raise ValueError(message)
