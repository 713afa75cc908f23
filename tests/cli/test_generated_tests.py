"""`rules test --generate`: few real rows that show what a rule does, so that another rule fails on them."""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Any

import pytest

from support.inprocess import build, run
from support.projects import SampleProject

STATES = ("ok", "ok", "back", "ok", "lost")
RULE = """
SELECT
  c.name AS name,
  SUM(CASE WHEN o.state = 'back' THEN -o.amount WHEN o.amount > 90 THEN 90 ELSE o.amount END) AS amount,
  COUNT(*) FILTER (WHERE o.state = 'ok') AS good
FROM orders AS o
LEFT JOIN customers AS c ON c.id = o.customer
WHERE o.day >= DATE '2024-01-03' AND (o.amount > 5 OR o.state = 'back')
GROUP BY c.name
HAVING COUNT(*) > 1
"""
MUTANTS = [
    ("-o.amount", "o.amount"),
    ("THEN 90", "THEN 80"),
    ("ELSE o.amount", "ELSE 0"),
    ("o.amount > 90", "o.amount > 9000"),
    ("'ok'", "'lost'"),
    ("LEFT JOIN", "JOIN"),
    ("c.id = o.customer", "c.id = o.customer + 1"),
    ("o.day >= DATE '2024-01-03' AND", ""),
    ("o.amount > 5 OR", ""),
    ("OR o.state = 'back'", ""),
    ("HAVING COUNT(*) > 1", ""),
    ("HAVING COUNT(*) > 1", "HAVING COUNT(*) <= 1"),
]


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    toml = '\n[sources.orders]\npath = "data/orders.parquet"\n[sources.customers]\npath = "data/customers.parquet"\n'
    made = SampleProject(tmp_path / "project", toml=toml)
    numbers = range(3_000)
    made.parquet(
        "orders",
        {
            "id": list(numbers),
            "customer": [500, *(None if n % 7 == 3 else n % 101 for n in numbers[1:])],
            "day": [dt.date(2024, 1, 20 - n % 20) for n in numbers],
            "amount": [float((n + 1) * 37 % 128) for n in numbers],
            "state": [STATES[n % 5] for n in numbers],
            "unread": ["x"] * len(numbers),
        },
    )
    made.parquet("customers", {"id": [*range(60), 500], "name": [*(f"n{n // 2}" for n in range(60)), "single"]})
    made.sql("totals", RULE)
    return made


def written(project: SampleProject, name: str = "totals") -> dict[str, Any]:
    return tomllib.loads(project.read(f"tests/{name}.toml"))


@pytest.mark.slow
def test_few_rows_show_all_that_the_data_shows(project: SampleProject) -> None:
    ran = run(project, "test", "--generate", "totals", "--json")
    (made,) = ran.document["generated"]
    assert made["file"] == "tests/totals.toml"
    assert sum(made["rows"].values()) <= 30
    assert {
        "CASE takes WHEN o.state = 'back'",
        "CASE takes WHEN o.amount > 90",
        "CASE takes ELSE after WHEN o.amount > 90",
        "JOIN c ON c.id = o.customer finds a row",
        "JOIN c ON c.id = o.customer finds none on the right",
        "HAVING COUNT(*) > 1 holds",
        "HAVING COUNT(*) > 1 does not hold",
        "orders.customer is NULL",
    } <= set(made["shown"])
    assert made["absent"] == []
    test = written(project)
    assert len(test["given"]["orders"]) == made["rows"]["orders"]
    assert "unread" not in test["given"]["orders"][0]
    assert run(project, "test").stdout.startswith("nothing to do"), "it has passed once"


@pytest.mark.slow
def test_another_rule_fails_on_the_rows(project: SampleProject) -> None:
    run(project, "test", "--generate", "totals")
    for old, new in MUTANTS:
        project.sql("totals", RULE.replace(old, new))
        assert run(project, "test", expect=1).stdout.startswith("failed"), (old, new)
    project.sql("totals", RULE)
    run(project, "test", "--force")


def test_what_no_row_shows_is_said(project: SampleProject) -> None:
    project.sql("totals", "SELECT o.id FROM orders AS o WHERE o.state = 'new' OR o.amount >= 0")
    ran = run(project, "test", "--generate", "totals")
    assert "  not in the data: WHERE o.state = 'new' holds" in ran.stdout
    assert "  not in the data: WHERE o.amount >= 0 does not hold" in ran.stdout
    assert "#     WHERE o.state = 'new' holds" in project.read("tests/totals.toml")


@pytest.mark.slow
def test_queries_within_others_and_windows(project: SampleProject) -> None:
    project.sql(
        "totals",
        """
        WITH big AS (SELECT o.customer, o.id, o.amount FROM orders AS o WHERE o.amount > 50)
        SELECT b.id, ROW_NUMBER() OVER (PARTITION BY b.customer ORDER BY b.amount DESC, b.id) AS place
        FROM big AS b
        WHERE EXISTS (SELECT c.id FROM customers AS c WHERE c.id = b.customer) AND b.amount < 120
        UNION ALL
        SELECT c.id, 0 AS place FROM customers AS c WHERE c.name = 'n3'
        """,
    )
    (made,) = run(project, "test", "--generate", "totals", "--json").document["generated"]
    assert {
        "WHERE o.amount > 50 does not hold",
        "WHERE b.amount < 120 does not hold",
        "WHERE c.name = 'n3' holds",
        "WHERE c.name = 'n3' does not hold",
    } <= set(made["shown"])
    exists = [one for one in made["shown"] if "EXISTS" in one]
    assert [one.rsplit(" ", 1)[1] for one in exists] == ["holds", "hold"]
    assert sum(made["rows"].values()) <= 12


def test_products_are_inputs_once_they_are_built(project: SampleProject) -> None:
    project.sql("top", "SELECT t.name FROM totals AS t WHERE t.amount > 100")
    ran = run(project, "test", "--generate", "top", expect=1)
    assert "there are no rows of totals, which top reads: it was not built yet" in ran.stderr
    assert not (project.root / "tests").exists()
    build(project)
    run(project, "test", "--generate", "top")
    assert set(written(project, "top")["given"]) == {"totals"}


def test_no_file_is_replaced_and_some_rules_cannot_be_asked(project: SampleProject) -> None:
    assert "say of which rules" in run(project, "test", "--generate", expect=2).stderr
    project.write("tests/totals.toml", "expect = []\ngiven.orders = []\ngiven.customers = []\n")
    assert "there are tests of totals already" in run(project, "test", "--generate", "totals", expect=2).stderr
    assert written(project)["expect"] == []
    project.sql("now", "SELECT random() AS r FROM orders AS o")
    project.write("rules/now.sql", "-- /// rule\n-- volatile = true\n-- ///\nSELECT random() AS r FROM orders AS o")
    ran = run(project, "test", "--generate", "now", expect=1)
    assert "it may yield other rows each time" in ran.stderr


def test_values_that_toml_lacks_are_in_a_file_beside_the_test(project: SampleProject) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    moments = pa.array([1, 2_000_000_001], pa.timestamp("ns"))
    texts = ['a "b"\\', "two\nlines"]
    pq.write_table(
        pa.table({"at": moments, "text": texts, "nan": [float("nan"), -0.0]}), project.root / "data/odd.parquet"
    )
    project.edit("rules.toml", "[sources.orders]", '[sources.odd]\npath = "data/odd.parquet"\n\n[sources.orders]')
    project.sql("of_moments", "SELECT o.at, o.text FROM odd AS o WHERE o.at IS NOT NULL")
    project.sql("of_texts", "SELECT o.text, o.nan FROM odd AS o WHERE o.text <> ''")
    project.sql("of_nothing", "SELECT MAX(o.text) AS text FROM odd AS o WHERE o.text = 'none'")
    run(project, "test", "--generate", "of_moments", "of_texts", "of_nothing")
    assert written(project, "of_nothing")["expect"] == "of_nothing-expected.parquet", "a row without a value"
    assert written(project, "of_moments")["given"]["odd"] == "of_moments-odd.parquet"
    assert {row["text"] for row in written(project, "of_texts")["given"]["odd"]} <= set(texts)
    assert "3 tests passed before" in run(project, "test").stdout


def test_an_input_of_which_only_the_number_of_rows_is_read(project: SampleProject) -> None:
    project.sql("counted", "SELECT COUNT(*) AS n FROM orders AS o")
    run(project, "test", "--generate", "counted")
    assert written(project, "counted") == {"name": "of real rows", "given": {"orders": [{}]}, "expect": [{"n": 1}]}


@pytest.mark.slow
def test_what_takes_too_many_rows_is_given_up(project: SampleProject) -> None:
    project.sql("counted", "SELECT o.state, COUNT(*) AS n FROM orders AS o GROUP BY o.state HAVING COUNT(*) > 300")
    (made,) = run(project, "test", "--generate", "counted", "--json").document["generated"]
    assert made["costly"] == ["HAVING COUNT(*) > 300 holds"]
    assert "HAVING COUNT(*) > 300 does not hold" in made["absent"]
    assert made["rows"]["orders"] <= 3
    assert "#     HAVING COUNT(*) > 300 holds" in project.read("tests/counted.toml")
