"""A source whose content is known, and the parts that a large one has: made from the record of its content."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from compiler.fingerprint import fingerprint
from compiler.schema import Column, Schema
from rules.sources.content_keys import content_keys
from rules.sources.locating import names_below

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.index import Index
    from cache.records import Artifact
    from rules.formats.partitions import Partitions
    from rules.sources.source_files import SourceFiles


class SourcePart(NamedTuple):
    """A part of a source. content: the digest of what it is read as; artifact: what holds it, if it is ingested.

    files: which of the source's files are in a part that is not; groups: which row groups of its one file.
    """

    content: str
    rows: int
    files: slice = slice(0)
    artifact: str | None = None
    groups: tuple[int, ...] | None = None


@dataclass
class SourceTable:
    """A source whose content is known.

    files: relative to the project where inside. artifact: of an ingested source. partitions: columns in the
    names of the folders of files that are read where they lie. parts: of a large table, else (). looks: the keys of
    what is remembered of the pieces of an ingested source.
    """

    name: str
    files: tuple[str, ...]
    content: str
    schema: Schema
    rows: int
    artifact: Artifact | None
    partitions: Partitions | None = None
    parts: tuple[SourcePart, ...] = ()
    looks: tuple[str, ...] = ()


def source_table(index: Index, sources: SourceFiles, name: str, content: str, record: Mapping[str, Any]) -> SourceTable:
    """Return a source, of whose content `record` is remembered (see `rules.sources.source_reader`).

    Raises `UserError` where its folders name columns that its files have.
    """
    files = sources.listing(name).files
    columns = tuple(Column(*column) for column in record["columns"])
    artifact = index.artifacts([record["artifact"]])[record["artifact"]] if record["artifact"] else None
    schema = Schema(columns, base64.b64decode(record["arrow"]))
    partitions = sources.partitions(name) if artifact is None else None
    if artifact is None:
        parts = _parts(sources, name, record, partitions)
    else:
        parts = tuple(SourcePart(key, rows, artifact=one) for key, one, rows in record.get("parts", ()))
    looks = tuple(record.get("looks", ()))
    return SourceTable(name, files, content, schema, record["rows"], artifact, partitions, parts, looks)


def _parts(
    sources: SourceFiles, name: str, record: Mapping[str, Any], partitions: Partitions | None
) -> tuple[SourcePart, ...]:
    """Return the parts of a large source of several files, or of one of several row groups, else ()."""
    least, files = sources.project.parts.min_rows, sources.listing(name).files
    if record["rows"] < least:
        return ()
    from cache.parts import cut  # with pyarrow

    if len(files) == 1:
        return _runs(sources, name, record, partitions)
    rows = record["file_rows"]
    pieces = list(zip(names_below(sources.project.sources[name].path, files), rows, strict=True))
    slices = cut(pieces, least)
    if len(slices) == 1:
        return ()
    contents = content_keys(sources, name, slices, partitions)
    return tuple(SourcePart(content, sum(rows[one]), one) for one, content in zip(slices, contents, strict=True))


def _runs(
    sources: SourceFiles, name: str, record: Mapping[str, Any], partitions: Partitions | None
) -> tuple[SourcePart, ...]:
    """Return the runs of row groups of a source's one file, if there are several."""
    from cache.parts import runs
    from rules.formats.row_groups import RowGroup

    groups, whole = [RowGroup(*group) for group in record["groups"]], slice(0, 1)
    slices = runs([(group.mark, group.rows) for group in groups], sources.project.parts.min_rows)
    if len(slices) < 2:  # noqa: PLR2004
        return ()
    read = [fingerprint({"groups": [record["arrow"], *(group.content for group in groups[one])]}) for one in slices]
    contents = content_keys(sources, name, [whole] * len(slices), partitions, read)
    return tuple(
        SourcePart(content, sum(group.rows for group in groups[one]), whole, groups=tuple(range(len(groups))[one]))
        for one, content in zip(slices, contents, strict=True)
    )
