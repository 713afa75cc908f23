"""stdout, stderr and colour: the one place that prints.

The result of a command goes to stdout; errors, warnings and progress go to stderr.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_COLOURS = {
    "error": "31", "failed": "31",
    "warning": "33", "skipped": "33", "maybe": "33",
    "executed": "32", "run": "32",
    "restored": "36", "restore": "36",
}  # fmt: skip
_NARROW = 80


class OutputError(Exception):
    """The standard output cannot be written to: the disk is full, or it was closed from the start."""


class Output:
    """Where a command writes. verbosity: -1 quiet, 0 normal, 1 verbose."""

    def __init__(self, *, as_json: bool = False, colour: str = "auto", verbosity: int = 0) -> None:
        self.as_json = as_json
        self.verbosity = verbosity
        self._colour = colour

    def result(self, lines: Iterable[str], *, painted: bool = False) -> None:
        """Print a command's result as text; `painted` lines start with a status or verdict, which is coloured."""
        for line in lines:
            shown = self.paint(line, sys.stdout) if painted else line
            with writing():
                sys.stdout.write(f"{shown}\n")

    def document(self, document: dict[str, Any]) -> None:
        """Print the one JSON document."""
        narrow = (sys.stdout.encoding or "utf-8").lower().replace("-", "") != "utf8"
        text = json.dumps(document, ensure_ascii=narrow, default=str)
        with writing():
            sys.stdout.write(text + "\n")

    @contextlib.contextmanager
    def bytes(self) -> Iterator[BinaryIO]:
        """Give the standard output as a stream of bytes, for what is no text."""
        with writing():
            sys.stdout.flush()
        yield io.BufferedWriter(_Bytes())

    def message(self, line: str) -> None:
        """Print something that is no result; -q silences it unless it is an error."""
        if self.verbosity >= 0 or line.startswith("error"):
            self._tell(self.paint(line, sys.stderr))

    def error(self, lines: list[str]) -> None:
        """Print an error with the facts below it, whatever the verbosity."""
        for line in lines:
            self._tell(self.paint(line, sys.stderr))

    def paint(self, line: str, stream: TextIO) -> str:
        """Colour a line's first word, where colour is wanted."""
        word = line.split(" ", 1)[0].rstrip(":")
        colour = _COLOURS.get(word)
        if colour is None or not self.colourful(stream):
            return line
        return f"\x1b[{colour}m{word}\x1b[0m{line[len(word) :]}"

    def colourful(self, stream: TextIO) -> bool:
        """Whether to colour `stream`, by --color, else NO_COLOR, else FORCE_COLOR, else whether it is a terminal."""
        if self._colour != "auto":
            return self._colour == "always"
        if os.environ.get("NO_COLOR"):
            return False
        return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")

    def width(self, stream: TextIO) -> int | None:
        """Return the columns of the terminal that `stream` is, or None: what is not seen on a terminal is never cut."""
        if not stream.isatty():
            return None
        try:
            columns = os.get_terminal_size(stream.fileno()).columns
        except OSError:
            columns = 0
        return columns or _NARROW

    def _tell(self, line: str) -> None:
        try:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        except OSError:  # nobody reads the progress any more, which is no reason to stop
            abandon(sys.stderr)


class _Bytes(io.RawIOBase):
    """The bytes of the standard output; raises what `writing` raises."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with writing():
            return sys.stdout.buffer.write(data)

    def flush(self) -> None:
        with writing():
            sys.stdout.buffer.flush()


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Turn what goes wrong with the standard output into `OutputError`, but for a reader that has gone."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error.strerror or str(error)) from error


def open_closed_streams() -> None:
    """Stand in for standard streams that were closed before we were started.

    A file that is opened later must not get their numbers: whatever writes to the standard output would write into it.
    Messages then go nowhere. A result is missed: writing it fails.
    """
    closed = [stream is None for stream in (sys.stdin, sys.stdout, sys.stderr)]
    if not any(closed):
        return
    number = os.open(os.devnull, os.O_RDWR)
    while number <= 2:  # noqa: PLR2004 — the last of the standard streams
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(_Closed()), encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 — as long as the process lives


class _Closed(io.RawIOBase):
    """A standard output that was closed. What is written is refused once, and then goes nowhere."""

    _refused = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self._refused:
            return len(data)
        self._refused = True
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def fileno(self) -> int:
        return 1


def abandon(stream: TextIO) -> None:
    """Send what is still written to a stream without a reader to nowhere, so that the end of the process is quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
