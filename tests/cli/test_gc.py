"""`rules gc`: what nothing needs goes, what anything needs stays, and a build has nothing more to do than before."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from support.inprocess import Ran, build, run
from support.projects import RULES, SampleProject

SUM = "SELECT SUM(s.v) AS n FROM some AS s"


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    toml = '\n[sources.raw]\npath = "data/raw.csv"\n'
    made = SampleProject(tmp_path / "project", sources=["flat"], toml=toml)
    made.write("data/raw.csv", "id,v\n1,10\n2,20\n3,30\n")
    made.parquet("flat", {"w": [1]})
    made.sql("some", "SELECT r.id, r.v FROM raw AS r WHERE r.id > 0")
    made.sql("total", SUM)
    made.sql("other", "SELECT f.w FROM flat AS f")
    return made


def edit(project: SampleProject, least: int) -> Ran:
    """Build another version of two products."""
    project.sql("some", f"SELECT r.id, r.v + {least} AS v FROM raw AS r WHERE r.id > 0")
    return build(project)


def objects(project: SampleProject) -> set[str]:
    return {path.parent.name + path.stem for path in (project.root / ".rules" / "objects").glob("*/*.parquet")}


def recorded(project: SampleProject, table: str = "artifacts") -> set[str]:
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as connection:
        return {name for (name,) in connection.execute(f"SELECT artifact FROM {table}")}


def artifacts(ran: Ran) -> dict[str, str]:
    return {one["name"]: one["artifact"] for one in ran.document["products"]}


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def test_what_was_edited_away_goes_and_nothing_runs_again(project: SampleProject) -> None:
    first = build(project)
    for least in (1, 2, 3):
        last = edit(project, least)
    before, bytes_before = objects(project), size_of(project.root / ".rules" / "objects")
    foreseen = run(project, "gc", "--dry-run", "--json").document
    assert (objects(project), foreseen["dry_run"]) == (before, True)
    found = run(project, "gc", "--json").document
    assert (found["removed"], found["kept"]) == (foreseen["removed"], foreseen["kept"])
    left = objects(project)
    assert found["removed"]["objects"] == len(before - left) == 6
    assert found["kept"]["objects"] == len(left)
    assert found["removed"]["bytes"] == bytes_before - size_of(project.root / ".rules" / "objects")
    assert set(artifacts(last).values()) <= left
    assert not {artifacts(first)["some"], artifacts(first)["total"]} & left
    assert left == recorded(project)
    assert all(any(shelf.iterdir()) for shelf in (project.root / ".rules" / "objects").iterdir())
    assert recorded(project, "actions") | recorded(project, "states") <= left
    assert run(project, "build").stdout.startswith("nothing to do")
    assert run(project, "audit", "--json").document["status"] == "ok"
    assert run(project, "cache", "verify", "--json").document["bad"] == []
    assert run(project, "gc", "--json").document["removed"]["objects"] == 0
    project.edit("rules/some.sql", "+ 3", "+ 2")
    assert build(project).executed == {"some", "total"}, "what was removed is not taken for stored"


def test_tables_of_the_last_builds_stay_also_those_that_a_build_was_not_asked_for(project: SampleProject) -> None:
    first = build(project)
    second = edit(project, 1)
    edit(project, 2)
    build(project, "--force", "other")
    run(project, "gc", "--keep", "3")
    assert {*artifacts(second).values()} <= objects(project)
    assert artifacts(first)["some"] not in objects(project)
    project.edit("rules/some.sql", "+ 2", "+ 1")
    assert build(project).executed == set(), "it is restored"
    run(project, "gc", "--keep", "0")
    assert build(project, "--force", "other").executed == {"other"}


@pytest.mark.slow
def test_checks_of_kept_builds_do_not_run_again_though_all_of_them_found_no_row(project: SampleProject) -> None:
    for number in range(8):
        project.sql(
            f"part{number}", f'-- /// rule\n-- key = ["id"]\n-- ///\nSELECT s.id + {number} AS id FROM some AS s'
        )
    build(project)
    project.sql("some", "SELECT r.id, r.v FROM raw AS r WHERE r.id > 1")
    build(project)
    run(project, "gc", "--keep", "2")
    project.sql("some", "SELECT r.id, r.v FROM raw AS r WHERE r.id > 0")
    back = build(project)
    checks = {one["name"]: one["status"] for product in back.document["products"] for one in product["checks"]}
    assert back.executed == set()
    assert list(checks.values()) == ["clean"] * 8


def test_a_pinned_build_stays_until_it_is_unpinned(project: SampleProject) -> None:
    first = build(project)
    edit(project, 1)
    edit(project, 2)
    name = first.document["build"]
    run(project, "pin", f"total@{name[:-1]}")
    run(project, "gc")
    assert artifacts(first)["total"] in objects(project)
    assert artifacts(first)["some"] not in objects(project)
    assert run(project, "pin", "--json").document["pins"] == [{"build": name, "product": "total"}]
    run(project, "unpin", f"total@{name}")
    run(project, "gc")
    assert artifacts(first)["total"] not in objects(project)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("pin", "nonsense"), "unknown build 'nonsense'"),
        (("pin", "absent@{build}"), "there is no such table of absent: it had not been built by {build}"),
        (("unpin", "{build}"), "{build} is not pinned"),
        (("unpin", "total@{build}"), "total@{build} is not pinned"),
    ],
)
def test_what_cannot_be_pinned_is_said(project: SampleProject, words: tuple[str, ...], message: str) -> None:
    name = build(project).document["build"]
    ran = run(project, *(word.format(build=name) for word in words), expect=2)
    assert message.format(build=name) in ran.stderr


def test_a_table_that_is_gone_cannot_be_pinned(project: SampleProject) -> None:
    first = build(project).document["build"]
    edit(project, 1)
    run(project, "gc")
    ran = run(project, "pin", first, expect=1)
    assert "is no longer in the store" in ran.stderr
    assert run(project, "pin", "--json").document["pins"] == []


def test_keep_and_max_size_of_rules_toml(project: SampleProject) -> None:
    text = project.read("rules.toml")
    project.write("rules.toml", f'{text}\n[store]\nkeep = "1d"\n')
    first = build(project)
    for least in (1, 2, 3):
        edit(project, least)
    found = run(project, "gc", "--json").document
    assert found["removed"]["objects"] == 0
    assert found["kept"]["reasons"]["age"]["objects"] == 6
    assert run(project, "gc", "--keep", "2", "--dry-run", "--json").document["removed"]["objects"] == 4
    project.write("rules.toml", f'{text}\n[store]\nkeep = "2 builds"\n')
    assert run(project, "gc", "--dry-run", "--json").document["removed"]["objects"] == 4
    project.write("rules.toml", f'{text}\n[store]\nmax_size = "1GB"\n')
    found = run(project, "gc", "--json").document
    assert (found["removed"]["objects"], found["kept"]["reasons"]["cache"]["objects"]) == (0, 6)
    project.write("rules.toml", f'{text}\n[store]\nmax_size = "1B"\n')
    run(project, "gc")
    assert artifacts(first)["some"] not in objects(project)
    assert run(project, "build").stdout.startswith("nothing to do") or build(project).executed == set()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('keep = "a while"', "'keep' cannot be 'a while'"),
        ("keep = 30", "'keep' must be a string"),
        ('max_size = "ten"', "'max_size' cannot be 'ten'"),
        ('max_sise = "1GB"', "unknown key 'max_sise' in [store]"),
    ],
)
def test_a_wrong_limit_is_said_with_its_place(project: SampleProject, entry: str, message: str) -> None:
    project.write("rules.toml", f"{project.read('rules.toml')}\n[store]\n{entry}\n")
    ran = run(project, "gc", expect=2)
    assert message in ran.stderr
    assert "rules.toml:" in ran.stderr


def test_within_a_budget_cheap_tables_that_can_be_made_again_go_first(project: SampleProject) -> None:
    build(project)
    before = edit(project, 1)
    project.write("data/raw.csv", "id,v\n1,10\n2,20\n3,31\n")
    lost = build(project)
    edit(project, 2)
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as connection:
        total = connection.execute("SELECT sum(bytes) FROM artifacts").fetchone()[0]
    project.write("rules.toml", f'{project.read("rules.toml")}\n[store]\nmax_size = "{total - 1}"\n')
    foreseen = run(project, "gc", "--dry-run", "--json").document
    assert foreseen["removed"]["objects"] == 1
    assert list(foreseen["removed"]["reasons"]) == ["recomputable"]
    run(project, "gc")
    gone = {one for ran in (before, lost) for one in artifacts(ran).values()} - objects(project)
    assert gone <= {artifacts(lost)["some"], artifacts(lost)["total"]}, "made of the file as it is now"
    assert len(gone) == 1


def test_what_another_root_needs_stays_and_a_root_that_is_gone_lets_go(
    project: SampleProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RULES_STORE", str(tmp_path / "store"))
    first = build(project)
    second = SampleProject.copy_of(project.root, tmp_path / "second")
    build(second)
    edit(project, 1)
    run(project, "gc")
    assert run(second, "build").stdout.startswith("nothing to do")
    shutil.rmtree(second.root)
    assert run(project, "gc", "--json").document["removed"]["objects"] == 0, "its disk may be away"
    with closing(sqlite3.connect(tmp_path / "store" / "index.sqlite")) as connection, connection:
        connection.execute("UPDATE builds SET started = '2001-01-01T00:00:00+00:00' WHERE root LIKE '%second'")
    run(project, "gc")
    left = {path.parent.name + path.stem for path in (tmp_path / "store" / "objects").glob("*/*.parquet")}
    assert not {artifacts(first)["some"], artifacts(first)["total"]} & left
    assert build(project).executed == set()


def test_orphans_temporary_files_and_evidence_go_and_what_is_not_ours_stays(project: SampleProject) -> None:
    build(project)
    project.sql("bad", "SELECT 1 / (f.w - 1) AS x FROM flat AS f")
    failed = build(project, "-k", expect=1).document["build"]
    (project.root / "rules" / "bad.sql").unlink()
    edit(project, 1)
    store = project.root / ".rules"
    sealed = next((store / "objects").glob("*/*.parquet"))
    orphan, young, old = (store / "objects" / "ab" / f"{letter * 30}.parquet" for letter in "cde")
    orphan.parent.mkdir(exist_ok=True)
    shutil.copy2(sealed, orphan)
    for path in (young, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    theirs = [store / "objects" / "ab" / "notes.txt", store / "evidence" / "mine", store / "tmp" / "draft"]
    for path in theirs:
        path.parent.mkdir(exist_ok=True)
        path.write_text("precious")
    outside = project.root / "outside"
    outside.mkdir()
    (outside / "file").write_text("precious")
    (store / "evidence" / "20010101T000000-abcdef").symlink_to(outside)
    (store / "objects" / "ab" / f"{'f' * 30}.parquet").symlink_to(outside / "file")
    left = store / "tmp" / ("0" * 32)
    left.mkdir()
    (left / "rest").write_text("of a killed process")
    assert (store / "evidence" / failed).is_dir()
    found = run(project, "gc", "--json").document
    assert found["removed"]["reasons"]["unknown"]["objects"] == 2
    assert (orphan.exists(), old.exists(), young.exists(), left.exists()) == (False, False, True, False)
    assert not (store / "evidence" / failed).exists()
    assert [path.read_text() for path in theirs] == ["precious"] * 3
    assert (outside / "file").read_text() == "precious"


@pytest.mark.slow
def test_gc_waits_for_a_build_and_for_readers(project: SampleProject) -> None:
    build(project)
    edit(project, 1)
    before = objects(project)
    for name in ("lock", "readers"):
        with (project.root / ".rules" / name).open("w") as held:
            fcntl.flock(held, fcntl.LOCK_SH)
            waiting = subprocess.Popen(
                [RULES, "gc", "--json"], cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            assert waiting.stderr is not None
            assert waiting.stderr.readline().startswith("waiting for a")
            assert objects(project) == before
            fcntl.flock(held, fcntl.LOCK_UN)
            waiting.communicate(timeout=60)
            assert waiting.returncode == 0
        assert objects(project) < before
        edit(project, 7)
        before = objects(project)


@pytest.mark.slow
def test_a_build_collects_by_itself_and_does_not_wait_to_do_so(project: SampleProject) -> None:
    rows = "".join(f"{n},{n * n * 7919 % 1_000_003}\n" for n in range(20_000))
    project.write("data/raw.csv", f"id,v\n{rows}")
    build(project)
    for least in range(1, 16):
        edit(project, least)
    first = objects(project)
    assert len(first) < 28, "of 34 tables"
    assert len(recorded(project)) == len(first)
    with (project.root / ".rules" / "readers").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        for least in range(16, 26):
            edit(project, least)
        assert len(objects(project)) == len(first) + 20, "nothing is removed while somebody reads"
    edit(project, 26)
    assert len(objects(project)) < len(first) + 15
    assert run(project, "build").stdout.startswith("nothing to do")
    assert run(project, "cache", "verify", "--json").document["bad"] == []


@pytest.mark.slow
def test_a_build_seldom_looks_for_garbage_in_a_history_that_grows_with_each(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "project", sources=["flat"])
    project.parquet("flat", {"w": [1]})
    for number in range(60):
        project.sql(f"many_{number}", f"SELECT f.w + {number} AS w FROM flat AS f")
    build(project)
    looked = set()
    for number in range(24):
        project.sql("many_0", f"SELECT f.w - {number} AS w FROM flat AS f")
        build(project)
        with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as connection:
            looked |= set(connection.execute("SELECT record FROM collected"))
    assert 2 <= len(looked) <= 7


def test_a_damaged_record_is_no_garbage(project: SampleProject) -> None:
    build(project)
    edit(project, 1)
    before = objects(project)
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as connection, connection:
        connection.execute("UPDATE products SET record = '{}' WHERE name = 'total'")
    ran = run(project, "gc", expect=1)
    assert "cannot be read" in ran.stderr
    assert objects(project) == before


def test_a_project_without_a_store(tmp_path: Path) -> None:
    made = SampleProject(tmp_path / "project")
    found = run(made, "gc", "--json").document
    assert found["removed"]["objects"] == found["kept"]["objects"] == 0


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_after_500_edits_the_store_is_less_than_twice_as_large(tmp_path: Path) -> None:
    made = SampleProject(tmp_path / "project", sources=["orders"])
    rows = range(20_000)
    made.parquet("orders", {"id": list(rows), "amount": [row * 7919 % 1000 for row in rows]})
    made.sql("big", "SELECT o.id, o.amount FROM orders AS o WHERE o.amount > 0")
    made.sql("twice", "SELECT b.id, b.amount * 2 AS twice FROM big AS b")
    made.sql("top", "SELECT t.id FROM twice AS t WHERE t.twice > 1000")
    for number in range(5):
        made.sql(f"alone{number}", f"SELECT o.id + {number} AS id FROM orders AS o WHERE o.amount > {900 + number}")
    build(made)
    live = size_of(made.root / ".rules")
    for least in range(500):
        made.sql("big", f"SELECT o.id, o.amount FROM orders AS o WHERE o.amount > {least + 1}")
        assert build(made).executed >= {"big", "twice"}
        assert size_of(made.root / ".rules") < 2 * live, least
    assert run(made, "build").stdout.startswith("nothing to do")
    assert run(made, "audit", "--json").document["differing"] == []


@pytest.mark.slow
def test_a_table_that_a_program_reads_is_not_removed_under_its_eyes(project: SampleProject) -> None:
    from rules import Project

    build(project)
    opened = Project.open(project.root)
    stream = opened.table("some").to_pyarrow_batches()
    edit(project, 5)
    waiting = subprocess.Popen(
        [RULES, "gc"], cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert waiting.stderr is not None
    assert waiting.stderr.readline().startswith("waiting for a command that reads the store")
    assert sum(batch.num_rows for batch in stream) == 3
    waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    rows = opened.read("some")
    edit(project, 6)
    run(project, "gc")
    assert rows.read_all().column("v").to_pylist() == [15, 25, 35], "a file that was opened is read on"
