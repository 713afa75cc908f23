"""stdout, stderr and colour: the one place that prints.

The result of a command goes to stdout; errors, warnings and progress go to stderr. What people or CI systems read is
made printable here, whatever names and values it holds. What programs read is exact, and printable on a terminal only.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

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
    from typing import BinaryIO

    from _typeshed import ReadableBuffer


_COLOURS = {
    "error": "31", "failed": "31",
    "warning": "33", "skipped": "33", "maybe": "33",
    "executed": "32", "run": "32",
    "restored": "36", "restore": "36",
}  # fmt: skip
_NARROW = 80


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
            self._print(self.paint(text, sys.stdout) if painted else text)

    def rows(self, lines: Iterable[str]) -> None:
        """Print a table of rows, in which URLs are values like others."""
        for line in lines:
            self._print(printable_line(line))

    def data(self, text: str) -> None:
        """Print what programs read: exact, but for a terminal."""
        self._print(printable_block(text) if sys.stdout.isatty() else text)

    @contextlib.contextmanager
    def bytes(self) -> Iterator[BinaryIO]:
        """Give a stream for what programs read: exact, but for a terminal."""
        sys.stdout.flush()
        buffer = sys.stdout.buffer
        yield io.BufferedWriter(_PrintableBytes(buffer)) if sys.stdout.isatty() else buffer
        buffer.flush()

    def annotation(self, command: str, properties: dict[str, str], text: str) -> None:
        """Print a workflow command of GitHub."""
        self._print(workflow_command(command, properties, without_secrets(text)))

    def document(self, document: dict[str, Any]) -> None:
        """Print the one JSON document."""
        narrow = (sys.stdout.encoding or "utf-8").lower().replace("-", "") != "utf8"
        self._print(printable_json(json.dumps(document_without_secrets(document), ensure_ascii=narrow, default=str)))

    def message(self, line: str) -> None:
        """Print something that is no result; -q silences it unless it is an error."""
        if self.verbosity >= 0 or line.startswith("error"):
            self._tell(self.message_text(line))

    def message_text(self, line: str) -> str:
        """Return what `message` prints, for who prints it elsewhere on the screen."""
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

    def width(self, stream: TextIO) -> int | None:
        """Return the columns of the terminal that `stream` is, or None: what is not seen on a terminal is never cut."""
        if not stream.isatty():
            return None
        try:
            columns = os.get_terminal_size(stream.fileno()).columns
        except OSError:
            columns = 0
        return columns or _NARROW

    def _print(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")

    def _tell(self, line: str) -> None:
        try:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        except BrokenPipeError:  # nobody reads the progress any more, which is no reason to stop
            abandon(sys.stderr)


class _PrintableBytes(io.RawIOBase):
    """Writes UTF-8 to a terminal, printable."""

    def __init__(self, terminal: BinaryIO) -> None:
        self._terminal = terminal
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        taken = bytes(data)
        self._terminal.write(printable_block(self._decoder.decode(taken)).encode())
        return len(taken)


def _line(text: str) -> str:
    return printable_line(without_secrets(text))


def abandon(stream: TextIO) -> None:
    """Send what is still written to a stream without a reader to nowhere, so that the end of the process is quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
