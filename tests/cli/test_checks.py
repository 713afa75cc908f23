"""Data checks: what fails keeps the last good product; what is known of a check is not found out again."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from support.checked import CHECKS, CONTRACT, checked_project, checks, failing, ran_checks, rows
from support.inprocess import build, run
from support.projects import SampleProject


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = checked_project(tmp_path / "checked")
    build(project)
    return project


def test_first_build_runs_every_check(tmp_path: Path) -> None:
    ran = build(checked_project(tmp_path / "fresh"))
    assert ran_checks(ran) == CHECKS
    assert failing(ran) == set()
    assert run(checked_project(tmp_path / "fresh"), "build").stdout == "nothing to do (3 products up to date)\n"


BREAKS: dict[str, tuple[dict[str, list[Any]], str, str]] = {
    "repeated key": (
        {"id": [1, 1, 3]},
        "orders.key",
        "1 value of id is repeated or NULL, for example id = 1, rows = 2",
    ),
    "NULL in the key": (
        {"id": [1, None, 3]},
        "orders.key",
        "1 value of id is repeated or NULL, for example id = NULL, rows = 1",
    ),
    "value not accepted": (
        {"status": ["lost", "held", "gone"]},
        "orders.accepted.status",
        "2 values of status are none of 'open', 'held', for example id = 1, status = 'lost'",
    ),
    "no such customer": (
        {"customer": [1, 1, 9]},
        "orders.references.customer",
        "1 value of customer is not in customers.id, for example id = 3, customer = 9",
    ),
    "NULL": (
        {"customer": [1, None, 2]},
        "orders.not_null.customer",
        "1 value of customer is NULL, for example id = 2, customer = NULL",
    ),
}


def test_values_are_shown_as_they_are_shown_elsewhere(project: SampleProject) -> None:
    project.sql(
        "paid",
        "-- /// rule\n-- [columns.paid]\n-- accepted = [true]\n-- ///\nSELECT r.amount > 10 AS paid FROM raw AS r",
    )
    assert "1 value of paid is none of TRUE, for example paid = false" in run(project, "build", expect=1).stderr


@pytest.mark.parametrize("case", BREAKS)
def test_a_failing_check_keeps_the_last_good_product(project: SampleProject, case: str) -> None:
    columns, name, message = BREAKS[case]
    before = project.product("orders")
    rows(project, **columns)
    ran = build(project, expect=1)
    assert failing(ran) == {name}
    assert ran.statuses == {"customers": "clean", "orders": "failed", "totals": "skipped"}
    orders = next(product for product in ran.document["products"] if product["name"] == "orders")
    assert orders["reason"] == f"check {name.partition('.')[2]} failed: {message}"
    assert orders["error"]["code"] == "check"
    assert orders["error"]["where"].startswith("rules/orders.sql:")
    assert project.product("orders").equals(before)
    kept = run(project, "show", name, "--json").document
    assert kept["data"] == checks(ran)[name]["rows"]


ACCEPTED: dict[str, tuple[pa.Array, str, str]] = {
    "dates": (
        pa.array([dt.date(2024, 1, 1), dt.date(2024, 2, 1), None]),
        "2024-01-01, 2024-02-01",
        "2024-01-01, 2024-03-01",
    ),
    "dates as text": (
        pa.array([dt.date(2024, 1, 1), dt.date(2024, 2, 1), None]),
        '"2024-01-01", "2024-02-01"',
        '"2024-01-01", "2024-03-01"',
    ),
    "timestamps": (
        pa.array([dt.datetime(2024, 1, 1, 10, 30), dt.datetime(2024, 1, 2), None], pa.timestamp("us")),
        "2024-01-01T10:30:00, 2024-01-02T00:00:00",
        "2024-01-01T10:30:01, 2024-01-02T00:00:00",
    ),
    "timestamps of a zone": (
        pa.array([dt.datetime(2024, 1, 1, 10, 30, tzinfo=dt.UTC), None], pa.timestamp("us", "UTC")),
        "2024-01-01T11:30:00+01:00",
        "2024-01-01T11:30:00Z",
    ),
    "decimals": (pa.array([Decimal("0.10"), Decimal("2.50"), None]), "0.1, 2.5", "0.1, 2.51"),
    "booleans": (pa.array([True, None]), "true", "false"),
    "integers": (pa.array([1, 2, None]), "1, 2", "1, 3"),
}


@pytest.mark.parametrize("place", ["front matter", "rules.toml"])
@pytest.mark.parametrize("case", ACCEPTED)
def test_values_of_every_type_can_be_accepted(tmp_path: Path, case: str, place: str) -> None:
    values, good, bad = ACCEPTED[case]
    project = SampleProject(tmp_path / "accepted", sources=["raw"])
    project.parquet("raw", {"x": values})
    configuration = project.read("rules.toml")

    def accept(listed: str) -> None:
        contract = f"[{'contracts.one.' * (place == 'rules.toml')}columns.x]\naccepted = [{listed}]\n"
        if place == "rules.toml":
            (project.root / "rules.toml").write_text(configuration + contract)
            contract = ""
        block = "".join(f"-- {line}\n" for line in contract.splitlines())
        project.sql("one", f"-- /// rule\n{block}-- ///\nSELECT r.x FROM raw AS r")

    accept(good)
    assert failing(build(project)) == set()
    accept(bad)
    assert failing(build(project, expect=1)) == {"one.accepted.x"}


def test_null_is_accepted_and_refers_to_nothing(project: SampleProject) -> None:
    project.edit("rules/orders.sql", "-- not_null = true\n", "")
    rows(project, status=[None, "held", None], customer=[None, 1, 2])
    assert failing(build(project)) == set()


def test_a_failing_check_fails_every_build_and_runs_once(project: SampleProject) -> None:
    rows(project, status=["lost", "held", "open"])
    first = build(project, expect=1)
    assert ran_checks(first) == {"orders.accepted.status"}
    again = build(project, "--keep-going", expect=1)
    assert again.executed == set()
    assert ran_checks(again) == set()
    assert again.statuses == {"customers": "clean", "orders": "failed", "totals": "skipped"}
    told = run(project, "build", expect=1)
    assert "nothing to do" not in told.stdout
    assert "rules show orders.accepted.status" in told.stderr


def test_putting_the_check_right_runs_the_check_alone(project: SampleProject) -> None:
    rows(project, status=["lost", "held", "open"])
    build(project, expect=1)
    project.edit("rules/orders.sql", '["open", "held"]', '["open", "held", "lost"]')
    ran = build(project)
    assert ran_checks(ran) == {"orders.accepted.status"}
    assert ran.statuses == {"customers": "clean", "orders": "restored", "totals": "clean"}
    assert project.product("orders").column("status").to_pylist() == ["lost", "held", "open"]


def test_putting_the_data_right_runs_nothing(project: SampleProject) -> None:
    rows(project, customer=[1, 1, 9])
    build(project, expect=1)
    rows(project)
    ran = build(project)
    assert ran.executed == ran_checks(ran) == set()


READ: dict[str, tuple[dict[str, list[Any]], set[str]]] = {
    "nothing": ({"note": ["x", "y", "new"]}, set()),
    "one column": ({"amount": [10, 20, 31]}, {"orders.small"}),
    "another": ({"status": ["open", "held", "held"]}, {"orders.accepted.status"}),
    "the key, which every message shows": ({"id": [1, 2, 4]}, CHECKS),
}


@pytest.mark.parametrize("case", READ)
def test_only_checks_of_columns_that_changed_run(project: SampleProject, case: str) -> None:
    columns, expected = READ[case]
    rows(project, **columns)
    ran = build(project)
    assert "orders" in ran.executed
    assert ran_checks(ran) == expected


def test_an_edited_check_runs_and_its_product_does_not(project: SampleProject) -> None:
    project.edit("rules/orders.sql", '"open", "held"', '"held", "open", "lost"')
    ran = build(project)
    assert ran_checks(ran) == {"orders.accepted.status"}
    assert ran.executed == set()
    project.edit("rules/orders.sql", '"held", "open", "lost"', '"held", "open"')
    assert ran_checks(build(project)) == set(), "it means what it meant at first"


def test_only_checks_that_use_a_variable_depend_on_it(project: SampleProject) -> None:
    project.edit("rules.toml", "most = 100", "most = 200")
    ran = build(project)
    assert ran_checks(ran) == {"orders.small"}
    assert ran.executed == set()


def test_a_check_is_settled_again_when_another_product_that_it_reads_changes(project: SampleProject) -> None:
    project.parquet("people", {"id": [1, 3], "name": ["ada", "cy"]})
    ran = build(project, "-s", "customers+", "-k", expect=1)
    assert ran_checks(ran) == {"orders.references.customer"}
    assert ran.statuses == {"customers": "executed", "orders": "failed", "totals": "skipped"}


def test_a_warning_is_published_and_said_every_time(project: SampleProject) -> None:
    rows(project, amount=[10, 20, 300])
    warning = "warning: orders: check small failed: 1 row is returned, for example id = 3, amount = 300\n"
    ran = build(project)
    assert failing(ran) == {"orders.small"}
    assert ran.statuses["orders"] == "executed"
    assert warning in ran.stderr
    assert project.product("orders").column("amount").to_pylist() == [10, 20, 300]
    idle = run(project, "build")
    assert idle.stdout == "nothing to do (3 products up to date)\n"
    assert idle.stderr == warning
    document = build(project)
    assert document.document["build"] == "", "the no-op path"
    told, found = checks(document)["orders.small"], checks(ran)["orders.small"]
    assert told == {**found, "status": "clean", "reason": told["reason"]}


def test_severity_decides_without_a_run(project: SampleProject) -> None:
    rows(project, amount=[10, 20, 300])
    build(project)
    project.edit("rules/orders.sql", '"warn"', '"error"')
    ran = build(project, expect=1)
    assert ran_checks(ran) == set()
    assert ran.statuses["orders"] == "failed"
    project.edit("rules/orders.sql", '-- severity = "error"\n', "")
    assert build(project, expect=1).statuses["orders"] == "failed"
    project.edit("rules/orders.sql", '-- key = ["id"]', '-- key = ["id"]\n-- severity = "warn"')
    ran = build(project)
    assert ran_checks(ran) == set()
    assert failing(ran) == {"orders.small"}


def test_plan_tells_what_checks_are_known_to_come_to(project: SampleProject) -> None:
    assert run(project, "plan", "--exit-code").stdout == "nothing to do (3 products up to date)\n"
    rows(project, status=["lost", "held", "open"])
    assert {one["verdict"] for one in checks(run(project, "plan", "--json")).values()} == {"clean", "maybe"}
    build(project, expect=1)
    ran = run(project, "plan", "--json", "--exit-code", expect=1)
    assert {name: one["failing"] for name, one in checks(ran).items()} == {
        **dict.fromkeys(CHECKS, 0),
        "orders.accepted.status": 1,
    }
    told = run(project, "plan").stdout
    assert "check accepted.status fails: 1 row (rules show orders.accepted.status)" in told


def test_checks_are_no_products(project: SampleProject) -> None:
    assert run(project, "ls", "-q").stdout.split() == ["customers", "orders", "totals"]
    listed = {product.pop("name"): product for product in run(project, "ls", "--json").document["products"]}
    assert listed["orders"]["inputs"] == ["raw"]
    assert set(listed["orders"]["checks"]) == CHECKS
    assert run(project, "explain", "customers", "--json").document["readers"] == []
    names = sorted(path.name for path in (project.root / ".rules" / "products").iterdir())
    assert names == ["customers.parquet", "orders.parquet", "totals.parquet"]
    rows(project, id=[1, 1, 3])
    ran = build(project, "-s", "orders", expect=1)
    assert ran.statuses == {"orders": "failed"}
    assert failing(ran) == {"orders.key"}
    assert "orders.key" not in run(project, "diff", "--json").stdout


def test_rules_toml_may_hold_the_contract(project: SampleProject) -> None:
    project.sql("orders", "SELECT * FROM raw")
    contract = """
[contracts.orders]
key = ["id"]
[contracts.orders.columns.status]
accepted = ["open", "held"]
[contracts.orders.columns.customer]
not_null = true
references = "customers.id"
[[contracts.orders.checks]]
name = "small"
sql = "SELECT o.id, o.amount FROM orders AS o WHERE o.amount > $most"
severity = "warn"
"""
    project.write("rules.toml", project.read("rules.toml") + contract)
    ran = build(project)
    assert set(checks(ran)) == CHECKS
    assert ran.executed == ran_checks(ran) == set(), "they are the very same checks"


def test_a_check_that_cannot_be_computed_fails_its_product(project: SampleProject) -> None:
    project.edit("rules/orders.sql", "o.amount > $most", "1 / (o.id - 1) > o.amount")
    ran = build(project, expect=1)
    orders = next(product for product in ran.document["products"] if product["name"] == "orders")
    assert orders["status"] == "failed"
    assert orders["reason"].startswith("check small of orders: ")


def test_a_dropped_check_is_forgotten(project: SampleProject) -> None:
    rows(project, id=[1, 1, 3])
    build(project, expect=1)
    project.sql("orders", "SELECT * FROM raw")
    assert build(project).statuses["orders"] == "restored"
    run(project, "show", "orders.key", expect=2)
    project.sql("orders", f"{CONTRACT}SELECT * FROM raw")
    ran = build(project, expect=1)
    assert ran_checks(ran) == set(), "their results are still known"
