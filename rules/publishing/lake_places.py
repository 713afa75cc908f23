"""Where tables of table formats are: a folder, or a bucket. Their packages only ever see files of this machine.

Of a bucket, the metadata of a table is copied here, every file checked as copies of sources are. A commit is made in
the copy, and then put into the bucket, its last file by a write that fails if somebody else's commit is there.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from cache.durability import synchronise
from cache.own_names import name_beside
from cache.remote.bucket import BucketError
from cache.removal import clear_beside, remove_draft, rename
from rules.errors import FAILED, UserError
from rules.publishing.places import REQUEST_SECONDS, Folder, Objects

if TYPE_CHECKING:
    from cache.remote.outside_store import ListedObject, OutsideStore
    from rules.publishing.target import Say

T = TypeVar("T")


class LakePlace(Protocol):
    """Tables are in folders, which products have given their names. Paths are below such a folder, with slashes."""

    root: Path
    """The folder of tables as the packages see them."""

    def url(self, product: str) -> str:
        """Return by what other programs find a table: a file:// or another URL."""

    def tables(self) -> list[str]:
        """Return the names of folders."""

    def names(self, product: str, folder: str) -> dict[str, int] | None:
        """Return the files of a table that are in a folder, and their bytes; None if something else is in its place."""

    def bring(self, product: str, paths: Sequence[str]) -> None:
        """Have files below `root`, those that are there at all."""

    def keep(self, product: str, paths: Sequence[str]) -> None:
        """See to it that data files that were written below `root` are at the place, whole and durable."""

    def commit(self, product: str, paths: Sequence[str], only: Collection[str]) -> None:
        """Put new or changed files of metadata in place, in this order. only: those must not be there yet."""

    def sweep(self, product: str, folder: str) -> None:
        """Remove from a folder what killed publishes left there: only files whose names are ours."""

    def drop(self, product: str) -> None:
        """Remove a table."""


class LakeFolder:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        """root: without links."""
        self.root = root

    def url(self, product: str) -> str:
        """As `LakePlace` says."""
        return (self.root / product).as_uri()

    def tables(self) -> list[str]:
        """As `LakePlace` says."""
        return sorted(one.name for one in self.root.iterdir()) if self.root.is_dir() else []

    def names(self, product: str, folder: str) -> dict[str, int] | None:
        """As `LakePlace` says: not below folders in it, which are listed as they are."""
        above, place = self.root / product, self.root / product / folder
        if above.is_symlink() or (above.exists() and not above.is_dir()):
            return None
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return {one.name: one.stat(follow_symlinks=False).st_size for one in os.scandir(place)}
        return {}

    def bring(self, product: str, paths: Sequence[str]) -> None:
        """As `LakePlace` says."""

    def keep(self, product: str, paths: Sequence[str]) -> None:
        """As `LakePlace` says."""
        folders = {(self.root / product / path).parent for path in paths}
        for one in (*folders, self.root / product, self.root):
            if one.is_dir():
                synchronise(one)

    def commit(self, product: str, paths: Sequence[str], only: Collection[str]) -> None:
        """As `LakePlace` says: they are there already, and each of `only` was made in one step."""
        del only
        for path in paths:
            synchronise(self.root / product / path)
        for folder in {(self.root / product / path).parent for path in paths}:
            synchronise(folder)

    def sweep(self, product: str, folder: str) -> None:
        """As `LakePlace` says."""
        clear_beside(self.root / product / folder)

    def drop(self, product: str) -> None:
        """As `LakePlace` says."""
        folder = self.root / product
        aside = name_beside(folder)
        rename(folder, aside)
        synchronise(self.root)
        remove_draft(aside)


class LakeBucket:
    """A bucket, below a prefix."""

    def __init__(self, root: Path, url: str, objects: Objects, store: OutsideStore) -> None:
        """root: a folder of this machine for copies; store: reads the bucket."""
        self.root, self._address = root, url.rstrip("/")
        self._objects, self._store = objects, store
        self._prefix = self._address.partition("://")[2].partition("/")[2]
        self._listed: dict[str, ListedObject] | None = None

    def url(self, product: str) -> str:
        """As `LakePlace` says."""
        return f"{self._address}/{product}"

    def _objects_there(self) -> dict[str, ListedObject]:
        """Return the objects below the prefix, by their path below it."""
        if self._listed is None:
            above = f"{self._prefix}/" if self._prefix else ""
            found = self._asked(lambda: self._store.entries(above))
            self._listed = {one.path.removeprefix(above): one for one in found}
        return self._listed

    def tables(self) -> list[str]:
        """As `LakePlace` says."""
        return sorted({path.partition("/")[0] for path in self._objects_there() if "/" in path})

    def names(self, product: str, folder: str) -> dict[str, int] | None:
        """As `LakePlace` says."""
        above = f"{product}/{folder}/" if folder else f"{product}/"
        found: dict[str, int] = {}
        for path, one in self._objects_there().items():
            if path.startswith(above) and path != above:
                found[path.removeprefix(above).partition("/")[0]] = one.size
        return found

    def bring(self, product: str, paths: Sequence[str]) -> None:
        """As `LakePlace` says: what is here already is what was fetched, or committed, by this publish."""
        for path in paths:
            target, wanted = self.root / product / path, self._objects_there().get(f"{product}/{path}")
            if wanted is not None and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                fresh = name_beside(target)
                self._asked(lambda: self._store.fetch(wanted, fresh))  # noqa: B023 — it is called at once
                rename(fresh, target)

    def keep(self, product: str, paths: Sequence[str]) -> None:
        """As `LakePlace` says: every object is read back, and compared with the file that was sent."""
        for path in paths:
            self._objects.send(f"{product}/{path}", self.root / product / path)

    def commit(self, product: str, paths: Sequence[str], only: Collection[str]) -> None:
        """As `LakePlace` says."""
        for path in paths:
            name, file = f"{product}/{path}", self.root / product / path
            if path in only:
                self._objects.create(name, file)
            else:
                self._objects.send(name, file)
        self._listed = None

    def sweep(self, product: str, folder: str) -> None:
        """As `LakePlace` says: what no commit names may be what another publish is about to name."""

    def drop(self, product: str) -> None:
        """As `LakePlace` says. The files of metadata go first: without them, nobody takes the rest for a table."""
        paths = [path for path in self._objects_there() if path.startswith(f"{product}/")]
        self._objects.remove_all(sorted(paths, key=lambda path: (path.endswith(".parquet"), path)))
        self._listed = None

    def _asked(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except BucketError as error:
            message = f"{self._address} cannot be published to: {error}"
            hint = "credentials and endpoint come from the environment, as for other clients"
            raise UserError(message, code="unreachable", hint=hint, exit_code=FAILED) from error


@contextlib.contextmanager
def opened_lake(place: Path | str, shown: str, say: Say, *, writes: bool) -> Iterator[LakePlace]:
    """Open a folder, or the URL of a bucket. shown: as the user wrote it. Raises `UserError`."""
    if isinstance(place, Path):
        with Folder(place, shown).held(say) if writes else contextlib.nullcontext():
            yield LakeFolder(place)
        return
    objects = Objects.at(place)
    from cache.remote.outside_store import OutsideStore  # obstore is there, or `Objects.at` had said so

    base = "/".join(place.split("/", 3)[:3])
    with tempfile.TemporaryDirectory(prefix="rules-publish-") as scratch:
        yield LakeBucket(Path(scratch).resolve(), place, objects, OutsideStore(base, REQUEST_SECONDS))
