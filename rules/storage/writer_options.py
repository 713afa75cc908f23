"""How a product's published file is written: what its author wishes, checked against its columns, as pyarrow has it.

    -- [writer]
    -- compression_level = 9
    -- sort_by = ["region", "day desc"]
    -- bloom_filters = ["customer"]

None of it is part of a meaning: tables, digests and keys are the same whatever is wished.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:
    import pyarrow as pa


Compression = Literal["zstd", "snappy", "gzip", "brotli", "lz4", "none"]
Encoding = Literal["plain", "delta", "delta_length", "delta_text", "byte_stream_split"]
_LEVELS: Mapping[str, range] = {"zstd": range(1, 23), "gzip": range(1, 10), "brotli": range(12)}


class ColumnOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[writer.columns.NAME]: of one column, where it is to differ from the others."""

    compression: Compression | None = None
    compression_level: int | None = None
    dictionary: bool | None = None
    encoding: Encoding | None = None
    statistics: bool | None = None


class WriterOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[writer]. None: as the store's own objects are. statistics: of column chunks, or also of pages (a page index).

    sort_by: columns, each ascending or, with " desc", descending; NULLs come last. bloom_filters: columns.
    """

    compression: Compression | None = None
    compression_level: int | None = None
    row_group_rows: int | None = None
    row_group_bytes: int | None = None
    dictionary: bool | None = None
    statistics: Literal["none", "chunk", "page"] | None = None
    page_checksums: bool | None = None
    bloom_filters: tuple[str, ...] = ()
    sort_by: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    columns: dict[str, ColumnOptions] = {}

    @property
    def sorting(self) -> list[tuple[str, str]]:
        """The columns to sort by, each with "ascending" or "descending"."""
        return [_sorting(word) for word in self.sort_by]

    def over(self, base: WriterOptions) -> WriterOptions:
        """Return these options, and those of `base` where these say nothing."""
        given = self._given()
        if not given:
            return base
        if "compression" in given:  # levels mean something else in another codec
            given.setdefault("compression_level", None)
        return msgspec.structs.replace(base, **given)

    def _given(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value not in (None, (), {})}


PLAIN = WriterOptions()
"""What the store's own objects are written with."""


class Unfit(NamedTuple):
    """What is wrong with an option. path: of keys, from the table [writer]."""

    path: tuple[str, ...]
    message: str
    hint: str | None = None


def flaws(options: WriterOptions) -> Iterator[Unfit]:
    """Yield what is wrong with options whatever the columns are."""
    if options.partition_by:
        message = "'partition_by' makes a folder, and a product is published as one file"
        yield Unfit(("partition_by",), message, "rules export NAME DEST --partition-by COLUMN writes one")
    for name in ("row_group_rows", "row_group_bytes"):
        value = getattr(options, name)
        if value is not None and value < 1:
            yield Unfit((name,), f"'{name}' must be at least 1")
    yield from _wrong_level((), options.compression or "zstd", options.compression_level)
    for name, column in options.columns.items():
        codec = column.compression or options.compression or "zstd"
        yield from _wrong_level(("columns", name), codec, column.compression_level)
        if column.encoding is not None and column.dictionary:
            path = ("columns", name, "encoding")
            yield Unfit(path, f"'{name}' has an encoding, and a dictionary too", "leave out one of them")


def misfits(options: WriterOptions, schema: pa.Schema) -> Iterator[Unfit]:
    """Yield what is wrong with options for a table of this schema."""
    import pyarrow as pa

    from compiler.suggestions import column_suggestion

    named = [(("bloom_filters", str(number)), name) for number, name in enumerate(options.bloom_filters)]
    named += [(("sort_by", str(number)), name) for number, (name, _) in enumerate(options.sorting)]
    named += [(("columns", name), name) for name in options.columns]
    for path, name in named:
        if name not in schema.names:
            hint = column_suggestion(name, schema.names) or f"its columns: {', '.join(schema.names)}"
            yield Unfit(path, f"the product has no column '{name}'", hint)
            continue
        kind = schema.field(name).type
        if path[0] != "columns" and (pa.types.is_nested(kind) or pa.types.is_boolean(kind)):
            if path[0] == "bloom_filters" or pa.types.is_nested(kind):
                what = "a Bloom filter" if path[0] == "bloom_filters" else "an order"
                yield Unfit(path, f"column '{name}' is of type {kind}, which has no {what.split(' ', 1)[1]}")
        elif path[0] == "columns":
            yield from _wrong_column(path, name, options.columns[name], kind)


def _wrong_column(path: tuple[str, ...], name: str, column: ColumnOptions, kind: pa.DataType) -> Iterator[Unfit]:
    import pyarrow as pa

    if column.statistics and pa.types.is_floating(kind):
        message = f"statistics of '{name}', a column of floats, would leave NaN out, and readers would lose rows"
        yield Unfit((*path, "statistics"), message, "leave them out")
    is_text = any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
                  pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view))  # fmt: skip
    is_whole = pa.types.is_integer(kind) or pa.types.is_temporal(kind)
    fits = {
        "delta": is_whole,
        "delta_length": is_text,
        "delta_text": is_text,
        "byte_stream_split": is_whole or pa.types.is_floating(kind),
    }
    if column.encoding is not None and not fits.get(column.encoding, not pa.types.is_nested(kind)):
        message = f"a column of type {kind} has no encoding '{column.encoding}'"
        yield Unfit((*path, "encoding"), message, "delta is for whole numbers and dates, delta_text for texts")


def _wrong_level(path: tuple[str, ...], codec: str, level: int | None) -> Iterator[Unfit]:
    if level is None:
        return
    if codec not in _LEVELS:
        yield Unfit((*path, "compression_level"), f"{codec} has no levels", f"known with levels: {', '.join(_LEVELS)}")
    elif level not in _LEVELS[codec]:
        least, most = _LEVELS[codec][0], _LEVELS[codec][-1]
        yield Unfit((*path, "compression_level"), f"levels of {codec} are {least} to {most}, not {level}")


def _sorting(word: str) -> tuple[str, str]:
    name, _, direction = word.rpartition(" ")
    if name and direction.lower() in {"asc", "desc"}:
        return name.strip(), "descending" if direction.lower() == "desc" else "ascending"
    return word, "ascending"
