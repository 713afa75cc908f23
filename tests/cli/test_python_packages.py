"""What rules in Python use from outside of their project: modules in folders on the path, and installed packages."""

from __future__ import annotations

import json
import os
import py_compile
import sys
from pathlib import Path

import pytest

from support.inprocess import build
from support.projects import SampleProject

HELPER = """from dataclasses import dataclass

from .terms import FACTOR


class Terms:
    extra = 0  # of each


def scaled(amount):
    return amount * FACTOR + Terms.extra
"""
RULES = """import sys

sys.path.insert(0, {path!r})

import helper
from rules import rule, udf


@rule
def by_expression(orders):
    return orders.select(scaled=helper.scaled(orders.amount))


@udf.python
def scale(amount: int) -> int:
    return helper.scaled(amount)


@rule
def unconcerned(orders):
    return orders.select("amount")
"""
USERS = {"by_expression", "by_function"}


class Outside:
    """A project, and a folder beside it from which its rules import `helper`. Each command is a process of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.project = SampleProject(folder / "project", sources=["orders"])
        self.project.parquet("orders", {"amount": [1, 2]})
        self.project.write("rules/users.py", RULES.format(path=str(self.folder)))
        self.project.sql("by_function", "SELECT scale(o.amount) AS scaled FROM orders AS o")

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def executed(self) -> set[str]:
        return self.project.executed(self.project.build())

    def values(self) -> list[list[int]]:
        return [self.project.product(name)["scaled"].to_pylist() for name in sorted(USERS)]

    def installed(self, name: str, version: str, text: str, *, requires: str = "", local: bool = False) -> None:
        """Write a package as pip installs it."""
        self.write(f"{name}/__init__.py", text)
        required = f"Requires-Dist: {requires}\n" if requires else ""
        about = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}"}
        if local:
            about["direct_url.json"] = json.dumps({"url": "file:///elsewhere", "dir_info": {}})
        for old in self.folder.glob(f"{name}-*.dist-info/*"):
            old.unlink()
        for old in self.folder.glob(f"{name}-*.dist-info"):
            old.rmdir()
        place = f"{name}-{version}.dist-info"
        for file, content in about.items():
            self.write(f"{place}/{file}", content)
        listed = f"{name}/__init__.py,sha256={hash_of(text)},{len(text)}\n"
        self.write(f"{place}/RECORD", listed + "".join(f"{place}/{file},,\n" for file in (*about, "RECORD")))


def hash_of(text: str) -> str:
    import base64
    import hashlib

    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@pytest.fixture
def shared(tmp_path: Path) -> Outside:
    found = Outside(tmp_path, "shared")
    found.write("helper/__init__.py", HELPER)
    found.write("helper/terms.py", "FACTOR = 2\n")
    return found


@pytest.mark.slow
def test_a_module_in_a_folder_on_the_path_is_followed_like_one_of_the_project(shared: Outside) -> None:
    assert shared.executed() == {*USERS, "unconcerned"}
    assert shared.executed() == set()
    shared.write("helper/terms.py", "FACTOR = 3\n")
    assert shared.executed() == USERS
    assert shared.values() == [[3, 6], [3, 6]]
    shared.write("helper/__init__.py", HELPER.replace("of each", "for everyone"))
    assert shared.executed() == set()
    shared.write("helper/__init__.py", HELPER.replace("extra = 0", "extra = 1"))
    assert shared.executed() == USERS
    assert shared.values() == [[4, 7], [4, 7]]


@pytest.mark.slow
def test_a_process_that_lives_on_imports_an_edited_module_anew(shared: Outside) -> None:
    assert build(shared.project).executed == {*USERS, "unconcerned"}
    shared.write("helper/terms.py", "FACTOR = 7\n")
    assert build(shared.project).executed == USERS
    assert shared.values() == [[7, 14], [7, 14]]
    assert "helper" not in sys.modules


@pytest.mark.slow
def test_compiled_code_that_python_keeps_of_a_former_text_is_not_believed(
    shared: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken for that of a file with the same size and the same second."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    terms = shared.folder / "helper" / "terms.py"
    moment = terms.stat().st_mtime_ns
    py_compile.compile(str(terms))
    terms.write_text(terms.read_text(encoding="utf-8").replace("2", "3"), encoding="utf-8")
    os.utime(terms, ns=(moment, moment))
    assert shared.executed() == {*USERS, "unconcerned"}
    assert shared.values() == [[3, 6], [3, 6]]


@pytest.mark.slow
def test_a_module_that_the_program_had_imported_before_is_not_believed_by_others(
    shared: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(shared.folder))
    import helper  # type: ignore[import-not-found]

    monkeypatch.setitem(sys.modules, "helper", helper)
    monkeypatch.setitem(sys.modules, "helper.terms", sys.modules["helper.terms"])
    shared.write("helper/terms.py", "FACTOR = 5\n")
    build(shared.project)
    assert shared.values() == [[2, 4], [2, 4]]
    assert shared.executed() == USERS
    assert shared.values() == [[5, 10], [5, 10]]


@pytest.mark.slow
@pytest.mark.parametrize("change", ["version", "files", "requirement"])
def test_another_state_of_an_installed_package_runs_what_uses_it(tmp_path: Path, change: str) -> None:
    site = Outside(tmp_path, "site-packages")
    text = "import basis\n\n__version__ = '1.0'\n\n\ndef scaled(amount):\n    return amount * basis.FACTOR\n"
    helper = {"requires": "basis>=1", "local": change == "files"}
    site.installed("basis", "1.0", "FACTOR = 2\n")
    site.installed("helper", "1.0", text, **helper)  # type: ignore[arg-type]
    assert site.executed() == {*USERS, "unconcerned"}
    assert site.executed() == set()
    if change == "requirement":
        site.installed("basis", "1.1", "FACTOR = 4\n")
    else:
        site.installed("helper", "1.0" if change == "files" else "1.1", text.replace("* ", "* 2 * "), **helper)  # type: ignore[arg-type]
    assert site.executed() == USERS
    assert site.values() == [[4, 8], [4, 8]]


@pytest.mark.slow
def test_a_process_that_lives_on_while_a_package_is_installed_anew(tmp_path: Path) -> None:
    site = Outside(tmp_path, "site-packages")
    text = "def scaled(amount):\n    return amount * 2\n"
    site.installed("helper", "1.0", text)
    try:
        assert build(site.project).executed == {*USERS, "unconcerned"}
        site.installed("helper", "1.1", text.replace("2", "4"))
        assert build(site.project).executed == set()  # it goes on with what it has imported
        assert site.executed() == USERS
    finally:
        sys.modules.pop("helper", None)
    assert site.values() == [[4, 8], [4, 8]]


HIDDEN = """import colorsys

import helper
from rules import rule


@rule
def by_expression(orders):
    return orders.select(scaled=orders.amount * helper.FACTOR * int(colorsys.ONE_THIRD * 3))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "text", "now"),
    [
        ("first/helper.py", "FACTOR = 3\n", [3, 6]),
        ("first/helper/__init__.py", "FACTOR = 4\n", [4, 8]),
        ("first/colorsys.py", "ONE_THIRD = 2 / 3\n", [4, 8]),
        ("first/other.py", "FACTOR = 5\n", [2, 4]),
        (None, "", [7, 14]),
    ],
)
def test_a_module_that_comes_to_hide_another_on_the_path_is_noticed(
    tmp_path: Path, path: str | None, text: str, now: list[int]
) -> None:
    beside = Outside(tmp_path, "beside")
    beside.project.write("rules/users.py", HIDDEN)
    (beside.project.root / "rules" / "by_function.sql").unlink()
    for name, factor in (("first/other_helper.py", 1), ("second/helper.py", 2), ("third/helper.py", 7)):
        beside.write(name, f"FACTOR = {factor}\n")
    places = [str(beside.folder / name) for name in ("first", "second", "third")]
    environment = {"PYTHONPATH": os.pathsep.join(places)}
    assert SampleProject.executed(beside.project.build(env=environment)) == {"by_expression"}
    assert SampleProject.executed(beside.project.build(env=environment)) == set()
    if path is None:
        environment = {"PYTHONPATH": os.pathsep.join(reversed(places))}
    else:
        beside.write(path, text)
    beside.project.build(env=environment)
    assert beside.project.product("by_expression")["scaled"].to_pylist() == now


@pytest.mark.slow
@pytest.mark.parametrize("place", ["lone.pyc", "lone/__init__.pyc", "lone/terms.pyc"])
def test_another_compiled_module_that_no_package_brought_runs_what_uses_it(tmp_path: Path, place: str) -> None:
    shared = Outside(tmp_path, "shared")
    shared.project.write("rules/users.py", RULES.format(path=str(shared.folder)).replace("helper", "lone"))
    if place.endswith("terms.pyc"):
        shared.write("lone/__init__.py", "from .terms import scaled\n")

    def compiled(factor: int) -> None:
        shared.write("written.txt", f"def scaled(amount):\n    return amount * {factor}\n")
        target = shared.folder / place
        target.parent.mkdir(exist_ok=True)
        py_compile.compile(str(shared.folder / "written.txt"), cfile=str(target), dfile="built/lone.py", doraise=True)

    compiled(2)
    try:
        assert build(shared.project).executed == {*USERS, "unconcerned"}
        assert shared.executed() == set()
        compiled(3)
        assert build(shared.project).executed == set()  # it goes on with what it has imported
        assert shared.executed() == USERS
        assert shared.values() == [[3, 6], [3, 6]]
    finally:
        for name in ("lone", "lone.terms"):
            sys.modules.pop(name, None)
