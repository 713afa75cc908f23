"""A small project with a contract, and what its checks came to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.inprocess import Ran
from support.projects import SampleProject

CONTRACT = """-- /// rule
-- key = ["id"]
-- [columns.status]
-- accepted = ["open", "held"]
-- [columns.customer]
-- not_null = true
-- references = "customers.id"
-- [[checks]]
-- name = "small"
-- sql = "SELECT o.id, o.amount FROM orders AS o WHERE o.amount > $most"
-- severity = "warn"
-- ///
"""
ROWS: dict[str, list[Any]] = {
    "id": [1, 2, 3],
    "customer": [1, 1, 2],
    "status": ["open", "held", "open"],
    "amount": [10, 20, 30],
    "note": ["x", "y", "z"],
}
CHECKS = {
    "orders.key",
    "orders.accepted.status",
    "orders.not_null.customer",
    "orders.references.customer",
    "orders.small",
}


def checked_project(root: Path) -> SampleProject:
    """Return orders, which is checked, its reader totals, and customers, which a check of orders reads."""
    project = SampleProject(root, sources=["raw", "people"], toml="\n[vars]\nmost = 100\n")
    project.parquet("raw", ROWS)
    project.parquet("people", {"id": [1, 2], "name": ["ada", "bob"]})
    project.sql("orders", f"{CONTRACT}SELECT * FROM raw")
    project.sql("customers", "SELECT * FROM people")
    project.sql("totals", "SELECT o.customer, COUNT(*) AS orders FROM orders AS o GROUP BY o.customer")
    return project


def rows(project: SampleProject, **columns: list[Any]) -> None:
    """Replace columns of the source of orders."""
    project.parquet("raw", {**ROWS, **columns})


def checks(ran: Ran) -> dict[str, dict[str, Any]]:
    """Return every check in a build's or a plan's document, by name."""
    return {check["name"]: check for product in ran.document["products"] for check in product["checks"]}


def ran_checks(ran: Ran) -> set[str]:
    """Return the checks that a build executed."""
    return {name for name, check in checks(ran).items() if check["status"] == "executed"}


def failing(ran: Ran) -> set[str]:
    """Return the checks that failed."""
    return {name for name, check in checks(ran).items() if not check["passed"]}
