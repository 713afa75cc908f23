"""The no-op path: what it says, what it notices, and what it does not import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rules import snapshots
from support.projects import SampleProject

HEAVY = ("sqlglot", "ibis", "datafusion", "pyarrow", "networkx", "numpy")


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    seeds = '\n[sources."seed_*"]\npath = "seeds/*.csv"\n[contracts.orders]\nkey = ["id"]\n'
    sample = SampleProject(tmp_path / "project", sources=["orders"], toml=seeds)
    sample.write("seeds/a.csv", "id\n1\n")
    sample.parquet("orders", {"id": [1, 2, 3], "amount": [10, 20, 30]})
    sample.sql("large", "SELECT o.id, o.amount FROM orders AS o WHERE o.amount > 10")
    sample.sql("total", "SELECT SUM(l.amount) AS total FROM large AS l")
    sample.build()
    return sample


def test_says_so_and_exits_with_0(project: SampleProject) -> None:
    done = project.cli("build")
    assert (done.returncode, done.stdout, done.stderr) == (0, "nothing to do (2 products up to date)\n", "")


@pytest.mark.parametrize("command", ["plan", "build"])
def test_a_comment_imports_what_compiles_and_nothing_that_reads_tables(project: SampleProject, command: str) -> None:
    project.edit("rules/large.sql", "FROM", "-- a word\nFROM")
    script = (
        f"import sys; from rules.cli import main; main(['{command}']);"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    words = [sys.executable, "-P", "-c", script]
    done = subprocess.run(words, cwd=project.root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["nothing to do (2 products up to date)", "['sqlglot']"]


def test_a_plan_says_the_same_and_notices_an_edit(project: SampleProject) -> None:
    assert project.cli("plan").stdout == "nothing to do (2 products up to date)\n"
    project.edit("rules/large.sql", "> 10", "> 20")
    assert project.cli("plan").stdout.startswith("run    large  WHERE: orders.amount > 10 → orders.amount > 20")


def test_json_lists_every_product_as_clean(project: SampleProject) -> None:
    first = project.build()
    assert first["summary"] == {"clean": 2, "restored": 0, "executed": 0, "failed": 0, "skipped": 0}
    assert {product["rows"] for product in first["products"]} == {1, 2}
    assert all(product["artifact"] and product["key"] and product["fingerprint"] for product in first["products"])


@pytest.mark.parametrize("arguments", [["build"], ["build", "--json"], ["plan"]])
def test_imports_nothing_heavy(project: SampleProject, arguments: list[str]) -> None:
    script = (
        "import json, sys; from rules.cli import main; code = main(sys.argv[1:]);"
        f"print(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=project.root, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]
    assert "executed" in done.stdout or "nothing to do" in done.stdout


@pytest.mark.slow
def test_the_check_can_fail(project: SampleProject) -> None:
    """The script above does notice heavy imports: an edit makes them necessary."""
    project.sql("total", "SELECT COUNT(*) AS total FROM large AS l")
    script = "import sys; from rules.cli import main; main(['build']); print('datafusion' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=project.root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"


def test_touching_files_changes_nothing(project: SampleProject) -> None:
    os.utime(project.root / "rules" / "large.sql")
    os.utime(project.root / "data" / "orders.parquet")
    assert project.cli("build").stdout == "nothing to do (2 products up to date)\n"


def test_a_new_rule_file_is_noticed(project: SampleProject) -> None:
    project.sql("count", "SELECT COUNT(*) AS n FROM orders AS o")
    assert SampleProject.executed(project.build()) == {"count"}


def test_a_rule_file_that_goes_is_noticed(project: SampleProject) -> None:
    (project.root / "rules" / "total.sql").unlink()
    assert [product["name"] for product in project.build()["products"]] == ["large"]
    assert not (project.root / ".rules" / "products" / "total.parquet").exists()


def test_configuration_is_noticed(project: SampleProject) -> None:
    project.edit("rules.toml", 'name = "sample"', 'nme = "sample"')
    assert project.cli("build").returncode == 2


def test_a_missing_object_is_noticed(project: SampleProject) -> None:
    (project.root / ".rules" / "products" / "total.parquet").resolve().unlink()
    assert SampleProject.executed(project.build()) == {"total"}


def test_a_missing_link_is_noticed(project: SampleProject) -> None:
    (project.root / ".rules" / "products" / "total.parquet").unlink()
    assert SampleProject.executed(project.build()) == set()
    assert project.product("total").to_pydict() == {"total": [50]}


def test_volatile_rules_leave_no_noop(project: SampleProject) -> None:
    project.sql("drawn", "-- /// rule\n-- volatile = true\n-- ///\nSELECT random() AS number, l.id FROM large AS l")
    assert SampleProject.executed(project.build()) == {"drawn"}
    assert SampleProject.executed(project.build()) == {"drawn"}


def test_a_plan_tells_the_last_state_of_each_product(project: SampleProject) -> None:
    project.sql("count", "SELECT COUNT(*) AS n FROM orders AS o")
    planned = {product["name"]: product for product in project.plan()["products"]}
    assert (planned["large"]["verdict"], planned["large"]["rows"]) == ("clean", 2)
    assert planned["large"]["artifact"]
    assert (planned["count"]["verdict"], planned["count"]["rows"], planned["count"]["artifact"]) == ("run", None, None)


def test_a_reader_of_a_rule_that_does_not_compile_names_it(project: SampleProject) -> None:
    project.sql("large", "SELECT o.id, o.amonut AS amount FROM orders AS o")
    document = project.build("-k", expect=1)
    results = {product["name"]: (product["status"], product["reason"]) for product in document["products"]}
    assert results["large"][0] == "failed"
    assert results["total"] == ("skipped", "its input large failed")
    alone = project.build("-k", "-s", "total", expect=1)["products"]
    assert [(product["name"], product["reason"]) for product in alone] == [("total", "its input large failed")]


def test_an_upgrade_of_any_package_of_ours_is_looked_at() -> None:
    root = Path(snapshots.__file__).parents[1]
    packages = {
        str(path.parent.relative_to(root)) for top in ("rules", "compiler", "cache", "graph")
        for path in (root / top).rglob("__init__.py")
    }  # fmt: skip
    assert packages == set(snapshots._PACKAGES)  # noqa: SLF001 — a folder left out is an upgrade that goes unnoticed
