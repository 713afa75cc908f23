"""Calls of a project's functions by the engine, in which they must not read what nobody would see change.

What is written in a function is looked at before it is called (`rules.python.unseen`). What it does all the same, by
other names or in packages, shows as it happens: Python tells an audit hook of files that are opened, folders that are
listed, programs that are started and servers that are asked. Libraries that open files without Python are not seen.
"""

from __future__ import annotations

import functools
import os
import site
import sys
import sysconfig
import threading
import zoneinfo
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypeVar

from rules.python.faults import Misuse
from rules.python.surroundings import STATUS, paths_of, tell_of_reads

T = TypeVar("T")
_READS = frozenset({"open", "sqlite3.connect", "os.listdir", "os.scandir", STATUS})
_MAKES = frozenset({"os.mkdir", "os.rename"})
_PROGRAMS = frozenset({"subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "os.spawn"})
_SERVERS = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname"})
_HEARD = _READS | _MAKES | _PROGRAMS | _SERVERS
_PYTHON = ("importlib._bootstrap", "importlib._bootstrap_external", "linecache", "rules.python.importing")
"""Modules that read the text of code, to import it or to show it in a warning."""
_SYSTEM = ("/etc/localtime", "/etc/timezone", "/etc/mime.types")
_active = threading.local()


class _Call:
    """What one call made, and why it is refused."""

    def __init__(self) -> None:
        self.made: set[str] = set()
        self.fault: Misuse | None = None

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take in what is happening. Raises `Misuse`."""
        if event in _PROGRAMS:
            self._refuse(f"a function starts the program '{_first_word(arguments[0])}' when it is called")
        elif event in _SERVERS:
            self._refuse("a function asks a server when it is called")
        elif event in _MAKES:
            self.made.update(paths_of(arguments[1] if event == "os.rename" else arguments[0]))
        elif event == "open" and (arguments[2] or 0) & os.O_ACCMODE != os.O_RDONLY:
            self.made.update(paths_of(arguments[0]))
        else:
            for path in paths_of(arguments[0]):
                if not self._is_made(path) and not path.startswith(_fixed()) and not _reads_code():
                    self._refuse(f"a function reads '{path}' when it is called")

    def _is_made(self, path: str) -> bool:
        return any(path == one or path.startswith(f"{one}/") for one in self.made)

    def _refuse(self, what: str) -> None:
        hint = "read it at the top of the file, so that what it holds counts, or declare it as volatile"
        self.fault = self.fault or Misuse(f"{what}, where nobody would notice a change", hint)
        raise self.fault


class Quiet:
    """Runs the code of a function, which must read nothing, also where the function itself takes the error.

    What is read of the installed Python and of the machine's settings, and what the calls have made, may be read.
    """

    def __init__(self, *, volatile: bool) -> None:
        """volatile: whether the function is declared to change from run to run, so that it may read."""
        _listen()
        self._call = None if volatile else _Call()

    def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Call something in this thread. Raises `Misuse` if it reads, and what it raises itself."""
        before = getattr(_active, "call", None)
        _active.call = self._call
        try:
            return work(*arguments)
        finally:
            _active.call = before
            if self._call is not None and self._call.fault is not None:
                raise self._call.fault

    def each(self, items: Iterator[T]) -> Iterator[T]:
        """Yield what an iterator yields, whose code must read nothing."""
        while (item := self.run(next, items, _END)) is not _END:
            yield item


_END: Any = object()


@functools.cache
def _listen() -> None:
    tell_of_reads()
    sys.addaudithook(_heard)


def _heard(event: str, arguments: tuple[Any, ...], *, heard: frozenset[str] = _HEARD, active: Any = _active) -> None:
    call: _Call | None = getattr(active, "call", None)  # bound: as the process ends, modules lose their names
    if call is None or event not in heard:
        return
    _active.call = None  # what is asked to find out is not the function's
    try:
        call.hear(event, arguments)
    finally:
        _active.call = call


def _reads_code() -> bool:
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 — there is no other way to see who asks
    while frame is not None:
        if frame.f_globals.get("__name__") in _PYTHON:
            return True
        frame = frame.f_back
    return False


@functools.cache
def _fixed() -> tuple[str, ...]:
    """Return the beginnings of paths that are the machine's or the installed Python's, whose versions count."""
    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    places = {*installed, *site.getsitepackages(), site.getusersitepackages(), *zoneinfo.TZPATH}
    return (*_SYSTEM, *(f"{place}/" for place in places))


def _first_word(given: Any) -> str:
    if isinstance(given, list | tuple):
        given = given[0] if given else ""
    return os.fsdecode(given).split(" ")[0] if isinstance(given, str | bytes | os.PathLike) else "?"
