"""A source format: everything that the rest of the program asks of one.

A new format is a module with an implementation of `Format` or `IngestedFormat`, and an entry in
`rules.formats.registry.FORMATS`. Such a module imports pyarrow inside of its methods only: rules.toml is checked
without it.
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from compiler.schema import Schema
    from rules.errors import Flaw
    from rules.formats.partitions import Partitions
    from rules.formats.source import Source
    from rules.formats.text_blocks import Block


class Option(NamedTuple):
    """A key of [sources.NAME] that only some formats take. type: as msgspec has it."""

    name: str
    type: Any
    default: Any


class Listing(NamedTuple):
    """The files of a source, in row order, relative to the project unless outside of it.

    partitions: columns that are not in the files, which the listing of a table format has. details: what else such a
    listing says that decides as what table the files are read, for example its schema. notes: what it says so of each
    file, for example which rows are deleted; () if it says nothing of any.
    """

    files: tuple[str, ...]
    partitions: Partitions | None = None
    details: str = ""
    notes: tuple[str, ...] = ()

    def note(self, number: int) -> str:
        """Return what is said of a file, by its position; "" for nothing."""
        return self.notes[number] if self.notes else ""


class Files(Protocol):
    """The files of a project as a listing may look at them: a change of what it saw is noticed from then on."""

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file, None if there is none. Raises OSError."""
        ...

    def matching(self, pattern: str) -> tuple[str, ...]:
        """Return the files that a path with `*` names, sorted. Raises OSError."""
        ...

    def exists(self, path: str) -> bool:
        """Whether there is a file. Nobody notices when that changes."""
        ...

    def absolute(self, path: str) -> str:
        """Return where a file is that is named relative to the project, once `read` or `have` was called for it."""
        ...

    def have(self, folder: str, needed: Callable[[list[str]], Iterable[str]]) -> None:
        """Have files on this machine: of those in a folder and below, by their paths in it, the ones that are needed.

        Raises OSError.
        """
        ...


class ListingError(Exception):
    """The files of a table cannot be listed. path: of the file that says which they are."""

    def __init__(self, message: str, path: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.hint = hint


class TableFiles(NamedTuple):
    """A source that is about to be read. paths: of its files, which are not empty; files: the same as people know them.

    partitions: columns that are not in the files, with one value for each file. details, notes: see `Listing`. footers:
    what is remembered of the footers of Parquet files, by position, so that these need not be here; it takes what is
    read.
    """

    source: Source
    paths: tuple[Path, ...]
    files: tuple[str, ...]
    partitions: Partitions | None
    details: str = ""
    notes: tuple[str, ...] = ()
    footers: dict[int, Any] | None = None


class Piece(NamedTuple):
    """A run of rows of a source that is read by itself: a file, or a block of a large file of text.

    file: its position among the source's files; digest: of the bytes that are read.
    """

    file: int
    digest: str
    block: Block | None = None


class ReadTable(NamedTuple):
    """A table that was read. columns: name → (type, digest) of an ingested one.

    None for files that are read where they are: those are Parquet files with the columns of `schema`, except for the
    partitions, and are digested column by column once something reads them. file_rows: of each of these, so that they
    can be parts of the table; () for a table that has none.
    """

    schema: Schema
    rows: int
    columns: Mapping[str, tuple[str, str]] | None = None
    file_rows: tuple[int, ...] = ()


class Format(Protocol):
    """A source format. What has a default here is right for formats that need nothing special."""

    name: str
    """As rules.toml names it."""
    extensions: tuple[str, ...] = ()
    """Of its files' names, in lower case, with the dot; none for a format that has to be declared."""
    options: tuple[Option, ...] = ()
    reading: int = 1
    """Version of how bytes become tables. Raise it when the same files would be read as another table."""
    infers_types: bool = False
    """Whether the types that rules.toml does not declare are inferred from the values."""
    takes_no_bytes: bool = False
    """Whether a file of 0 bytes, which is not compressed, is a table without rows."""
    lists_files: bool = False
    """Whether a table says itself which files it has, as table formats do. Otherwise names decide, see
    `rules.files.source_listing.list_files`."""

    def flaw(self, options: Mapping[str, Any]) -> Flaw | None:
        """Return what is wrong with the options of a source; all of them have a value."""
        del options
        return None

    def listing(self, source: Source, files: Files) -> Listing:
        """Return the files of a table that says itself which it has. Raises `ListingError` and OSError.

        Listing may depend on nothing but what it asks `files` for: until one of the files that were read has changed,
        one that was missing exists, or a pattern matches others, nobody asks again.
        """
        del source, files
        return Listing(())

    def settings(self, source: Source) -> Mapping[str, Any]:
        """Return all that decides how a source is read, besides the bytes and names of its columns' declaration."""
        del source
        return {}

    def file_settings(self, source: Source, file: str) -> tuple[str, str]:
        """Return all that decides how a file of it is read: its compression, and its delimiter. "" for none."""
        del source, file
        return "", ""

    def read(self, table: TableFiles, target: Path) -> ReadTable:
        """Read a table that was never read before: describe it, or ingest it into the Parquet file `target`.

        Raises `rules.formats.contract.IngestError` and OSError.
        """
        ...


class IngestedFormat(Format):
    """A format whose files are ingested: each piece of a table by itself, once it is known what all of them hold.

    Every source is taken as if it had no other columns than those that are in its files.
    """

    def in_place(self, table: TableFiles) -> ReadTable | None:
        """Describe a table that is read where it lies, after all; None if it is ingested. Raises as `read` does."""
        del table
        return None

    def pieces(self, table: TableFiles, number: int, digest: str, least: int) -> list[Piece]:
        """Return the pieces of a file, one for each large block if it can be cut. Raises OSError.

        number: its position; digest: of its bytes. least: the rows that a block has at least.
        """
        del table, least
        return [Piece(number, digest)]

    @abstractmethod
    def look(self, table: TableFiles, piece: Piece) -> dict[str, Any]:
        """Return what a piece holds as plain data for `schema`; "rows": their number. Raises as `read` does."""
        ...

    @abstractmethod
    def schema(self, table: TableFiles, looks: Sequence[tuple[Piece, Mapping[str, Any]]]) -> pa.Schema:
        """Return the schema of a table from what all of its pieces hold. Raises `IngestError`."""
        ...

    @abstractmethod
    def batches(self, table: TableFiles, schema: pa.Schema, piece: Piece) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a piece. Raises as `read` does."""
        ...

    def read(self, table: TableFiles, target: Path) -> ReadTable:
        """See `Format`."""
        from rules.formats import ingest

        inside = ingest.inside(table)
        pieces = [Piece(number, "") for number in range(len(table.files))]
        found = self.schema(inside, [(piece, self.look(inside, piece)) for piece in pieces])
        return ingest.to_parquet(table, found, pieces, functools.partial(self.batches, inside, found), target)
