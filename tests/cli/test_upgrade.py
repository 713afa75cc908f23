"""An upgrade of rules alone executes nothing: what an earlier version computed is known by what today's makes of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.projects import SampleProject

ROOT = Path(__file__).resolve().parents[2]
RULES = {
    "open_orders": "SELECT o.id, o.price * 2 AS twice FROM orders AS o WHERE NOT (o.status <> 'open' OR o.price <= 1)",
    "by_status": "SELECT status, COUNT(*) AS n FROM orders GROUP BY status HAVING status IN ('open', 'held')",
    "both": "SELECT id FROM open_orders UNION ALL SELECT id FROM orders WHERE 5 > price",
    "named": (
        "WITH c AS (SELECT id AS k, name FROM customers) "
        "SELECT o.id, c.name FROM orders AS o JOIN c ON c.k = o.customer_id"
    ),
    "ranked": "SELECT id, ROW_NUMBER() OVER (PARTITION BY status ORDER BY id) AS place FROM orders",
    "stable": '-- /// rule\n-- tier = 2\n-- key = ["id"]\n-- ///\nSELECT o.id, o.price FROM orders AS o',
    "last": "SELECT r.place, COUNT(*) AS n FROM ranked AS r JOIN named AS m ON m.id = r.id GROUP BY r.place",
}


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = SampleProject(tmp_path / "project", sources=["orders", "customers"])
    statuses = ["open", "held", "open", None]
    project.parquet(
        "orders", {"id": [1, 2, 3, 4], "customer_id": [1, 1, 2, 9], "price": [1, 2, 3, None], "status": statuses}
    )
    project.parquet("customers", {"id": [1, 2], "name": ["Ann", "Bo"]})
    for name, sql in RULES.items():
        project.sql(name, sql)
    return project


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """Our own source as an earlier version would have it: another format, and a canonical form with fewer passes."""
    target = tmp_path / "earlier"
    for package in ("rules", "graph", "compiler", "cache"):
        shutil.copytree(ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    change(target / "compiler" / "fingerprint.py", r"FORMAT = \d+", "FORMAT = 0")
    change(
        target / "compiler" / "canonical" / "form.py",
        r"    (push_not|merge_derived_tables|having_to_where|spell_in),\n",
        "",
    )
    return target


def change(path: Path, pattern: str, text: str) -> None:
    new, count = re.subn(pattern, text, path.read_text(encoding="utf-8"))
    assert count
    path.write_text(new, encoding="utf-8")


def build_with(version: Path, project: SampleProject) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "rules", "build", "--json"],
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": str(version)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def prints(document: dict[str, Any]) -> dict[str, str]:
    return {product["name"]: product["fingerprint"] for product in document["products"]}


@pytest.mark.slow
def test_an_upgrade_executes_nothing(project: SampleProject, earlier: Path) -> None:
    before = build_with(earlier, project)
    assert SampleProject.executed(before) == set(RULES)
    assert {product["verdict"] for product in project.plan()["products"]} == {"clean"}
    after = project.build()
    assert SampleProject.executed(after) == set()
    assert all(prints(before)[name] != print_ for name, print_ in prints(after).items())
    reasons = {product["reason"] for product in after["products"]}
    assert reasons == {"the rule means what it meant before the upgrade, and everything it reads is unchanged"}
    assert project.cli("build").stdout.startswith("nothing to do")


@pytest.mark.slow
def test_an_edit_made_with_an_upgrade_is_seen(project: SampleProject, earlier: Path) -> None:
    build_with(earlier, project)
    project.edit("rules/open_orders.sql", "o.price <= 1", "o.price <= 2")
    project.edit("rules/by_status.sql", "HAVING status IN ('open', 'held')", "HAVING status='held' OR status='open'")
    assert SampleProject.executed(project.build()) == {"open_orders"}


@pytest.mark.slow
def test_a_source_changed_with_an_upgrade_is_seen(project: SampleProject, earlier: Path) -> None:
    build_with(earlier, project)
    project.parquet("customers", {"id": [1, 2], "name": ["Ann", "Cy"]})
    assert SampleProject.executed(project.build()) == {"named"}


@pytest.mark.slow
def test_what_an_earlier_version_ran_wrongly_runs_again(project: SampleProject, earlier: Path) -> None:
    change(earlier / "compiler" / "fingerprint.py", r"EXECUTION = \d+", "EXECUTION = 0")
    build_with(earlier, project)
    after = project.build()
    assert SampleProject.executed(after) == set(RULES)
    told = "an earlier version of rules could compute a wrong table"
    assert all(product["reason"].startswith(told) for product in after["products"])


@pytest.mark.slow
def test_a_fault_that_today_s_form_does_not_show_is_remembered(project: SampleProject, earlier: Path) -> None:
    """Two lists are one today, and yet an earlier version, which did not know of a fault with them, ran two."""
    project.sql("listed", "SELECT id FROM orders WHERE status IN ('open', 'held') AND status IN ('held', 'lost')")
    project.sql("bounded", "SELECT id FROM orders WHERE price > 1 AND price > 2")
    change(earlier / "compiler" / "engine_sql" / "corrections.py", r'    "several-lists": may_have_merged_lists,\n', "")
    change(earlier / "compiler" / "canonical" / "form.py", r"    (merge_bounds|spell_whole_bounds),\n", "")
    build_with(earlier, project)
    assert SampleProject.executed(project.build()) == {"listed"}
    assert project.cli("build").stdout.startswith("nothing to do")


def under_an_older_engine(earlier: Path) -> None:
    change(earlier / "rules" / "engine" / "identity.py", r"version\('datafusion'\)|version\(\"datafusion\"\)", "54")


@pytest.mark.slow
def test_an_engine_upgrade_runs_everything(project: SampleProject, earlier: Path) -> None:
    under_an_older_engine(earlier)
    build_with(earlier, project)
    after = project.build()
    assert SampleProject.executed(after) == set(RULES)
    assert not any(product["changed"] for product in after["products"])


@pytest.mark.slow
def test_an_engine_upgrade_is_trusted_after_a_sample(project: SampleProject, earlier: Path) -> None:
    under_an_older_engine(earlier)
    build_with(earlier, project)
    assert {product["verdict"] for product in project.plan("--trust-engine-upgrade")["products"]} == {"clean"}
    done = project.cli("build", "--trust-engine-upgrade")
    assert done.returncode == 0
    assert "7 products of another engine version are kept: 3 ran again alike" in done.stderr
    assert project.cli("build").stdout.startswith("nothing to do")


@pytest.mark.slow
def test_an_engine_that_computed_another_table_is_not_trusted(project: SampleProject, earlier: Path) -> None:
    under_an_older_engine(earlier)
    change(earlier / "rules" / "running" / "query_runner.py", r"EngineQuery\(sql,", 'EngineQuery(sql + " LIMIT 1",')
    build_with(earlier, project)
    after = project.build("--trust-engine-upgrade")
    assert SampleProject.executed(after) == set(RULES)
    done = project.cli("build", "--force", "*", "--trust-engine-upgrade")
    assert "warning" not in done.stderr
    build_with_now = project.json("audit")
    assert build_with_now["differing"] == []


@pytest.mark.slow
def test_another_input_under_a_trusted_engine_is_seen(tmp_path: Path, earlier: Path) -> None:
    """The same query over another table is no query of before, whatever digests its old input has kept."""
    project = SampleProject(tmp_path / "inputs", sources=["t", "u"])
    project.parquet("t", {"k": [1, 2, 3]})
    project.parquet("u", {"k": [7, 8]})
    project.sql("moved", "SELECT x.k FROM t AS x WHERE x.k > 1")
    for number in range(4):  # what is trusted without being run again needs others that are
        project.sql(f"stays{number}", f"SELECT x.k + {number} AS k FROM t AS x")
    under_an_older_engine(earlier)
    build_with(earlier, project)
    project.sql("moved", "SELECT x.k FROM u AS x WHERE x.k > 1")
    verdicts = {one["name"]: one["verdict"] for one in project.plan("--trust-engine-upgrade")["products"]}
    assert verdicts == {"moved": "run", **{f"stays{number}": "clean" for number in range(4)}}
    assert SampleProject.executed(project.build("--trust-engine-upgrade")) == {"moved"}
    assert project.product("moved")["k"].to_pylist() == [7, 8]
