"""A store that cannot be written is read: on a read-only file system, and by another user than its owner."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.inprocess import build, run
from support.listings import listing
from support.projects import SampleProject

Runs = Callable[[Path, list[list[str]]], list[dict[str, Any]]]
NOBODY = "65534"
READING = [
    ["show", "total", "--json"],
    ["ls", "--json"],
    ["log", "--json"],
    ["lineage", "total.n", "--json"],
    ["explain", "total", "--json"],
    ["contract", "total", "--json"],
    ["check", "--json"],
    ["plan", "--json"],
    ["plan", "--exit-code", "-q"],
    ["diff", "--json"],
    ["diff", "--exit-code", "-q"],
    ["diff", "--data", "--json"],
    ["query", "SELECT SUM(s.v) AS n, COUNT(*) AS m FROM some AS s JOIN raw AS r ON r.id = s.id", "--json"],
]
SCRIPT = """
import contextlib, io, json, os, sys
from rules.cli import main
found = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    found.append({"code": code, "out": out.getvalue(), "err": err.getvalue()})
print(json.dumps(found))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can reach, as pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="rules-read-only-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def project(folder: Path) -> SampleProject:
    made = SampleProject(folder / "project", sources=["orders"], toml='\n[sources.raw]\npath = "data/raw.csv"\n')
    made.write("data/raw.csv", "id,v\n1,10\n2,20\n3,30\n")
    made.parquet("orders", {"id": [1, 2, 3]})
    made.sql("some", "SELECT r.id, r.v FROM raw AS r JOIN orders AS o ON o.id = r.id WHERE r.id > 1")
    made.sql("total", "SELECT SUM(s.v) AS n FROM some AS s")
    return made


def in_a_process(root: Path, commands: list[list[str]], *before: str) -> list[dict[str, Any]]:
    """Run commands one after the other in the project at `root`, in one process that `before` starts."""
    done = subprocess.run(
        [*before, sys.executable, "-B", "-c", SCRIPT, json.dumps(commands)],
        cwd=root,
        env={**os.environ, "TMPDIR": tempfile.gettempdir(), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def on_a_read_only_mount(root: Path, commands: list[list[str]]) -> list[dict[str, Any]]:
    mounted = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && exec "$@"'
    return in_a_process(root, commands, "unshare", "-m", "sh", "-c", mounted, str(root))


def as_another_user(root: Path, commands: list[list[str]]) -> list[dict[str, Any]]:
    return in_a_process(root, commands, "setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups")


@pytest.fixture(params=[on_a_read_only_mount, as_another_user])
def runs(request: pytest.FixtureRequest, folder: Path) -> Runs:
    """How commands are run where they cannot write."""
    run_there: Runs = request.param
    (folder / "probe").mkdir()
    try:
        run_there(folder / "probe", [])
    except (AssertionError, OSError) as error:
        pytest.skip(f"this machine does not let tests do that: {error}")
    return run_there


def told(one: dict[str, Any]) -> Any:
    """Return what a command has said, without what differs from run to run."""
    assert "Traceback" not in one["err"]
    return one["code"], one["out"], one["err"]


@pytest.mark.slow
def test_what_is_read_is_what_the_owner_reads(project: SampleProject, runs: Runs) -> None:
    build(project)
    project.edit("rules/some.sql", "r.id > 1", "r.id > 2")
    build(project)
    project.edit("rules/total.sql", "SUM(s.v)", "MAX(s.v)")
    shutil.copytree(project.root, project.root.parent / "again", symlinks=True)  # its owner's commands write memos
    before = listing(project.root)
    found = runs(project.root, READING)
    assert listing(project.root) == before
    expected = in_a_process(project.root, READING)
    for words, there, here in zip(READING, found, expected, strict=True):
        assert told(there) == told(here), words
    codes = [one["code"] for one in found]
    assert codes == [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0]
    assert json.loads(found[0]["out"])["data"] == [{"n": 30}]
    assert {one["name"]: one["verdict"] for one in json.loads(found[7]["out"])["products"]} == {
        "some": "clean",
        "total": "run",
    }


@pytest.mark.slow
def test_without_a_store_rules_are_checked_and_planned(project: SampleProject, runs: Runs) -> None:
    project.sql("bad", "SELECT nothing FROM raw AS r")
    commands = [["check", "--json"], ["ls", "-q"], ["diff", "--json"], ["show", "total"], ["log"]]
    found = runs(project.root, commands)
    assert not (project.root / ".rules").exists()
    assert [told(one) for one in found] == [told(one) for one in in_a_process(project.root, commands)]
    shutil.rmtree(project.root / ".rules")
    (project.root / "rules" / "bad.sql").unlink()
    plan, total = runs(project.root, [["plan", "--json"], ["lineage", "total.n", "--json"]])
    assert {one["verdict"] for one in json.loads(plan["out"])["products"]} == {"run"}
    assert "raw.v" in total["out"]
    assert not (project.root / ".rules").exists()


@pytest.mark.slow
def test_a_build_that_cannot_write_says_so_and_one_with_nothing_to_do_says_that(
    project: SampleProject, runs: Runs
) -> None:
    build(project)
    if runs is on_a_read_only_mount:  # another user may be given another interpreter, whose products are not known
        (nothing,) = runs(project.root, [["build"]])
        assert nothing["code"] == 0, nothing
        assert nothing["out"].startswith("nothing to do")
    project.edit("rules/total.sql", "SUM(s.v)", "MAX(s.v)")
    (failed,) = runs(project.root, [["build"]])
    assert failed["code"] == 1
    assert failed["err"].startswith(f"error: cannot write the store at {project.root}/.rules")
    assert "Traceback" not in failed["err"]


def test_commits_that_are_still_in_the_log_are_read(project: SampleProject, runs: Runs) -> None:
    """What a killed build committed may stand in SQLite's log alone, which a read-only folder cannot take in."""
    build(project)
    index = project.root / ".rules" / "index.sqlite"
    copy = project.root.parent / "copy"
    with closing(sqlite3.connect(index)) as held, closing(sqlite3.connect(index)) as connection:
        held.execute("BEGIN")
        held.execute("SELECT count(*) FROM builds").fetchone()  # keeps the log from being taken in
        connection.execute("INSERT INTO builds VALUES ('', 'late', '2999-01-01T00:00:00.000+00:00', 1, 'ok', '{}')")
        connection.commit()
        shutil.copytree(project.root, copy, symlinks=True)
    (copy / ".rules" / "index.sqlite-shm").unlink()
    assert (copy / ".rules" / "index.sqlite-wal").stat().st_size
    (log,) = runs(copy, [["log", "--json"]])
    assert json.loads(log["out"])["builds"][0]["build"] == "late"


@pytest.mark.slow
def test_a_project_that_cannot_be_written_builds_into_a_store_that_can(
    project: SampleProject, runs: Runs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "store").mkdir(mode=0o777)
    (folder / "store").chmod(0o777)
    monkeypatch.setenv("RULES_STORE", str(folder / "store"))
    built, again, total = runs(project.root, [["build"], ["build"], ["show", "total", "--json"]])
    assert built["code"] == 0, built
    assert "warning: products cannot be linked in" in built["err"]
    assert "executed" not in again["err"]
    assert again["code"] == 0
    assert json.loads(total["out"])["data"] == [{"n": 50}]


@pytest.mark.slow
def test_a_store_that_cannot_be_read_is_an_error_for_who_asks_about_it(project: SampleProject, runs: Runs) -> None:
    build(project)
    if runs is on_a_read_only_mount:
        (project.root / ".rules" / "index.sqlite").write_bytes(b"no database at all" * 100)
    (project.root / ".rules").chmod(0o700)
    plan, check, show, log = runs(project.root, [["plan", "-q"], ["check"], ["show", "total"], ["log"]])
    assert (plan["code"], check["code"]) == (0, 0)
    for asked in (show, log):
        assert asked["code"] == 1
        assert asked["err"].startswith(
            ("error: the index is damaged", f"error: the store {project.root}/.rules cannot")
        )
        assert asked["out"] == ""


@pytest.mark.slow
def test_a_store_of_a_newer_version_is_left_alone_with_a_warning(project: SampleProject, runs: Runs) -> None:
    build(project)
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.commit()
    before = listing(project.root)
    plan, show = runs(project.root, [["plan"], ["show", "total"]])
    assert plan["code"] == 0
    assert "warning: the index has version 99" in plan["err"]
    assert show["code"] == 1
    assert "the index has version 99" in show["err"]
    assert listing(project.root) == before


@pytest.mark.slow
def test_text_that_was_never_ingested_is_planned_and_forgotten(project: SampleProject, runs: Runs) -> None:
    build(project)
    project.write("data/raw.csv", "id,v\n1,10\n2,20\n3,31\n")
    before = listing(project.root)
    (plan,) = runs(project.root, [["plan", "--json"]])
    assert {one["name"]: one["verdict"] for one in json.loads(plan["out"])["products"]} == {
        "some": "run",
        "total": "maybe",
    }
    assert listing(project.root) == before
    assert run(project, "show", "total", "--json").document["data"] == [{"n": 50}]
