"""`rules cache verify [--repair]`: damage of every kind is found and mended, also beside builds, which do not wait."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cache.signatures import SEAL_NS
from support.inprocess import Ran, build, run
from support.projects import RULES, SampleProject

SEED = int(os.environ.get("RULES_SOAK_SEED", "1"))
RUNS = int(os.environ.get("RULES_SOAK_RUNS", "40"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a text source and a chain, built twice: the source is another one since."""
    made = SampleProject(
        tmp_path_factory.mktemp("verify") / "project", sources=["flat"], toml='\n[sources.raw]\npath = "data/raw.csv"\n'
    )
    made.write("data/raw.csv", "id,v\n1,10\n2,20\n3,30\n")
    made.parquet("flat", {"w": [1, 2, 3]})
    made.sql("some", "SELECT r.id, r.v FROM raw AS r WHERE r.id > 0")
    made.sql("total", "SELECT SUM(s.v) AS n FROM some AS s")
    made.sql("other", "SELECT f.w FROM flat AS f")
    build(made)
    made.write("data/raw.csv", "id,v\n1,10\n2,20\n3,31\n")
    made.sql("other", "SELECT f.w + 1 AS w FROM flat AS f")
    build(made)
    return made.root


def copied(built: Path, to: Path) -> SampleProject:
    shutil.copytree(built, to, symlinks=True)
    project = SampleProject.__new__(SampleProject)
    project.root = to
    return project


def place(project: SampleProject, artifact: str) -> Path:
    return project.root / ".rules" / "objects" / artifact[:2] / f"{artifact[2:]}.parquet"


def artifacts(project: SampleProject, which: int = 0) -> dict[str, str]:
    """What products were after a build, the last or one before that."""
    name = run(project, "log", "--json").document["builds"][which]["build"]
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as connection:
        return dict(connection.execute("SELECT product, artifact FROM results WHERE build = ?", (name,)))


def ingested(project: SampleProject) -> set[str]:
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as connection:
        return {name for (name,) in connection.execute("SELECT artifact FROM artifacts WHERE build = ''")}


def verify(project: SampleProject, *words: str, expect: int = 1) -> Ran:
    return run(project, "cache", "verify", *words, "--json", expect=expect)


def rewritten(path: Path, data: bytes) -> None:
    """Write other bytes and leave the stamps, as bit rot does."""
    path.chmod(0o644)
    path.write_bytes(data)
    os.utime(path, ns=(SEAL_NS, SEAL_NS))
    path.chmod(0o444)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[len(data) // 2] ^= 1
    rewritten(path, bytes(data))


def link(path: Path) -> None:
    kept = path.with_name("kept")
    path.rename(kept)
    path.symlink_to(kept.name)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped bit": (flip, "corrupt"),
    "cut": (lambda path: rewritten(path, path.read_bytes()[:-9]), "corrupt"),
    "longer": (lambda path: rewritten(path, path.read_bytes() + b"x"), "corrupt"),
    "empty": (lambda path: rewritten(path, b""), "corrupt"),
    "zeros": (lambda path: rewritten(path, bytes(path.stat().st_size)), "corrupt"),
    "gone": (Path.unlink, "missing"),
    "link": (link, "no file"),
    "folder": (folder, "no file"),
    "pipe": (pipe, "no file"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_the_next_build_makes_just_that_again(built: Path, tmp_path: Path, damage: str) -> None:
    project = copied(built, tmp_path / "p")
    right = project.product("some").to_pylist()
    do, problem = DAMAGES[damage]
    path = place(project, artifacts(project)["some"])
    do(path)
    (bad,) = verify(project).document["bad"]
    assert (bad["problem"], bad["products"], bad["outcome"], bad["repaired"]) == (problem, ["some"], "left", False)
    (bad,) = verify(project, "--repair").document["bad"]
    assert (bad["outcome"], bad["repaired"], bad["message"]) == ("removed", True, None)
    assert not os.path.lexists(path)
    assert verify(project, expect=0).document["bad"] == []
    assert build(project).executed == {"some"}
    assert project.product("some").to_pylist() == right


def test_two_objects_that_changed_places(built: Path, tmp_path: Path) -> None:
    project = copied(built, tmp_path / "p")
    one, two = (place(project, artifacts(project)[name]) for name in ("some", "total"))
    data = one.read_bytes()
    rewritten(one, two.read_bytes())
    rewritten(two, data)
    assert {one["problem"] for one in verify(project, "--repair").document["bad"]} == {"corrupt"}
    assert build(project).executed == {"some", "total"}
    assert verify(project, expect=0).document["bad"] == []


def test_what_cannot_be_removed_is_said_and_files_of_others_keep_their_place(built: Path, tmp_path: Path) -> None:
    project = copied(built, tmp_path / "p")
    path = place(project, artifacts(project)["some"])
    folder(path)
    (path / "mine.txt").write_text("mine")
    (path.parent / "notes.parquet").write_text("mine")
    (path.parent.parent / "zz").mkdir()
    (path.parent.parent / "zz" / "abcd.parquet").write_text("mine")
    ran = run(project, "cache", "verify", "--repair", expect=1)
    assert "is a folder where a file belongs: remove it" in ran.stdout
    assert [one.read_text() for one in sorted(path.parent.parent.rglob("*")) if "mine" in one.name] == ["mine"]
    assert (path.parent / "notes.parquet").exists()
    (bad,) = verify(project).document["bad"]
    assert bad["repaired"] is False
    shutil.rmtree(path)
    assert build(project).executed == {"some"}


def test_a_table_that_no_build_can_make_again_is_said_to_be_lost(built: Path, tmp_path: Path) -> None:
    project = copied(built, tmp_path / "p")
    before = artifacts(project, 1)
    source = ingested(project) - {artifacts(project)["some"]}
    for artifact in (before["some"], before["other"], *source):
        flip(place(project, artifact))
    bad = {one["artifact"]: one["outcome"] for one in verify(project, "--repair").document["bad"]}
    assert (bad[before["some"]], bad[before["other"]]) == ("lost", "removed"), "raw is another file now, flat is not"
    assert sorted(bad[artifact] for artifact in source) == ["lost", "removed"]
    assert run(project, "build").stdout.startswith("nothing to do") or build(project).executed == set()


def test_an_ingested_source_is_ingested_again(built: Path, tmp_path: Path) -> None:
    project = copied(built, tmp_path / "p")
    for artifact in ingested(project):
        flip(place(project, artifact))
    assert len(verify(project, "--repair").document["bad"]) == 2
    project.sql("some", "SELECT r.id, r.v + 1 AS v FROM raw AS r WHERE r.id > 0")
    assert build(project).executed == {"some", "total"}
    assert project.product("total").to_pylist() == [{"n": 64}]


def in_parts(root: Path) -> SampleProject:
    """Return a project that is built, with a product in three parts."""
    project = SampleProject(root, toml='\n[sources.sales]\npath = "data/sales"\n[parts]\nmin_rows = 1\n')
    for day in range(3):
        (project.root / "data" / "sales").mkdir(parents=True, exist_ok=True)
        table = pa.table({"id": list(range(day * 40, day * 40 + 40))})
        pq.write_table(table, project.root / "data" / "sales" / f"{day}.parquet")
    project.sql("kept", "SELECT s.id FROM sales AS s WHERE s.id % 2 = 0")
    build(project)
    return project


def test_the_folder_of_a_table_in_parts_is_made_again(tmp_path: Path) -> None:
    project = in_parts(tmp_path / "p")
    folders = [one for one in (project.root / ".rules" / "objects").glob("*/*.parquet") if one.is_dir()]
    assert folders
    for number, one in enumerate(folders):
        links = sorted(one.iterdir())
        links[0].unlink()
        if number % 2:
            links[0].symlink_to("/elsewhere")
    assert len(verify(project).document["bad"]) == len(folders)
    assert {one["outcome"] for one in verify(project, "--repair").document["bad"]} == {"restored"}
    assert verify(project, expect=0).document["bad"] == []
    assert build(project).executed == set()


def test_a_table_whose_part_is_removed_goes_with_it(tmp_path: Path) -> None:
    project = in_parts(tmp_path / "p")
    before = project.product("kept")
    objects = (project.root / ".rules" / "objects").glob("*/*.parquet")
    (table,) = (one for one in objects if one.is_dir())
    flip(min(table.iterdir()).resolve())
    bad = verify(project, "--repair").document["bad"]
    assert {one["artifact"] for one in bad} > {table.parent.name + table.stem}
    assert {one["outcome"] for one in bad} == {"removed"}
    assert verify(project, expect=0).document["bad"] == []
    assert build(project).executed == {"kept"}
    assert project.product("kept").equals(before)


def test_a_damaged_record_of_the_index_is_found(built: Path, tmp_path: Path) -> None:
    project = copied(built, tmp_path / "p")
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as connection, connection:
        connection.execute("UPDATE states SET record = x'00' WHERE product = 'some'")
    ran = run(project, "cache", "verify")
    assert "warning: the index is damaged: a record of states cannot be read; it was set aside" in ran.stderr
    assert build(project).executed == set()


def test_verification_keeps_no_build_waiting_and_repair_waits_only_for_what_is_bad(built: Path, tmp_path: Path) -> None:
    project = copied(built, tmp_path / "p")
    with (project.root / ".rules" / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert verify(project, "--repair", expect=0).document["bad"] == []
        flip(place(project, artifacts(project)["some"]))
        assert len(verify(project).document["bad"]) == 1
        waiting = subprocess.Popen(
            [RULES, "cache", "verify", "--repair", "--json"],
            cwd=project.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert waiting.stderr is not None
        assert waiting.stderr.readline().startswith("waiting for another build")
        assert place(project, artifacts(project)["some"]).exists()
        fcntl.flock(held, fcntl.LOCK_UN)
        waiting.communicate(timeout=60)
    assert waiting.returncode == 1
    assert not place(project, artifacts(project)["some"]).exists()


def test_what_a_build_mends_while_repair_waits_is_left_alone(built: Path, tmp_path: Path) -> None:
    project = copied(built, tmp_path / "p")
    path = place(project, artifacts(project)["some"])
    data = path.read_bytes()
    with (project.root / ".rules" / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        flip(path)
        waiting = subprocess.Popen(
            [RULES, "cache", "verify", "--repair"],
            cwd=project.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert waiting.stderr is not None
        assert waiting.stderr.readline().startswith("waiting for another build")
        rewritten(path, data)
        fcntl.flock(held, fcntl.LOCK_UN)
        waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert run(project, "build").stdout.startswith("nothing to do")


def damage_beside_builds(built: Path, work: Path, rounds: int, seed: int) -> None:
    """Build again and again, with repair and gc beside it, while objects are damaged in every way."""
    chance = random.Random(seed)
    project = copied(built, work / "p")
    for turn in range(rounds):
        project.sql("some", f"SELECT r.id, r.v + {chance.randrange(4)} AS v FROM raw AS r WHERE r.id > 0")
        commands = (["build"], ["cache", "verify", "--repair"], ["gc", "--keep", "2"], ["cache", "verify"])
        started = [
            subprocess.Popen(
                [RULES, *words], cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for words in commands
        ]
        while any(one.poll() is None for one in started):
            objects = [one for one in (project.root / ".rules" / "objects").glob("*/*.parquet") if one.is_file()]
            if objects:
                do, _ = DAMAGES[chance.choice([name for name in DAMAGES if name != "pipe"])]  # who opens it, waits
                try:
                    do(chance.choice(objects))
                except OSError:  # it has just been removed
                    continue
            time.sleep(chance.uniform(0.02, 0.3))
        for one in started:
            out, err = one.communicate(timeout=300)
            assert one.returncode in {0, 1}, (turn, one.args, out, err)
            assert "Traceback" not in err, (turn, one.args, err)
    run(project, "cache", "verify", "--repair", expect=None)
    build(project)
    assert run(project, "cache", "verify", "--json").document["bad"] == []
    clean = SampleProject.copy_of(project.root, work / "clean")
    build(clean)
    for name in ("some", "total", "other"):
        assert project.product(name).to_pylist() == clean.product(name).to_pylist()


@pytest.mark.slow
def test_damage_beside_builds(built: Path, tmp_path: Path) -> None:
    damage_beside_builds(built, tmp_path, 1, 1)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_damage_beside_builds_many_times(built: Path, tmp_path: Path) -> None:
    damage_beside_builds(built, tmp_path, RUNS, SEED)
