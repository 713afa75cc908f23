"""What checks and docs/checks.md say of the engine, tried on the engine."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from support.checking import findings
from support.forms import StoredDatabase
from support.projects import FIXTURES

TABLES = {
    "orders": pa.table({"id": [1, 2, 3], "customer": [1, 7, None], "amount": [7, 5, 2**62], "total": [0.1, 0.3, None]}),
    "customers": pa.table({"id": [1, None, 4], "name": ["a", "b", "c"]}),
    "refunds": pa.table({"id": [4, 1], "name": ["r", "s"]}),
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> StoredDatabase:
    return StoredDatabase(TABLES, tmp_path_factory.mktemp("claims") / "db")


def values(database: StoredDatabase, sql: str) -> list[Any]:
    return [next(iter(row.values())) for row in database.authored(sql).to_pylist()]


CLAIMS = {
    "R009: no row once the subquery yields NULL": (
        "SELECT o.id FROM orders AS o WHERE o.customer NOT IN (SELECT c.id FROM customers AS c)",
        [],
    ),
    "R009: nor under NOT (… IN …)": (
        "SELECT o.id FROM orders AS o WHERE NOT (o.customer IN (SELECT c.id FROM customers AS c))",
        [],
    ),
    "R009: but it does if the left side is a constant": (
        "SELECT o.id FROM orders AS o WHERE 7 NOT IN (SELECT c.id FROM customers AS c)",
        [1, 2, 3],
    ),
    "R009: the hint": (
        "SELECT o.id FROM orders AS o WHERE o.customer NOT IN (SELECT c.id FROM customers AS c WHERE c.id IS NOT NULL)",
        [2],
    ),
    "R009: the other hint keeps rows with NULL, too": (
        "SELECT o.id FROM orders AS o WHERE NOT EXISTS (SELECT 1 FROM customers AS c WHERE c.id = o.customer)",
        [2, 3],
    ),
    "R012: floats that ought to be equal": ("SELECT o.id FROM orders AS o WHERE o.total = 0.1 + 0.2", []),
    "R012: what to write": ("SELECT o.id FROM orders AS o WHERE abs(o.total - 0.3) < 1e-9", [2]),
    "R016: 7 / 2 is 3": ("SELECT o.amount / 2 AS half FROM orders AS o WHERE o.id = 1", [3]),
    "R016: what to write": ("SELECT o.amount / 2.0 AS half FROM orders AS o WHERE o.id = 1", [3.5]),
    "R017: a sum wraps around": (
        "SELECT SUM(a.amount) AS s FROM orders AS a CROSS JOIN customers AS c WHERE a.id = 3",
        [3 * 2**62 - 2**64],
    ),
    "R017: a decimal does not": (
        "SELECT CAST(SUM(CAST(a.amount AS DECIMAL(38, 0))) AS TEXT) AS s FROM orders AS a, refunds AS r WHERE a.id = 3",
        [str(2**63)],
    ),
    "R018: ^ is no power": ("SELECT o.amount ^ 2 AS x FROM orders AS o WHERE o.id = 1", [5]),
    "R018: power": ("SELECT power(o.amount, 2) AS x FROM orders AS o WHERE o.id = 1", [49]),
    "R018: minus before |": ("SELECT -(o.amount | 8) AS x FROM orders AS o WHERE o.id = 1", [-7 & -8]),
    "R018: what to write": ("SELECT 0 - (o.amount | 8) AS x FROM orders AS o WHERE o.id = 1", [-15]),
    "R018: minus before &": ("SELECT -(o.amount & 3) AS x FROM orders AS o WHERE o.id = 1", [-7 | -3]),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_engine_does_what_a_check_says(database: StoredDatabase, claim: str) -> None:
    sql, expected = CLAIMS[claim]
    assert sorted(values(database, sql)) == expected


def test_r009_says_so_in_its_message_and_in_the_document() -> None:
    text = "SELECT o.id FROM orders AS o WHERE o.customer NOT IN (SELECT c.id FROM customers AS c)"
    (finding,) = [one for one in findings(text) if one.code == "R009"]
    assert finding.found.message == "if the subquery yields a NULL, NOT IN is true for no row"
    document = (FIXTURES.parent / "docs" / "checks.md").read_text(encoding="utf-8")
    section = document.split("## R009")[1].split("## R010")[0]
    assert "is true for no row" in section
    assert "constant" in section
