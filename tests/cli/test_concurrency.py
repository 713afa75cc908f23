"""Several processes on one store: builds take turns, and whoever only looks is not kept waiting."""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from support.projects import RULES, SampleProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLOW = (
    "SELECT COUNT(*) AS n FROM orders AS a CROSS JOIN orders AS b CROSS JOIN few AS c WHERE a.id * b.id % 7 = c.id % 5"
)


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path / "project", sources=["orders", "few"])
    made.parquet("orders", {"id": list(range(3000)), "kind": [n % 3 for n in range(3000)]})
    made.parquet("few", {"id": list(range(3))})
    made.sql("kinds", "SELECT kind, COUNT(*) AS n FROM orders GROUP BY kind")
    made.sql("evens", "SELECT id FROM orders WHERE id % 2 = 0")
    made.sql("total", "SELECT SUM(n) AS n FROM kinds")
    return made


def start(project: SampleProject, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(RULES), *arguments], cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def end(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out, err


@contextlib.contextmanager
def store_locked(project: SampleProject) -> Iterator[None]:
    """Hold the store's lock as a build in progress does."""
    (project.root / ".rules").mkdir(exist_ok=True)
    with (project.root / ".rules" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.slow
def test_three_builds_at_once_all_succeed_and_nothing_is_executed_twice(project: SampleProject) -> None:
    with store_locked(project):
        builds = [start(project, "build", "--json") for _ in range(3)]
        ended: list[str] = []
        readers = [threading.Thread(target=_wait_for_message, args=(build, ended)) for build in builds]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout=60)
    assert ended == ["waiting for another build on this store to finish\n"] * 3
    executed: list[str] = []
    for build in builds:
        out, err = end(build)
        assert "waiting" not in err, "said more than once"
        executed += [line.split()[1] for line in err.splitlines() if line.startswith("executed")]
        assert '"failed": 0' in out
    assert sorted(executed) == ["evens", "kinds", "total"]
    assert project.product("total").to_pylist() == [{"n": 3000}]


def _wait_for_message(build: subprocess.Popen[str], ended: list[str]) -> None:
    assert build.stderr is not None
    ended.append(build.stderr.readline())


@pytest.mark.slow
def test_builds_of_different_selections_at_once_all_succeed(project: SampleProject) -> None:
    builds = [start(project, "build", "-s", selection) for selection in ("evens", "kinds", "+total")]
    for build in builds:
        end(build)
    assert project.product("total").to_pylist() == [{"n": 3000}]
    assert project.product("evens").num_rows == 1500
    assert "nothing to do" in project.cli("build").stdout


def test_looking_is_not_kept_waiting_by_a_build(project: SampleProject) -> None:
    project.build()
    project.sql("evens", "SELECT id FROM orders WHERE id % 2 = 1")
    with store_locked(project):
        started = time.monotonic()
        assert project.statuses(project.plan())["evens"] == "run"
        assert "3000" in project.cli("show", "total").stdout
        assert "ok" in project.cli("log").stdout
        assert project.cli("ls").returncode == 0
        assert time.monotonic() - started < 30


@pytest.mark.slow
def test_looking_works_while_products_are_being_executed(project: SampleProject) -> None:
    project.build()
    project.sql("slow", SLOW)
    project.sql("evens", "SELECT id FROM orders WHERE id % 2 = 1")
    build = start(project, "build", "-j", "1")
    seen = 0
    while build.poll() is None:
        plan = project.plan()
        assert {"slow", "evens", "kinds", "total"} == set(project.statuses(plan))
        assert "3000" in project.cli("show", "total").stdout
        assert project.cli("log").returncode == 0
        seen += 1
    end(build)
    assert seen > 0
    assert project.product("evens").column("id")[0].as_py() == 1


def test_a_plan_that_ingests_a_source_is_left_alone_by_a_build_that_starts(tmp_path: Path) -> None:
    from cache.objects import Objects

    planning, building = Objects(tmp_path), Objects(tmp_path)
    planning.create()
    half = planning.temporary()
    half.write_bytes(b"half of a table")
    stale = tmp_path / "tmp" / ("0" * 32)
    stale.mkdir()
    (stale / "rest").write_bytes(b"rest")
    building.clear_tmp()
    assert half.read_bytes() == b"half of a table"
    assert not stale.exists()
    planning.close()
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.slow
def test_processes_that_make_the_store_at_once_do_not_set_each_others_index_aside(project: SampleProject) -> None:
    plans = [start(project, "plan") for _ in range(4)]
    for plan in plans:
        _, err = end(plan)
        assert err == ""
    assert [path.name for path in (project.root / ".rules").glob("*.aside*")] == []


def test_a_plan_does_not_take_a_damaged_index_away_from_a_build(project: SampleProject) -> None:
    project.build()
    index = project.root / ".rules" / "index.sqlite"
    index.write_bytes(b"no database at all" * 100)
    with store_locked(project):
        failed = project.cli("plan")
        assert failed.returncode == 1
        assert "another build is using it" in failed.stderr
    assert index.read_bytes().startswith(b"no database")
    assert "set aside" in project.cli("plan").stderr


@pytest.mark.slow
def test_the_configuration_edited_while_a_build_runs_is_built_next_time(project: SampleProject) -> None:
    project.write("rules.toml", project.read("rules.toml") + "\n[vars]\nleast = 1\n")
    project.sql("some", "SELECT id FROM orders WHERE id >= $least")
    project.sql("slow", SLOW)
    build = start(project, "build", "-v")
    assert build.stderr is not None
    for line in build.stderr:
        if line.startswith("running"):
            break
    project.edit("rules.toml", "least = 1", "least = 2")
    end(build)
    assert project.product("some").num_rows == 2999
    assert project.executed(project.build()) == {"some"}
    assert project.product("some").num_rows == 2998
