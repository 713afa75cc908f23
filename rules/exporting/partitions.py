"""Rows of a table by the values of some columns: a folder for each, named as Hive and Spark do, region=EU/year=2024.

`rules.formats.partitions` reads what this writes. NULL and the empty text have folders of their own, region=
__HIVE_DEFAULT_PARTITION__ and region=. Rows keep their order within a folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rules.errors import UserError
from rules.formats.cells import plain
from rules.formats.partitions import NULL_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_LONGEST = 255
"""Bytes of a folder's name, on nearly every file system."""
_PLAIN = " !#$&'()+,;@[]^`{}~"
"""What a folder's name may hold as it is, besides letters, digits and _.-; Windows forbids the rest, or URLs do."""


def makes_folders(kind: pa.DataType) -> bool:
    """Whether the values of a type may name folders: floats have no text of their own, nested types and bytes none."""
    types = pa.types
    return bool(
        types.is_boolean(kind)
        or types.is_integer(kind)
        or types.is_decimal(kind)
        or types.is_temporal(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
    )


def folders_of(batches: Iterable[pa.RecordBatch], keys: Sequence[str]) -> list[str]:
    """Return the folders of a table, sorted. Raises `UserError` for a value that cannot name one."""
    found: set[str] = set()
    for batch in batches:
        found.update(folder for folder, _ in _groups(batch, keys))
    return sorted(found)


def split(
    batch: pa.RecordBatch, keys: Sequence[str], wanted: frozenset[str] | None = None
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the rows of a batch for each folder of `wanted`, by default for all. Raises as `folders_of` does."""
    for folder, rows in _groups(batch, keys):
        if wanted is None or folder in wanted:
            yield folder, batch.take(pa.array(rows))


def _groups(batch: pa.RecordBatch, keys: Sequence[str]) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """Yield each folder with the positions of its rows, ascending."""
    if not batch.num_rows:
        return
    codes = np.zeros(batch.num_rows, np.int64)
    for key in keys:
        encoded = pc.dictionary_encode(batch.column(key), null_encoding="encode")
        combined = codes * (len(encoded.dictionary) + 1) + encoded.indices.to_numpy(zero_copy_only=False)
        codes = np.unique(combined, return_inverse=True)[1].astype(np.int64)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    groups = np.split(order, starts[1:])
    firsts = pa.array([int(rows[0]) for rows in groups])
    values = [plain(batch.column(key).take(firsts)) for key in keys]
    for rows, *texts in zip(groups, *values, strict=True):
        yield "/".join(_folder(key, text) for key, text in zip(keys, texts, strict=True)), rows


def _folder(key: str, value: object) -> str:
    if value == NULL_FOLDER:
        message = f"column '{key}' holds the text {NULL_FOLDER}, which as a folder's name means NULL"
        raise UserError(message, code="unfit", hint="leave it out of --partition-by")
    text = NULL_FOLDER if value is None else quote(_text(value), safe=_PLAIN)
    name = f"{quote(key, safe=_PLAIN)}={text}"
    if len(name.encode()) > _LONGEST:
        message = f"column '{key}' holds a text that is too long for a folder's name: {str(value)[:40]}…"
        raise UserError(message, code="unfit", hint="leave it out of --partition-by")
    return name


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
