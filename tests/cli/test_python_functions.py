"""Python functions that rules call: from Ibis and by name from SQL, and which edits of them execute which rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.inprocess import build, run
from support.projects import SampleProject

FUNCTIONS = '''"""Functions and a rule that calls one."""

import datetime
import math

import pyarrow as pa
import pyarrow.compute as pc

import weights
from rules import rule, udf
from weights import scaled

LIMIT = 20.0
NAMES = {"EU": "Europe", "US": "America"}


def make(name, step):
    @udf.python(name=name)
    def added(value: int) -> int:
        return None if value is None else value + step

    return added


add_one, add_two = make("add_one", 1), make("add_two", 2)


@udf.pyarrow
def grade(amount: float) -> str:
    """A word for an amount."""
    words = pc.if_else(pc.greater(amount, LIMIT), "high", "low")
    return words


@udf.pyarrow
def weighted(amount: float) -> float:
    return scaled(amount)


@udf.python
def place(region: str | None) -> str | None:
    return NAMES.get(region, "elsewhere")


@udf.python(inputs=[pa.int64(), pa.list_(pa.int64())], output=pa.int64())
def at(index, values):
    return values[index]


@udf.builtin
def gcd(left: int, right: int) -> int: ...


@rule
def graded(orders):
    return orders.select("id", grade=grade(orders.amount), divisor=gcd(orders.id, 6), more=add_one(orders.id))
'''


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["orders"])
    sample.parquet(
        "orders", {"id": [1, 2, 3, 4], "region": ["EU", "US", "EU", None], "amount": [10.5, 20.0, 30.0, None]}
    )
    sample.write("rules/functions.py", FUNCTIONS)
    sample.write(
        "weights.py",
        "import pyarrow.compute as pc\n\nFACTOR = 2\n\n\ndef scaled(x):\n    return pc.multiply(x, FACTOR)\n",
    )
    sample.sql("places", "SELECT o.id, place(o.region) AS place FROM orders AS o")
    sample.sql(
        "weights", "SELECT o.id, weighted(o.amount + 1) AS weight FROM orders AS o WHERE GRADE(o.amount) = 'low'"
    )
    sample.sql("plain", "SELECT o.id FROM orders AS o")
    sample.sql("added", "SELECT add_two(o.id) AS x FROM orders AS o")
    return sample


def executed(project: SampleProject) -> set[str]:
    found = build(project).executed
    assert run(project, "build").stdout.startswith("nothing to do")
    return found


def test_functions_are_called_from_both_languages(project: SampleProject) -> None:
    assert executed(project) == {"graded", "places", "weights", "plain", "added"}
    assert project.product("graded").to_pydict() == {
        "id": [1, 2, 3, 4],
        "grade": ["low", "low", "high", None],
        "divisor": [1, 2, 3, 2],
        "more": [2, 3, 4, 5],
    }
    assert project.product("places")["place"].to_pylist() == ["Europe", "America", "Europe", "elsewhere"]
    assert project.product("weights")["weight"].to_pylist() == [23.0, 42.0]
    assert project.product("added")["x"].to_pylist() == [3, 4, 5, 6]


EDITS: dict[str, tuple[str, str, str, set[str]]] = {
    "comment": ("rules/functions.py", '    """A word', '    # in words\n    """A word', set()),
    "docstring": ("rules/functions.py", "A word for", "The word for", set()),
    "local variable": ("rules/functions.py", "words", "found", set()),
    "layout": ("weights.py", "pc.multiply(x, FACTOR)", "pc.multiply(\n        x,\n        FACTOR,\n    )", set()),
    "helper's parameter": ("weights.py", "(x):\n    return pc.multiply(x,", "(y):\n    return pc.multiply(y,", set()),
    "another function": ("weights.py", "FACTOR = 2", "FACTOR = 2\n\n\ndef unused():\n    return 1", set()),
    "body": ("rules/functions.py", '"high", "low"', '"high", "small"', {"graded", "weights"}),
    "constant": ("rules/functions.py", "LIMIT = 20.0", "LIMIT = 10.0", {"graded", "weights"}),
    "captured dict": ("rules/functions.py", '"Europe"', '"Old World"', {"places"}),
    "captured value, said otherwise": ("rules/functions.py", '"add_two", 2', '"add_two", 1 + 1', set()),
    "captured value": ("rules/functions.py", '"add_two", 2', '"add_two", 3', {"added"}),
    "helper's body": ("weights.py", "pc.multiply(", "pc.add(", {"weights"}),
    "helper's constant": ("weights.py", "FACTOR = 2", "FACTOR = 3", {"weights"}),
    "signature": (
        "rules/functions.py",
        "def place(region: str | None)",
        "def place(region: str | None, /)",
        {"places"},
    ),
    "body of a closure": ("rules/functions.py", "value + step", "value + step + 0", {"added", "graded"}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_executes_exactly_the_callers(project: SampleProject, edit: str) -> None:
    build(project)
    path, old, new, callers = EDITS[edit]
    project.edit(path, old, new)
    assert executed(project) == callers


def test_a_plan_says_that_a_function_changed(project: SampleProject) -> None:
    build(project)
    project.edit("rules/functions.py", "LIMIT = 20.0", "LIMIT = 10.0")
    reasons = {one["name"]: one["reason"] for one in run(project, "plan", "--json").document["products"]}
    assert reasons["graded"] == "a Python function that it calls changed"


@pytest.mark.slow
def test_fingerprints_are_equal_across_hash_seeds(project: SampleProject) -> None:
    project.edit(
        "rules/functions.py", 'NAMES = {"EU": "Europe", "US": "America"}', 'NAMES = {"a", "b", "c", "EU", "US"}'
    )
    project.edit("rules/functions.py", 'NAMES.get(region, "elsewhere")', "str(region in NAMES)")
    found = []
    for seed in ("1", "2"):
        store = str(project.root / f"store{seed}")
        document = project.build(env={"PYTHONHASHSEED": seed, "RULES_STORE": store})
        found.append({one["name"]: one["fingerprint"] for one in document["products"]})
    assert found[0] == found[1]


def test_a_volatile_function_makes_its_callers_volatile(project: SampleProject) -> None:
    project.write(
        "rules/now.py",
        "from rules import udf\n\n@udf.python(volatility='volatile')\ndef tick(x: int) -> int:\n    return x\n",
    )
    project.sql("ticks", "SELECT tick(o.id) AS t FROM orders AS o")
    error = build(project, expect=1).document["error"]
    assert (error["message"], error["where"]) == (
        "'tick' is volatile: its result changes from run to run",
        "rules/ticks.sql:1:8",
    )


VOLATILE = """import datetime, os, random, threading, time, uuid
from datetime import date
from random import random as chance
import numpy as np
import pandas as pd
import pyarrow.compute as pc
from rules import udf

SEEDED = random.Random(7)

def stamp():
    return time.time()

class Mark:
    def __init__(self, name):
        self.name = str(name)
    def __eq__(self, other):
        return self.name == other.name
    def __hash__(self):
        return hash(self.name)
"""
VOLATILE_CALLS = {
    "clock": ("datetime.datetime.now().year", "datetime.datetime.now"),
    "day": ("date.today().day", "date.today"),
    "helper": ("int(stamp())", "time.time"),
    "generator": ("random.randint(0, x)", "random.randint"),
    "imported": ("int(chance() * x)", "chance"),
    "numpy": ("int(np.random.rand() * x)", "np.random.rand"),
    "uuid": ("len(str(uuid.uuid4()))", "uuid.uuid4"),
    "system": ("len(os.urandom(x))", "os.urandom"),
    "counter": ("int(time.perf_counter())", "time.perf_counter"),
    "monotonic": ("time.monotonic_ns()", "time.monotonic_ns"),
    "gmtime": ("time.gmtime().tm_sec", "time.gmtime"),
    "strftime": ("int(time.strftime('%S'))", "time.strftime"),
    "process": ("os.getpid()", "os.getpid"),
    "thread": ("threading.get_ident()", "threading.get_ident"),
    "machine": ("random.SystemRandom().randint(0, x)", "random.SystemRandom"),
    "unseeded": ("random.Random().randint(0, x)", "random.Random"),
    "unseeded_numpy": ("int(np.random.default_rng(None).integers(x))", "np.random.default_rng"),
    "unseeded_state": ("int(np.random.RandomState().randint(x))", "np.random.RandomState"),
    "arrow": ("int(pc.random(1)[0].as_py() * x)", "pc.random"),
    "text_of_now": ("int(np.datetime64('now', 's').astype(int))", "datetime64('now')"),
    "text_of_today": ("pd.Timestamp('today').second", "Timestamp('today')"),
}
LASTING = {
    "seeded": "random.Random(x).randint(0, 9)",
    "given": "time.gmtime(x).tm_sec + int(time.strftime('%S', time.gmtime(x)))",
    "seeded_numpy": "int(np.random.default_rng(seed=x).integers(9))",
    "seeded_arrow": "int(pc.random(1, initializer=7)[0].as_py() * 9)",
    "spread": "random.Random(*[x]).randint(0, 9)",
    "text": "int(np.datetime64('2024-01-01', 's').astype(int) % 7)",
    "hashed": "len({Mark(x), Mark(1)})",
}


def test_a_volatile_call_has_to_be_declared(project: SampleProject) -> None:
    calls = {**{name: call for name, (call, _) in VOLATILE_CALLS.items()}, **LASTING, "hash": "hash(str(x)) % 7"}
    functions = [f"@udf.python\ndef v_{name}(x: int) -> int:\n    return {call}\n" for name, call in calls.items()]
    project.write("rules/changing.py", VOLATILE + "\n\n".join(functions))
    for name in calls:
        project.sql(f"c_{name}", f"SELECT v_{name}(o.id) AS x FROM orders AS o")
    errors = {one["name"]: one.get("error") for one in build(project, "-k", expect=1).document["products"]}
    for name, (_, called) in VOLATILE_CALLS.items():
        message = f"a function calls '{called}', which is volatile: its result changes from run to run"
        assert errors[f"c_{name}"]["message"] == message
    assert errors["c_hash"]["message"].startswith("a function calls 'hash', which is volatile")
    assert [name for name in LASTING if errors[f"c_{name}"] is not None] == []
    project.write(
        "rules/changing.py", VOLATILE + functions[2].replace("@udf.python", "@udf.python(volatility='volatile')")
    )
    for name in calls.keys() - {"helper"}:
        (project.root / "rules" / f"c_{name}.sql").unlink()
    project.write(
        "rules/c_helper.sql", "-- /// rule\n-- volatile = true\n-- ///\nSELECT v_helper(o.id) AS x FROM orders AS o\n"
    )
    assert "c_helper" in build(project).executed


def test_an_error_in_a_function_is_located(project: SampleProject) -> None:
    project.edit("rules/functions.py", 'NAMES.get(region, "elsewhere")', "NAMES[region]")
    ran = build(project, "-k", expect=1)
    failed = {one["name"]: one for one in ran.document["products"] if one["status"] == "failed"}
    assert set(failed) == {"places"}
    assert failed["places"]["error"]["message"] == "KeyError: None"
    assert failed["places"]["error"]["where"] == "rules/functions.py:42"


REFUSED = {
    "arity": (
        "SELECT grade(o.amount, 1) AS g FROM orders AS o",
        "'grade' takes 1 argument, not 2",
        "rules/bad.sql:1:8",
    ),
    "unknown": ("SELECT grad(o.amount) AS g FROM orders AS o", "unknown function 'grad'", "rules/bad.sql:1:8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_calls_are_refused(project: SampleProject, name: str) -> None:
    sql, message, where = REFUSED[name]
    project.sql("bad", sql)
    error = build(project, expect=1).document["error"]
    assert (error["message"], error["where"]) == (message, where)


WRONG = {
    "untyped": ("@udf.pyarrow\ndef f(x) -> int: ...", "'f' does not declare the type of the parameter 'x'"),
    "engine's": ("@udf.pyarrow\ndef upper(x: str) -> str: ...", "the engine has a function 'upper' already"),
    "keyword of the engine": (
        "@udf.python\ndef minus(x: int) -> int: ...",
        "'minus' is a reserved word of SQL, so no function can be called by that name",
    ),
    "keyword": (
        '@udf.python(name="default")\ndef f(x: int) -> int: ...',
        "'default' is a reserved word of SQL, so no function can be called by that name",
    ),
    "not the engine's": ("@udf.builtin\ndef f(x: str) -> str: ...", "the engine has no function 'f'"),
    "no parameters": (
        "@udf.python\ndef f() -> int: ...",
        "'f' has no parameters, so it would not know the number of rows",
    ),
    "capital": ("@udf.python\ndef F(x: int) -> int: ...", "'F' cannot be the name of a function"),
    "imports by name": (
        "import importlib as i\n\n@udf.python\ndef f(x: int) -> int:\n    return i.import_module('weights').FACTOR",
        "a function imports modules by names that are known only when it runs",
    ),
    "imports what imports by name": (
        "@udf.python\ndef f(x: int) -> int:\n    from importlib import import_module as i\n    return i('weights')",
        "a function imports modules by names that are known only when it runs",
    ),
    "imports importlib": (
        "@udf.python\ndef f(x: int) -> int:\n    import importlib as i\n    return i.import_module('weights').FACTOR",
        "a function imports modules by names that are known only when it runs",
    ),
    "imports by a built-in": (
        "@udf.python\ndef f(x: int) -> int:\n    return __import__('weights').FACTOR",
        "a function imports modules by names that are known only when it runs",
    ),
    "imports and assigns": (
        "@udf.python\ndef f(x: int) -> int:\n    import weights\n    weights = 1\n    return weights",
        "a function both imports and assigns 'weights'",
    ),
    "imports what raises": (
        "@udf.python\ndef f(x: int) -> int:\n    import raising\n    return x",
        "ZeroDivisionError: division by zero",
    ),
    "captures": (
        "state = object()\n@udf.python\ndef f(x: int) -> int:\n    return state",
        "a function uses a value of type object, whose content cannot be compared",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_declarations_are_refused(project: SampleProject, name: str) -> None:
    text, message = WRONG[name]
    project.write("raising.py", "1 / 0\n")
    project.write("rules/wrong.py", f"from rules import udf\n\n{text}\n")
    error = build(project, expect=1).document["error"]
    assert error["message"] == message
    assert error["where"].startswith("raising.py:1" if name == "imports what raises" else "rules/wrong.py:")


LATE = {
    "a module": "import late\n    return late.scaled(x)",
    "a name": "from late import scaled\n    return scaled(x)",
    "another name": "from late import scaled as s\n    return s(x)",
    "a module in a package": "import inner.more\n    return inner.more.scaled(x)",
    "a module in a package, named": "import inner.more as m\n    return m.scaled(x)",
    "from a package": "from inner import more\n    return more.scaled(x)",
    "relative": "from .beside import scaled\n    return scaled(x)",
    "in a helper": "return helper(x)",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LATE)
def test_a_module_that_a_function_imports_when_it_is_called_is_followed(project: SampleProject, name: str) -> None:
    base = "from rules import udf\n\n\ndef helper(x):\n    import late\n\n    return late.scaled(x)\n\n\n"
    project.write("rules/lazy.py", f"{base}@udf.python\ndef lazy(x: int) -> int:\n    {LATE[name]}\n")
    for path in ("late.py", "inner/more.py", "rules/beside.py"):
        project.write(path, "FACTOR = 2\n\n\ndef scaled(x):\n    return x * FACTOR\n\n\ndef other(x):\n    return x\n")
    project.sql("lazily", "SELECT lazy(o.id) AS x FROM orders AS o")
    assert "lazily" in executed(project)
    assert project.product("lazily")["x"].to_pylist() == [2, 4, 6, 8]
    for path in ("late.py", "inner/more.py", "rules/beside.py"):
        project.edit(path, "return x\n", "return x + 1\n")
    assert executed(project) == set()
    for path in ("late.py", "inner/more.py", "rules/beside.py"):
        project.edit(path, "FACTOR = 2", "FACTOR = 3")
    assert executed(project) == {"lazily"}
    assert project.product("lazily")["x"].to_pylist() == [3, 6, 9, 12]


def test_a_module_in_a_folder_is_followed(project: SampleProject) -> None:
    """A folder without __init__.py is a module without a file."""
    project.write("inner/more.py", "FACTOR = 2\n")
    text = "import inner.more\nfrom rules import udf\n\n\n@udf.python\ndef eager(x: int) -> int:\n"
    project.write("rules/eager.py", f"{text}    return x * inner.more.FACTOR\n")
    project.sql("eagerly", "SELECT eager(o.id) AS x FROM orders AS o")
    build(project)
    project.edit("inner/more.py", "2", "3")
    assert executed(project) == {"eagerly"}


def test_a_module_that_is_missing_may_come(project: SampleProject) -> None:
    body = "    try:\n        import late\n    except ImportError:\n        return x\n    return late.FACTOR\n"
    project.write("rules/lazy.py", f"from rules import udf\n\n\n@udf.python\ndef lazy(x: int) -> int:\n{body}")
    project.sql("lazily", "SELECT lazy(o.id) AS x FROM orders AS o")
    build(project)
    project.write("late.py", "FACTOR = 2\n")
    assert executed(project) == {"lazily"}
    assert project.product("lazily")["x"].to_pylist() == [2, 2, 2, 2]
