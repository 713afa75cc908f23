"""Changes of the files of a project, in batches: what was saved together, or a branch that was checked out.

A batch only says that it is time to look, and what is worth naming. What has changed is found by the run that follows,
from the files themselves, so an event that is lost, late or doubled can delay an answer and never falsify one.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rules.errors import UserError
from rules.files.project_paths import FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rules.config.project import Project

_TOGETHER_MS = 400
"""Changes that go on without a pause are one batch for at most so long."""
_PAUSE_MS = 10
"""A pause that ends a batch."""
_TICK_MS = 100
"""How often to look whether the folder is still the one that is watched."""
_GONE_SECONDS = 0.2


def outside_folders(project: Project) -> list[Path]:
    """Return the folders outside of a project in which its rules and files of its sources are, links followed."""
    root, places = project.root.resolve(), set[Path]()
    for source in project.sources.values():
        if "://" in source.path:
            continue
        place = root / source.path.split("*")[0]
        folder = place if place.is_dir() else place.parent
        places |= {folder, *_links_in(folder)} if "*" in source.path else {folder, place}
    for rules in project.rule_folders:
        places |= {root / rules, *_links_in(root / rules, deep=True)}
    real = {place.resolve() for place in places}
    found = {place if place.is_dir() else place.parent for place in real}
    return sorted(folder for folder in found if folder.is_dir() and not folder.is_relative_to(root))


def _links_in(folder: Path, *, deep: bool = False) -> Iterator[Path]:
    """Yield the links in a folder. deep: and those in the folders below it, be they links themselves."""
    pending, seen = [folder], set[Path]()
    while pending:
        place = pending.pop()
        real = place.resolve()
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_symlink():
                        yield place / entry.name
                    if deep and entry.is_dir():
                        pending.append(place / entry.name)
        except OSError:  # it is not there now, or may not be read: the run that follows says so
            continue


class Changes:
    """The changes below a project root and in other folders that its sources and rules are in."""

    def __init__(self, root: Path, outside: Callable[[], Iterable[Path]], gone: Callable[[], None]) -> None:
        """outside: returns files and folders that are watched beside the root. gone: called when the root has gone.

        Raises `UserError` if the library that watches is not installed.
        """
        try:
            import watchfiles
        except ImportError as error:
            message = "rules watch needs the package watchfiles"
            hint = "install leastwork-rules[watch]"
            raise UserError(message, code="missing-package", hint=hint) from error
        self._watch = watchfiles.watch
        self._root, self._outside, self._gone = root, outside, gone

    def batches(self) -> Iterator[frozenset[str]]:
        """Yield the paths that changed, relative to the root where inside; first an empty batch, when watching begins.

        A folder that was replaced gives an empty batch, too: everything may be different.
        """
        while True:
            identity = self._identity()
            if identity is None:
                self._gone()
                while self._identity() is None:
                    time.sleep(_GONE_SECONDS)
                continue
            yield from self._of(identity)

    def _of(self, identity: tuple[int, int]) -> Iterator[frozenset[str]]:
        """Yield batches until the root is another folder, or other folders are to be watched."""
        outside, began = set(self._outside()), False
        try:
            for found in self._watch(
                self._root,
                *sorted(outside),
                watch_filter=lambda _, path: not self._is_hidden(path),
                debounce=_TOGETHER_MS,
                step=_PAUSE_MS,
                rust_timeout=_TICK_MS,
                yield_on_timeout=True,
                raise_interrupt=True,
            ):
                if self._identity() != identity:
                    return
                if not began:  # what has changed since is in the next batch
                    began = True
                    yield frozenset()
                if found:
                    yield frozenset(self._shown(path) for _, path in found)
                    if set(self._outside()) != outside:
                        return
        except FileNotFoundError:  # it went while the watching began
            return

    def _identity(self) -> tuple[int, int] | None:
        """Return what tells the root from a folder that takes its place; None while it is no project."""
        try:
            status = self._root.stat()
            (self._root / FILE).stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _is_hidden(self, path: str) -> bool:
        """Whether a path is in a hidden file or folder of the project, such as its store or .git."""
        relative = os.path.relpath(path, self._root)
        parts = Path(relative).parts
        return parts[:1] != (os.pardir,) and any(part.startswith(".") and part != "." for part in parts)

    def _shown(self, path: str) -> str:
        relative = os.path.relpath(path, self._root)
        return path if relative.startswith(os.pardir) else relative.replace(os.sep, "/")
