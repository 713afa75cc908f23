"""Tables of table formats on object stores: their metadata as files of this machine, which is what their packages read.

The objects of a table are listed once; what of its metadata is needed is fetched as objects of sources are, and linked
into a folder of the run, in which it lies as in the bucket. So what is read is what was listed, whatever comes later.
"""

from __future__ import annotations

import os
import re
import shutil
from fnmatch import translate
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cache.remote.outside_store import ListedObject

_METADATA_FILE = (".metadata.json", ".metadata.json.gz")


def folder_of_table(path: str) -> str:
    """Return the folder of a table that a URL names, by itself or by one of its files of metadata; without a slash."""
    if path.endswith(_METADATA_FILE):
        return path.rpartition("/")[0].rpartition("/")[0]
    return path.rstrip("/")


class ObjectTable:
    """The objects of a table as a listing looks at files, see `rules.formats.source_format.Files`. Paths are URLs."""

    def __init__(
        self, found: Mapping[str, ListedObject], root: Path, fetch: Callable[[Iterable[str]], Mapping[str, Path]]
    ) -> None:
        """found: by URL; root: a folder of this machine; fetch: returns where copies of objects are.

        `fetch` raises `SwappedError` and `OutsideError`, and so do the methods that read.
        """
        self._found, self._root, self._fetch = found, root, fetch

    def read(self, path: str) -> bytes | None:
        """See `Files`."""
        if path not in self._found:
            return None
        self._bring([path])
        return Path(self.absolute(path)).read_bytes()

    def exists(self, path: str) -> bool:
        """See `Files`."""
        return path in self._found

    def matching(self, pattern: str) -> tuple[str, ...]:
        """See `Files`."""
        wanted = re.compile(translate(pattern))
        slashes = pattern.count("/")
        return tuple(sorted(one for one in self._found if one.count("/") == slashes and wanted.match(one)))

    def absolute(self, path: str) -> str:
        """See `Files`."""
        return f"{self._root}/{path.partition('://')[2]}"

    def have(self, folder: str, needed: Callable[[list[str]], Iterable[str]]) -> None:
        """See `Files`."""
        above = f"{folder}/"
        names = [one.removeprefix(above) for one in self._found if one.startswith(above)]
        self._bring([f"{above}{name}" for name in needed(names)])

    def _bring(self, paths: Iterable[str]) -> None:
        targets = {path: Path(self.absolute(path)) for path in paths if path in self._found}
        for path, copy in self._fetch([path for path, target in targets.items() if not target.exists()]).items():
            targets[path].parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(copy, targets[path])
            except OSError:
                shutil.copyfile(copy, targets[path])
