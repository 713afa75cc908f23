"""stdout, stderr and colour: the one place that prints.

The result of a command goes to stdout; errors, warnings and progress go to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable


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
            sys.stdout.write(f"{self.paint(line, sys.stdout) if painted else line}\n")

    def document(self, document: dict[str, Any]) -> None:
        """Print the one JSON document."""
        narrow = (sys.stdout.encoding or "utf-8").lower().replace("-", "") != "utf8"
        sys.stdout.write(json.dumps(document, ensure_ascii=narrow, default=str) + "\n")

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
        except BrokenPipeError:  # nobody reads the progress any more, which is no reason to stop
            abandon(sys.stderr)


def abandon(stream: TextIO) -> None:
    """Send what is still written to a stream without a reader to nowhere, so that the end of the process is quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
