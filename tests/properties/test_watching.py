"""`rules watch` leaves nothing to do, after any edits: what it has built is what a new process would have built.

No project counts as small here, so it looks only at what an edit can reach. The long form is a soak: RULES_SOAK_STEPS
edits (default 300) from the seed RULES_SOAK_SEED.
"""

from __future__ import annotations

import os
import random
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from properties.test_core import Trouble
from properties.world import World
from support.inprocess import run
from support.projects import SampleProject
from support.watching import PATIENCE, Watching

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ANY = (0, 1, 2)
"""Exit codes: edits break rules.toml, too."""
NO_PROJECT_IS_SMALL = (
    sys.executable,
    "-P",
    "-c",
    "from rules.compiling import reach; reach.SMALL = 0; from rules.cli import main; raise SystemExit(main())",
)


def ahead(project: SampleProject) -> Any:
    """Return the products that a new plan has work for, or the message of the error if there can be no plan."""
    document = run(project, "plan", "--json", "-k", expect=ANY).document
    if "products" not in document:
        return document["error"]["message"]
    done = {"clean", "failed", "skipped"}
    return sorted((one["name"], one["verdict"]) for one in document["products"] if one["verdict"] not in done)


def tables(project: SampleProject) -> dict[str, tuple[str, ...]]:
    """Return the rows of each product, sorted, that is up to date and of which no check fails.

    One that fails keeps back a new table, but not the one that is published already.
    """
    document = run(project, "plan", "--json", "-k", expect=ANY).document
    sound = [
        one for one in document.get("products", []) if not any(check.get("failing") for check in one.get("checks", []))
    ]
    names = [one["name"] for one in sound if one["verdict"] == "clean"]
    return {name: tuple(sorted(map(str, project.product(name).to_pylist()))) for name in names}


def walk(root: Path, seed: int, steps: int) -> None:
    chance = random.Random(seed)
    world = World(root / "project", chance)
    world.delete_object = lambda: None  # type: ignore[method-assign]  # of the store, which nobody watches
    world.write()
    trouble, project = Trouble(world), world.project
    changes: list[Callable[[], Any]] = [world.edit] * 6
    changes += [trouble.breaks, trouble.heals, trouble.heals, trouble.contract, trouble.python, trouble.variable]
    changes += [trouble.comment, trouble.twin]
    watching = Watching(project, "--json", program=NO_PROJECT_IS_SMALL)
    unmended = set[str]()
    try:
        what = "new project"
        for step in range(steps):
            told = f"seed {seed}, step {step}: {what}"
            settled(project, watching, unmended, told)
            if step % 10 == 9:
                there = SampleProject.copy_of(project.root, root / f"clean{step}")
                run(there, "build", "-k", expect=ANY)
                wanted, until = tables(there), time.monotonic() + PATIENCE
                # What had failed may just be about to be built. Below a failing check an older table stays published.
                while wanted.items() - (shown := tables(project)).items():
                    assert time.monotonic() < until, f"{told}: {shown} is there, and not {wanted}"
            change = chance.choice(changes)
            what = f"{change.__name__} {change() or ''}"
            assert watching.process.poll() is None, told
    finally:
        watching.close()


def settled(project: SampleProject, watching: Watching, unmended: set[str], told: str) -> None:
    """Wait until a new process would find work only for products of which the watching one has said that they failed.

    unmended: the names of these, which are brought up to date.
    """
    until = time.monotonic() + PATIENCE
    while True:
        left = ahead(project)
        for document in watching.said():
            unmended.clear()  # a save that changes nothing is not answered, so it may be of an earlier one
            ended = document.get("products", [])
            unmended.update(one["name"] for one in ended if one["status"] in {"failed", "skipped"})
        if isinstance(left, str) or {name for name, _ in left} <= unmended:
            return
        assert time.monotonic() < until, f"{told}: {left} is left to do"
        time.sleep(0.05)


@pytest.mark.slow
def test_watching_builds_what_is_saved(tmp_path: Path) -> None:
    walk(tmp_path, 1, 10)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_many_edits(tmp_path: Path) -> None:
    seed, steps = os.environ.get("RULES_SOAK_SEED", "1"), os.environ.get("RULES_SOAK_STEPS", "300")
    walk(tmp_path, int(seed), int(steps))
