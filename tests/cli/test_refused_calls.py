"""The system refuses a call for a file: that is said, and nothing sound is taken for damaged, forgotten or removed.

`strace` lets the calls fail, of real commands on real files.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cache.index import set_aside
from support.file_operations import AVAILABLE
from support.inprocess import build, run
from support.projects import RULES, SampleProject

needs_strace = pytest.mark.skipif(not AVAILABLE, reason="strace, which lets calls fail, is not installed")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with a store of two builds, the first of which is pinned, and an edit since."""
    project = SampleProject(tmp_path_factory.mktemp("refused") / "project", sources=["orders"])
    project.parquet("orders", {"id": list(range(9)), "city": ["A", "B", None] * 3})
    project.sql("some", "SELECT o.id, o.city FROM orders AS o WHERE o.id > 2")
    project.sql("total", "SELECT SUM(s.id) AS total FROM some AS s")
    run(project, "pin", build(project).document["build"])
    project.edit("rules/some.sql", "> 2", "> 4")
    build(project)
    project.edit("rules/some.sql", "> 4", "> 5")
    return project.root


@pytest.fixture
def project(built: Path, tmp_path: Path) -> SampleProject:
    shutil.copytree(built, tmp_path / "p", symlinks=True)
    return SampleProject.at(tmp_path / "p")


def refused(
    project: SampleProject, call: str, error: str, when: str, path: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    """Run `rules WORDS` while calls for a file fail. when: the N-th call of each thread, or `N+`: from then on."""
    inject = f"inject={call}:error={error}:when={when}"
    tracing = ["strace", "-f", "-o", "/dev/null", "-P", str(path), "-e", f"trace={call}", "-e", inject]
    return subprocess.run(
        [*tracing, str(RULES), *words], cwd=project.root, capture_output=True, text=True, timeout=120, check=False
    )


def states(project: SampleProject) -> list[str]:
    """Return the builds in the log; the table of the first, which is pinned, must be there."""
    builds = [one["build"] for one in run(project, "log", "--json").document["builds"]]
    assert "(6 rows)" in run(project, "show", f"some@{builds[-1]}").stdout
    return builds


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "error", "when"),
    [
        ("pread64", "EIO", "1"),
        ("pread64", "EIO", "9+"),
        ("pread64", "EIO", "44+"),
        ("pread64", "EIO", "60+"),
        ("openat", "ENFILE", "1+"),
    ],
)
def test_an_index_that_cannot_be_read_for_a_moment_stays_with_all_that_it_knows(
    project: SampleProject, call: str, error: str, when: str
) -> None:
    before = states(project)
    ended = refused(project, call, error, when, project.root / ".rules" / "index.sqlite", "build")
    assert ended.returncode in {0, 1}, ended.stderr
    assert "internal error" not in ended.stderr
    assert ended.returncode == 0 or "index" in ended.stderr
    assert not list((project.root / ".rules").glob("*.aside"))
    assert set(before) <= set(states(project))
    assert "warning" not in build(project).stderr
    assert project.product("total").to_pylist() == [{"total": 21}]


def test_who_was_killed_while_an_index_was_replaced_has_lost_nothing(project: SampleProject) -> None:
    before = states(project)
    name = set_aside(project.root / ".rules" / "index.sqlite")
    ran = build(project)
    assert f"warning: the index is missing; a new one is begun with what is sound in {name}" in ran.stderr
    assert ran.executed == {"some", "total"}, "the edit, as if nothing had happened"
    assert set(before) < set(states(project))


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        ("read", "EIO", ("export", "some", "out.csv")),
        ("openat", "EMFILE", ("show", "some")),
        ("openat", "EMFILE", ("show", "some@FIRST")),
        ("read", "EIO", ("restore", "FIRST")),
        ("openat", "EACCES", ("cache", "verify", "--repair")),
        ("read", "EIO", ("cache", "verify", "--repair")),
    ],
)
def test_a_table_that_cannot_be_read_for_a_moment_stays(
    project: SampleProject, call: str, error: str, words: tuple[str, ...]
) -> None:
    first = states(project)[-1]
    for table in (project.root / ".rules" / "objects").glob("*/*.parquet"):
        if pq.read_metadata(table).num_rows == (6 if "FIRST" in " ".join(words) else 4):
            break
    ended = refused(project, call, error, "1+", table, *(word.replace("FIRST", first) for word in words))
    assert ended.returncode == 1
    assert ended.stderr.startswith("error:") or "unreadable" in ended.stdout
    assert os.strerror(getattr(errno, error)) in ended.stderr or words[0] == "cache"
    assert table.exists()
    states(project)
    assert run(project, "cache", "verify", "--json").document["bad"] == []
    assert "(4 rows)" in run(project, "show", "some").stdout


@needs_strace
@pytest.mark.slow
def test_a_source_that_could_not_be_read_for_a_moment_is_no_finding_for_good(project: SampleProject) -> None:
    source = project.write("data/cities.csv", "city\nA\n")
    project.write("rules.toml", project.read("rules.toml") + '\n[sources.cities]\npath = "data/cities.csv"\n')
    project.sql("cities_of", "SELECT c.city FROM cities AS c")
    ended = refused(project, "read", "EIO", "1+", source, "check")
    assert ended.returncode == 1
    assert "cannot be read: Input/output error" in ended.stdout
    assert "must be able to read" not in ended.stdout
    assert run(project, "check").code == 0


@needs_strace
@pytest.mark.slow
def test_a_site_or_project_that_could_not_be_written_can_be_written_again(project: SampleProject) -> None:
    ended = refused(project, "write", "EDQUOT", "1+", project.root / "site" / "assets" / "graph.js", "docs", "build")
    assert ended.stderr == "error: site cannot be written: Disk quota exceeded\n"
    run(project, "docs", "build")
    target = project.root / "new" / "data" / "orders.csv"
    ended = refused(project, "renameat2", "ENOSPC", "1+", target, "init", "new")
    assert "new/data/orders.csv: No space left on device" in ended.stderr
    run(project, "init", str(project.root / "new"))


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize("when", ["1+", "3+", "5+", "8"])
def test_a_source_that_cannot_be_opened_is_not_called_damaged(project: SampleProject, when: str) -> None:
    source = project.parquet("orders", {"id": list(range(7)), "city": ["A"] * 7})
    ended = refused(project, "openat", "EMFILE", when, source, "build")
    assert ended.returncode in {0, 1, 2}
    assert ended.returncode == 0 or "Too many open files" in ended.stderr
    assert "damaged" not in ended.stderr
    build(project)
    assert project.product("total").to_pylist() == [{"total": 6}]
