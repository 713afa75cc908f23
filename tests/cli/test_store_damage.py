"""Whatever is damaged in a store, commands say it in a sentence, and a build makes the right tables again."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cache.ownership import MARKER
from support.inprocess import Ran, build, run
from support.projects import SampleProject

COMMANDS = (
    ("show", "total"),
    ("ls",),
    ("log",),
    ("plan",),
    ("lineage", "total.n"),
    ("explain", "total"),
    ("diff", "--data"),
    ("check",),
    ("cache", "verify"),
    ("cache", "stats"),
    ("cache", "ls"),
    ("log", "total"),
    ("pin",),
    ("gc",),
    ("show", "small.a"),
    ("audit",),
)
SEED = int(os.environ.get("RULES_SOAK_SEED", "1"))
RUNS = int(os.environ.get("RULES_SOAK_RUNS", "300"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with a store that knows two builds, a check, a text source and a function."""
    project = SampleProject(
        tmp_path_factory.mktemp("damage") / "project",
        sources=["t"],
        toml='[sources.c]\npath = "data/c.csv"\n\n[contracts.small]\nkey = ["a"]\n',
    )
    project.parquet("t", {"a": [1, 2, 3, 4], "b": ["x", "y", None, "x"]})
    project.write("data/c.csv", "a,w\n1,0.5\n2,1.5\n3,2.5\n")
    project.sql("small", "SELECT t.a, t.b FROM t WHERE t.a < 4")
    project.sql("joined", "SELECT small.a, small.b, c.w FROM small JOIN c ON small.a = c.a")
    project.sql("total", "SELECT joined.b, SUM(joined.w) AS w, COUNT(*) AS n FROM joined GROUP BY joined.b")
    build(project)
    project.edit("rules/small.sql", "< 4", "<= 3 AND t.a > 0")
    build(project)
    return project.root


def rows_of(project: SampleProject) -> dict[str, list[str]]:
    names = ("small", "joined", "total")
    return {name: sorted(map(repr, project.product(name).to_pylist())) for name in names}


def copied(built: Path, to: Path) -> SampleProject:
    shutil.copytree(built, to, symlinks=True)
    project = SampleProject.__new__(SampleProject)
    project.root = to
    return project


def _flip(path: Path, random_: random.Random) -> None:
    stamps = path.stat()
    data = bytearray(path.read_bytes())
    for _ in range(random_.choice((1, 1, 8, 100))):
        if data:
            data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
    path.chmod(0o644)
    path.write_bytes(data)
    if random_.random() < 0.7:  # as bit rot is: no stamp tells
        os.utime(path, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))


def _cut(path: Path, random_: random.Random) -> None:
    path.chmod(0o644)
    os.truncate(path, random_.randrange(path.stat().st_size + 1))


def _remove(path: Path, _: random.Random) -> None:
    path.unlink()


def _folder(path: Path, random_: random.Random) -> None:
    path.unlink()
    path.mkdir()
    if random_.random() < 0.5:
        (path / "mine.txt").write_text("mine")


def _text(path: Path, random_: random.Random) -> None:
    path.unlink()
    path.write_text(random_.choice(("", "a note\n" * 900, "{}", "\x00" * 5000)))


def _record(path: Path, random_: random.Random) -> None:
    """Damage a record, or the tables, of the index."""
    index = next(one for one in path.parents if one.name == ".rules") / "index.sqlite"
    with closing(sqlite3.connect(index)) as connection:
        try:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        except sqlite3.Error:
            return
        if not tables:
            return
        table = random_.choice(tables)
        columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
        column = random_.choice(columns)
        wrong = random_.choice(
            (None, 7, -1, 0.5, "", "x", "[]", "{}", "null", '{"a": 1}', '{"a": [1, {"b": 2}]}', b"\xff\x00", "9" * 400)
        )
        statement, values = random_.choice(
            (
                (f"UPDATE OR REPLACE {table} SET {column} = ?", (wrong,)),
                (f"UPDATE OR REPLACE {table} SET {column} = ?", (wrong,)),
                (f"UPDATE OR REPLACE {table} SET {column} = ?", (wrong,)),
                (f"UPDATE OR REPLACE {table} SET {column} = CAST(substr({column}, 2) AS TEXT)", ()),
                (f"UPDATE OR REPLACE {table} SET {column} = replace({column}, 'a', 'b')", ()),
                (f"DROP TABLE {table}", ()),
                (f"ALTER TABLE {table} RENAME COLUMN {column} TO other", ()),
                (f"ALTER TABLE {table} ADD COLUMN other INT", ()),
                (f"DELETE FROM {table}", ()),
                (f"PRAGMA user_version = {random_.choice((0, 1, 2, 999))}", ()),
                (f"CREATE TRIGGER wrong BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END", ()),
            )
        )
        try:
            connection.execute(statement, values)
        except sqlite3.Error:
            connection.execute(f"DELETE FROM {table}")
        connection.commit()


DAMAGES = (_flip, _flip, _cut, _remove, _folder, _text, _record, _record, _record)


def one_trial(built: Path, folder: Path, seed: int) -> None:
    random_ = random.Random(seed)
    project = copied(built, folder / str(seed))
    right = rows_of(project)
    store = project.root / ".rules"
    # Without its marker a folder is not ours, and refused.
    files = sorted(one for one in store.rglob("*") if one.is_file() and not one.is_symlink() and one.name != MARKER)
    done = []
    for _ in range(random_.choice((1, 1, 2))):
        damage: Callable[[Path, random.Random], None] = random_.choice(DAMAGES)
        # Half of the time the index, which is one file of many.
        path = random_.choice([store / "index.sqlite", random_.choice(files)])
        if path.is_file() and (damage is not _record or (store / "index.sqlite").is_file()):
            damage(path, random_)
            done.append((damage.__name__, str(path.relative_to(store))))
    if random_.random() < 0.3:
        project.edit("rules/total.sql", "COUNT(*) AS n", "COUNT(*) + 0 AS n")
    if random_.random() < 0.3:
        project.parquet("t", {"b": ["x", "y", None, "x"], "a": [1, 2, 3, 4]})
    told = f"seed {seed}: {done}"
    for command in random_.sample(COMMANDS, 3):
        ran = _run(project, *command)
        assert ran.code in {0, 1, 2}, f"{told}: {command} {ran}"
        assert "Traceback" not in ran.stderr, f"{told}: {command} {ran}"
        if command[0] == "show" and not ran.code:
            shown = _shown(_run(project, *command, "--json"))
            assert shown == right["total"] if command[1] == "total" else shown == [], f"{told}: {command} {ran}"
    said = ""
    for _ in range(3):
        ran = _run(project, "build")
        assert ran.code in {0, 1, 2}, f"{told}: build {ran}"
        if ran.code == 0:
            break
        assert ran.stderr.count("\n") <= 12, f"{told}: {ran}"
        assert said != ran.stderr or "remove" in ran.stderr or "is a folder" in ran.stderr, f"{told}: {ran}"
        said = ran.stderr
        _as_told(store)
    for name in ("small", "joined", "total"):
        ran = _run(project, "show", name, "--json")
        if ran.code == 1:  # damage that no stamp tells shows when it is read, and the next build mends it
            assert "rules build" in f"{ran.stdout}{ran.stderr}", f"{told}: {ran}"
            assert _run(project, "build").code == 0, told
            ran = _run(project, "show", name, "--json")
        shown = _shown(ran)
        assert shown == right[name], f"{told}: {name} {ran}"
    assert rows_of(project) == right, told


def _shown(ran: Ran) -> list[str]:
    return sorted(map(repr, ran.document["data"])) if ran.code == 0 else [ran.stderr]


def _as_told(store: Path) -> None:
    """Remove folders that stand where files belong, as the message says."""
    for path in store.rglob("*"):
        if path.is_dir() and "aside" not in str(path) and (path.suffix or path.name in {"lock", "README"}):
            shutil.rmtree(path)


def _run(project: SampleProject, *words: str) -> Ran:
    try:
        return run(project, *words, expect=None)
    except AssertionError as error:
        text = str(error)
        return Ran(2 if text.startswith("exit 2") else 3, "", text)  # "exit 2", and all that was said


@pytest.mark.parametrize("seed", range(SEED, SEED + 6))
def test_a_damaged_store_is_told_and_mended(built: Path, tmp_path: Path, seed: int) -> None:
    one_trial(built, tmp_path, seed)


@pytest.mark.parametrize("name", ["products", "compiled", "proofs"])
@pytest.mark.parametrize(
    ("old", "new"), [(b"CREATE TABLE %s", b"CREAT\xc5 TABLE %s"), (b"table%s%s", b"table%s\xc5%s")]
)
def test_a_table_whose_definition_is_no_text_is_told_and_mended(
    built: Path, tmp_path: Path, old: bytes, new: bytes, name: str
) -> None:
    """SQLite quotes what it cannot read in its message, which cannot be decoded then."""
    project = copied(built, tmp_path / "copy")
    right = rows_of(project)
    index = project.root / ".rules" / "index.sqlite"
    with closing(sqlite3.connect(index)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data, found, put = index.read_bytes(), *(one.replace(b"%s", name.encode()) for one in (old, new))
    assert data.count(found) == 1
    index.write_bytes(data.replace(found, put[: len(found)]))
    for command in (("show", "total"), ("log",), ("plan",), ("build",), ("build",)):
        ran = _run(project, *command)
        assert ran.code in {0, 1, 2}, f"{command} {ran}"
    assert ran.code == 0
    assert rows_of(project) == right


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1000 + SEED, 1000 + SEED + RUNS))
def test_a_damaged_store_is_told_and_mended_many_times(built: Path, tmp_path: Path, seed: int) -> None:
    one_trial(built, tmp_path, seed)


FILES = [
    "index.sqlite",
    "index.sqlite-wal",
    "index.sqlite-shm",
    "lock",
    "README",
    ".gitignore",
    "products/total.parquet",
]
FOLDERS = ["objects", "tmp", "products", "evidence"]


@pytest.mark.parametrize("name", [*FILES, "an object"])
def test_a_folder_where_a_file_belongs_is_told_or_mended(built: Path, tmp_path: Path, name: str) -> None:
    project = copied(built, tmp_path / "p")
    right = rows_of(project)
    store = project.root / ".rules"
    place = (store / "products" / "total.parquet").resolve() if name == "an object" else store / name
    place.unlink(missing_ok=True)
    place.mkdir()
    (place / "mine.txt").write_text("mine")
    project.edit("rules/total.sql", "COUNT(*) AS n", "COUNT(*) + 0 AS n")
    _told_or_mended(project, place, right)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_where_a_folder_belongs_is_told_or_mended(built: Path, tmp_path: Path, name: str) -> None:
    project = copied(built, tmp_path / "p")
    right = rows_of(project)
    place = project.root / ".rules" / name
    shutil.rmtree(place, ignore_errors=True)
    place.write_text("mine")
    project.edit("rules/total.sql", "COUNT(*) AS n", "COUNT(*) + 0 AS n")
    _told_or_mended(project, place, right)


def _told_or_mended(project: SampleProject, place: Path, right: dict[str, list[str]]) -> None:
    ran = _run(project, "build")
    assert ran.code in {0, 1, 2}, ran
    if ran.code:
        assert str(place) in ran.stderr, ran
        assert "remove" in ran.stderr, ran
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        ran = _run(project, "build")
        assert ran.code == 0, ran
    assert rows_of(project) == right


def test_a_flipped_bit_that_no_stamp_tells_is_told_by_whoever_reads(built: Path, tmp_path: Path) -> None:
    project = copied(built, tmp_path / "p")
    right = rows_of(project)
    for name, command in (
        ("total", ["show", "total"]),
        ("total", ["show", "SELECT SUM(total.w) AS w FROM total"]),
        ("small", ["diff", "--data", "--json"]),
    ):
        path = (project.root / ".rules" / "products" / f"{name}.parquet").resolve()
        _rot(path)
        assert run(project, "build").stdout.startswith("nothing to do")  # a no-op reads no table
        ran = _run(project, *command)
        assert ran.code == 1, ran
        assert "damaged" in ran.stderr + ran.stdout, ran
        assert build(project).executed == {name}
        assert rows_of(project) == right


def test_a_reader_runs_on_what_was_written_or_not_at_all(built: Path, tmp_path: Path) -> None:
    project = copied(built, tmp_path / "p")
    _rot((project.root / ".rules" / "products" / "joined.parquet").resolve())
    project.edit("rules/total.sql", "SUM(joined.w)", "MAX(joined.w)")
    ran = build(project)
    assert "joined" in ran.executed
    assert sorted(row["w"] for row in project.product("total").to_pylist()) == [0.5, 1.5, 2.5]


def test_cache_verify_reads_every_object_and_repair_makes_room_for_the_next_build(built: Path, tmp_path: Path) -> None:
    project = copied(built, tmp_path / "p")
    right = rows_of(project)
    ran = run(project, "cache", "verify", "--json")
    objects = len(list((project.root / ".rules" / "objects").rglob("*.parquet")))
    assert (ran.document["checked"], ran.document["bad"]) == (objects, [])
    path = (project.root / ".rules" / "products" / "joined.parquet").resolve()
    _rot(path)
    ran = run(project, "cache", "verify", "--json", expect=1)
    (bad,) = ran.document["bad"]
    assert (bad["problem"], bad["products"], bad["repaired"]) == ("corrupt", ["joined"], False)
    assert path.exists()
    ran = run(project, "cache", "verify", "--repair", "--json", expect=1)
    assert [one["repaired"] for one in ran.document["bad"]] == [True]
    assert not path.exists()
    assert run(project, "cache", "verify", "--json").document["bad"] == []
    assert build(project).executed == {"joined"}
    assert rows_of(project) == right


def test_objects_that_the_index_does_not_know_are_verified_by_their_content(built: Path, tmp_path: Path) -> None:
    project = copied(built, tmp_path / "p")
    (project.root / ".rules" / "index.sqlite").unlink()
    ran = run(project, "cache", "verify", "--json")
    assert ran.document["checked"] > 0
    assert ran.document["bad"] == []
    _rot((project.root / ".rules" / "products" / "joined.parquet").resolve())
    assert len(run(project, "cache", "verify", "--json", expect=1).document["bad"]) == 1


def _rot(path: Path) -> None:
    """Flip a bit in the middle of a page, and leave the stamps."""
    stamps = path.stat()
    data = bytearray(path.read_bytes())
    data[40] ^= 4
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)
    os.utime(path, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
