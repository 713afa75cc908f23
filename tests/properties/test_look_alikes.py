"""Queries put together from few clauses that resemble one another: those that share an identity give the same tables.

The clauses are what authors write instead of one another, and near misses of it: many queries come to one canonical
tree, and each that does not mean the same would be a wrong merge.
"""

# ruff: noqa: E501, ISC004 — one clause a line

from __future__ import annotations

import os
import random
from collections import defaultdict

import pytest
from datafusion import SessionContext

from compiler.errors import SqlError
from support.compiling import TestCompiler
from support.databases import TABLES, open_database, random_database, run, same_table

SUITE_QUERIES = 60
SOAK_QUERIES = 3_000
DATABASES = 12

TERMS = (
    "o.status = 'open'", "(o.status IS NOT DISTINCT FROM 'open')", "COALESCE(o.status, 'x') = 'open'", "o.status <> 'open'",
    "COALESCE(o.status, 'open') = 'open'", "COALESCE(o.status, 'x') <> 'open'", "NOT COALESCE(o.status, 'x') = 'open'",
    "(o.status = 'open' OR o.status IS NULL)", "o.status IS NOT NULL", "o.status IS NULL", "o.status LIKE 'o%'",
    "(o.status LIKE 'o%' OR o.status IS NULL)", "CASE WHEN o.status = 'open' THEN 1 END IS NULL",
    "CASE WHEN o.status = 'open' THEN 1 END IS NOT NULL", "CASE WHEN o.status = 'open' THEN 1 ELSE 0 END IS NULL",
    "CASE WHEN o.paid THEN o.quantity > 1 ELSE o.quantity > 3 END",
    "((o.paid AND o.quantity > 1) OR (o.paid IS NOT TRUE AND o.quantity > 3))",
    "((o.paid AND o.quantity > 1) OR (NOT o.paid AND o.quantity > 3))", "o.paid", "NOT o.paid", "o.paid IS NOT TRUE",
    "(o.paid OR NOT o.paid)", "o.paid IS NOT NULL", "(o.paid IS NULL OR o.paid IS NOT NULL)", "(o.paid AND NOT o.paid)",
    "o.quantity > 1", "o.quantity >= 2", "o.quantity > 3", "o.quantity >= 1", "o.quantity IS NOT NULL",
    "o.price > 1", "o.price > 1.0", "o.price >= 1.00", "o.amount > 1", "o.amount > 1.0", "o.amount >= 1.0",
    "(o.amount IS NOT DISTINCT FROM 1.5)", "o.amount = 1.5", "o.amount = 0.0", "(o.amount IS NOT DISTINCT FROM 0.0)",
    "o.placed_at >= TIMESTAMP '2024-01-31 12:30:00'", "o.placed_at >= TIMESTAMP '2024-01-01'",
    "o.placed_at >= TIMESTAMP '2024-01-31' - INTERVAL '30 days'", "o.placed_at > '2024-01-01'",
    "o.placed_at > '2024-01-31 12:30:00'", "EXTRACT(year FROM o.placed_on) > 2023", "EXTRACT(year FROM o.placed_on) >= 2024",
    "length(o.status) > 3", "length(o.status) >= 4", "length(o.status) > 4", "upper(o.status) = 'OPEN'",
    "(upper(o.status) IS NOT DISTINCT FROM 'OPEN')", "o.item_id = 3", "o.item_id = o.quantity", "o.quantity = 3",
    "EXISTS (SELECT 1 FROM items AS i WHERE i.item_id = o.item_id)",
    "EXISTS (SELECT i.name FROM items AS i WHERE i.item_id = o.item_id LIMIT 1)",
    "o.item_id IN (SELECT i.item_id FROM items AS i GROUP BY i.item_id, i.name)",
    "o.item_id IN (SELECT i.item_id FROM items AS i LEFT JOIN employees AS e ON e.employee_id = i.item_id)",
    "o.item_id IN (SELECT i.item_id FROM items AS i JOIN employees AS e ON e.employee_id = i.item_id)",
)  # fmt: skip
AGGREGATES = (
    "SUM(CASE WHEN o.paid THEN 1 ELSE 0 END)", "COUNT(*) FILTER (WHERE o.paid)", "COUNT(CASE WHEN o.paid THEN 1 END)",
    "COALESCE(SUM(CASE WHEN o.paid THEN 1 ELSE 0 END), 0)", "SUM(CASE WHEN o.paid THEN 1 END)", "COUNT(*)", "COUNT(o.paid)",
    "COALESCE(COUNT(*), 0)", "COALESCE(COUNT(o.paid), 1)", "BOOL_OR(o.paid)", "BOOL_OR(o.paid ORDER BY o.amount)",
    "BOOL_AND(o.paid)", "MAX(o.quantity)", "MAX(DISTINCT o.quantity)", "COUNT(DISTINCT o.quantity)", "SUM(o.quantity)",
    "SUM(o.quantity ORDER BY o.amount)", "SUM(o.price)", "COUNT(o.quantity)",
)  # fmt: skip
KEYS = (
    "o.status", "upper(o.status)", "o.status, upper(o.status)", "o.status, NULL", "o.status, TRUE", "o.item_id, o.quantity",
    "o.item_id", "o.quantity", "o.status, length(o.status)", "o.status, o.item_id", "o.placed_on, EXTRACT(year FROM o.placed_on)",
    "o.placed_on", "o.status, COALESCE(o.status, 'x')", "COALESCE(o.status, 'x')", "o.amount, o.amount > 1", "o.amount",
)  # fmt: skip
HAVINGS = (
    "",
    "",
    "",
    " HAVING COUNT(*) > 0",
    " HAVING COUNT(*) >= 1",
    " HAVING COUNT(*) > 1",
    " HAVING COUNT(o.paid) > 0",
)
JOINS = (
    "", "", " LEFT JOIN customers AS c ON c.customer_id = o.customer_id", " CROSS JOIN (SELECT MAX(step) AS m FROM events) AS c",
    " CROSS JOIN (SELECT MAX(step) AS m FROM events GROUP BY kind) AS c", " LEFT JOIN (SELECT MIN(step) AS m FROM events) AS c ON TRUE",
    " JOIN customers AS c ON c.customer_id = o.customer_id", " LEFT JOIN (SELECT DISTINCT customer_id FROM events) AS c"
    " ON c.customer_id = o.customer_id",
)  # fmt: skip
OUTPUTS = (
    "o.order_id, o.status", "o.order_id, COALESCE(o.status, 'x') = 'open' AS v", "o.order_id, o.status = 'open' AS v",
    "o.order_id, CASE WHEN o.status IS NOT DISTINCT FROM 'open' THEN 1 ELSE 0 END AS v",
    "o.order_id, CASE WHEN o.status = 'open' THEN 1 ELSE 0 END AS v", "o.order_id, (o.paid AND NOT o.paid) AS v",
    "o.order_id, CASE WHEN o.paid THEN o.status ELSE o.status END AS v", "o.order_id, o.status AS v", "o.status",
)  # fmt: skip
ORDERS = (
    "",
    "",
    "",
    " ORDER BY o.status, o.order_id",
    " ORDER BY o.order_id",
    " ORDER BY o.item_id, o.order_id, o.status",
)


def query(rng: random.Random) -> str:
    """Return a query of one of four kinds: rows, groups, a total, groups of groups."""
    join = rng.choice(JOINS)
    terms = rng.sample(TERMS, rng.choice((0, 1, 1, 2)))
    where = f" WHERE {' AND '.join(terms)}" if terms else ""
    source = f"FROM orders AS o{join}{where}"
    match rng.randrange(8):
        case 0 | 1 | 2:
            distinct = rng.choice(("", "", "DISTINCT "))
            return f"SELECT {distinct}{rng.choice(OUTPUTS)} {source}{'' if distinct else rng.choice(ORDERS)}"
        case 3 | 4:
            key = rng.choice(KEYS)
            first = key if key.count("(") and "," not in key else key.split(",")[0]
            outputs = f"{first} AS k, {rng.choice(AGGREGATES)} AS n"
            return f"SELECT {outputs} {source} GROUP BY {key}{rng.choice(HAVINGS)}"
        case 5 | 6:
            return f"SELECT {rng.choice(AGGREGATES)} AS n {source}{rng.choice(HAVINGS)}"
        case _:
            outer = rng.choice(
                ("COUNT(*)", "COUNT(q.b)", "SUM(q.n)", "BOOL_OR(q.p)", "BOOL_AND(q.p)", "COALESCE(SUM(q.n), 0)")
            )
            inner = (
                f"SELECT o.status AS a, o.item_id AS b, {rng.choice(AGGREGATES[:8])} AS n, "
                f"{rng.choice(AGGREGATES[9:12])} AS p {source} GROUP BY o.status, o.item_id"
            )
            grouped = rng.random() < 0.7
            head, tail = ("q.a AS a, ", " GROUP BY q.a") if grouped else ("", "")
            return f"SELECT {head}{outer} AS n FROM ({inner}) AS q{tail}"


def check(start: int, wanted: int) -> tuple[int, int]:
    """Assert that no two of as many queries share an identity wrongly; return how many compiled, and how many shared."""
    compiler = TestCompiler(TABLES)
    groups: dict[object, set[str]] = defaultdict(set)
    for seed in range(start, start + wanted):
        sql = query(random.Random(seed))
        try:
            found = compiler.compile(sql)
        except SqlError:
            continue
        groups[found.fingerprint, found.inputs, found.reads].add(sql)
    databases = [open_database(random_database(seed, 12)) for seed in range(DATABASES)]
    for texts in groups.values():
        first, *others = sorted(texts)
        for other in others:
            for seed, database in enumerate(databases):
                ordered = " ORDER BY o.order_id" in first or " ORDER BY o.status, o" in first
                one, two = outcome(database, first), outcome(database, other)
                assert type(one) is type(two), f"database {seed}: one fails\n{first}\n{other}\n{one}\n{two}"
                assert isinstance(one, str) or same_table(one, two, ordered=ordered), (
                    f"database {seed}\n{first}\n{other}"
                )
    return sum(map(len, groups.values())), sum(len(texts) - 1 for texts in groups.values())


def outcome(database: SessionContext, sql: str) -> object:
    try:
        return run(database, sql)
    except Exception as error:  # noqa: BLE001 — whatever the engine raises: the other side has to fail as well
        return str(error)


def test_look_alikes_that_share_an_identity_give_the_same_tables() -> None:
    compiled, _ = check(0, SUITE_QUERIES)
    assert compiled > SUITE_QUERIES / 2


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_many_look_alikes_that_share_an_identity_give_the_same_tables() -> None:
    start = int(os.environ.get("RULES_SOAK_SEED", "1000"))
    compiled, shared = check(start, int(os.environ.get("RULES_SOAK_RUNS", str(SOAK_QUERIES))))
    print(f"{compiled} queries compiled, {shared} shared an identity")  # noqa: T201 — what the soak is run for
    assert shared > compiled / 20
