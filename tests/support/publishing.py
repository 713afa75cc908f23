"""Kills of `rules publish` at random times, and a project whose products are one of two tables each."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from support.inprocess import run
from support.projects import RULES, SampleProject

NAMES = ("one", "two", "three")
ROWS = 20_000


def two_states(root: Path, toml: str) -> SampleProject:
    """Return a project with the products of NAMES, of ROWS rows each."""
    made = SampleProject(root, sources=["raw"], toml=toml)
    made.parquet("raw", {"id": list(range(ROWS))})
    become(made, 0)
    return made


def become(project: SampleProject, state: int) -> None:
    """Build the products of a state: every row has its number."""
    for name in NAMES:
        project.sql(name, f"SELECT r.id, {state} AS state FROM raw AS r")
    run(project, "build")


def killed_at_random(
    project: SampleProject, env: Mapping[str, str], seen: Callable[[], Mapping[str, tuple[int, int, int]]], *,
    kills: int, seed: int,
) -> dict[str, int]:  # fmt: skip
    """Kill publishes at random times; each time every table must be the one before or the one that was sent.

    seen: returns rows, least and greatest state of each table, as a reader outside finds them. Returns how many kills
    found all tables old, all new, some of each, and how many commands ended before.
    """
    chance = random.Random(seed)
    counts = dict.fromkeys(("old", "new", "some", "ended"), 0)
    state, longest = 0, 0.0
    for _ in range(2):  # the first is what there is before, the second says how long it takes
        began = time.monotonic()
        done = _publish(project, env).wait(300)
        longest = time.monotonic() - began
        assert done == 0
        state += 1
        become(project, state)
    before = state - 1
    while counts["old"] + counts["new"] + counts["some"] < kills:
        process = _publish(project, env)
        try:
            longest = 0.9 * longest + 0.1 * process.wait(chance.uniform(0.5, 0.98) * longest) * longest
            counts["ended"] += 1
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(60)
            found = seen()
            assert set(found) == set(NAMES)
            for name, (rows, least, greatest) in found.items():
                assert rows == ROWS, (name, rows)
                assert least == greatest, name
                assert least in (before, state), (name, least, before, state)
            new = sum(least == state for _, least, _ in found.values())
            counts["new" if new == len(NAMES) else "some" if new else "old"] += 1
        run(project, "publish")
        assert {name: one[1] for name, one in seen().items()} == dict.fromkeys(NAMES, state)
        before, state = state, state + 1
        become(project, state)
    return counts


def _publish(project: SampleProject, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [RULES, "publish", "-q"], cwd=project.root, env={**os.environ, **env}, stderr=subprocess.DEVNULL
    )
