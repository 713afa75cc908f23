"""Commands that remove or move what is stored are killed at any instant, or run beside builds: nothing is lost."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.forks import Forks, shared
from support.inprocess import run
from support.projects import RULES, SampleProject

SEED = int(os.environ.get("RULES_SOAK_SEED", "1"))
RUNS = int(os.environ.get("RULES_SOAK_RUNS", "500"))
Tables = dict[str, list[str]]


@pytest.fixture(scope="module")
def forks() -> Forks:
    return shared()


@dataclass(frozen=True)
class Built:
    """A project that was edited and built a few times. first: its first build; tables: what products were then, now."""

    root: Path
    first: str
    tables: tuple[Tables, Tables]


@pytest.fixture(scope="module")
def built(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Built:
    toml = '\n[sources.cities]\npath = "data/cities.csv"\n'
    project = SampleProject(tmp_path_factory.mktemp("built") / "project", sources=["orders"], toml=toml)
    project.parquet("orders", {"id": list(range(40)), "city": ["A", "B", None, "D"] * 10})
    project.write("data/cities.csv", "city,country\nA,X\nB,Y\nD,X\n")
    project.sql("some", "SELECT o.id, o.city FROM orders AS o WHERE o.id > 2")
    project.sql("by_country", "SELECT c.country, COUNT(*) AS n FROM some AS s JOIN cities AS c USING (city) GROUP BY 1")
    project.sql("twin", "SELECT o.id, o.city FROM orders AS o WHERE o.id >= 3")
    first = forks.run(project.root, "build", "--json").document["build"]
    before = tables(project.root)
    for least in (5, 7, 9):
        project.sql("some", f"SELECT o.id, o.city FROM orders AS o WHERE o.id > {least}")
        project.write("data/cities.csv", f"city,country\nA,X\nB,Y\nD,Z{least}\n")
        assert forks.run(project.root, "build").code == 0
    return Built(project.root, first, (before, tables(project.root)))


def tables(root: Path) -> Tables:
    import pyarrow.parquet as pq

    folder = root / ".rules" / "products"
    return {link.stem: sorted(map(str, pq.read_table(link).to_pylist())) for link in sorted(folder.iterdir())}


def objects(root: Path) -> set[str]:
    return {path.parent.name + path.stem for path in (root / ".rules" / "objects").glob("*/*.parquet")}


def recorded(root: Path) -> set[str]:
    with closing(sqlite3.connect(root / ".rules" / "index.sqlite")) as connection:
        return {name for (name,) in connection.execute("SELECT artifact FROM artifacts")}


def damage(root: Path) -> None:
    """Flip a bit of two tables: one that a product is, and one that none is any more."""
    with closing(sqlite3.connect(root / ".rules" / "index.sqlite")) as connection:
        (current,) = connection.execute("SELECT artifact FROM products WHERE name = 'some'").fetchone()
        (former,) = connection.execute(
            "SELECT min(artifact) FROM results WHERE product = 'some' AND artifact <> ?", (current,)
        ).fetchone()
    for artifact in (current, former):
        path = root / ".rules" / "objects" / artifact[:2] / f"{artifact[2:]}.parquet"
        data = bytearray(path.read_bytes())
        data[50] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)
        os.utime(path, ns=(946_684_800_000_000_000,) * 2)


COMMANDS = ("gc", "restore", "repair")


def words_of(built: Built, command: str) -> list[str]:
    return {
        "gc": ["gc", "--json"],
        "restore": ["restore", built.first, "--json"],
        "repair": ["cache", "verify", "--repair", "--json"],
    }[command]


def prepared(built: Built, command: str, work: Path) -> Path:
    shutil.copytree(built.root, work, symlinks=True)
    if command == "repair":
        damage(work)
    return work


def check(built: Built, root: Path, command: str, at: str) -> None:
    """Look what a killed command left, and whether the next commands go on from there."""
    project = SampleProject.at(root)
    before, now = built.tables
    for name, rows in (tables(root) if command != "repair" else {}).items():
        assert rows in (before[name], now[name]), (at, name)
    if command == "gc":
        assert recorded(root) <= objects(root), (at, "a record of an object that is gone")
        noop = run(project, "build")
        assert "nothing to do" in noop.stdout, (at, noop.stdout, noop.stderr)
    if command == "repair":  # what it had not reached is as damaged as before, and no stamp tells
        again = run(project, "cache", "verify", "--repair", "--json", expect=None).document["bad"]
        assert all(one["repaired"] for one in again), (at, again)
    ran = run(project, "build", "--json", expect=None)
    assert ran.code == 0, (at, ran.stderr)
    executed = ran.executed
    assert executed <= ({"some"} if command == "repair" else set()), (at, executed)
    assert tables(root) == now, at
    verified = run(project, "cache", "verify", "--json")
    assert verified.document["bad"] == [], at
    collected = run(project, "gc", "--json", expect=None)
    assert collected.code == 0, (at, collected.stderr)
    assert objects(root) == recorded(root), (at, "left over")
    assert not list((root / ".rules" / "tmp").iterdir()), at
    assert "nothing to do" in run(project, "build").stdout, at
    assert tables(root) == now, at


def sample(steps: tuple[str, ...]) -> list[int]:
    """Return, for each kind of step, the first, one in the middle and the last place."""
    places: dict[str, list[int]] = {}
    for number, step in enumerate(steps):
        places.setdefault(step, []).append(number)
    kinds = [
        places[kind] for kind in ("after COMMIT", "before unlink", "after unlink", "before replace") if kind in places
    ]
    return sorted({where for found in kinds for where in (found[0], found[len(found) // 2], found[-1])})


def kill_at_steps(forks: Forks, built: Built, command: str, work: Path, *, every: bool) -> int:
    whole = prepared(built, command, work / "whole")
    ended = forks.run(whole, *words_of(built, command), kill_at=-1)
    assert ended.code == (1 if command == "repair" else 0), ended.stderr
    assert {"gc": "before unlink", "restore": "before replace", "repair": "before unlink"}[command] in ended.steps
    places = range(len(ended.steps)) if every else sample(ended.steps)
    for number in places:
        root = prepared(built, command, work / f"{number}")
        killed = forks.run(root, *words_of(built, command), kill_at=number)
        assert killed.killed or number >= len(killed.steps)
        check(built, root, command, f"{command} killed {killed.steps[-1]}, step {number}")
        shutil.rmtree(root)
    return len(places)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_killed_at_some_steps(forks: Forks, built: Built, tmp_path: Path, command: str) -> None:
    assert kill_at_steps(forks, built, command, tmp_path, every=False) > 2


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("command", COMMANDS)
def test_killed_at_every_step(forks: Forks, built: Built, tmp_path: Path, command: str) -> None:
    kill_at_steps(forks, built, command, tmp_path, every=True)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_killed_at_random(forks: Forks, built: Built, tmp_path: Path) -> None:
    """Kill command after command in one store, without mending it in between, and check it now and then."""
    generator = random.Random(SEED)
    root = prepared(built, "gc", tmp_path / "project")
    project = SampleProject.__new__(SampleProject)
    project.root = root
    killed = 0
    for number in range(RUNS):
        command = generator.choice(("build", "gc", "restore", "repair", "gc --keep 3", "pin"))
        builds = [one["build"] for one in forks.run(root, "log", "--json").document["builds"]]
        words = {
            "build": ["build"],
            "gc --keep 3": ["gc", "--keep", "3"],
            "restore": ["restore", generator.choice(builds)],
            "pin": ["pin", generator.choice(builds)],
        }.get(command) or words_of(built, command)
        if command == "build":
            project.sql("some", f"SELECT o.id, o.city FROM orders AS o WHERE o.id > {generator.randrange(12)}")
            project.write("data/cities.csv", f"city,country\nA,X\nB,Y\nD,Z{generator.randrange(4)}\n")
        ended = forks.run(root, *words, kill_at=generator.randrange(30))
        killed += ended.killed
        assert ended.killed or ended.code in {0, 1}, (number, words, ended.stderr)
        assert recorded(root) <= objects(root), (number, words, ended.steps[-1:])
        if number % 10 == 9:
            _check_against_clean(root, tmp_path / "clean", f"seed {SEED}, run {number}, {words}")
    assert killed > RUNS // 3


def _check_against_clean(root: Path, clean: Path, at: str) -> None:
    project = SampleProject.at(root)
    ran = run(project, "build", "--json", expect=None)
    assert ran.code == 0, (at, ran.stderr)
    shutil.copytree(root, clean, symlinks=True, ignore=shutil.ignore_patterns(".rules"))
    run(SampleProject.at(clean), "build")
    assert tables(root) == tables(clean), at
    shutil.rmtree(clean)
    assert run(project, "cache", "verify", "--json").document["bad"] == [], at
    assert "nothing to do" in run(project, "build").stdout, at


def beside(root: Path, store: Path, roots: int, rounds: int, seed: int) -> None:
    """Build several work trees on one store at once, each in its own process, with gc and verify beside them."""
    generator = random.Random(seed)
    projects = []
    for number in range(roots):
        copy = SampleProject.copy_of(root, root.parent / f"tree{number}")
        projects.append(copy)
    env = {**os.environ, "RULES_STORE": str(store)}

    def start(project: SampleProject, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [RULES, *words], cwd=project.root, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    for turn in range(rounds):
        for project in projects:
            project.sql("some", f"SELECT o.id, o.city FROM orders AS o WHERE o.id > {generator.randrange(6)}")
            project.write("data/cities.csv", f"city,country\nA,X\nB,Y\nD,Z{generator.randrange(3)}\n")
        started = [start(project, "build", "--json") for project in projects]
        started += [start(projects[0], "gc", "--keep", "0"), start(projects[-1], "cache", "verify", "--json")]
        started += [start(projects[0], "query", "SELECT COUNT(*) AS n FROM cities", "--json")]
        for process in started:
            out, err = process.communicate(timeout=300)
            assert process.returncode == 0, (turn, process.args, out, err)
            assert "corrupt" not in err, (turn, process.args, err)
            if "query" in process.args:  # type: ignore[operator]
                assert '"n": 3' in out or '"n":3' in out, (turn, out)
    for project in projects:
        clean = SampleProject.copy_of(project.root, project.root.parent / f"{project.root.name}-clean")
        assert clean.cli("build").returncode == 0
        assert "nothing to do" in project.cli("build", env=env).stdout
        assert tables(project.root) == tables(clean.root)


@pytest.mark.slow
def test_builds_with_gc_and_verify_beside_them(built: Built, tmp_path: Path) -> None:
    root = tmp_path / "project"
    shutil.copytree(built.root, root, ignore=shutil.ignore_patterns(".rules"))
    beside(root, tmp_path / "store", roots=2, rounds=1, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_many_builds_with_gc_and_verify_beside_them(built: Built, tmp_path: Path) -> None:
    root = tmp_path / "project"
    shutil.copytree(built.root, root, ignore=shutil.ignore_patterns(".rules"))
    beside(root, tmp_path / "store", roots=4, rounds=20, seed=SEED)
