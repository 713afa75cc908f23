"""What a project's Python reads while it is imported, and while a rule is called: files, folders, the environment.

Python tells an audit hook of every file that it opens and of every folder that it lists; files that are looked for and
environment variables are noted as they are asked for. Only what a project's own code asks for counts, directly or
through a package: what an import of installed code reads belongs to that code. Libraries that open files without Python
(Arrow) are not seen.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from rules.files.surrounding_state import state_of_folder, state_of_variable

_FILES = frozenset({"open", "sqlite3.connect"})
_FOLDERS = frozenset({"os.listdir", "os.scandir"})
STATUS = "rules.stat"
"""The event of asking whether a file or folder exists, or how large it is, which Python itself tells nobody of."""
_HEARD = _FILES | _FOLDERS | {STATUS}
_DEVICES = ("/dev/", "/proc/", "/sys/")
_MEMORY = "/dev/shm/"  # noqa: S108 — a folder of files like any other
_IMPORTING = "importlib._bootstrap"
_OWN = "rules."
"""The beginning of the names of this package's modules."""


@dataclass
class Reads:
    """What was read, with the digest that it had when it was first asked for; None for what was not there.

    files and folders: by path, relative to the project inside it; folders also has files that were looked for and not
    opened. variables: of the environment, by name.
    """

    files: dict[str, str | None] = field(default_factory=dict)
    folders: dict[str, str | None] = field(default_factory=dict)
    variables: dict[str, str | None] = field(default_factory=dict)

    def add(self, other: Reads) -> None:
        """Take what another one has, where this one has nothing of the same name."""
        self.files = {**other.files, **self.files}
        self.folders = {**other.folders, **self.folders}
        self.variables = {**other.variables, **self.variables}


class ReadsOfProject:
    """Notes what a project's code reads, by the file whose code asks for it."""

    def __init__(
        self,
        root: str,
        file_of: Callable[[FrameType], str | None],
        digest_of: Callable[[str], str | None],
    ) -> None:
        """file_of: the file of a frame's code, if it is the project's. digest_of: of a file, None if there is none."""
        self._root = root
        self._file_of = file_of
        self._digest_of = digest_of
        self._found: dict[str, Reads] = {}

    def of(self, file: str) -> Reads:
        """Return what the code of a file has read so far."""
        return self._found.get(file, Reads())

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note what is read in this thread meanwhile."""
        _prepare()
        before = getattr(_active, "reads", None)
        _active.reads = self
        try:
            yield
        finally:
            _active.reads = before

    def note_path(self, event: str, path: str) -> None:
        """Note that a file is being opened, a folder listed, or either one looked for. path: absolute."""
        inside = os.path.relpath(path, self._root)
        shown = path if inside.startswith("..") else inside.replace(os.sep, "/")
        for reads in self._asking():
            if event in _FOLDERS or event == STATUS:
                reads.folders.setdefault(shown, state_of_folder(path))
            elif shown not in reads.files:
                reads.files[shown] = self._digest_of(shown)

    def note_variable(self, name: str) -> None:
        """Note that a variable of the environment is being looked up."""
        for reads in self._asking():
            reads.variables.setdefault(name, state_of_variable(name))

    def _asking(self) -> list[Reads]:
        """Return where to note what is being read: for each of the project's files whose code is asking for it."""
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 — there is no other way to see who asks
        files: dict[str, None] = {}
        while frame is not None:
            name = str(frame.f_globals.get("__name__"))
            if name != __name__:
                file = self._file_of(frame)
                if file is not None:
                    files[file] = None
                elif not files and (name == _IMPORTING or name.startswith(_OWN)):
                    break  # an import, or this package reads
            frame = frame.f_back
        return [self._found.setdefault(file, Reads()) for file in files]


_active = threading.local()


@contextlib.contextmanager
def _asked() -> Iterator[ReadsOfProject | None]:
    """Yield what notes the reads of this thread, None if nothing does. What is read meanwhile is not noted."""
    reads = getattr(_active, "reads", None)
    _active.reads = None
    try:
        yield reads
    finally:
        _active.reads = reads


@functools.cache
def _prepare() -> None:
    """Let Python tell of what is read, from now on: a hook stays as long as the process."""
    sys.addaudithook(_heard)
    tell_of_reads()
    kind = type(os.environ)

    class Environment(kind):  # type: ignore[misc, valid-type] # whatever class this Python has for it
        """The environment, which tells what is looked up."""

        def __getitem__(self, name: Any) -> Any:
            if getattr(_active, "reads", None) is not None:
                with _asked() as reads:
                    if reads is not None:
                        reads.note_variable(os.fsdecode(name) if isinstance(name, bytes) else str(name))
            return super().__getitem__(name)

    os.environ.__class__ = os.environb.__class__ = Environment


@functools.cache
def tell_of_reads() -> None:
    """Let audit hooks hear of `STATUS`, from now on: `os.path.exists`, `Path.is_file` and their like use these two."""
    for name in ("stat", "access"):
        asked = getattr(os, name)
        setattr(os, name, _telling(asked))
        for options in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids):
            if asked in options:
                options.add(getattr(os, name))


def _telling(asked: Callable[..., Any]) -> Callable[..., Any]:
    audit, status = sys.audit, STATUS  # which modules no longer have when the process ends

    @functools.wraps(asked)
    def telling(path: Any, *more: Any, **named: Any) -> Any:
        if named.get("dir_fd") is None:
            audit(status, path)
        return asked(path, *more, **named)

    return telling


def _heard(event: str, arguments: tuple[Any, ...], *, heard: frozenset[str] = _HEARD, active: Any = _active) -> None:
    if event not in heard or getattr(active, "reads", None) is None:  # bound, as above
        return
    if event == "open" and (arguments[2] or 0) & os.O_ACCMODE != os.O_RDONLY:
        return
    with _asked() as reads:
        for path in paths_of(arguments[0]):
            if reads is not None:
                reads.note_path(event, path)


def paths_of(given: Any) -> Iterator[str]:
    """Yield the absolute path of what is opened, and that of a module's text if it is one of compiled code.

    Nothing for a descriptor or a device.
    """
    given = "." if given is None else given
    if not isinstance(given, str | bytes | os.PathLike):
        return
    path = os.path.abspath(os.fsdecode(given))  # noqa: PTH100 — links stay: they may lead elsewhere later
    if path.startswith(_MEMORY) or not path.startswith(_DEVICES):
        yield path
        if path.endswith(".pyc"):
            with contextlib.suppress(ValueError):
                yield importlib.util.source_from_cache(path)
