"""Rules in Python: what an edit re-evaluates and re-executes, and how what is wrong with them is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.inprocess import build, run
from support.projects import SampleProject

SALES = '''"""Sales."""

import ibis

import rules
from rules import rule

from money import cents


@rule(tags=["ops"])
def totals(large):
    """Revenue of each region."""
    return large.group_by("region").agg(revenue=large.amount.sum(), orders=large.count())


@rule
def large(orders):
    kept = orders.filter(orders.amount > rules.var("least"))
    return kept.mutate(cents=cents(kept.amount))


@rule
def by_region():
    for region in ("EU", "US"):

        @rule(name=f"orders_{region.lower()}")
        def one(orders):
            return orders.filter(orders.region == region)

        yield one


@rule
def mixed(orders, large):
    """Both ways at once."""
    big = large.filter(large.amount > 25)
    joined = rules.sql("SELECT o.id, b.cents FROM orders AS o JOIN big AS b ON o.id = b.id WHERE b.cents > 1", big=big)
    return joined.order_by("id")
'''


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["orders"], toml="\n[vars]\nleast = 10\nunused = 1\n")
    sample.parquet(
        "orders", {"id": [1, 2, 3, 4], "region": ["EU", "US", "EU", None], "amount": [10.5, 20.0, 30.0, 40.0]}
    )
    sample.write("rules/sales.py", SALES)
    sample.write("money.py", "FACTOR = 100\n\n\ndef cents(amount):\n    return amount * FACTOR\n")
    sample.sql("report", "SELECT t.region, t.revenue FROM totals AS t WHERE t.orders > 0")
    return sample


def executed(project: SampleProject) -> set[str]:
    """Build; a second build has nothing to do."""
    found = build(project).executed
    assert run(project, "build").stdout.startswith("nothing to do")
    return found


def test_builds_and_reads_in_both_directions(project: SampleProject) -> None:
    assert executed(project) == {"totals", "large", "orders_eu", "orders_us", "mixed", "report"}
    assert project.product("orders_eu")["id"].to_pylist() == [1, 3]
    assert project.product("mixed").to_pylist() == [{"id": 3, "cents": 3000.0}, {"id": 4, "cents": 4000.0}]
    listed = {one["name"]: one for one in run(project, "ls", "--json").document["products"]}
    assert listed["totals"]["description"] == "Revenue of each region."
    assert listed["totals"]["tags"] == ["ops"]
    assert listed["totals"]["path"] == "rules/sales.py"


COSMETIC = {
    "comment": ("rules/sales.py", "    kept = orders", "    # those that count\n    kept = orders"),
    "local variable": ("rules/sales.py", "kept", "chosen"),
    "docstring": ("rules/sales.py", "Revenue of each region", "Income per region"),
    "helper's comment": ("money.py", "FACTOR = 100", "FACTOR = 100  # cents in one"),
    "helper's refactoring": ("money.py", "return amount * FACTOR", "factor = FACTOR\n    return amount * factor"),
    "inlined helper": ("rules/sales.py", "cents(kept.amount)", "kept.amount * 100"),
    "another variable": ("rules.toml", "unused = 1", "unused = 2"),
    "unrelated function": ("rules/sales.py", "import ibis\n", "import ibis\n\n\ndef nobody_calls():\n    return 1\n"),
}


@pytest.mark.parametrize("edit", COSMETIC)
def test_an_edit_that_leaves_the_expression_executes_nothing(project: SampleProject, edit: str) -> None:
    build(project)
    project.edit(*COSMETIC[edit])
    assert executed(project) == set()


def test_reordering_functions_executes_nothing(project: SampleProject) -> None:
    build(project)
    text = project.read("rules/sales.py")
    head, *functions = text.split("\n\n\n@rule")
    project.write("rules/sales.py", "\n\n\n@rule".join([head, *reversed(functions)]))
    assert executed(project) == set()


def test_a_helper_edit_executes_its_users(project: SampleProject) -> None:
    build(project)
    project.edit("money.py", "FACTOR = 100", "FACTOR = 1000")
    assert executed(project) == {"large", "mixed"}


def test_a_variable_edit_executes_its_users(project: SampleProject) -> None:
    build(project)
    project.edit("rules.toml", "least = 10", "least = 15")
    assert executed(project) == {"large", "totals", "mixed", "report"}


def test_a_file_that_is_imported_only_when_a_rule_is_called_is_watched(project: SampleProject) -> None:
    project.write(
        "rules/late.py",
        "from rules import rule\n\n\n@rule\ndef late(orders):\n    import money\n\n"
        "    return orders.mutate(x=money.cents(orders.amount))\n",
    )
    build(project)
    assert executed(project) == set()
    project.edit("money.py", "FACTOR = 100", "FACTOR = 10")
    assert "late" in executed(project)


def test_a_file_that_would_be_imported_instead_is_noticed(project: SampleProject) -> None:
    build(project)
    project.write("rules/money.py", "def cents(amount):\n    return amount * 7\n")
    assert "large" in executed(project)


@pytest.mark.slow
def test_unchanged_python_rules_import_neither_ibis_nor_the_users_code(project: SampleProject) -> None:
    build(project)
    project.sql("report", "SELECT t.region FROM totals AS t")
    script = (
        "import json, sys; from rules.cli import main; code = main(['build', '-q']);"
        "print(json.dumps([code, [name for name in sys.modules if name == 'ibis' or 'sales' in name]]))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=project.root, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]


@pytest.mark.slow
def test_fingerprints_are_equal_across_hash_seeds(project: SampleProject) -> None:
    project.edit("rules/sales.py", 'for region in ("EU", "US"):', 'for region in {"EU", "US", "APAC", "MEA"}:')
    project.write(
        "rules/sets.py",
        "from rules import rule\n\n\n@rule\ndef sets(orders):\n"
        '    return orders.select(*{"region", "amount", "id"}, )\n',
    )
    found = []
    for seed in ("1", "2", "3"):
        store = project.root / f"store{seed}"
        document = project.build(env={"PYTHONHASHSEED": seed, "RULES_STORE": str(store)})
        found.append({one["name"]: one["fingerprint"] for one in document["products"]})
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 9


BROKEN = {
    "syntax": ("def x(:\n", "not valid Python: invalid syntax", "rules/bad.py:1:7"),
    "import": (
        "import ibis\nimport no_such_thing\n",
        "ModuleNotFoundError: No module named 'no_such_thing'",
        "rules/bad.py:2",
    ),
    "raises": ("\n\nx = 1 / 0\n", "ZeroDivisionError: division by zero", "rules/bad.py:3"),
    "exits": ("raise SystemExit(3)\n", "SystemExit: 3", "rules/bad.py:1"),
    "option": (
        "from rules import rule\n\n\n@rule(tags='ops')\ndef x(orders): ...\n",
        "'tags' must be a list of strings",
        "rules/bad.py:4",
    ),
    "unknown option": (
        "from rules import rule\n\n\n@rule(whatever=['ops'])\ndef x(orders): ...\n",
        "TypeError: rule() got an unexpected keyword argument 'whatever'",
        "rules/bad.py:4",
    ),
    "twice": (
        "from rules import rule\n\n@rule\ndef x(orders): ...\n\n@rule\ndef x(orders): ...\n",
        "two rules of this file are named 'x'",
        "rules/bad.py:6",
    ),
    "taken": (
        "from rules import rule\n\n@rule\ndef orders(large): ...\n",
        "two tables are named 'orders'",
        "rules/bad.py:3",
    ),
    "input": (
        "from rules import rule\n\n@rule\ndef x(ordes): ...\n",
        "unknown input 'ordes', a parameter of 'x'",
        "rules/bad.py:3",
    ),
    "loop": (
        "from rules import rule\n\nfor n in (1, 2):\n    @rule(name=f'x{n}')\n    def x(orders): return orders[n:]\n",
        "the rules in a loop all read the last value of 'n'",
        "rules/bad.py:4",
    ),
    "nothing returned": (
        "from rules import rule\n\n@rule\ndef x(orders):\n    orders.count()\n",
        "'x' returns nothing, not an Ibis expression",
        "rules/bad.py:3",
    ),
    "column": (
        "from rules import rule\n\n@rule\ndef x(orders):\n    return orders.filter(orders.amont > 1)\n",
        "AttributeError: 'Table' object has no attribute 'amont'",
        "rules/bad.py:5",
    ),
    "operation": (
        "from rules import rule\n\n@rule\ndef x(orders):\n    return orders.select(h=orders.region.hash())\n",
        "Ibis cannot compile this for the engine: Compilation rule for 'Hash' operation is not defined",
        "rules/bad.py:3",
    ),
    "volatile": (
        "import ibis\nfrom rules import rule\n\n@rule\ndef x(orders):\n    return orders.mutate(r=ibis.random())\n",
        "'random' is volatile: its result changes from run to run",
        "rules/bad.py:4",
    ),
    "SQL": (
        "import rules\n\n@rules.rule\ndef x(orders):\n    return rules.sql('SELECT o.nothing FROM orders AS o')\n",
        "unknown column 'nothing'",
        "rules/bad.py:5",
    ),
    "undeclared input": (
        "import rules\n\n@rules.rule\ndef x(orders):\n    return rules.sql('SELECT id FROM large')\n",
        "'large' is not an input of 'x'",
        "rules/bad.py:5",
    ),
    "set without an order": (
        "from rules import rule\n\n\nfor x in {1, 'a'}:\n    pass\n",
        "TypeError: this set has no order that is the same in every process: use a list, or sort it by a key",
        "rules/bad.py:4",
    ),
    "memory": (
        "import ibis\nfrom rules import rule\n\n@rule\ndef x(orders):\n    return ibis.memtable({'id': [1]})\n",
        "a rule cannot contain a table in memory",
        "rules/bad.py:6",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_located_error_and_no_traceback(project: SampleProject, name: str) -> None:
    text, message, where = BROKEN[name]
    project.write("rules/bad.py", text)
    ran = build(project, expect=1)
    assert ran.document["error"]["message"] == message
    assert ran.document["error"]["where"] == where
    assert "errors" not in ran.document
    assert "Traceback" not in ran.stderr
    kept = build(project, "--keep-going", expect=1)
    if name != "taken":
        assert {"totals", "large", "report"} <= kept.executed
        assert [one["name"] for one in kept.document["products"] if one["status"] == "failed"]


def test_a_file_that_breaks_keeps_its_products_and_skips_their_readers(project: SampleProject) -> None:
    build(project)
    good = project.read("rules/sales.py")
    project.edit("rules/sales.py", "import ibis\n", "import ibis\n\n1 / 0\n")
    project.sql("alone", "SELECT COUNT(*) AS n FROM orders AS o")
    kept = build(project, "-k", expect=1)
    statuses = kept.statuses
    assert (statuses["alone"], statuses["totals"], statuses["report"]) == ("executed", "failed", "skipped")
    assert project.product("totals").num_rows == 3
    project.write("rules/sales.py", good)
    assert executed(project) == set()


def test_an_error_in_a_helper_names_the_helper_and_the_rule_file(project: SampleProject) -> None:
    project.write("money.py", "def cents(amount):\n    return amount / 0 + undefined\n")
    error = build(project, expect=1).document["error"]
    assert (error["message"], error["where"]) == ("NameError: name 'undefined' is not defined", "money.py:2")
    assert error["facts"] == {"rule file": "rules/sales.py:17"}


@pytest.mark.slow
def test_names_of_ours_and_theirs_do_not_meet(project: SampleProject) -> None:
    project.write("graph.py", "WHOSE = 'theirs'\n")
    project.write("cache/__init__.py", "from .inner import WHOSE\n")
    project.write("cache/inner.py", "WHOSE = 'theirs'\n")
    project.write("compiler/part.py", "WHOSE = 'theirs'\n")  # without __init__.py
    project.write("rules/config/project.py", "WHOSE = 'theirs'\n")
    project.write("rules/_beside.py", "WHOSE = 'theirs'\n")
    project.write("json.py", "WHOSE = 'theirs'\n")
    project.write(
        "rules/names.py",
        """
import importlib
import json
import pickle
from dataclasses import dataclass

import cache.inner
import compiler.part as part
import graph
from cache import WHOSE
from rules import rule
from rules.config import project
from rules.config.project import WHOSE as fourth

from . import _beside
from ._beside import WHOSE as fifth

assert {graph.WHOSE, cache.inner.WHOSE, part.WHOSE, WHOSE, project.WHOSE, fourth, _beside.WHOSE, fifth} == {"theirs"}
assert json.loads("1") == 1
assert importlib.import_module("money").cents(1) == 100


@dataclass
class Kept:
    x: "int"


assert pickle.loads(pickle.dumps(Kept(1))) == Kept(1)


@rule
def names(orders):
    return orders.select("id")
""",
    )
    script = """
import json, sys
import rules, compiler.sql.dialect, graph.dag, cache.keys
before = sys.path[:], list(sys.meta_path), {name: id(module) for name, module in sys.modules.items()}
from rules.cli import main
code = main(['build', '-q'])
import gc; gc.collect()
same = before[0] == sys.path and before[1] == sys.meta_path
kept = all(id(sys.modules.get(name)) == module for name, module in before[2].items())
left = [name for name in sys.modules if name == 'money' or name.startswith('_rules_project')]
print(json.dumps([code, same, kept, left]))
"""
    words = [sys.executable, "-P", "-c", script]
    done = subprocess.run(words, cwd=project.root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [0, True, True, []]
    assert not list(project.root.rglob("__pycache__"))


def test_a_module_found_dynamically_is_watched(project: SampleProject) -> None:
    project.write("factor.py", "FACTOR = 2\n")
    project.write(
        "rules/dynamic.py",
        "import importlib\nfrom rules import rule\n\n\n@rule\ndef dynamic(orders):\n"
        "    return orders.mutate(x=orders.amount * importlib.import_module('factor').FACTOR)\n",
    )
    build(project)
    assert executed(project) == set()
    project.edit("factor.py", "FACTOR = 2", "FACTOR = 3")
    assert executed(project) == {"dynamic"}


def test_diff_against_a_commit(project: SampleProject) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=project.root, env=environment, check=True)
    project.edit("money.py", "FACTOR = 100", "FACTOR = 1000")
    ran = run(project, "diff", "--against", "HEAD", "--json")
    assert {rule["name"]: rule["class"] for rule in ran.document["rules"]}["large"] == "column"
    assert {rule["class"] for rule in ran.document["rules"] if rule["name"] != "large"} == {"cosmetic"}


@pytest.mark.slow
def test_what_the_projects_python_prints_is_never_among_results(project: SampleProject) -> None:
    project.write(
        "rules/chatty.py",
        "from rules import rule, udf\n\nprint('imported')\n\n\n@udf.python\ndef twice(number: int) -> int:\n"
        "    print('called')\n    return number * 2\n\n\n@rule\ndef chatty(orders):\n    print('asked')\n"
        "    return orders.select(id=twice(orders.id))\n",
    )
    ran = run(project, "build", "--json", "-s", "chatty")
    assert ran.document["status"] == "ok"  # the only thing on the standard output
    said = ran.stderr.splitlines()
    assert {"imported", "asked", "called"} <= set(said)
    project.write("rules/chatty.py", project.read("rules/chatty.py").replace("* 2", "* 3"))
    assert run(project, "plan", "--json").document["status"] == "ok"
    query = run(project, "query", "SELECT twice(o.id) AS n FROM orders AS o WHERE o.id = 1", "--json")
    assert (query.document["data"], "called" in query.stderr) == ([{"n": 3}], True)


@pytest.mark.slow
def test_what_c_code_and_other_programs_write_is_never_among_results(project: SampleProject) -> None:
    project.write(
        "rules/noisy.py",
        "import os\nimport subprocess\nimport sys\n\nfrom rules import rule, udf\n\nos.write(1, b'imported\\n')\n\n\n"
        "@udf.python\ndef twice(number: int) -> int:\n    os.write(1, b'called\\n')\n    return number * 2\n\n\n"
        "@rule\ndef noisy(orders):\n    subprocess.run([sys.executable, '-c', 'print(\"asked\")'], check=True)\n"
        "    return orders.select(id=twice(orders.id))\n",
    )
    built = project.started("build", "--json", "-s", "noisy")
    assert json.loads(built.stdout)["status"] == "ok"
    assert {"imported", "asked", "called"} <= set(built.stderr.splitlines())
    query = "SELECT twice(o.id) AS n FROM orders AS o WHERE o.id = 1"
    assert project.started("query", query, "--format", "csv").stdout.splitlines() == ['"n"', "2"]
    refused = project.started("export", "noisy", "/dev/stdout", "--format", "csv")
    assert "error: /dev/stdout is no file or folder\n  hint: rules show NAME --format csv writes to" in refused.stderr
