"""The keys under which the content of sources is remembered: digests of all that decides how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compiler.fingerprint import fingerprint
from rules.sources.locating import format_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.formats.partitions import Partitions
    from rules.formats.source import Source
    from rules.formats.source_format import Format, Listing
    from rules.sources.source_files import SourceFiles


def content_key(sources: SourceFiles, name: str) -> str:
    """Return the digest of all that decides what table a source is read as. Raises `UserError`."""
    files = sources.listing(name).files
    return content_keys(sources, name, [slice(0, len(files))], sources.partitions(name))[0]


def content_keys(
    sources: SourceFiles,
    name: str,
    slices: Sequence[slice],
    partitions: Partitions | None,
    groups: Sequence[str] = (),
) -> list[str]:
    """Return, for each of some slices of a source's files, the digest of all that decides how it is read.

    groups: for each slice of one file the digest of the row groups that are read of it, if these are not all.
    """
    source, listing = sources.project.sources[name], sources.listing(name)
    kind = format_of(sources.project, name, listing.files)
    digests = sources.digests(listing.files)
    common = reading_settings(source, kind, listing)
    found, numbers = [], range(len(listing.files))
    for place, some in enumerate(slices):
        read = [
            [groups[place] if groups else digests[file], *file_settings(source, kind, listing, number)]
            for number, file in zip(numbers[some], listing.files[some], strict=True)
        ]
        folders = {} if partitions is None else {"partitions": [partitions.names, partitions.values[some]]}
        found.append(fingerprint({"source": {**common, **folders, "files": read}}))
    return found


def reading_settings(source: Source, kind: Format, listing: Listing) -> dict[str, Any]:
    """Return all that decides how a source is read, besides its files."""
    return {
        "reading": kind.reading,
        "format": kind.name,
        "columns": list(source.columns.items()),
        **kind.settings(source),
        **({"details": listing.details} if listing.details else {}),
    }


def file_settings(source: Source, kind: Format, listing: Listing, number: int) -> tuple[str, ...]:
    """Return all that decides how one of the files is read, besides its bytes."""
    note = listing.note(number)
    return (*kind.file_settings(source, listing.files[number]), *([note] if note else []))
