"""The power goes at any moment of a command: no table that is left is wrong, and nothing that was reported is lost.

A command's file operations are recorded (`support/file_operations.py`) and carried out on a model of a disk
(`support/power.py`), which loses power after each of them in several ways. The next build begins with what is left.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from cache.index import Index
from cache.signatures import SEAL_NS
from support.file_operations import AVAILABLE, Operation, record
from support.forks import shared
from support.former_store import left_by
from support.power import LOSSES, Disk, Remains, same_tree
from support.projects import SampleProject

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="strace, which records file operations, is not installed")
SOURCE = Path(__file__).resolve().parents[2]
SLICE = os.environ.get("RULES_POWER_SLICE", "0/1")
"""K/N: of all states the soak checks every N-th, from K on, so N runs check each state once."""
FEW = int(os.environ.get("RULES_POWER_STATES", "8"))
Tables = dict[str, list[str]]


@dataclass(frozen=True)
class Recorded:
    """A command that ran once. before, after: products' rows; builds: that were in the log before."""

    root: Path
    words: tuple[str, ...]
    operations: list[Operation]
    before: Tables
    after: Tables
    builds: frozenset[str]
    disk: Disk = field(repr=False)


def sample(folder: Path) -> SampleProject:
    """A project with a text source, a table in parts, two products of one content, and one with a file of its own."""
    toml = '\n[sources.cities]\npath = "data/cities.csv"\n[sources.days]\npath = "data/days"\n[parts]\nmin_rows = 1\n'
    made = SampleProject(folder, sources=["orders"], toml=toml)
    made.parquet("orders", {"id": list(range(40)), "city": ["A", "B", None, "D"] * 10})
    for day in range(2):
        made.parquet(f"days/{day}", {"day": [day] * 4, "n": [1, 2, 3, 4]})
    made.write("data/cities.csv", "city,country\nA,X\nB,Y\nD,X\n")
    made.sql("some", "SELECT o.id, o.city FROM orders AS o WHERE o.id > 2")
    made.sql("by_country", "SELECT c.country, COUNT(*) AS n FROM some AS s JOIN cities AS c USING (city) GROUP BY 1")
    made.sql("twin", "SELECT o.id, o.city FROM orders AS o WHERE o.id >= 3")
    made.sql("sorted", '-- /// rule\n-- [writer]\n-- sort_by = ["city"]\n-- ///\nSELECT s.city, s.id FROM some AS s')
    made.sql("daily", "SELECT d.day, d.n FROM days AS d WHERE d.n > 1")
    return made


def edit(project: SampleProject, least: int) -> None:
    project.sql("some", f"SELECT o.id, o.city FROM orders AS o WHERE o.id > {least}")
    project.sql("daily", f"SELECT d.day, d.n + {least} AS n FROM days AS d WHERE d.n > 1")
    project.write("data/cities.csv", f"city,country\nA,X\nB,Y\nD,Z{least}\n")


def tables(root: Path) -> Tables:
    """The rows of the products, as readers find them by the links."""
    folder = root / ".rules" / "products"
    links = sorted(folder.iterdir()) if folder.is_dir() else []
    return {link.stem: sorted(map(str, pq.read_table(link).to_pylist())) for link in links if link.suffix == ".parquet"}


def builds(root: Path) -> frozenset[str]:
    """The builds in the log, read from a copy: whoever opens an index with a log of its own takes that in."""
    with tempfile.TemporaryDirectory() as folder:
        for path in (root / ".rules").glob("index.sqlite*"):
            shutil.copy(path, folder)
        with closing(sqlite3.connect(f"{folder}/index.sqlite")) as connection:
            if not connection.execute("PRAGMA user_version").fetchone()[0]:
                return frozenset()
            return frozenset(build for (build,) in connection.execute("SELECT build FROM builds"))


def recorded(root: Path, folder: Path, *words: str, disk: Disk | None = None) -> Recorded:
    """Run a command, and record what it does to the disk. disk: as it is, if not all of it has been synchronised."""
    start = Disk(root) if disk is None else disk
    before, known = tables(root), builds(root)
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    operations = record([sys.executable, "-m", "rules", *words], root, folder / "trace", env)
    return Recorded(root, words, operations, before, tables(root), known, start)


def without_shared_cache(root: Path) -> None:
    """Let a project do with what its store has."""
    toml = root / "rules.toml"
    text = toml.read_text(encoding="utf-8")
    if "[cache]" in text:
        toml.unlink()  # it has the name of the recorded project's, too
        toml.write_text(text.partition("\n[cache]")[0], encoding="utf-8")


def states(found: Recorded, few: int | None) -> Iterator[tuple[str, Remains, bool]]:
    """Yield what can be left, each once: after which operation and loss, what is left, whether the command had ended.

    few: after so many operations only, evenly spread, and in one way after each but the last.
    """
    seen: set[str] = set()
    last = len(found.operations)
    chosen = range(last + 1) if few is None else [*range(1, last, max(1, last // few)), last]
    for number in range(last + 1):
        if number:
            found.disk.apply(found.operations[number - 1])
        if number not in chosen:
            continue
        at = f"operation {number}: {found.operations[max(0, number - 1)]}"
        losses = LOSSES if few is None or number == last else (LOSSES[chosen.index(number) % len(LOSSES)],)
        for loss in losses:
            for seed in range(2 if loss in {"random", "ordered"} else 1):
                left = found.disk.lose_power(loss, seed + number)
                if left.digest not in seen:
                    seen.add(left.digest)
                    yield f"{at}; {loss} lost, seed {seed + number}", left, number == last
    assert same_tree(found.root, found.disk.lose_power("nothing")) == []


def committed(root: Path, *, damaged: bool) -> dict[str, str]:
    """What the index says of products, product → key; each table that it knows has its object."""
    path = root / ".rules" / "index.sqlite"
    if not path.exists():
        return {}
    with Index(path) as index:
        products = index.products()
        known = index.every_artifact()
    for one in known.values() if not damaged else ():
        stored = root / ".rules" / "objects" / one.artifact[:2] / f"{one.artifact[2:]}.parquet"
        assert stored.is_dir() or stored.stat().st_size == one.bytes, one.artifact
    return {name: product.key for name, product in products.items()}


def check(found: Recorded, root: Path, at: str, *, ended: bool) -> None:
    """Look what is left, and whether the next build goes on from there."""
    forks, damaged = shared(), "--repair" in found.words
    for name, rows in (tables(root) if not damaged else {}).items():
        assert rows in (found.before.get(name), found.after.get(name)), (at, name)
    kept = committed(root, damaged=damaged)
    without_shared_cache(root)  # what has been fetched and told must be here
    if damaged:  # what it had not come to is as damaged as before, and no stamp tells
        again = forks.run(root, *found.words, "--json").document["bad"]
        assert all(one["repaired"] for one in again), (at, again)
    ran = forks.run(root, "build", "--json")
    assert ran.code == 0, (at, ran.stderr)
    assert "warning" not in ran.stderr or damaged, (at, ran.stderr)
    executed = {one["name"]: one["key"] for one in ran.document["products"] if one["status"] == "executed"}
    repeated = {name for name, key in executed.items() if kept.get(name) == key}
    assert repeated <= ({"some", "by_country"} if damaged else set()), (at, "committed, and yet executed again")
    if ended and not damaged:
        assert ran.document["summary"]["executed"] == 0, (at, "reported, and yet executed again")
    expected = found.before if found.words[0] == "restore" or damaged else found.after
    assert tables(root) == expected, at
    assert found.builds <= builds(root), (at, "history lost")
    assert "nothing to do" in forks.run(root, "build").stdout, at
    assert tables(root) == expected, at


def lose_power_everywhere(found: Recorded, work: Path, *, few: int | None = FEW, part: str = "0/1") -> int:
    """Check what is left, and return how many states that were. part: see `SLICE`."""
    number, (first, step) = 0, map(int, part.split("/"))
    for number, (at, remains, ended) in enumerate(states(found, few), 1):
        if number % step != first:
            continue
        root = work / f"{number}"
        remains.restore(root, [found.root])
        check(found, root, at, ended=ended)
        shutil.rmtree(root)
    return number


def damage(root: Path) -> None:
    for name in ("some", "by_country"):
        path = (root / ".rules" / "products" / f"{name}.parquet").resolve()
        data = bytearray(path.read_bytes())
        data[50] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)
        os.utime(path, ns=(SEAL_NS, SEAL_NS))


COMMANDS = ("first build", "build", "fetch", "gc", "restore", "repair", "migration")


def of_command(command: str, folder: Path) -> Recorded:
    if command == "migration":
        return recorded(left_by(4, folder / "project").root, folder, "build")
    project, forks = sample(folder / "project"), shared()
    if command == "fetch":
        shared_cache = f'\n[cache]\nremote = "file://{folder}/remote"\n'
        project.write("rules.toml", project.read("rules.toml") + shared_cache)
        shutil.copytree(project.root, folder / "other")
        assert forks.run(folder / "other", "build").code == 0
        found = recorded(project.root, folder, "build")
        assert found.after == tables(folder / "other")
        return found
    if command == "first build":
        return recorded(project.root, folder, "build")
    first = forks.run(project.root, "build", "--json").document["build"]
    for least in (5, 7):
        edit(project, least)
        assert forks.run(project.root, "build").code == 0
    if command == "build":
        edit(project, 9)
        (project.root / "rules/twin.sql").rename(project.root / "rules/renamed.sql")
        project.sql("added", "SELECT COUNT(*) AS n FROM orders")
    if command != "repair":
        words = {"build": ("build",), "gc": ("gc",), "restore": ("restore", first)}[command]
        return recorded(project.root, folder, *words)
    right = tables(project.root)
    damage(project.root)
    start = Disk(project.root)
    env: dict[str, Any] = {**os.environ, "PYTHONPATH": str(SOURCE)}
    words = ("cache", "verify", "--repair")
    operations = record([sys.executable, "-m", "rules", *words], project.root, folder / "trace", env, code=1)
    return Recorded(project.root, words, operations, right, right, builds(project.root), start)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_power_goes_at_some_moments(tmp_path: Path, command: str) -> None:
    assert lose_power_everywhere(of_command(command, tmp_path), tmp_path) > 4


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("command", COMMANDS)
def test_power_goes_at_every_moment(tmp_path: Path, command: str) -> None:
    found = of_command(command, tmp_path)
    count = lose_power_everywhere(found, tmp_path, few=None, part=SLICE)
    sys.stdout.write(f"{command}: {len(found.operations)} operations, {count} states, checked {SLICE} of them\n")


@pytest.mark.slow
@pytest.mark.parametrize("place", [".rules-store", "objects/", "products/"])
def test_what_a_killed_build_left_unsynchronised_is_made_durable_by_the_next(tmp_path: Path, place: str) -> None:
    project = sample(tmp_path / "project")
    disk = Disk(project.root)
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    for one in record([sys.executable, "-m", "rules", "build"], project.root, tmp_path / "trace", env):
        disk.apply(one)
        if one.kind == "rename" and place in one.other:
            break
    killed = tmp_path / "killed"
    disk.lose_power("nothing").restore(killed)
    found = recorded(killed, tmp_path, "build", disk=disk)
    for one in found.operations:
        disk.apply(one)
    assert same_tree(killed, disk.lose_power("nothing")) == []
    disk.lose_power("all").restore(tmp_path / "left", [killed])
    check(found, tmp_path / "left", place, ended=True)


@pytest.mark.slow
def test_what_was_reported_lasts_also_while_another_process_has_the_index_open(tmp_path: Path) -> None:
    project = sample(tmp_path / "project")
    assert shared().run(project.root, "build").code == 0
    edit(project, 5)
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as connection:
        connection.execute("SELECT count(*) FROM builds").fetchone()
        found = recorded(project.root, tmp_path, "build")
        for one in found.operations:
            found.disk.apply(one)
        found.disk.lose_power("all").restore(tmp_path / "left", [project.root])
    check(found, tmp_path / "left", "the end", ended=True)


def test_a_build_with_nothing_to_do_synchronises_nothing(tmp_path: Path) -> None:
    project = sample(tmp_path / "project")
    for _ in range(2):  # the second learns that the files have not been written to for a while
        assert shared().run(project.root, "build").code == 0
    found = recorded(project.root, tmp_path, "build")
    assert [one for one in found.operations if one.kind == "sync"] == []
    assert {Path(one.path).name for one in found.operations} <= {"index.sqlite-wal", "index.sqlite-shm"}
