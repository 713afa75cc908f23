"""Ingesting a source: its pieces are looked at, each once, and its parts written, each once; a small table at a time.

What a piece holds decides the types of the whole table, so they depend on no cut. A part is found again by its pieces,
the types, and all else that decides how they are read. Errors in a block of a file are those of the file, read whole.
"""

from __future__ import annotations

import base64
import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from cache.digests import ingested_digest
from cache.keys import Content
from cache.parts import composed, cut, rows_of_part
from cache.records import PARTS, Artifact
from cache.removal import remove_temporary
from compiler.fingerprint import fingerprint
from rules.config.machine import usable_cores
from rules.files.lazy_paths import LazyPath
from rules.formats import ingest
from rules.formats.contract import IngestError
from rules.formats.source_format import Piece
from rules.formats.text_file import ChangedFileError
from rules.sources.locating import names_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from cache.index import Index
    from cache.objects import Objects
    from compiler.schema import Schema
    from rules.formats.source_format import IngestedFormat, ReadTable, TableFiles

T = TypeVar("T")
_BLOCK = 4
"""A block of a file has at least so many times the rows that a part should have: each costs a run of the engine."""
_WORKERS = 4
"""Pieces that are read side by side, each with its blocks of text in memory."""
_AT_ONCE = 32
"""Records that are written in one transaction."""


class IngestedPart(NamedTuple):
    """A part of an ingested source. key: of what is remembered of it; artifact: that holds it."""

    key: str
    artifact: str
    rows: int


@dataclass
class Ingested:
    """An ingested source. parts: of a large one; looks: the keys under which its pieces are remembered."""

    schema: Schema
    artifact: Artifact
    parts: tuple[IngestedPart, ...] = ()
    looks: tuple[str, ...] = ()


@dataclass
class Ingestion:
    """One reading of a source.

    settings: all that decides how its files are read, besides their bytes; of_file: what else there is to a file.
    unchanged: raises `UserError` unless a file, by its position, is what its digest says.
    """

    index: Index
    objects: Objects
    kind: IngestedFormat
    table: TableFiles
    settings: Mapping[str, Any]
    of_file: Callable[[int], Sequence[str]]
    unchanged: Callable[[int], None]
    min_rows: int
    _inside: TableFiles = field(init=False)
    _cuts: list[str] = field(default_factory=list)
    """The keys under which the cuts of objects are remembered."""

    def read(self, digests: Sequence[str]) -> Ingested:
        """Ingest what is new. digests: of the files' bytes. Raises `IngestError`, `UserError` and OSError."""
        self._inside = ingest.inside(self.table)
        least = _BLOCK * rows_of_part(self.min_rows)
        numbers = range(len(digests))
        pieces = [one for at in numbers for one in self._pieces(at, digests[at], least)]
        try:
            found = self._read(pieces)
            return replace(found, looks=(*found.looks, *self._cuts))
        except ChangedFileError as error:
            self.unchanged(self.table.paths.index(error.path))
            raise IngestError(f"cannot be read: {error}") from error
        except IngestError:
            if all(piece.block is None for piece in pieces):
                raise
        target = self.objects.temporary()
        try:
            read = self.kind.read(self.table, target)  # says what is wrong, and where
            return Ingested(read.schema, self._kept(read, target))
        finally:
            remove_temporary(target)

    def _pieces(self, number: int, digest: str, least: int) -> Sequence[Piece]:
        """Return the pieces of a file. How an object is cut is remembered, so that it need not be here for that."""
        if not isinstance(self.table.paths[number], LazyPath):
            return self.kind.pieces(self._inside, number, digest, least)
        from rules.formats.text_blocks import BLOCKS_FORMAT, Block

        of_file = list(self.of_file(number))
        key = fingerprint({"cut": {**self.settings, "blocks": BLOCKS_FORMAT, "piece": [digest, least, *of_file]}})
        self._cuts.append(key)
        known = self.index.memo("contents", [key]).get(key)
        if known is not None:
            return [Piece(number, one, Block(*block) if block else None) for one, block in known["pieces"]]
        found = self.kind.pieces(self._inside, number, digest, least)
        cuts = [[one.digest, list(astuple(one.block)) if one.block is not None else []] for one in found]
        self.index.remember("contents", {key: {"artifact": None, "pieces": cuts}})
        return found

    def _read(self, pieces: Sequence[Piece]) -> Ingested:
        keys = [fingerprint({"look": {**self.settings, "piece": self._identity(piece)}}) for piece in pieces]
        looks = self._looks(pieces, keys)
        found = self.kind.schema(self._inside, list(zip(pieces, looks, strict=True)))
        names = names_below(self.table.source.path, self.table.files)
        sizes = [
            (names[piece.file] if piece.block is None else f"{names[piece.file]} {piece.digest}", look["rows"])
            for piece, look in zip(pieces, looks, strict=True)
        ]
        slices = cut(sizes, self.min_rows)
        if len(slices) < 2:  # noqa: PLR2004
            files = dict.fromkeys(piece.file for piece in pieces)
            read, artifact = self._written([pieces[0]._replace(file=file, block=None) for file in files], found)
            return Ingested(read.schema, artifact, looks=tuple(keys) if len(keys) > 1 else ())
        return self._in_parts([pieces[one] for one in slices], found, tuple(keys))

    def _looks(self, pieces: Sequence[Piece], keys: Sequence[str]) -> list[dict[str, Any]]:
        """Return what each piece holds."""
        known = self.index.memo("contents", keys) if len(pieces) > 1 else {}
        new = {key: piece for key, piece in zip(keys, pieces, strict=True) if key not in known}
        fresh: dict[str, Any] = {}
        for key, found in _side_by_side({key: self._look(piece) for key, piece in new.items()}):
            self._require_unchanged([new[key]])
            known[key] = fresh[key] = {"artifact": None, **found}
            if len(fresh) == _AT_ONCE:
                self.index.remember("contents", fresh)
                fresh = {}
        if len(pieces) > 1:
            self.index.remember("contents", fresh)
        return [known[key] for key in keys]

    def _look(self, piece: Piece) -> Callable[[], dict[str, Any]]:
        return functools.partial(self.kind.look, self._inside, piece)

    def _in_parts(self, slices: Sequence[Sequence[Piece]], found: pa.Schema, looks: tuple[str, ...]) -> Ingested:
        spelled = base64.b64encode(found.serialize().to_pybytes()).decode()
        keys = [self._part_key(pieces, spelled) for pieces in slices]
        known = self._known(keys)
        new = {key: pieces for key, pieces in zip(keys, slices, strict=True) if key not in known}
        for key, (_, artifact) in _side_by_side({key: self._part(pieces, found) for key, pieces in new.items()}):
            self._require_unchanged(new[key])
            self.index.remember("contents", {key: {"artifact": artifact.artifact}})
            known[key] = artifact
        parts = tuple(IngestedPart(key, known[key].artifact, known[key].rows) for key in keys)
        return Ingested(ingest.described(self.table, found), self._composed(parts, known), parts, looks)

    def _composed(self, parts: Sequence[IngestedPart], known: Mapping[str, Artifact]) -> Artifact:
        """Record the table whose parts are in place."""
        contents = [Content(part.rows, known[part.key].columns) for part in parts]
        whole = composed(contents)
        name = ingested_digest(whole.rows, whole.columns)
        names = [part.artifact for part in parts]
        self.objects.adopt_parts(name, names)
        size = sum(known[key].bytes for key in {part.key for part in parts})
        artifact = Artifact(name, whole.rows, size, PARTS + " ".join(names), whole.columns)
        self.index.add_artifact(artifact, build="")
        return artifact

    def _part_key(self, pieces: Sequence[Piece], spelled: str) -> str:
        folders = None
        if self.table.partitions is not None:
            values = [self.table.partitions.values[piece.file] for piece in pieces]
            folders = [self.table.partitions.names, values]
        read = [self._identity(piece) for piece in pieces]
        return fingerprint({"part": {**self.settings, "schema": spelled, "pieces": read, "partitions": folders}})

    def _identity(self, piece: Piece) -> list[str]:
        return [piece.digest, *self.of_file(piece.file)]

    def _known(self, keys: Sequence[str]) -> dict[str, Artifact]:
        """Return the parts that are in the store, by key."""
        named = {key: record["artifact"] for key, record in self.index.memo("contents", keys).items()}
        artifacts = self.index.artifacts(named.values())
        return {
            key: artifacts[name]
            for key, name in named.items()
            if name in artifacts and self.objects.has(name, artifacts[name].bytes)
        }

    def _part(self, pieces: Sequence[Piece], found: pa.Schema) -> Callable[[], tuple[ReadTable, Artifact]]:
        return lambda: self._written(pieces, found, is_part=True)

    def _written(
        self, pieces: Sequence[Piece], found: pa.Schema, *, is_part: bool = False
    ) -> tuple[ReadTable, Artifact]:
        """Write pieces as one object."""
        target = self.objects.temporary()
        try:
            batches = functools.partial(self.kind.batches, self._inside, found)
            read = ingest.to_parquet(self.table, found, pieces, batches, target, is_part)
            return read, self._kept(read, target)
        finally:
            remove_temporary(target)

    def _kept(self, read: ReadTable, target: Path) -> Artifact:
        """Put a written file in place as an object, and record it."""
        assert read.columns is not None
        name = ingested_digest(read.rows, read.columns)
        size, digest = self.objects.adopt(target, name, None)
        artifact = Artifact(name, read.rows, size, digest, read.columns)
        self.index.add_artifact(artifact, build="")
        return artifact

    def _require_unchanged(self, pieces: Sequence[Piece]) -> None:
        """Raise `UserError` if a file was changed while it was read. Who reads a block compares it by itself."""
        for file in {piece.file for piece in pieces if piece.block is None}:
            self.unchanged(file)


def _side_by_side(works: Mapping[str, Callable[[], T]]) -> Iterator[tuple[str, T]]:
    """Do work in some threads, and yield what comes of each, in order. After an error nothing else is begun."""
    if len(works) == 1:
        yield from ((key, work()) for key, work in works.items())
        return
    with ThreadPoolExecutor(min(_WORKERS, usable_cores())) as pool:
        futures = {key: pool.submit(work) for key, work in works.items()}
        try:
            for key, future in futures.items():
                yield key, future.result()
        finally:
            for future in futures.values():
                future.cancel()
