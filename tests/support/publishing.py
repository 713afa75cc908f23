"""`rules publish` in tests: its document, and kills at random times, as two projects publish to one target."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema

from support.forks import shared
from support.inprocess import run
from support.projects import SampleProject

NAMES = ("one", "two", "three")
ROWS = 20_000
_LEAST = 0.001
_SCHEMA = Path(__file__).parents[2] / "docs" / "publish.schema.json"


def published(project: SampleProject, *words: str, expect: int = 0) -> dict[str, Any]:
    """Publish, and return the document of it, which is as its schema says."""
    document = run(project, "publish", "--json", *words, expect=expect).document
    jsonschema.validate(document, json.loads(_SCHEMA.read_text(encoding="utf-8")))
    return document


def products(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what became of the products in the one target, by name."""
    (target,) = document["targets"]
    return {one["name"]: one for one in target["products"]}


def statuses(document: dict[str, Any]) -> dict[str, str]:
    """Return the statuses of the products in the one target."""
    return {name: one["status"] for name, one in products(document).items()}


def sent(document: dict[str, Any], name: str) -> tuple[int, int]:
    """Return how many files of a product were sent, and how many bytes."""
    found = products(document)[name]
    return found["files"], found["bytes"]


def project_of(root: Path, toml: str, state: int) -> SampleProject:
    """Return a project with the products of NAMES, of ROWS rows each, every one of which has the state's number."""
    made = SampleProject(root, sources=["raw"], toml=toml)
    made.parquet("raw", {"id": list(range(ROWS))})
    for name in NAMES:
        made.sql(name, f"SELECT r.id, {state} AS state FROM raw AS r")
    run(made, "build")
    return made


def killed_at_random(
    root: Path, toml: str, seen: Callable[[], Mapping[str, tuple[int, int, int]]], *, kills: int, seed: int
) -> dict[str, int]:
    """Kill publishes at random times; each time every table must be the one before or the one that was sent.

    seen: returns rows, least and greatest state of each table, as a reader outside finds them. Returns how many kills
    found all tables old, all new, some of each, and how many commands ended before.
    """
    chance, forks = random.Random(seed), shared()
    counts = dict.fromkeys(("old", "new", "some", "ended"), 0)
    projects = [project_of(root / str(state), toml, state) for state in (0, 1)]
    for one in projects:
        assert forks.run(one.root, "publish").code == 0
    before, longest = 1, 0.0
    while counts["old"] + counts["new"] + counts["some"] < kills:
        state, made = 1 - before, projects[1 - before]
        after = max(_LEAST, chance.uniform(0.0, 1.0) * longest)
        ended = forks.run(made.root, "publish", kill_after=after)
        assert ended.code in (0, -signal.SIGALRM), ended
        found = seen()
        assert set(found) == set(NAMES)
        for name, (rows, least, greatest) in found.items():
            assert rows == ROWS, (name, rows)
            assert least == greatest, name
        new = sum(least == state for _, least, _ in found.values())
        counts["ended" if ended.code == 0 else "new" if new == len(NAMES) else "some" if new else "old"] += 1
        print(counts, flush=True)  # noqa: T201 — with -s
        began = time.monotonic()
        assert forks.run(made.root, "publish").code == 0
        longest = max(0.8 * longest, time.monotonic() - began)
        assert {name: one[1] for name, one in seen().items()} == dict.fromkeys(NAMES, state)
        before = state
    return counts
