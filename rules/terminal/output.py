"""stdout, stderr and colour: the one place that prints.

The result of a command goes to stdout; errors, warnings and progress go to stderr. What people or CI systems read is
made printable here, whatever names and values it holds. What programs read is exact, and printable on a terminal only.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from rules.printable import (
    document_without_secrets,
    printable_block,
    printable_json,
    printable_line,
    without_secrets,
    workflow_command,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_COLOURS = {
    "error": "31", "failed": "31",
    "warning": "33", "skipped": "33", "maybe": "33",
    "executed": "32", "run": "32",
    "restored": "36", "restore": "36",
}  # fmt: skip
_NARROW = 80


_kept: list[TextIO] = []
"""The standard outputs of the commands that run in this process, the innermost last."""


def results() -> TextIO:
    """Return the stream that results of commands go to."""
    return _kept[-1] if _kept else sys.stdout


@contextlib.contextmanager
def results_apart() -> Iterator[None]:
    """Keep the standard output to results: what the project's Python prints goes to the standard error.

    Otherwise a `print` in a rule would break the JSON document, the CSV file or the messages to an editor, and so would
    what C code and other programs write to descriptor 1, which leads to the standard error too.
    """
    printed = sys.stdout
    with _descriptor_apart(printed) as stream:
        _kept.append(stream)
        sys.stdout = sys.stderr
        try:
            yield
        finally:
            sys.stdout = printed
            _kept.pop()


@contextlib.contextmanager
def _descriptor_apart(printed: TextIO) -> Iterator[TextIO]:
    """Yield a stream to where the standard output led, while descriptor 1 leads to the standard error.

    The stream that is given, where it does not write to descriptor 1: it belongs to a program that we are part of.
    """
    if not isinstance(printed, io.TextIOWrapper) or not _are_descriptors(printed, sys.stderr):
        yield printed
        return
    if not isinstance(getattr(printed.buffer, "raw", printed.buffer), io.FileIO):  # one that was closed: see below
        yield printed
        return
    printed.flush()
    number = os.dup(1)
    written = io.BufferedWriter(io.FileIO(number, "w"))
    stream = io.TextIOWrapper(written, printed.encoding, printed.errors, line_buffering=bool(printed.line_buffering))
    os.dup2(2, 1)
    try:
        yield stream
    finally:
        with contextlib.suppress(OSError):  # a reader that has gone: `abandon` has been told, or nobody is left to tell
            stream.flush()
        os.dup2(number, 1)
        with contextlib.suppress(OSError):
            stream.close()


def _are_descriptors(*streams: TextIO) -> bool:
    """Whether streams write to the descriptors 1, 2 and so on."""
    try:
        return all(stream.fileno() == number for number, stream in enumerate(streams, start=1))
    except (OSError, ValueError, AttributeError):
        return False


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
            text = _line(line)
            self._print(self.paint(text, results()) if painted else text)

    def rows(self, lines: Iterable[str]) -> None:
        """Print a table of rows, in which URLs are values like others."""
        for line in lines:
            self._print(printable_line(line))

    def data(self, text: str) -> None:
        """Print what programs read: exact, but for a terminal."""
        self._print(printable_block(text) if results().isatty() else text)

    @contextlib.contextmanager
    def bytes(self) -> Iterator[BinaryIO]:
        """Give the standard output as a stream of bytes, for what programs read: exact, but for a terminal.

        What is not written yet when an error ends the work is dropped.
        """
        with writing():
            results().flush()
        bytes_ = _PrintableBytes() if results().isatty() else _Bytes()
        stream = io.BufferedWriter(bytes_)
        try:
            yield stream
            stream.flush()
            bytes_.flush()  # here, where what goes wrong is an error: nobody hears what fails in taking the stream away
        except BaseException:
            bytes_.drop()
            raise

    def annotation(self, command: str, properties: dict[str, str], text: str) -> None:
        """Print a workflow command of GitHub."""
        self._print(workflow_command(command, properties, without_secrets(text)))

    def document(self, document: dict[str, Any]) -> None:
        """Print the one JSON document."""
        narrow = (results().encoding or "utf-8").lower().replace("-", "") != "utf8"
        text = json.dumps(document_without_secrets(document), ensure_ascii=narrow, default=str)
        self._print(printable_json(text))

    def message(self, line: str) -> None:
        """Print something that is no result; -q silences it unless it is an error."""
        if self.verbosity >= 0 or line.startswith("error"):
            self._tell(self.message_text(line))

    def message_text(self, line: str) -> str:
        """Return what `message` prints, for a caller that prints it elsewhere on the screen."""
        return self.paint(_line(line), sys.stderr)

    def error(self, lines: list[str]) -> None:
        """Print an error with the facts below it, whatever the verbosity."""
        for line in lines:
            self._tell(self.paint(_line(line), sys.stderr))

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

    def width(self, stream: TextIO | None = None) -> int | None:
        """Return the columns of the terminal that a stream is, or None: what is not seen on a terminal is never cut.

        stream: that of results by default.
        """
        stream = stream or results()
        if not stream.isatty():
            return None
        try:
            columns = os.get_terminal_size(stream.fileno()).columns
        except OSError:
            columns = 0
        return columns or _NARROW

    def _print(self, text: str) -> None:
        with writing():
            results().write(f"{text}\n")

    def _tell(self, line: str) -> None:
        try:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        except OSError:  # nobody reads the progress any more, which is no reason to stop
            abandon(sys.stderr)


class _Bytes(io.RawIOBase):
    """The bytes of the standard output; raises what `writing` raises."""

    _dropped = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with writing():
            return len(data) if self._dropped else results().buffer.write(data)

    def flush(self) -> None:
        with writing():
            if not self._dropped:
                results().buffer.flush()

    def drop(self) -> None:
        """Let what a buffer before it still holds go nowhere."""
        self._dropped = True


class _PrintableBytes(_Bytes):
    """Writes UTF-8 to a terminal, printable."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def write(self, data: Any) -> int:
        taken = bytes(data)
        super().write(printable_block(self._decoder.decode(taken)).encode())
        return len(taken)


def _line(text: str) -> str:
    return printable_line(without_secrets(text))


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
