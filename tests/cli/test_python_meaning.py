"""What a function of a project reaches is followed by value: an edit of it executes the callers, no other edit does.

One file declares a function for each thing that Python has to put a value in; each is called by a rule of its own.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from support.inprocess import build, run
from support.projects import FIXTURES, SampleProject

HEADER = """
import abc, collections, contextlib, dataclasses, datetime, decimal, enum, fractions, functools, operator, re, types
from typing import NamedTuple

import numpy as np

from rules import rule, udf
"""

BLOCK = re.compile(r"==== (\w+): (.*)\n<<<<\n((?:.*\n)*?)>>>>\n((?:.*\n)*?)----\n((?:(?!====).*\n?)*)")


class Case(NamedTuple):
    """What stands beside a function, the expression of the function, and an edit."""

    expression: str
    old: str
    new: str
    beside: str

    @property
    def edited(self) -> str:
        return self.beside.replace(self.old, self.new)

    @property
    def said_otherwise(self) -> str:
        return re.sub("  # .*", "   # in other words", self.beside)


CASES = {
    found[1]: Case(found[2], found[3].rstrip("\n"), found[4].rstrip("\n"), found[5])
    for found in BLOCK.finditer((FIXTURES / "python_values.txt").read_text(encoding="utf-8"))
}


def declared(case: str, expression: str) -> str:
    return f"@udf.python\ndef f_{case}(x: int) -> int:\n    return {expression}\n"


def text_of(beside: dict[str, str]) -> str:
    return HEADER + "\n\n".join(f"{beside[case]}\n\n{declared(case, CASES[case].expression)}" for case in CASES)


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["numbers"])
    sample.parquet("numbers", {"n": [1, 2]})
    sample.write("rules/functions.py", text_of({case: one.beside for case, one in CASES.items()}))
    for case in CASES:
        sample.sql(case, f"SELECT f_{case}(n.n) AS v FROM numbers AS n")
    return sample


@pytest.mark.slow
def test_edits_execute_exactly_the_callers_of_what_changed(project: SampleProject) -> None:
    assert build(project).executed == CASES.keys()
    silent = {case: one.said_otherwise for case, one in CASES.items()}
    edited = {case: one.edited for case, one in CASES.items()}
    assert [case for case, one in CASES.items() if one.beside in (silent[case], edited[case])] == []
    project.write("rules/functions.py", text_of(silent))
    assert build(project).executed == set()
    half = set(list(CASES)[::2])
    project.write("rules/functions.py", text_of({case: (edited if case in half else silent)[case] for case in CASES}))
    assert build(project).executed == half
    project.write("rules/functions.py", text_of(edited))
    assert build(project).executed == CASES.keys() - half
    clean = SampleProject.copy_of(project.root, project.root.parent / "clean")
    build(clean)
    assert [case for case in CASES if clean.product(case) != project.product(case)] == []


@pytest.mark.slow
def test_fingerprints_are_equal_across_processes_and_hash_seeds(project: SampleProject) -> None:
    found = []
    for seed in ("0", "1"):
        done = project.started("plan", "--json", env={"PYTHONHASHSEED": seed, "RULES_STORE": f".store{seed}"})
        assert done.returncode == 0, done.stderr
        found.append({one["name"]: one["fingerprint"] for one in json.loads(done.stdout)["products"]})
    assert found[0] == found[1]


REFUSED = {
    "object": ("MARK = object()", "x if x is not MARK else 0", "a value of type object", "MARK"),
    "lock": ("import threading\nLOCK = threading.Lock()", "x + LOCK.locked()", "a value of type lock", "LOCK"),
    "within": (
        "import threading\nclass Holder:\n  def __init__(self):\n    self.lock = threading.Lock()\n\nHOLDER = Holder()",
        "x + HOLDER.lock.locked()", "a value of type lock", "HOLDER.lock.locked",
    ),
    "iterator": ("COUNT = iter([1, 2])", "x + next(COUNT)", "a value of type list_iterator", "COUNT"),
    "globals": ("LIMIT = 1", "x + globals()['LIMIT']", "the result of globals()", "globals"),
    "modules": (
        "import sys\nHIGH = 1", "x + sys.modules[__name__].HIGH", "looks for modules in sys.modules", "import what",
    ),
    "namespace": (
        "DEEP = 1\ndef some():\n    return 0", "x + some.__globals__['DEEP']", "__globals__", "name what it uses",
    ),
    "frame": (
        "import inspect\nNEAR = 1", "x + inspect.currentframe().f_lineno", "currentframe", "name what it uses",
    ),
    "logger": ("import logging\nLOG = logging.getLogger('a')", "x + LOG.level", "a value of type Logger", "LOG.level"),
}  # fmt: skip


REFUSED_NAMES = {
    "subclasses": (
        "class Base: pass\nclass One(Base):\n  v = 1\n", "x + sum(one.v for one in Base.__subclasses__())",
        "__subclasses__", "in __init_subclass__",
    ),
    "by_text": ("FAR = 1\ndef any_one(): pass", "getattr(any_one, '__globals__')['FAR']", "__globals__", "name what"),
    "line": (
        "def placed(): pass", "x + placed.__code__.co_firstlineno", "how files are laid out", "what it should say",
    ),
    "source": (
        "def shown(): pass  # one", "x + len(inspect.getsource(shown))", "how files are laid out", "inspect.getsource",
    ),
}  # fmt: skip


@pytest.mark.slow
def test_what_cannot_be_compared_is_refused_and_the_rest_of_the_file_is_known(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "project", sources=["numbers"])
    project.parquet("numbers", {"n": [1, 2]})
    text = HEADER + "\n\n".join(f"{one[0]}\n\n{declared(case, one[1])}" for case, one in REFUSED.items())
    project.write(
        "rules/functions.py", f"{text}\n{declared('good', 'x + 1')}\n@rule\ndef plain(numbers):\n    return numbers\n"
    )
    project.write(
        "rules/python_caller.py",
        "from rules import rule\nfrom functions import f_lock\n\n"
        "@rule\ndef calling(numbers):\n    return numbers.select(v=f_lock(numbers.n))\n",
    )
    for case in (*REFUSED, "good"):
        project.sql(case, f"SELECT f_{case}(n.n) AS v FROM numbers AS n")
    project.sql("below", "SELECT o.v FROM object AS o")
    built = build(project, "-k", expect=1)
    assert {name for name, status in built.statuses.items() if status == "executed"} == {"good", "plain"}
    errors = {one["name"]: one.get("error") for one in built.document["products"]}
    for case, (_, _, message, through) in REFUSED.items():
        assert message in errors[case]["message"], case
        assert through in str(errors[case]), case
        assert errors[case]["where"].startswith("rules/functions.py:"), case
    assert errors["calling"] == errors["lock"]
    assert built.statuses["below"] == "skipped"
    whole = run(project, "build", expect=1)
    assert whole.stderr.count("error:") == len(REFUSED)
    findings = run(project, "check", "--json", expect=1).document["findings"]
    refused = {(one["path"], one["line"]) for one in findings if one["code"] == "R902"}
    assert len(refused) == len(REFUSED)
    project.edit("rules/functions.py", "MARK = object()", "MARK = 3")
    assert {"object", "below"} <= build(project, "-k", expect=1).executed


PUT = """import json
import numbers
from abc import ABC

from rules import udf


class Size:
    pass


class Sized(ABC):
    pass


class Counted(ABC):
    pass


json.RATE = 2
numbers.Number.register(Size)


@udf.python
def by_value(x: int) -> int:
    return x * json.RATE


@udf.python
def by_standard(x: int) -> int:
    return int(isinstance(Size(), numbers.Number))


@udf.python
def by_own(x: int) -> int:
    return int(isinstance(x, Sized))


@udf.python
def unconcerned(x: int) -> int:
    return int(isinstance(x, numbers.Integral)) * int(isinstance(x, Counted))
"""


@pytest.mark.slow
def test_what_is_put_into_modules_and_abstract_classes_of_others_counts(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "project", sources=["orders"])
    project.parquet("orders", {"amount": [1, 2]})
    names = ("by_value", "by_standard", "by_own", "unconcerned")
    for name in names:
        project.sql(f"r_{name}", f"SELECT {name}(o.amount) AS x FROM orders AS o")
    project.write("rules/put.py", PUT)
    assert project.executed(project.build()) == {f"r_{name}" for name in names}
    project.write("rules/put.py", PUT.replace("RATE = 2", "RATE = 3"))
    assert project.executed(project.build()) == {"r_by_value"}
    project.write("rules/put.py", PUT.replace("numbers.Number.register(Size)", "Sized.register(int)"))
    assert project.executed(project.build()) == {"r_by_standard", "r_by_own"}
    assert [project.product(f"r_{name}")["x"].to_pylist() for name in names] == [[2, 4], [0, 0], [1, 1], [0, 0]]


def test_what_finds_classes_or_variables_or_places_in_files_is_refused(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "project", sources=["numbers"])
    project.parquet("numbers", {"n": [1, 2]})
    text = HEADER.replace("import abc", "import abc, inspect")
    text += "\n\n".join(f"{one[0]}\n\n{declared(case, one[1])}" for case, one in REFUSED_NAMES.items())
    project.write("rules/functions.py", text)
    for case in REFUSED_NAMES:
        project.sql(case, f"SELECT f_{case}(n.n) AS v FROM numbers AS n")
    errors = {one["name"]: str(one["error"]) for one in build(project, "-k", expect=1).document["products"]}
    for case, (_, _, message, hint) in REFUSED_NAMES.items():
        assert message in errors[case]
        assert hint in errors[case]
