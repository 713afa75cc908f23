"""`rules watch` leaves nothing to do, after any edits: what it has built is what a new process would have built.

No project counts as small here, so it looks only at what an edit can reach. The long form is a soak: RULES_SOAK_STEPS
edits (default 300) from the seed RULES_SOAK_SEED, alone, and in haste beside other commands, some of which are killed.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
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

SEED, STEPS = int(os.environ.get("RULES_SOAK_SEED", "1")), int(os.environ.get("RULES_SOAK_STEPS", "300"))
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


class Beside:
    """Other commands on the project, side by side with what watches it."""

    COMMANDS = (
        *("build", "build -k", "build -k --force *", "gc", "plan", "check", "audit"),
        *("diff", "lineage", "ls", "log", "test", "plan --explain", "cache verify"),
    )

    def __init__(self, project: SampleProject, chance: random.Random) -> None:
        self._root, self._chance = project.root, chance
        self._running: list[subprocess.Popen[str]] = []

    def begin(self) -> None:
        """Begin up to two commands, and perhaps kill one."""
        for _ in range(self._chance.randint(0, 2)):
            command = [*NO_PROJECT_IS_SMALL, *self._chance.choice(self.COMMANDS).split()]
            self._running.append(
                subprocess.Popen(command, cwd=self._root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            )
        if self._running and self._chance.random() < 0.2:
            time.sleep(self._chance.random())
            self._running[-1].kill()

    def end(self) -> None:
        """Wait for all, none of which may have failed in a way that is a fault of ours."""
        ended, self._running = self._running, []
        for process in ended:
            said, _ = process.communicate()
            assert process.returncode in {*ANY, -signal.SIGKILL}, said


def walk(root: Path, seed: int, steps: int, *, alone: bool = True) -> None:
    """Edit at random. alone: no other command runs, and each edit is built before the next."""
    chance = random.Random(seed)
    world = World(root / "project", chance)
    world.delete_object = lambda: None  # type: ignore[method-assign]  # of the store, which nobody watches
    world.write()
    trouble, project = Trouble(world), world.project
    changes: list[Callable[[], Any]] = [world.edit] * 6
    changes += [trouble.breaks, trouble.heals, trouble.heals, trouble.contract, trouble.python, trouble.variable]
    changes += [trouble.comment, trouble.twin]
    watching, beside = Watching(project, "--json", program=NO_PROJECT_IS_SMALL), Beside(project, chance)
    unmended = set[str]()
    try:
        what = "new project"
        for step in range(steps):
            told = f"seed {seed}, step {step}: {what}"
            if not alone:
                beside.begin()
            if alone or step % 10 == 9:
                beside.end()
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
        beside.end()


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
    walk(tmp_path, SEED, STEPS)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_many_edits_in_haste_beside_other_commands(tmp_path: Path) -> None:
    walk(tmp_path, SEED, STEPS, alone=False)
