"""Record what a process asks of the file system, in order with all data, by `strace`: it sees SQLite's writes, too."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Kind = Literal["create", "truncate", "write", "stamp", "mode", "sync", "rename", "link", "symlink", "unlink", "mkdir"]
AVAILABLE = shutil.which("strace") is not None
_CALLS = (
    "open,openat,creat,lseek,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,"
    "sendfile,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,"
    "fdatasync,msync,sync,syncfs,sync_file_range,utimensat,chmod,fchmod,fchmodat"
)
APPENDED = -1
"""The offset of what is written to the end of a file."""
_UNKNOWN = ("fallocate", "copy_file_range", "sendfile", "sync_file_range", "truncate")
"""Calls that the model of a disk does not have; they must not be used on the store."""
_LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)")
_BEGUN = re.compile(r"(\d+) +(.*) <unfinished \.\.\.>")
_RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_PLACE = re.compile(r"^(\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>(\(deleted\))?")
_TIME = re.compile(r"tv_sec=(-?\d+), tv_nsec=(\d+)")


@dataclass(frozen=True)
class Operation:
    """One change. path: below the recorded root; other: the second path of a rename or link, or a symlink's target.

    at: the offset of a write, the length of a truncation, the time stamp or the mode; data: of a write.
    """

    kind: Kind
    path: str
    other: str = ""
    at: int = 0
    data: bytes = field(default=b"", repr=False)


def record(
    command: list[str], root: Path, log: Path, env: Mapping[str, str] | None = None, *, code: int = 0
) -> list[Operation]:
    """Run a command in `root`, which must end with an exit code, and return what it changed there.

    log: where `strace` may write.
    """
    tracing = ["strace", "-f", "-y", "-xx", "-s", "1000000000", "--seccomp-bpf", "-o", str(log)]
    words = [*tracing, "-e", f"trace={_CALLS}", *command]
    done = subprocess.run(words, cwd=root, env=env, check=False, capture_output=True, timeout=300)
    assert done.returncode == code, done.stderr.decode()
    with log.open(encoding="ascii") as lines:
        return list(_Reader(str(root)).operations(_whole(lines)))


def _whole(lines: Iterator[str]) -> Iterator[tuple[str, str, int]]:
    """Yield calls when they have ended: name, arguments, result. One that was interrupted by others is put together."""
    begun: dict[str, str] = {}
    for line in lines:
        text = line.rstrip("\n")
        if found := _BEGUN.fullmatch(text):
            begun[found[1]] = found[2]
            continue
        if found := _RESUMED.fullmatch(text):
            text = f"{found[1]} {begun.pop(found[1])}{found[2]}"
        if (ended := _LINE.match(text)) and int(ended[4]) >= 0:
            yield ended[2], ended[3], int(ended[4])


class _Reader:
    """Makes operations of calls. It keeps the offset of each descriptor, for writes that name none."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._offsets: dict[tuple[str, str], int] = {}

    def operations(self, calls: Iterator[tuple[str, str, int]]) -> Iterator[Operation]:
        for name, arguments, result in calls:
            for operation in self._read(name, arguments, result):
                if operation.path:
                    yield operation

    def _read(self, name: str, arguments: str, result: int) -> Iterator[Operation]:
        place = _PLACE.match(arguments)
        path = "" if place is None or place[3] else self._below(_decoded(place[2]))
        if path and name in _UNKNOWN:
            raise NotImplementedError(f"{name} of {path}")
        if name in {"open", "openat", "creat"}:
            yield from self._opened(name, arguments, str(result))
        elif name == "lseek":
            self._offsets[place[1], path] = result  # type: ignore[index]
        elif name in {"write", "writev", "pwrite64", "pwritev", "pwritev2"}:
            data = b"".join(map(_decoded_bytes, _TEXT.findall(arguments)))[:result]
            if name in {"write", "writev"}:
                key = (place[1], path)  # type: ignore[index]
                at = self._offsets.get(key, 0)
                self._offsets[key] = at if at == APPENDED else at + result
            else:
                at = int(arguments.rsplit(", ", 1 if name != "pwritev2" else 2)[1])
            yield Operation("write", path, at=at, data=data)
        elif name == "ftruncate":
            yield Operation("truncate", path, at=int(arguments.rsplit(", ", 1)[1]))
        elif name in {"fsync", "fdatasync", "msync"}:
            yield Operation("sync", path)
        elif name == "fchmod":
            yield Operation("mode", path, at=int(arguments.rsplit(", ", 1)[1], 8))
        else:
            yield from self._named(name, arguments, path)

    def _opened(self, name: str, arguments: str, descriptor: str) -> Iterator[Operation]:
        path = self._paths(arguments)[0]
        key = (descriptor, path)
        self._offsets[key] = APPENDED if "O_APPEND" in arguments else 0
        if "O_CREAT" in arguments or name == "creat":
            yield Operation("create", path)
        if "O_TRUNC" in arguments or name == "creat":
            yield Operation("truncate", path)

    def _named(self, name: str, arguments: str, path: str) -> Iterator[Operation]:
        paths = self._paths(arguments)
        if name.startswith("rename"):
            yield Operation("rename", paths[0], paths[1])
        elif name.startswith("link"):
            yield Operation("link", paths[1], paths[0])
        elif name.startswith("symlink"):
            target = _decoded(_TEXT.findall(arguments)[0])
            yield Operation("symlink", self._paths(arguments.split(", ", 1)[1])[0], target)
        elif name.startswith(("unlink", "rmdir")):
            yield Operation("unlink", paths[0])
        elif name.startswith("mkdir"):
            yield Operation("mkdir", paths[0])
        elif name == "utimensat":
            times = _TIME.findall(arguments)
            whole = [int(seconds) * 1_000_000_000 + int(rest) for seconds, rest in times]
            yield Operation("stamp", paths[0] if paths else path, at=whole[1] if whole else 0)
        elif name in {"chmod", "fchmodat"}:
            yield Operation("mode", paths[0], at=int(arguments.rsplit(", ", 1)[-1].split(",", maxsplit=1)[0], 8))

    def _paths(self, arguments: str) -> list[str]:
        """Return the paths that a call names, "" for those that are elsewhere."""
        found, folder = [], self._root
        for argument in arguments.split(", "):
            if place := _PLACE.match(argument):
                folder = _decoded(place[2])
            elif text := _TEXT.fullmatch(argument):
                path = _decoded(text[1])
                found.append(self._below(path if path.startswith("/") else f"{folder}/{path}"))
        return found

    def _below(self, path: str) -> str:
        return path.removeprefix(f"{self._root}/") if path.startswith(f"{self._root}/") else "." * (path == self._root)


def _decoded_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _decoded(text: str) -> str:
    return _decoded_bytes(text).decode(errors="surrogateescape")
