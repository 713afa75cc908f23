"""[sources.NAME] of rules.toml: where a table is, and how its files are read."""

from __future__ import annotations

from typing import Literal

import msgspec

Format = Literal["parquet", "csv", "json", "arrow"]


class Source(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[sources.NAME]: where a table comes from. `columns` types text formats and is a contract for the others.

    partitions: whether folders that are called key=value are columns.
    """

    path: str
    format: Format | None = None
    columns: dict[str, str] = {}
    delimiter: str = ","
    header: bool = True
    nulls: tuple[str, ...] = ("",)
    partitions: bool = True
