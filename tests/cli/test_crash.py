"""A build that is killed at any instant leaves the last committed state, and the next build goes on from there."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from support.consistency import check_after_end, tables
from support.forks import Ended, Forks, shared
from support.former_store import FORMER, left_by
from support.inprocess import run
from support.projects import RULES, SampleProject

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def forks() -> Forks:
    return shared()


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    """A project with a Parquet and a CSV source, a chain, a fork, two products of the same content, and one alone."""
    toml = '\n[sources.cities]\npath = "data/cities.csv"\n'
    made = SampleProject(tmp_path / "project", sources=["orders"], toml=toml)
    made.parquet(
        "orders", {"id": list(range(40)), "city": ["A", "B", None, "D"] * 10, "amount": [n % 7 for n in range(40)]}
    )
    made.write("data/cities.csv", "city,country\nA,X\nB,Y\nD,X\n")
    made.sql("big", "SELECT id, city, amount FROM orders WHERE amount > 2")
    made.sql("by_city", "SELECT city, SUM(amount) AS total FROM big GROUP BY city")
    made.sql(
        "by_country",
        "SELECT c.country, SUM(b.total) AS total FROM by_city AS b JOIN cities AS c USING (city) GROUP BY c.country",
    )
    made.sql("twin", "SELECT id, city, amount FROM orders WHERE amount >= 3")
    return made


@pytest.fixture
def in_parts(tmp_path: Path) -> SampleProject:
    """A project whose sources, of Parquet and of text, and whose products have parts."""
    toml = (
        '\n[sources.orders]\npath = "data/orders"\n[sources.visits]\npath = "data/visits.csv"\n[parts]\nmin_rows = 8\n'
    )
    made = SampleProject(tmp_path / "project", toml=toml)
    for number in range(4):
        put_orders(made, number, [n % 7 for n in range(10)])
    made.write("data/visits.csv", "city,visits\n" + "".join(f"{'ABD'[n % 3]},{n}\n" for n in range(24)))
    made.sql("big", "SELECT o.id, o.city, o.amount FROM orders AS o WHERE o.amount > 1")
    made.sql("by_city", "SELECT b.city, SUM(b.amount) AS total FROM big AS b GROUP BY b.city")
    made.sql("visited", "SELECT v.city, SUM(v.visits) AS visits FROM visits AS v GROUP BY v.city")
    return made


def put_orders(project: SampleProject, number: int, amounts: list[int]) -> None:
    cities = [["A", "B", None, "D"][(n + number) % 4] for n in range(len(amounts))]
    project.parquet(
        f"orders/{number}", {"id": [number * 100 + n for n in range(len(amounts))], "city": cities, "amount": amounts}
    )


def change_parts(project: SampleProject) -> None:
    """Append a file and rows of text, correct a file, and edit a rule."""
    put_orders(project, 9, [5, 6, 7])
    put_orders(project, 1, [3] * 10)
    with (project.root / "data/visits.csv").open("a") as file:
        file.write("A,100\nB,200\n")
    project.edit("rules/by_city.sql", "SUM(b.amount)", "MAX(b.amount)")


def edit_everything(project: SampleProject) -> None:
    """Change a source, a rule in the middle, remove one product, rename another, and add one."""
    project.write("data/cities.csv", "city,country\nA,X\nB,Y\nD,Y\n")
    project.edit("rules/big.sql", "amount > 2", "amount > 1")
    (project.root / "rules/twin.sql").rename(project.root / "rules/renamed.sql")
    project.sql("added", "SELECT COUNT(*) AS n FROM orders")


def kill_at_steps(
    forks: Forks, project: SampleProject, work: Path, before: dict[str, list[str]], *, every: bool
) -> None:
    """Kill builds of copies of the project, at every step or twice at each kind of step, and look what they leave."""
    clean, whole = work / "clean", work / "whole"
    shutil.copytree(project.root, clean, symlinks=True, ignore=shutil.ignore_patterns(".rules"))
    assert forks.run(clean, "build").code == 0
    expected = tables(clean)
    shutil.copytree(project.root, whole, symlinks=True)
    steps = forks.run(whole, "build", kill_at=-1).steps
    assert tables(whole) == expected
    assert {
        f"{when} {step}" for when in ("before", "after") for step in ("replace", "fsync", "symlink", "COMMIT")
    } <= set(steps)
    for number in range(len(steps)) if every else sample(steps):
        root = work / f"{number}"
        shutil.copytree(project.root, root, symlinks=True)
        ended = forks.run(root, "build", "--json", kill_at=number)
        # Threads take turns as they like, so that a run may have a step less than the one that was counted.
        assert ended.killed or (ended.code == 0 and number >= len(ended.steps))
        check_after_end(root, ended, before, expected)
        shutil.rmtree(root)


def sample(steps: tuple[str, ...]) -> list[int]:
    """For each step of the commit protocol, a place in the middle of the build, and the last one."""
    places: dict[str, list[int]] = {}
    for number, step in enumerate(steps):
        places.setdefault(step, []).append(number)
    middle = {places[f"before {step}"][len(places[f"before {step}"]) // 2] for step in ("fsync", "replace", "COMMIT")}
    last = {
        places[f"after {step}"][-1] for step in ("fsync", "replace", "COMMIT", "unlink") if f"after {step}" in places
    }
    return sorted(middle | last)


@pytest.mark.slow
def test_killed_in_a_first_build(forks: Forks, project: SampleProject, tmp_path: Path) -> None:
    kill_at_steps(forks, project, tmp_path, {}, every=False)


@pytest.mark.slow
def test_killed_in_a_build_after_edits(forks: Forks, project: SampleProject, tmp_path: Path) -> None:
    assert forks.run(project.root, "build").code == 0
    before = tables(project.root)
    edit_everything(project)
    kill_at_steps(forks, project, tmp_path, before, every=False)


@pytest.mark.slow
def test_killed_in_builds_of_tables_in_parts(forks: Forks, in_parts: SampleProject, tmp_path: Path) -> None:
    assert forks.run(in_parts.root, "build").code == 0
    before = tables(in_parts.root)
    change_parts(in_parts)
    kill_at_steps(forks, in_parts, tmp_path, before, every=False)


@pytest.mark.soak
@pytest.mark.timeout(2400)
def test_killed_at_every_step_of_a_build_of_tables_in_parts(
    forks: Forks, in_parts: SampleProject, tmp_path: Path
) -> None:
    kill_at_steps(forks, in_parts, tmp_path / "first", {}, every=True)
    assert forks.run(in_parts.root, "build").code == 0
    before = tables(in_parts.root)
    change_parts(in_parts)
    kill_at_steps(forks, in_parts, tmp_path / "second", before, every=True)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_killed_at_every_single_step(forks: Forks, project: SampleProject, tmp_path: Path) -> None:
    kill_at_steps(forks, project, tmp_path / "first", {}, every=True)
    assert forks.run(project.root, "build").code == 0
    before = tables(project.root)
    edit_everything(project)
    kill_at_steps(forks, project, tmp_path / "second", before, every=True)


def kill_in_migrations(forks: Forks, former: int, work: Path, *, every: bool) -> int:
    """Kill the first build after an upgrade of rules; what the index knew is never lost, and nothing runs again."""
    start = left_by(former, work / "start").root
    whole = work / "whole"
    shutil.copytree(start, whole, symlinks=True)
    steps = forks.run(whole, "build", kill_at=-1).steps
    expected, known = tables(whole), history(start)
    for number in range(len(steps)) if every else sample(steps):
        root = work / f"{number}"
        shutil.copytree(start, root, symlinks=True)
        ended = forks.run(root, "build", kill_at=number)
        at = f"killed {ended.steps[-1]}, step {number}"
        assert ended.killed or number >= len(ended.steps)
        build = run(SampleProject.at(root), "build", "--json", expect=None)
        assert (build.code, build.stderr) == (0, ""), (at, build.stderr)
        assert [one["name"] for one in build.document["products"] if one["status"] == "executed"] == [], at
        assert tables(root) == expected, at
        assert known <= history(root), (at, "history lost")
        assert "nothing to do" in run(SampleProject.at(root), "build").stdout, at
        shutil.rmtree(root)
    return len(steps)


def history(root: Path) -> set[tuple[object, ...]]:
    """What the index says of builds, their results, and of actions."""
    with closing(sqlite3.connect(root / ".rules" / "index.sqlite")) as connection:
        questions = ("SELECT build, status FROM builds", "SELECT * FROM results", "SELECT key, artifact FROM actions")
        return {row for question in questions for row in connection.execute(question)}


@pytest.mark.slow
@pytest.mark.parametrize("former", FORMER)
def test_killed_in_a_migration(forks: Forks, tmp_path: Path, former: int) -> None:
    assert kill_in_migrations(forks, former, tmp_path, every=False) > 5


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("former", FORMER)
def test_killed_at_every_step_of_a_migration(forks: Forks, tmp_path: Path, former: int) -> None:
    kill_in_migrations(forks, former, tmp_path, every=True)


def kill_at_random(forks: Forks, project: SampleProject, work: Path, times: int, seed: int) -> int:
    """Start `rules build` over and over, kill it after a random time, and check; return how many had not ended."""
    whole = work / "whole"
    shutil.copytree(project.root, whole, ignore=shutil.ignore_patterns(".rules"))
    assert forks.run(whole, "build").code == 0
    expected = tables(whole)
    generator = random.Random(seed)
    killed = 0
    for number in range(times):
        root = work / f"{number}"
        shutil.copytree(project.root, root, symlinks=True)
        process = subprocess.Popen(
            [str(RULES), "build", "--json"], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        lock = root / ".rules" / "lock"
        while process.poll() is None and not lock.exists():
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.6))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        check_after_end(root, Ended(-signal.SIGKILL, steps=(f"kill {number}",)), {}, expected)
        shutil.rmtree(root)
    return killed


@pytest.mark.slow
def test_killed_from_outside(forks: Forks, project: SampleProject, tmp_path: Path) -> None:
    assert kill_at_random(forks, project, tmp_path, times=3, seed=1) > 0


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_killed_from_outside_many_times(forks: Forks, project: SampleProject, tmp_path: Path) -> None:
    assert kill_at_random(forks, project, tmp_path, times=80, seed=2) > 40


def test_a_killed_build_is_logged_as_killed(forks: Forks, project: SampleProject) -> None:
    assert forks.run(project.root, "build").code == 0
    project.edit("rules/big.sql", "amount > 2", "amount > 1")
    steps = forks.run(project.root, "build", kill_at=-1).steps
    project.edit("rules/big.sql", "amount > 1", "amount > 0")
    assert forks.run(project.root, "build", kill_at=steps.index("before replace")).killed
    assert forks.run(project.root, "build").code == 0
    builds = forks.run(project.root, "log", "--json").document["builds"]
    assert [build["status"] for build in builds] == ["ok", "killed", "ok", "ok"]
