"""What a process says that keeps its memory between runs is what a new process says, after any edit.

Both plan and check after every random edit, and one of the two builds: whatever the other has done to the store counts.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from properties.world import World
from rules.compiling import reach
from rules.core import Core
from rules.errors import UserError, UserErrors
from rules.planning.prepared import Request
from rules.report.plan_view import PlanView
from rules.report.runs import error_document
from support.inprocess import run
from support.observers import Silent
from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = """
from rules import rule

@rule
def {name}({table}):
    return {table}.select("k", w={table}.k + {number})
"""

DRAFTS = (
    "SELECT",
    "SELECT t.k, t.v AS g FROM text AS t",
    "SELECT k, t.* FROM text AS t WHERE nothing > 1",
    '-- /// rule\n-- key = ["k"]\n-- ///\nSELECT t.k FROM text AS t GROUP BY t.k',
    "-- rules: ignore R005\nSELECT * FROM text AS t",
)
"""Texts that an editor has not saved."""


class Trouble:
    """Edits beside those of the world, which its rules survive: files that are broken, settings, whole folders."""

    def __init__(self, world: World) -> None:
        self.world, self.project, self.random = world, world.project, world.random
        self.toml = self.project.read("rules.toml").replace("[project]", '[project]\nrules = ["rules", "more"]', 1)
        self.project.write("rules.toml", self.toml)
        (self.project.root / "more").mkdir()

    def step(self) -> str:
        """Change something; say what."""
        change = self.random.choice(
            [self.breaks, self.heals, self.contract, self.python, self.variable, self.comment, self.twin, self.store]
        )
        change()
        return change.__name__

    def breaks(self) -> None:
        text = self.random.choice(
            [
                "SELECT",
                "SELECT nothing.x FROM missing AS nothing",
                "-- /// rule\n-- tier = 9\n-- ///\nSELECT 1 AS k",
                "\0",
            ]
        )
        self.project.write(f"more/broken{self.random.randrange(2)}.sql", text)

    def heals(self) -> None:
        for path in (self.project.root / "more").glob("*.*"):
            path.unlink()

    def contract(self) -> None:
        name = self.random.choice(sorted(self.world.rules))
        check = self.random.choice(["k < 1000", "k IS NULL", "nothing > 1"])
        title = f'[[contracts.{name}.checks]]\nname = "low"\nsql = "SELECT * FROM {name} AS c WHERE NOT (c.{check})"\n'
        self.project.write("rules.toml", self.random.choice([self.toml, self.toml + title]))

    def python(self) -> None:
        number = self.random.randrange(3)
        self.project.write("more/own.py", PYTHON.format(name="own", table="text", number=number))

    def variable(self) -> None:
        number = self.random.randrange(4)
        self.project.write("rules.toml", f"{self.toml}\n[vars]\nlimit = {number}\n")
        self.project.write("more/variable.sql", "SELECT t.k FROM text AS t WHERE t.k > $limit")

    def comment(self) -> None:
        path = self.project.root / "rules" / f"{self.random.choice(sorted(self.world.rules))}.sql"
        if path.exists():
            path.write_text(path.read_text() + f"-- {self.random.random()}\n")

    def twin(self) -> None:
        name = self.random.choice(sorted(self.world.rules))
        self.project.write(f"more/{name}.sql", "SELECT 1 AS k")

    def store(self) -> None:
        shutil.rmtree(self.project.root / ".rules", ignore_errors=True)


@pytest.fixture(autouse=True)
def _no_project_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "SMALL", 0)


def planned(core: Core, request: Request) -> dict[str, Any]:
    """Return a plan as the command prints it with --json."""
    try:
        return PlanView(core.plan(request, Silent())).document()
    except UserError as error:
        return error_document("plan", [error])
    except UserErrors as several:
        return error_document("plan", several.errors)


def checked(core: Core) -> dict[str, Any]:
    """Return what is found in each file."""
    try:
        return core.check(Silent().say).records
    except UserError as error:
        return error_document("check", [error])


def built(core: Core, request: Request) -> None:
    try:
        core.build(request, Silent())
    except (UserError, UserErrors):
        return


def check_unsaved(world: World, core: Core, copy: Path, what: str) -> None:
    """What is found in texts that are not saved is what a new process finds once they are; then all is as before."""
    names = world.random.sample(sorted(world.rules), 2)
    drafts = {f"rules/{name}.sql": world.random.choice(DRAFTS) for name in names}
    saved = SampleProject.copy_of(world.project.root, copy)
    for path, text in drafts.items():
        saved.write(path, text)
    assert core.check(Silent().say, drafts).records == checked(Core(saved.root)), (what, drafts)
    assert checked(core) == checked(Core(world.project.root)), (what, drafts)
    shutil.rmtree(copy)


def check_brief(core: Core, request: Request, whole: dict[str, Any], what: str) -> bool:
    """A plan that may leave out what no edit reaches counts all, and says the same of what is not clean.

    Return whether it has left anything out.
    """
    try:
        prepared = core.plan(replace(request, brief=True), Silent())
    except (UserError, UserErrors):
        assert "error" in whole, what
        return False
    assert prepared.summary == whole["summary"], what
    found = {name: (one.verdict, one.reason, one.key) for name, one in prepared.judgements.items()}
    said = {one["name"]: (one["verdict"], one["reason"], one["key"]) for one in whole["products"]}
    assert found.items() <= said.items(), what
    assert {name for name, one in said.items() if one[0] != "clean"} <= found.keys(), what
    return len(found) < len(said)


def walk(root: Path, seed: int, steps: int, *, troubled: bool = True) -> Counter[str]:
    """Edit a project again and again; return how many plans were no errors, and how many left something out.

    troubled: whether there are other edits than those of rules and sources, after which little is complete.
    """
    world = World(root / "project", random.Random(seed))
    world.write()
    core, counts = Core(world.project.root), Counter[str]()
    trouble = Trouble(world)
    done = ["new project"]
    for step in range(steps):
        what = f"seed {seed}, step {step}: {', '.join(done)}"
        keep_going = world.random.random() < 0.5
        request, words = Request(keep_going=keep_going), ["-k"] if keep_going else []
        for _ in range(world.random.randint(1, 2)):
            if world.random.random() < 0.5:
                warm, cold = (
                    planned(core, request),
                    run(world.project, "plan", "--json", *words, expect=(0, 1, 2)).document,
                )
            else:
                cold, warm = (
                    run(world.project, "plan", "--json", *words, expect=(0, 1, 2)).document,
                    planned(core, request),
                )
            assert warm == cold, what
            counts["sound"] += "error" not in cold
            counts["brief"] += check_brief(core, request, cold, what)
            assert checked(core) == checked(Core(world.project.root)), what
        check_unsaved(world, core, root / "saved", what)
        builder = world.random.choice(["warm", "cold", "none"])
        if builder == "warm":
            built(core, Request(keep_going=True))
        elif builder == "cold":
            run(world.project, "build", "-k", expect=(0, 1, 2))
        done = [
            world.edit() if not troubled or world.random.random() < 0.6 else trouble.step()
            for _ in range(world.random.randint(0, 2))
        ]
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_memory_changes_nothing_but_the_time(tmp_path: Path, seed: int) -> None:
    assert walk(tmp_path, seed, 8)["sound"] > 0


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(int(os.environ.get("RULES_SOAK_RUNS", "20"))))
def test_many_memories(tmp_path: Path, seed: int) -> None:
    counts = walk(tmp_path, 1000 + seed, 40, troubled=seed % 2 > 0)
    assert counts["sound"] > 0
    assert counts["brief"] > 0 or seed % 2 > 0
