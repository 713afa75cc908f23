"""Verify the store: every object is read and compared with what was written; `rules cache verify` prints it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from cache.digests import TableDigester, ingested_digest
from cache.errors import ObjectError
from cache.levels import UnsupportedTypeError, type_name
from cache.reachable import references

if TYPE_CHECKING:
    from pathlib import Path

    from cache.records import Artifact
    from rules.storage.store import Store

Problem = Literal["corrupt", "missing", "no file"]
_READ_ROWS = 1 << 16


@dataclass(frozen=True)
class BadObject:
    """An object that is not what was written. products: those whose last table it is, in any project root.

    repaired: whether it is out of the way, so that the next build makes it again. told: why it is not.
    """

    artifact: str
    path: Path
    problem: Problem
    products: tuple[str, ...]
    repaired: bool = False
    told: str = ""


@dataclass(frozen=True)
class Verified:
    """What verifying a store came to. checked: how many objects were looked at."""

    checked: int
    bad: tuple[BadObject, ...]


def verify_store(store: Store, *, repair: bool) -> Verified:
    """Read every object; with `repair`, remove what is bad. Raises `StoreError`, and OSError for a folder of objects.

    An object that the index knows has the digest of its bytes there. The others, which a killed build or a lost index
    leaves, are named by the digest of their content.
    """
    known, needed = store.index.every_artifact(), references(store.index, ["pointer"])
    names = dict.fromkeys([*known, *_found(store.objects.root / "objects")])
    bad = []
    for name in names:
        problem = _problem(store, name, known.get(name))
        if problem is not None:
            products = tuple(sorted({one.owner for one in needed.get(name, ())}))
            one = BadObject(name, store.objects.path(name), problem, products)
            bad.append(_repaired(store, one) if repair else one)
    return Verified(len(names), tuple(bad))


def _found(folder: Path) -> Iterator[str]:
    """Yield the names of the artifacts whose objects are in a store."""
    for inside in sorted(folder.iterdir()):
        if inside.is_dir() and not inside.is_symlink():
            for file in sorted(inside.iterdir()):
                name = f"{inside.name}{file.name.removesuffix('.parquet')}"
                if file.name.endswith(".parquet") and name.isalnum():
                    yield name


def _problem(store: Store, name: str, known: Artifact | None) -> Problem | None:
    path = store.objects.path(name)
    if not os.path.lexists(path):
        return None if store.is_elsewhere(name) else "missing"
    if known is not None and known.parts:
        return None if store.objects.has_parts(name, known.parts) else "corrupt"
    if known is None and stat.S_ISDIR(os.lstat(path).st_mode) and all(one.is_symlink() for one in path.iterdir()):
        return None  # a table in parts, which a killed build has left
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return "no file"
    if known is not None:
        try:
            store.objects.verify(name, known.bytes, known.file_digest)
        except ObjectError:
            return "corrupt"
        return None
    return None if name in _names_by_content(path) else "corrupt"


def _names_by_content(path: Path) -> tuple[str, ...]:
    """Return what an object of this content is called, if a rule or a source has made it."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            digester = TableDigester(file.schema_arrow)
            for batch in file.iter_batches(_READ_ROWS, use_threads=False):
                digester.update(batch)
            types = {field.name: type_name(field.type) for field in file.schema_arrow}
    except (pa.ArrowException, OSError, UnsupportedTypeError, ValueError):
        return ()
    found = digester.finish()
    return found.table, ingested_digest(found.rows, {name: (types[name], one) for name, one in found.columns.items()})


def _repaired(store: Store, one: BadObject) -> BadObject:
    """Remove an object, and what the index says of it."""
    told = ""
    if one.problem != "missing":
        try:
            store.objects.discard(one.artifact)
        except OSError as error:
            told = f"cannot be removed: {error.strerror}"
            if one.path.is_dir():
                told = "is a folder where a file belongs: remove it"
    if not told:
        store.index.forget_artifact(one.artifact)
    return BadObject(one.artifact, one.path, one.problem, one.products, repaired=not told, told=told)
