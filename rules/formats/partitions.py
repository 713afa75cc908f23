"""Columns in the names of folders, as Hive and Spark write them: year=2024/month=01/part.parquet.

Every folder that is called key=value, in the path as rules.toml has it or below, is a column; its values are texts
unless rules.toml declares another type. Keys and values are URL-encoded, and __HIVE_DEFAULT_PARTITION__ is NULL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa

from rules.formats.contract import IngestError, declared_types

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
_AS_FOLDERS = "rename the folders, or add partitions = false, which makes them mere folders"


@dataclass(frozen=True)
class Partitions:
    """names: the keys, in the order of the path; values: for each file one of each key, as texts or None for NULL.

    types: of the columns, spelled as in rules.toml, where a table says them; () where rules.toml may declare them.
    """

    names: tuple[str, ...]
    values: tuple[tuple[str | None, ...], ...]
    types: tuple[str, ...] = ()

    def typed(self, declared: Mapping[str, str]) -> dict[str, pa.Array]:
        """Return the values of each column, one for each file. Raises `IngestError` for one that does not fit."""
        columns = {}
        given = dict(zip(self.names, self.types, strict=True)) if self.types else declared
        types = declared_types({name: given[name] for name in self.names if name in given})
        for place, name in enumerate(self.names):
            dtype = types.get(name, pa.string())
            texts = pa.array([row[place] for row in self.values], pa.string())
            try:
                columns[name] = texts.cast(dtype)
            except pa.ArrowNotImplementedError:
                message = f"has column '{name}' in the names of folders, which cannot be {given[name]}"
                raise IngestError(message, hint="declare it as string, and CAST it") from None
            except pa.ArrowInvalid:
                file, text = next((at, one) for at, one in enumerate(texts.to_pylist()) if not _fits(one, dtype))
                raise IngestError(
                    f"does not fit in column '{name}': the folder {name}={text} is not {given[name]}", file=file
                ) from None
        return columns

    def require_apart(self, columns: Sequence[str], file: int) -> None:
        """Raise `IngestError` if a file holds a column that the names of its folders hold too."""
        for name in self.names:
            if name in columns:
                raise IngestError(
                    f"has a column '{name}' in the file and in its folder's name", file=file, hint=_AS_FOLDERS
                )


def partitions_of(files: Sequence[str]) -> Partitions | None:
    """Return the columns in the names of the files' folders, None if there are none. Raises `IngestError`."""
    found = [_keys(file) for file in files]
    names = tuple(key for key, _ in found[0]) if found else ()
    for number, keys in enumerate(found):
        given = tuple(key for key, _ in keys)
        if given != names:
            first, here = (", ".join(some) or "none" for some in (names, given))
            message = f"has folders of different keys: {here} here, and {first} for the first file"
            raise IngestError(message, file=number, hint=_AS_FOLDERS)
        if len(set(given)) < len(given):
            raise IngestError(f"has folders within one another of the same key: {', '.join(given)}", file=number,
                              hint=_AS_FOLDERS)  # fmt: skip
    return Partitions(names, tuple(tuple(value for _, value in keys) for keys in found)) if names else None


def _keys(file: str) -> list[tuple[str, str | None]]:
    found = []
    for folder in file.split("/")[:-1]:
        key, equals, value = folder.partition("=")
        if key and equals:
            found.append((unquote(key), None if value == NULL_FOLDER else unquote(value)))
    return found


def _fits(text: str | None, dtype: pa.DataType) -> bool:
    try:
        pa.scalar(text, pa.string()).cast(dtype)
    except pa.ArrowInvalid:
        return False
    return True
