"""A store is data: what it remembers of a rule neither runs nor counts, unless the rule's text compiles to it."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cache.sealing import sealed, unsealed
from rules.cli import main
from support.inprocess import build, run
from support.projects import SampleProject
from support.tampering import built_sample, executing, rewrite

SECURITY = Path(__file__).parents[2] / "SECURITY.md"


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    return built_sample(tmp_path / "project")


def heads(old: str, new: str) -> Callable[[sqlite3.Connection], None]:
    """Change what is remembered of every rule, with a seal that is right."""

    def change(connection: sqlite3.Connection) -> None:
        for memo, head in connection.execute("SELECT memo, head FROM compiled").fetchall():
            record = json.loads(json.dumps(unsealed(head)).replace(old, new))
            connection.execute("UPDATE compiled SET head = ? WHERE memo = ?", (sealed(record), memo))

    return change


@pytest.mark.parametrize(
    "change",
    [
        executing("COPY (SELECT 1 AS a) TO 'outside'"),
        executing("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION 'outside'"),
        executing("SELECT 7 AS a"),
        executing("SELECT CAST(7 AS BIGINT) AS total"),
        heads('"volatile": false', '"volatile": true'),
        heads('[["a"]]', "[[]]"),
        heads('"int64"', '"int32"'),
        heads('"fingerprint": "', '"fingerprint": "0'),
    ],
    ids=["copy", "external-table", "other-values", "other-total", "volatile", "read-set", "types", "fingerprint"],
)
@pytest.mark.parametrize("asked", [("--force", "*"), ()], ids=["forced", "changed-source"])
def test_what_runs_is_what_the_text_says(
    project: SampleProject, change: Callable[[sqlite3.Connection], None], asked: tuple[str, ...]
) -> None:
    rewrite(project, change)
    if not asked:
        project.parquet("t", {"a": [1, 2, 2, 3]})
    before = listing(project.root.parent)
    ran = build(project, *asked)
    assert ran.stderr.count("warning") <= 1
    assert not Path("outside").exists()
    total = 3 if asked else 5
    assert project.product("total").to_pylist() == [{"total": total}]
    assert {path: data for path, data in listing(project.root.parent).items() if ".rules" not in path} == {
        path: data for path, data in before.items() if ".rules" not in path
    }
    assert run(project, "build").stdout.startswith("nothing to do")


def test_an_audit_compares_with_the_text_and_not_with_what_is_remembered(project: SampleProject) -> None:
    rewrite(project, executing("SELECT CAST(7 AS BIGINT) AS total"))
    assert "warning" in run(project, "audit").stderr


def test_what_is_remembered_runs_without_a_warning_when_it_is_right(project: SampleProject) -> None:
    project.parquet("t", {"a": [1, 2, 2, 3]})
    ran = build(project)
    assert (ran.executed, ran.stderr.count("warning")) == ({"small", "total"}, 0)


@pytest.mark.parametrize("old", ['"n"', '"t"', '"each":', '"part-wise"'])
def test_a_reading_of_other_columns_is_made_again(tmp_path: Path, old: str) -> None:
    """What is remembered of how a rule works by parts can name no table and no column that the rule does not have."""
    project = SampleProject(tmp_path / "parts", toml='[sources.t]\npath = "data/t"\n[parts]\nmin_rows = 1\n')
    for number in (1, 2):
        project.parquet(f"t/{number}", {"n": [number, 9]})
    project.sql("more", "SELECT t.n + 1 AS n FROM t WHERE t.n < 3")
    build(project)

    def change(connection: sqlite3.Connection) -> None:
        for memo, text in connection.execute("SELECT memo, record FROM readings").fetchall():
            record = json.loads(json.dumps(unsealed(text)).replace(old, '"other"' + ":" * old.endswith(":")))
            connection.execute("UPDATE readings SET record = ? WHERE memo = ?", (sealed(record), memo))

    rewrite(project, change)
    project.parquet("t/3", {"n": [0]})
    (product,) = build(project).document["products"]
    assert product["parts"] == {"input": "t", "total": 3, "run": 1}
    assert project.product("more").to_pylist() == [{"n": 2}, {"n": 3}, {"n": 1}]


@pytest.mark.parametrize("name", ["../../../outside", "..", "/etc/passwd", "aa/../../../outside", "A" * 32, ""])
def test_an_artifact_is_an_object_of_the_store_whatever_it_is_called(project: SampleProject, name: str) -> None:
    outside = project.root.parent / "outside.parquet"
    shutil.copy(project.root / "data" / "t.parquet", outside)
    (before,) = {outside.stat().st_mtime_ns}

    def change(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE artifacts SET artifact = ? WHERE rows = 2", (name,))
        connection.execute("UPDATE products SET artifact = ? WHERE name = 'small'", (name,))
        connection.execute("UPDATE actions SET artifact = ?", (name,))

    rewrite(project, change)
    for command in (["show", "small"], ["explain", "small"], ["diff", "--data"], ["build"]):
        code = main([*command, "-C", str(project.root)])
        assert code in {0, 1, 2}, command
    assert outside.stat().st_mtime_ns == before
    assert project.product("small").to_pylist() == [{"a": 1}, {"a": 2}]


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_store_that_git_tracks_is_warned_of(project: SampleProject) -> None:
    for words in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *words], cwd=project.root, check=True, capture_output=True)
    project.edit("rules/total.sql", "SUM", "MAX")
    for command in ("check", "build"):
        assert "git tracks" not in run(project, command).stderr, "the store ignores itself"
    subprocess.run(["git", "add", "-f", ".rules"], cwd=project.root, check=True, capture_output=True)
    project.edit("rules/total.sql", "MAX", "MIN")
    for command in ("check", "build"):
        assert run(project, command).stderr.count("git tracks files of the store") == 1
    assert "git tracks" not in run(project, "build").stderr, "a no-op asks nobody"


LEAVES_A_MARK = """
from pathlib import Path
Path(__file__).with_name("imported.mark").write_text("")
from rules import rule

@rule
def doubled(small):
    return small.mutate(a=small.a * 2)
"""
IMPORTING = [
    ["plan"], ["build"], ["check"], ["diff"], ["ls"], ["explain", "doubled"], ["lineage", "doubled.a"],
    ["contract", "doubled"], ["audit"], ["show", "nothing"], ["export", "nothing", "/proc/exported"],
    ["show", "SELECT mine(small.a) AS a FROM small"],
    ["query", "SELECT mine(small.a) AS a FROM small"],
]  # fmt: skip
NOT_IMPORTING = [
    ["show", "small"],
    ["export", "small", "/proc/exported"],
    ["log"],
    ["cache", "verify"],
    ["cache", "verify", "--repair"],
    ["--version"],
    ["help"],
]


@pytest.mark.parametrize("command", NOT_IMPORTING, ids=" ".join)
def test_what_never_imports_the_python_of_a_project(project: SampleProject, command: list[str]) -> None:
    project.write("rules/doubled.py", LEAVES_A_MARK)
    _main(project, command)
    assert not (project.root / "rules" / "imported.mark").exists()


@pytest.mark.parametrize("command", IMPORTING, ids=" ".join)
def test_what_may_import_the_python_of_a_project(project: SampleProject, command: list[str]) -> None:
    """SECURITY.md says so: they load the rules, and what a file in Python declares is known only when it has run."""
    project.write("rules/doubled.py", LEAVES_A_MARK)
    _main(project, command)
    imported = (project.root / "rules" / "imported.mark").exists()
    listed = re.search(r"These may import it: (.*?)\.\n", SECURITY.read_text(), re.DOTALL)
    assert listed is not None
    assert imported == (f"`{command[0]}`" in listed[1]), "SECURITY.md lists what does"


def test_what_is_remembered_of_a_python_file_spares_its_import(project: SampleProject) -> None:
    project.write("rules/doubled.py", LEAVES_A_MARK)
    build(project)
    mark = project.root / "rules" / "imported.mark"
    mark.unlink()
    for command in (["plan"], ["ls"], ["lineage", "doubled.a"], ["build"], ["show", "nothing"]):
        _main(project, command)
        assert not mark.exists(), command


def _main(project: SampleProject, command: list[str]) -> int:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return main([*command, "-C", str(project.root)])
