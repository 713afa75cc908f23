"""A `rules watch` process, and what it says."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any

from support.projects import RULES, SampleProject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PATIENCE = 60.0
"""Seconds after which a test gives up; nothing is decided by how long an answer took."""


class Watching:
    """A `rules watch` process, and the lines that it prints."""

    def __init__(self, project: SampleProject, *options: str, program: Sequence[str | Path] = (RULES,)) -> None:
        self.project = project
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 — closed with the process
        self.process = subprocess.Popen(
            [*program, "watch", *options], cwd=project.root, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def line(self) -> str:
        try:
            return self._lines.get(timeout=PATIENCE)
        except queue.Empty:
            self._errors.seek(0)
            raise AssertionError(f"nothing was said: {self._errors.read()}") from None

    def document(self, wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """Return the next document for which `wanted` holds: a save may come as several events."""
        while True:
            found: dict[str, Any] = json.loads(self.line())
            if wanted(found):
                return found

    def said(self) -> list[dict[str, Any]]:
        """Return the documents that have come since the last look."""
        return [json.loads(self._lines.get_nowait()) for _ in range(self._lines.qsize())]

    def of(self, path: str) -> dict[str, Any]:
        """Return the next document that is about a file."""
        return self.document(lambda one: path in one["changed"])

    def stop(self, number: int = signal.SIGINT) -> tuple[int, float]:
        """Send a signal; return the exit code and the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(timeout=PATIENCE)
        return code, time.monotonic() - began

    def close(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self._errors.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
