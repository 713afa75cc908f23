"""No step grows faster than what it works on: the rules that an edit touches, or, to plan, the whole DAG.

Counted in executed lines, never in seconds. A project of one shape is built at growing sizes, and edited as the
benchmarks edit it.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.generated import inputs_of
from benchmarks.versus.scenarios import SCENARIOS, Subject
from support.counting import work_of
from support.generated import make_project, touch, write_source
from support.inprocess import build, run
from support.projects import SampleProject

OF_THE_TOUCHED = {"compile", "diff", "digest"}  # and all else of the DAG
SLACK = 1.1  # the depth, and how many rules read one, do not stay quite the same
CONSTANT = 300  # lines
TICK = 0.05  # seconds, see cache.signatures


@dataclass
class Grown:
    """A project of some size, and how often each scenario was run in it."""

    project: SampleProject
    subject: Subject
    done: Counter[str] = field(default_factory=Counter)

    def edit(self, scenario: str) -> None:
        """Edit once more; what was edited before stays."""
        self.done[scenario] += 1
        for name, sql in self.subject.texts(self.done).items():
            if self.project.read(f"rules/{name}.sql") != f"{sql}\n":
                self.project.sql(name, sql)
        if scenario == "source column":
            write_source(self.project, "s0", version=self.done[scenario])
        if scenario == "touched source":
            touch(self.project.root / "data" / "s2.parquet")

    def work(self, command: str) -> Counter[str]:
        return work_of(lambda: run(self.project, command, "--json"))


class Projects(dict[int, Grown]):
    """Built projects by size, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, size: int) -> Grown:
        self[size] = Grown(settled_project(self._folder / str(size), size), Subject(size))
        build(self[size].project)
        return self[size]


def settled_project(root: Path, size: int) -> SampleProject:
    """Return a project whose files are old enough to be known by their signatures: else they are read again."""
    project = make_project(root, size)
    time.sleep(2 * TICK)
    return project


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Projects:
    return Projects(tmp_path_factory.mktemp("growth"))


def touched(subject: Subject, scenario: str) -> int:
    """Return how much has to be looked at anew, in inputs of rules: of an edited root also the rules that read it."""
    if scenario in {"added column", "equal root"}:
        return 1 + sum(len(inputs_of(sql)) for sql in subject.rules.values() if subject.root in inputs_of(sql))
    return max(1, subject.ideal[scenario])


def growth(before: Counter[str], after: Counter[str], of_the_dag: float, of_the_touched: float) -> dict[str, str]:
    """Return the steps whose work grew by more than it may."""
    allowed = {step: of_the_touched if step in OF_THE_TOUCHED else of_the_dag for step in after}
    return {
        step: f"{before[step]} → {lines} lines, allowed: {allowed[step]:.2f} times as many"
        for step, lines in after.items()
        if lines > before[step] * allowed[step] * SLACK + CONSTANT
    }


SIZES = [pytest.param((50, 150), id="small"), pytest.param((1000, 3000, 10_000), id="large", marks=pytest.mark.soak)]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", [scenario for scenario in SCENARIOS if scenario != "cold"])
@pytest.mark.parametrize("sizes", SIZES)
def test_growth_is_linear(projects: Projects, sizes: tuple[int, ...], scenario: str) -> None:
    work = {}
    for size in sizes:
        projects[size].edit(scenario)
        work[size] = {command: projects[size].work(command) for command in ("plan", "build")}
    for small, large in pairwise(sizes):
        of_the_touched = max(1, touched(projects[large].subject, scenario) / touched(projects[small].subject, scenario))
        for command, lines in work[large].items():
            assert growth(work[small][command], lines, large / small, of_the_touched) == {}, (command, small, large)


@pytest.mark.slow
def test_cold_work_is_linear(tmp_path: Path) -> None:
    work = {}
    for size in (15, 45):  # from 60 rules on, other processes compile, whose lines are not counted
        project = settled_project(tmp_path / str(size), size)
        work[size] = work_of(lambda project=project: build(project))  # type: ignore[misc]
    assert growth(work[15], work[45], 3, 3) == {}
