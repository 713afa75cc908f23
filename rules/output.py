"""stdout, stderr and colour: the one place that prints.

The result of a command goes to stdout; errors, warnings and progress go to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from rules.report import plural, result_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.results import Observer, Result

_COLOURS = {"error": "31", "warning": "33", "executed": "32", "failed": "31", "skipped": "33", "restored": "36", "run": "32"}


class Output:
    """Where a command writes. verbosity: -1 quiet, 0 normal, 1 verbose."""

    def __init__(self, *, as_json: bool = False, colour: str = "auto", verbosity: int = 0) -> None:
        self.as_json = as_json
        self.verbosity = verbosity
        self._colour = colour

    def result(self, lines: Iterable[str]) -> None:
        """Print a command's result as text."""
        for line in lines:
            print(self.paint(line, sys.stdout))

    def document(self, document: dict[str, Any]) -> None:
        """Print the one JSON document."""
        print(json.dumps(document, ensure_ascii=False, default=str))

    def message(self, line: str) -> None:
        """Print something that is no result; -q silences it unless it is an error."""
        if self.verbosity >= 0 or line.startswith("error"):
            print(self.paint(line, sys.stderr), file=sys.stderr)

    def paint(self, line: str, stream: TextIO) -> str:
        """Colour a line's first word, where colour is wanted."""
        word = line.split(" ", 1)[0].rstrip(":")
        colour = _COLOURS.get(word)
        if colour is None or not self.colourful(stream):
            return line
        return f"\x1b[{colour}m{word}\x1b[0m{line[len(word) :]}"

    def colourful(self, stream: TextIO) -> bool:
        """Whether to colour what goes to `stream`: --color, then NO_COLOR, FORCE_COLOR, then whether it is a terminal."""
        if self._colour != "auto":
            return self._colour == "always"
        if os.environ.get("NO_COLOR"):
            return False
        return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()

    def observer(self) -> Observer:
        """Return what shows a build's progress: a live region on a terminal, else a line for each product."""
        if sys.stderr.isatty() and self.verbosity >= 0 and os.environ.get("TERM") != "dumb":
            return LiveObserver(self)
        return LineObserver(self)


class LineObserver:
    """Progress as plain lines: one for each product that was not clean."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def planned(self, total: int, to_run: int) -> None:
        """Say what is ahead, when asked to be verbose."""
        if self._output.verbosity > 0:
            self._output.message(f"{plural(total, 'product')} selected, {to_run} may run")

    def started(self, name: str) -> None:
        """Say what starts, when asked to be verbose."""
        if self._output.verbosity > 0:
            self._output.message(f"running  {name}")

    def finished(self, result: Result) -> None:
        """Print a product's line."""
        if result.status != "clean" or self._output.verbosity > 0:
            self._output.message(result_line(result))

    def say(self, message: str) -> None:
        """Print a message."""
        self._output.message(message)

    def close(self) -> None:
        """Nothing to take away."""


class LiveObserver:
    """Progress on a terminal: finished products scroll by, below them what runs now and how far the build is."""

    def __init__(self, output: Output) -> None:
        from rich.console import Console
        from rich.live import Live

        self._output = output
        self._console = Console(stderr=True, no_color=not output.colourful(sys.stderr), highlight=False)
        self._live = Live(console=self._console, refresh_per_second=8, transient=True, get_renderable=self._render)
        self._running: dict[str, float] = {}
        self._total = 0
        self._done = 0

    def planned(self, total: int, to_run: int) -> None:
        """Open the live region if anything may run."""
        self._total = total
        if to_run:
            self._live.start()

    def started(self, name: str) -> None:
        """Show a product as running."""
        self._running[name] = time.monotonic()

    def finished(self, result: Result) -> None:
        """Let a product's line scroll by and count it."""
        self._running.pop(result.name, None)
        self._done += 1
        if result.status != "clean" or self._output.verbosity > 0:
            self._print(result_line(result))
        if self._done >= self._total:
            self.close()

    def say(self, message: str) -> None:
        """Print a message above the live region."""
        self._print(message)

    def close(self) -> None:
        """Take the live region away."""
        self._live.stop()

    def _print(self, line: str) -> None:
        from rich.text import Text

        self._console.print(Text.from_ansi(self._output.paint(line, sys.stderr)), soft_wrap=True)

    def _render(self) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        grid = Table.grid(padding=(0, 1))
        grid.add_row(ProgressBar(total=max(self._total, 1), completed=self._done, width=24), f"{self._done}/{self._total}")
        now = time.monotonic()
        for name, started in list(self._running.items()):
            grid.add_row(f"  running {name}", f"{now - started:.1f} s")
        return grid
