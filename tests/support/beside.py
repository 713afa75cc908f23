"""A command that runs beside the test, to be signalled or to have files taken from it while it works."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.projects import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.projects import SampleProject


def endless(name: str) -> str:
    """Return a query over the rule `name` that no test waits for."""
    pairs = "generate_series(1, 100000) AS a(v) CROSS JOIN generate_series(1, 100000000) AS b(v)"
    return f"SELECT SUM(a.v * b.v % 7) AS n FROM {name} AS f CROSS JOIN {pairs}"


@contextlib.contextmanager
def started(project: SampleProject, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run `rules` beside the test. It heeds an interrupt, even where the suite runs in a background that ignores it."""

    def heed_interrupts() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        [RULES, *arguments],
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 — no thread runs in the tests when it is called
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(build: subprocess.Popen[str], line: str) -> None:
    """Wait until a message begins with the two words of `line`."""
    assert build.stderr is not None
    seen = []
    for told in build.stderr:
        seen.append(told)
        if told.split()[:2] == line.split():
            return
    pytest.fail(f"'{line}' was never told: {''.join(seen)}")
