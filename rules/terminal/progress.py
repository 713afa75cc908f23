"""A build as it goes on: plain lines, or on a terminal a live region with what runs below the lines of what is done."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from rules.printable import printable
from rules.report.runs import ResultColumns
from rules.wording import cut, duration, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.running.results import Observer, Result
    from rules.terminal.output import Output

_CALM = 0.25
"""Seconds before the live region shows: a build that ends sooner leaves nothing but its lines."""
_REFRESHED = 0.125
"""Seconds from one picture of the live region to the next."""
_RUNNING_SHOWN = 8
_BAR = 24


def observer(output: Output) -> Observer:
    """Return what shows a build's progress: a live region on a terminal, else a line for each product."""
    if sys.stderr.isatty() and output.verbosity >= 0 and os.environ.get("TERM") != "dumb":
        return LiveObserver(output)
    return LineObserver(output)


def _is_shown(result: Result, output: Output, columns: ResultColumns) -> bool:
    """Whether a product has a line: not what is clean, nor all of many that never began."""
    return output.verbosity > 0 or (result.status != "clean" and not columns.is_one_too_many(result))


class LineObserver:
    """Progress as plain lines: one for each product that was not clean."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._columns = ResultColumns()

    def planned(self, total: int, ahead: Sequence[str]) -> None:
        """Say what is ahead, when asked to be verbose."""
        self._columns.expect(ahead)
        if self._output.verbosity > 0:
            self._output.message(f"{plural(total, 'product')} selected, {len(ahead):,} not up to date")

    def started(self, name: str) -> None:
        """Say what starts, when asked to be verbose."""
        if self._output.verbosity > 0:
            self._output.message(f"running   {name}")

    def finished(self, result: Result) -> None:
        """Print a product's line."""
        if _is_shown(result, self._output, self._columns):
            self._output.message(self._columns.line(result))

    def say(self, message: str) -> None:
        """Print a message."""
        self._output.message(message)

    def close(self) -> None:
        """Nothing to take away."""


class LiveObserver:
    """Progress on a terminal: finished products scroll by, below them what runs now and how far the build is."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._columns = ResultColumns()
        self._live: Any = None
        # Rich's own refreshing can come between its look at how tall the region is and what it prints above: a line of
        # the region would stay on the screen.
        self._drawing = threading.Lock()
        self._closed = threading.Event()
        self._running: dict[str, float] = {}
        self._started = time.monotonic()
        self._total = 0
        self._done = 0

    def planned(self, total: int, ahead: Sequence[str]) -> None:
        """Open the live region unless all is clean."""
        self._columns.expect(ahead)
        self._total = total
        if not ahead:
            return
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, no_color=not self._output.colourful(sys.stderr), highlight=False)
        self._live = Live(console=console, auto_refresh=False, transient=True, get_renderable=self._render)
        self._live.start()
        threading.Thread(target=self._refresh, name="progress", daemon=True).start()

    def started(self, name: str) -> None:
        """Show a product as running."""
        with self._drawing:
            self._running[name] = time.monotonic()

    def finished(self, result: Result) -> None:
        """Let a product's line scroll by and count it."""
        with self._drawing:
            self._running.pop(result.name, None)
            self._done += 1
        if _is_shown(result, self._output, self._columns):
            line = self._columns.line(result)
            width = self._output.width(sys.stderr)
            self.say(line if width is None or self._output.verbosity > 0 else cut(printable(line), width))
        if self._done >= self._total:
            self.close()

    def say(self, message: str) -> None:
        """Print a message, above the live region if there is one."""
        if self._live is None:
            self._output.message(message)
            return
        from rich.text import Text

        text = Text.from_ansi(self._output.message_text(message))
        with self._drawing:
            self._live.console.print(text, soft_wrap=True)

    def close(self) -> None:
        """Take the live region away."""
        self._closed.set()
        with self._drawing:
            if self._live is not None:
                self._live.stop()
                self._live = None

    def _refresh(self) -> None:
        while not self._closed.wait(_REFRESHED):
            with self._drawing:
                if self._live is not None:
                    self._live.refresh()

    def _render(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        now = time.monotonic()
        if now - self._started < _CALM:
            return Group()
        head = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=max(self._total, 1), completed=self._done, width=_BAR)
        head.add_row(bar, f"{self._done:,} of {plural(self._total, 'product')}", duration(now - self._started, 1))
        running = sorted(self._running.items(), key=lambda item: item[1])
        width = max((len(name) for name, _ in running), default=0)
        lines = [
            Text(cut(printable(f"running   {name:<{width}}  {duration(now - since, 1)}"), self._live_width()))
            for name, since in running
        ]
        more = [Text(f"          and {len(lines) - _RUNNING_SHOWN} more")] if len(lines) > _RUNNING_SHOWN else []
        return Group(head, *lines[:_RUNNING_SHOWN], *more)

    def _live_width(self) -> int:
        return self._output.width(sys.stderr) or _RUNNING_SHOWN * 10
