"""A store that is another's folder, or leads to one: nothing outside of a store of ours is ever changed."""

from __future__ import annotations

import ast
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cache.removal import remove_object, remove_scratch, remove_temporary
from support.inprocess import build, run
from support.listings import listing
from support.projects import SampleProject

Spoil = Callable[[Path, Path], None]
PACKAGES = ("cache", "compiler", "graph", "rules")
HEX = "0123456789abcdef" * 2
COMMANDS = (
    ["build"],
    ["build", "--force", "*"],
    ["plan"],
    ["check"],
    ["ls"],
    ["show", "total"],
    ["log"],
    ["lineage", "total.n"],
    ["explain", "total"],
    ["contract", "total"],
    ["diff"],
    ["audit"],
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder of somebody's, with the names that a store has and names that look like ours."""
    folder = tmp_path / "home"
    for path in (
        "notes.txt",
        "tmp/draft.txt",
        f"tmp/{HEX}.parquet",
        f"tmp/{HEX[::-1]}/deep.txt",
        "products/sales.parquet",
        f"objects/ab/{HEX[2:]}.parquet",
        "evidence/x.sql",
        "README",
        "lock",
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"precious: {path}")
    with closing(sqlite3.connect(folder / "mine.sqlite")) as connection:
        connection.execute("CREATE TABLE mine (x)")
    (folder / "empty").write_bytes(b"")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path / "project", toml='\n[sources.raw]\npath = "data/raw.csv"\n')
    made.write("data/raw.csv", "id,v\n1,10\n2,20\n")
    made.sql("total", "SELECT SUM(r.v) AS n FROM raw AS r")
    return made


# A folder that is not ours


def _whole(_folder: Path) -> None:
    pass


def _only(*names: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for path in folder.iterdir():
            if path.name not in names:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove


def _another_index(folder: Path) -> None:
    _only("mine.sqlite")(folder)
    (folder / "mine.sqlite").rename(folder / "index.sqlite")


def _no_index(folder: Path) -> None:
    _only("notes.txt")(folder)
    (folder / "notes.txt").rename(folder / "index.sqlite")


def _linked_marker(folder: Path) -> None:
    (folder / ".rules-store").symlink_to("notes.txt")


def _empty_marker(folder: Path) -> None:
    (folder / ".rules-store").write_bytes(b"")


FOREIGN = [
    _whole,
    _only("tmp"),
    _only("products"),
    _only("objects"),
    _only("README"),
    _only("lock"),
    _another_index,
    _no_index,
    _linked_marker,
    _empty_marker,
]


@pytest.mark.parametrize("make", FOREIGN)
def test_a_folder_that_is_not_ours_is_refused_and_left_alone(
    project: SampleProject, home: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    make(home)
    before = listing(home)
    monkeypatch.setenv("RULES_STORE", str(home))
    for command in COMMANDS if make is _whole else (["build"], ["plan"]):
        refused = run(project, *command, expect=2)
        assert f"error: {home} is not empty, and no store of rules" in refused.stderr
        assert "set RULES_STORE to an empty folder" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert listing(home) == before


def test_a_link_to_a_foreign_folder_in_rules_store_is_refused_as_the_folder_is(
    project: SampleProject, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "way").symlink_to(home)
    before = listing(home)
    monkeypatch.setenv("RULES_STORE", str(tmp_path / "way"))
    assert "no store of rules" in run(project, "build", expect=2).stderr
    assert listing(home) == before


@pytest.mark.parametrize("command", [["build"], ["plan"], ["show", "total"]])
def test_a_clone_that_ships_a_folder_of_that_name_is_refused(
    project: SampleProject, home: Path, command: list[str]
) -> None:
    (project.root / ".rules").mkdir()
    for name in ("tmp", "products", "objects"):
        (project.root / ".rules" / name).symlink_to(home / name)
    before = listing(home)
    assert "no store of rules" in run(project, *command, expect=2).stderr
    assert listing(home) == before
    assert sorted(path.name for path in (project.root / ".rules").iterdir()) == ["objects", "products", "tmp"]


# What becomes ours


def test_an_empty_folder_becomes_a_store(
    project: SampleProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("RULES_STORE", str(tmp_path / "empty"))
    assert build(project).executed == {"total"}
    assert (tmp_path / "empty" / ".rules-store").read_text().startswith("rules-store 1\nid ")


def test_what_a_build_killed_while_it_made_the_store_left_becomes_a_store(project: SampleProject) -> None:
    for name in ("tmp", "objects", "products"):
        (project.root / ".rules" / name).mkdir(parents=True)
    (project.root / ".rules" / "lost+found").mkdir()
    for name, text in (("lock", ""), (".gitignore", "*\n!.gitignore\n"), (f"..rules-store.{HEX}.new", "rules-st")):
        (project.root / ".rules" / name).write_text(text)
    assert build(project).executed == {"total"}


def test_a_store_of_a_version_that_wrote_no_marker_is_taken_over(project: SampleProject) -> None:
    build(project)
    (project.root / ".rules" / ".rules-store").unlink()
    assert run(project, "plan", "--json").document["summary"]["clean"] == 1
    assert (project.root / ".rules" / ".rules-store").exists()
    assert build(project).executed == set()


def test_a_store_of_a_newer_version_is_left_alone(project: SampleProject) -> None:
    build(project)
    (project.root / ".rules" / ".rules-store").write_text("rules-store 99\nid 0\n")
    project.edit("rules/total.sql", "SUM(r.v)", "SUM(r.v) + 1")
    before = listing(project.root / ".rules")
    assert "newer version of rules" in run(project, "build", expect=1).stderr
    assert listing(project.root / ".rules") == before


# A store of ours that leads elsewhere


def _link(name: str, target: str) -> Spoil:
    def spoil(store: Path, home: Path) -> None:
        path = store / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(home / target)

    spoil.__name__ = f"{name} to {target}"
    return spoil


def _hard_link(name: str, target: str) -> Spoil:
    def spoil(store: Path, home: Path) -> None:
        (store / name).unlink(missing_ok=True)
        os.link(home / target, store / name)

    spoil.__name__ = f"hard {name} to {target}"
    return spoil


def _shelf(store: Path, home: Path) -> None:
    for shelf in (store / "objects").iterdir():
        shutil.rmtree(shelf)
        shelf.symlink_to(home / "objects" / "ab")


def _all_shelves(store: Path, home: Path) -> None:
    shutil.rmtree(store / "objects")
    (store / "objects").mkdir()
    for number in range(256):
        (store / "objects" / f"{number:02x}").symlink_to(home / "objects" / "ab")


def _hard_index(store: Path, home: Path) -> None:
    os.link(store / "index.sqlite", home / "index-of-another-store")


def _folder(name: str) -> Spoil:
    def spoil(store: Path, _home: Path) -> None:
        (store / name).unlink(missing_ok=True)
        (store / name).mkdir()

    spoil.__name__ = f"folder {name}"
    return spoil


REFUSED = [
    _link("tmp", "tmp"),
    _link("products", "products"),
    _link("objects", "objects"),
    _link("evidence", "evidence"),
    _link("lock", "nothing-yet"),
    _link("index.sqlite", "empty"),
    _link("index.sqlite", "mine.sqlite"),
    _link("index.sqlite", "nothing-yet"),
    _link("index.sqlite-wal", "empty"),
    _link("index.sqlite-journal", "empty"),
    _hard_link("index.sqlite", "empty"),
    _hard_link("index.sqlite-shm", "empty"),
    _hard_index,
    _shelf,
    _all_shelves,
    _folder("index.sqlite"),
    _folder("lock"),
]


@pytest.mark.parametrize("spoil", REFUSED, ids=lambda spoil: spoil.__name__)
def test_a_store_in_which_a_name_of_ours_leads_elsewhere_is_refused(
    project: SampleProject, home: Path, spoil: Spoil
) -> None:
    build(project)
    spoil(project.root / ".rules", home)
    project.edit("rules/total.sql", "SUM(r.v)", "SUM(r.v) + 1")
    before = listing(home)
    commands = COMMANDS if spoil is REFUSED[0] else (["build"], ["plan"], ["lineage", "total.n"])
    for command in commands:
        refused = run(project, *command, expect=2)
        assert "in the store is" in refused.stderr
        assert "hint: " in refused.stderr
        assert "Traceback" not in refused.stderr
    assert listing(home) == before


def test_the_store_itself_is_no_link(project: SampleProject, home: Path, tmp_path: Path) -> None:
    build(project)
    (project.root / ".rules").rename(tmp_path / "elsewhere")
    for target in (tmp_path / "elsewhere", home, tmp_path / "nothing-yet"):
        (project.root / ".rules").symlink_to(target)
        before = listing(tmp_path)
        for command in (["build"], ["plan"], ["show", "total"], ["lineage", "total.n"]):
            assert "is a link, which is not followed" in run(project, *command, expect=2).stderr
        assert listing(tmp_path) == before
        (project.root / ".rules").unlink()


@pytest.mark.parametrize("name", [".gitignore", "README"])
@pytest.mark.parametrize("target", ["nothing-yet", "empty"])
def test_a_link_in_place_of_a_file_that_is_only_written_once_is_not_followed(
    project: SampleProject, home: Path, name: str, target: str
) -> None:
    build(project)
    _link(name, target)(project.root / ".rules", home)
    before = listing(home)
    project.edit("rules/total.sql", "SUM(r.v)", "SUM(r.v) + 1")
    assert build(project).executed == {"total"}
    assert listing(home) == before


def test_an_empty_file_with_a_second_name_is_replaced_and_not_written(project: SampleProject, home: Path) -> None:
    build(project)
    _hard_link(".gitignore", "empty")(project.root / ".rules", home)
    project.edit("rules/total.sql", "SUM(r.v)", "SUM(r.v) + 1")
    build(project)
    assert (home / "empty").read_bytes() == b""
    assert (project.root / ".rules" / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("hard", [False, True])
def test_an_object_that_is_a_link_is_made_anew_and_what_it_leads_to_left_alone(
    project: SampleProject, home: Path, hard: bool
) -> None:
    build(project)
    stored = (project.root / ".rules" / "products" / "total.parquet").resolve()
    shutil.copy(stored, home / "copy.parquet")
    (home / "copy.parquet").chmod(0o644)
    stored.unlink()
    os.link(home / "copy.parquet", stored) if hard else stored.symlink_to(home / "copy.parquet")
    before = listing(home)
    assert build(project).executed == (set() if hard else {"total"})
    assert build(project, "--force", "*").executed == {"total"}
    assert listing(home) == before
    assert project.product("total").to_pylist() == [{"n": 30}]


def test_products_of_a_store_elsewhere_are_linked_through_no_link(
    project: SampleProject, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(project)
    monkeypatch.setenv("RULES_STORE", str(tmp_path / "store"))
    _link("products", "products")(project.root / ".rules", home)
    before = listing(home)
    ran = build(project)
    assert ran.executed == {"total"}
    assert "warning: products cannot be linked in" in ran.stderr
    shutil.rmtree(project.root / ".rules")
    (project.root / ".rules").symlink_to(home)
    assert "warning: products cannot be linked in" in build(project, "--force", "*").stderr
    assert listing(home) == before


# What is not ours in a store of ours


def test_only_names_of_ours_are_removed(project: SampleProject, home: Path) -> None:
    build(project)
    store = project.root / ".rules"
    (store / "tmp" / "notes.txt").write_text("mine")
    (store / "tmp" / "folder").mkdir()
    (store / "tmp" / "folder" / "x").write_text("mine")
    (store / "products" / "mine.parquet").write_text("mine")
    (store / "products" / "linked.parquet").symlink_to(home / "products" / "sales.parquet")
    (store / "products" / "folder.parquet").mkdir()
    (store / "objects" / "notes.txt").write_text("mine")
    (store / "notes.txt").write_text("mine")
    kept = {path: facts for path, facts in listing(store).items() if path.endswith(("notes.txt", "x", ".parquet"))}
    (store / "tmp" / HEX).mkdir()
    (store / "tmp" / HEX / "way.parquet").symlink_to(home / "notes.txt")
    (store / "tmp" / HEX / "folder").symlink_to(home)
    (store / "tmp" / f"{HEX}.parquet").symlink_to(home / "notes.txt")
    before = listing(home)
    project.sql("more", "SELECT t.n FROM total AS t")
    build(project)
    (project.root / "rules" / "more.sql").unlink()
    build(project)
    after = listing(store)
    assert {path: after.get(path) for path in kept} == kept
    assert sorted(path.name for path in (store / "tmp").iterdir()) == ["folder", "notes.txt"]
    assert not (store / "products" / "more.parquet").is_symlink()
    assert listing(home) == before


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_has_a_products_name_and_is_not_ours_is_named_and_kept(project: SampleProject, kind: str) -> None:
    build(project)
    link = project.root / ".rules" / "products" / "total.parquet"
    link.unlink()
    precious = link
    if kind == "folder":
        link.mkdir()
        precious = link / "x"
    precious.write_text("precious")
    failed = run(project, "build", expect=1)
    assert f"{link} is something that rules did not make; remove it" in failed.stderr
    assert precious.read_text() == "precious"


def test_a_product_that_is_a_link_elsewhere_is_pointed_at_its_object_again(project: SampleProject, home: Path) -> None:
    build(project)
    _link("products/total.parquet", "products/sales.parquet")(project.root / ".rules", home)
    before = listing(home)
    build(project)
    assert project.product("total").to_pylist() == [{"n": 30}]
    assert listing(home) == before


@pytest.mark.parametrize("table", ["products", "actions", "artifacts"])
def test_an_index_that_names_files_elsewhere_leads_nowhere(project: SampleProject, home: Path, table: str) -> None:
    build(project)
    (home / "x.parquet").write_bytes((project.root / ".rules" / "products" / "total.parquet").read_bytes())
    way = "../" * 3 + "home/x"  # objects/../../../home/x.parquet
    artifact = way[:2] + way[3:]
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as connection:
        which = "WHERE artifact = (SELECT artifact FROM products)"
        connection.execute(f"UPDATE {table} SET artifact = ? {which}", (artifact,))
        if table != "artifacts":
            connection.execute(
                "INSERT INTO artifacts SELECT ?, rows, bytes, '0', columns, build FROM artifacts LIMIT 1", (artifact,)
            )
        connection.commit()
    before = listing(home)
    for command in (["show", "total"], ["explain", "total"], ["plan"], ["diff", "--data"], ["build"]):
        done = project.cli(*command)
        assert done.returncode in {0, 1, 2}, done.stderr
        assert "Traceback" not in done.stderr
    assert listing(home) == before
    assert project.product("total").to_pylist() == [{"n": 30}]


# One module removes


def test_the_removing_module_takes_names_of_ours_only(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("precious")
    (tmp_path / "folder").mkdir()
    named = {remove_temporary: "precious.txt", remove_object: "precious.txt", remove_scratch: "folder"}
    for remove, name in named.items():
        with pytest.raises(ValueError, match="not have one of our names"):
            remove(tmp_path / name)
    (tmp_path / "way").symlink_to(tmp_path / "folder")
    (tmp_path / "folder" / f"{HEX}.parquet").write_text("precious")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        remove_temporary(tmp_path / "way" / f"{HEX}.parquet")
    assert (tmp_path / "folder" / f"{HEX}.parquet").exists()


@pytest.mark.slow
def test_no_other_module_removes_or_replaces_a_file() -> None:
    root = Path(__file__).resolve().parents[2]
    found = []
    for path in (path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))):
        text = path.read_text(encoding="utf-8")
        calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
        removing = [one for one in calls if _removes(one) and not ("sqlglot" in text and _is_of_a_tree(one))]
        found += [f"{path.relative_to(root)}:{one.lineno}: {ast.unparse(one.func)}" for one in removing]
    elsewhere = [one for one in found if not one.startswith("cache/removal.py:")]
    assert elsewhere == []
    assert found, "the test must be able to find some"


def _is_of_a_tree(call: ast.Call) -> bool:
    """Whether a call is that of a method which SQLGlot's nodes have too."""
    return isinstance(call.func, ast.Attribute) and call.func.attr in {"replace", "rename"}


def _removes(call: ast.Call) -> bool:
    """Whether a call may remove or rename a file: by its name, and where strings have that too, by its form."""
    if not isinstance(call.func, ast.Attribute):
        return isinstance(call.func, ast.Name) and call.func.id in {"rmtree", "unlink", "rmdir"}
    name, owner = call.func.attr, ast.unparse(call.func.value)
    if name in {"unlink", "rmdir", "rmtree", "removedirs", "renames", "truncate"}:
        return True
    if name in {"remove", "rename", "replace", "move"} and owner in {"os", "shutil"}:
        return True
    if name == "rename":
        return len(call.args) == 1 and not call.keywords
    return name == "replace" and len(call.args) == 1 and not call.keywords
