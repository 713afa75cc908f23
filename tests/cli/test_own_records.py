"""What a process of this user's has compiled is known again by a key outside of the store, and by nothing in it."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cache.sealing import sealed, unsealed
from support.counting import work_of
from support.inprocess import Ran, build, run
from support.projects import SampleProject
from support.tampering import built_sample, executing, rewrite

FEW_LINES = 500
"""Of the compiler: compiling the smallest rule again takes more than ten thousand."""


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the key of these tests is, once there is one."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "rules" / "key"


@pytest.fixture
def project(tmp_path: Path, key: Path) -> SampleProject:  # noqa: ARG001 — made by the first build
    return built_sample(tmp_path / "project")


def compiled_again(project: SampleProject, last: int) -> tuple[bool, Ran]:
    """Build with another last row of the source; return whether the compiler was at work, and how the build ended."""
    project.parquet("t", {"a": [1, 2, 3, last]})
    ended: list[Ran] = []
    lines = work_of(lambda: ended.append(build(project)))
    assert ended[0].executed == {"small", "total"}
    assert project.product("total").to_pylist() == [{"total": 3 + last}]
    return lines["compile"] > FEW_LINES, ended[0]


def test_a_rule_that_was_compiled_before_runs_without_being_compiled(project: SampleProject) -> None:
    assert compiled_again(project, 0)[0] is False


def test_a_run_that_compiles_nothing_imports_no_sqlglot(project: SampleProject) -> None:
    project.parquet("t", {"a": [1, 2, 3, 0]})
    code = "import sys, rules.cli; rules.cli.main(['build', '-q']); print('sqlglot' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=project.root, capture_output=True, text=True, check=True)
    assert ran.stdout.split()[-1] == "False"
    assert project.product("total").to_pylist() == [{"total": 3}]


def test_a_forced_build_runs_without_compiling_either(project: SampleProject) -> None:
    lines = work_of(lambda: build(project, "--force", "*"))
    assert lines["compile"] < FEW_LINES


def test_an_audit_compiles_all_again(project: SampleProject) -> None:
    lines = work_of(lambda: run(project, "audit"))
    assert lines["compile"] > FEW_LINES


def test_the_key_is_its_users_alone(project: SampleProject, key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [path.name for path in key.parent.iterdir()] == ["key"]
    assert len(key.read_bytes()) == 32
    assert key.read_bytes() not in (project.root / ".rules" / "index.sqlite").read_bytes()


@pytest.mark.parametrize("how", ["other", "none", "short", "shared", "link", "folder"])
def test_without_the_key_a_rule_is_compiled_again(project: SampleProject, key: Path, how: str) -> None:
    own = key.read_bytes()
    key.unlink()
    if how == "other":
        key.write_bytes(bytes(32))
        key.chmod(0o600)
    elif how == "short":
        key.write_bytes(own[:31])
        key.chmod(0o600)
    elif how == "shared":
        key.write_bytes(own)
        key.chmod(0o640)
    elif how == "link":
        (key.parent / "elsewhere").write_bytes(own)
        (key.parent / "elsewhere").chmod(0o600)
        key.symlink_to("elsewhere")
    elif how == "folder":
        key.mkdir()
    assert compiled_again(project, -1)[0] is True
    assert compiled_again(project, 0)[0] is (how not in {"other", "none"})  # what was compiled again has left a proof


def test_a_home_that_cannot_be_written_costs_only_time(
    project: SampleProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert compiled_again(project, 0)[0] is True
    assert compiled_again(project, -1)[0] is True


def test_a_relative_folder_counts_as_none(
    project: SampleProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The XDG Base Directory Specification: such paths are to be ignored."""
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    build(project, "--force", "*")
    assert (tmp_path / "home/.local/state/rules/key").is_file()
    assert not (project.root / "state").exists()


@pytest.mark.parametrize("home", ["missing", "", "relative"])
def test_a_home_is_never_made(
    project: SampleProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    """Users of services are often said to live in a folder that does not exist."""
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / home) if home == "missing" else home)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir()), Path("/.local").exists()
    assert compiled_again(project, 0)[0] is True
    assert (sorted(tmp_path.iterdir()), Path("/.local").exists()) == before


def test_processes_that_make_the_key_at_once_have_the_same(key: Path) -> None:
    code = "from rules.storage.own_key import own_key; print(own_key().hex())"
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
        for _ in range(6)
    ]
    found = {one.communicate()[0].strip() for one in running}
    assert found == {key.read_bytes().hex()}
    assert [path.name for path in key.parent.iterdir()] == ["key"]


def swapped(connection: sqlite3.Connection) -> None:
    """Give each rule the query of the other, with its proof."""
    for table, column, where in (("bodies", "body", "1"), ("proofs", "proof", "kind = 'compiled'")):
        rows = connection.execute(f"SELECT memo, {column} FROM {table} WHERE {where}").fetchall()
        assert len(rows) == 2
        for (memo, _), (_, value) in zip(rows, reversed(rows), strict=True):
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE memo = ? AND {where}", (value, memo))


def other_proofs(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE proofs SET proof = '0123456789abcdef0123456789abcdef'")


def odd_proofs(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE proofs SET proof = x'00ff'")


def no_proofs(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM proofs")


@pytest.mark.parametrize(
    "change", [executing("SELECT CAST(7 AS BIGINT) AS total"), swapped, other_proofs, odd_proofs, no_proofs]
)
def test_what_has_no_proof_is_compiled_again(
    project: SampleProject, change: Callable[[sqlite3.Connection], None]
) -> None:
    rewrite(project, change)
    assert compiled_again(project, 0)[0] is True
    assert compiled_again(project, -1)[0] is False


def test_a_text_that_was_parsed_by_somebody_else_is_parsed_again(project: SampleProject) -> None:
    """A proof of what a rule compiles to says nothing of who has read its text: that has a proof of its own."""

    def change(connection: sqlite3.Connection) -> None:
        for memo, text in connection.execute("SELECT memo, record FROM parsed").fetchall():
            record = unsealed(text)
            assert record is not None
            if record.get("tables") == ["t"]:
                record["functions"] = ["unknown"]
            connection.execute("UPDATE parsed SET record = ? WHERE memo = ?", (sealed(record), memo))

    rewrite(project, change)
    _, ran = compiled_again(project, 0)
    assert "the store's memo of small differs from what its text compiles to" in ran.stderr


@pytest.mark.usefixtures("key")
def test_how_a_rule_works_by_parts_has_a_proof_too(tmp_path: Path) -> None:
    """Another query of the same columns: nothing else could tell."""
    project = SampleProject(tmp_path / "parts", toml='[sources.t]\npath = "data/t"\n[parts]\nmin_rows = 1\n')
    for number in (1, 2):
        project.parquet(f"t/{number}", {"n": [number, 9]})
    project.sql("more", "SELECT t.n + 1 AS n FROM t WHERE t.n < 3")
    build(project)

    def change(connection: sqlite3.Connection) -> None:
        rows = connection.execute("SELECT memo, record FROM readings").fetchall()
        other = [(memo, json.dumps(unsealed(text)).replace("+ 1", "+ 2")) for memo, text in rows]
        assert any(json.loads(new) != unsealed(text) for (_, new), (_, text) in zip(other, rows, strict=True))
        for memo, text in other:
            connection.execute("UPDATE readings SET record = ? WHERE memo = ?", (sealed(json.loads(text)), memo))

    rewrite(project, change)
    project.parquet("t/3", {"n": [0]})
    (product,) = build(project).document["products"]
    assert product["parts"] == {"input": "t", "total": 3, "run": 1}
    assert project.product("more").to_pylist() == [{"n": 2}, {"n": 3}, {"n": 1}]


def test_a_store_that_lacks_the_table_of_proofs_keeps_its_memos(project: SampleProject) -> None:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE proofs")
        connection.execute("UPDATE memo_version SET version = 2")

    rewrite(project, change)
    lines = work_of(lambda: run(project, "plan"))
    assert lines["compile"] < FEW_LINES
    assert compiled_again(project, 0)[0] is True
    assert compiled_again(project, -1)[0] is False
