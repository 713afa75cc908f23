"""`rules contract`: the DDL of a product, and its inferred types written into the rule without touching the rest."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from support.checked import checked_project
from support.forks import shared
from support.inprocess import build, run
from support.projects import SampleProject
from support.refusals import run_here

DDL = """CREATE TABLE "orders" (
  "id" BIGINT NOT NULL,
  "customer" BIGINT NOT NULL REFERENCES "customers" ("id"),
  "status" VARCHAR CHECK ("status" IN ('open', 'held')),
  "amount" BIGINT,
  "note" VARCHAR,
  PRIMARY KEY ("id")
);
"""


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    return checked_project(tmp_path / "checked")


def test_ddl(project: SampleProject) -> None:
    assert run(project, "contract", "orders").stdout == DDL
    assert not list((project.root / ".rules" / "objects").iterdir()), "nothing is executed"
    other = run(project, "contract", "orders", "--dialect", "bigquery").stdout
    assert "`id` INT64 NOT NULL" in other


def test_only_what_is_enforced_is_in_the_ddl(project: SampleProject) -> None:
    project.edit("rules/orders.sql", '-- key = ["id"]', '-- key = ["id"]\n-- severity = "warn"')
    ddl = run(project, "contract", "orders").stdout
    for promise in ("NOT NULL", "PRIMARY KEY", "CHECK", "REFERENCES"):
        assert promise not in ddl


def test_json(project: SampleProject) -> None:
    project.edit("rules/orders.sql", "-- not_null = true", '-- type = "bigint"\n-- not_null = true')
    document = run(project, "contract", "orders", "--json").document
    assert document["ddl"] + ";\n" == DDL
    assert document["key"] == ["id"]
    columns = {column.pop("name"): column for column in document["columns"]}
    assert columns["customer"] == {
        "type": "int64",
        "declared": "bigint",
        "not_null": True,
        "accepted": [],
        "references": "customers.id",
        "description": "",
    }
    assert document["checks"][0]["name"] == "orders.key"


def test_write_declares_what_is_not_declared(project: SampleProject) -> None:
    build(project)
    before = project.read("rules/orders.sql")
    assert (
        run(project, "contract", "orders", "--write").stdout == "wrote the types of 5 columns into rules/orders.sql\n"
    )
    written = project.read("rules/orders.sql")
    added = [line for line in written.splitlines() if line not in before.splitlines()]
    assert [line for line in written.splitlines() if line not in added] == before.splitlines()
    assert '-- [columns.customer]\n-- type = "int64"\n-- not_null = true\n' in written
    assert run(project, "contract", "orders", "--write").stdout == "every type is declared in rules/orders.sql\n"
    assert project.read("rules/orders.sql") == written
    assert build(project).executed == set()
    project.parquet("raw", {"id": ["1"], "customer": [1], "status": ["open"], "amount": [1], "note": ["x"]})
    assert "orders.id is declared as int64, but the rule yields string" in run_here(project, "build").err


def test_write_makes_front_matter(project: SampleProject) -> None:
    project.write("rules/customers.sql", '-- people\r\nSELECT id, name AS "full name" FROM people\r\n')
    run(project, "contract", "customers", "--write")
    block = '-- /// rule\n-- [columns.id]\n-- type = "int64"\n-- [columns."full name"]\n-- type = "string"\n-- ///\n'
    text = (project.root / "rules/customers.sql").read_bytes().decode()
    assert text == block.replace("\n", "\r\n") + '-- people\r\nSELECT id, name AS "full name" FROM people\r\n'


def test_every_written_type_is_understood(project: SampleProject) -> None:
    project.sql(
        "typed",
        "SELECT id, CAST(id AS DECIMAL(12, 3)) AS d, CAST(id AS DOUBLE) AS f, id > 1 AS b, DATE '2024-01-01' AS day, "
        "TIMESTAMP '2024-01-01 00:00:00' AS t, CAST('2024-01-01T00:00:00Z' AS TIMESTAMPTZ) AS z, "
        "make_array(id) AS l, named_struct('a', id, 'b', 'x') AS s, CAST('x' AS BYTEA) AS y, "
        "CAST('01:00:00' AS TIME) AS clock FROM raw",
    )
    run(project, "contract", "typed", "--write")
    assert project.read("rules/typed.sql").count("-- type = ") == 11
    run(project, "build", "-s", "typed")
    run(project, "contract", "typed")


@pytest.mark.slow
def test_write_that_was_killed_leaves_nothing_beside_the_rule(project: SampleProject) -> None:
    """Once it is run again; and the rule is as it was, or written."""
    rule = project.root / "rules" / "customers.sql"
    before = rule.read_bytes()
    words = ("contract", "customers", "--write")
    shared().run(project.root, *words)
    after = rule.read_bytes()
    names = {path.name for path in rule.parent.iterdir()}
    kills = 0
    for at in itertools.count():
        rule.write_bytes(before)
        if not shared().run(project.root, *words, kill_at=at).killed:
            break
        kills += 1
        assert rule.read_bytes() in {before, after}
        assert shared().run(project.root, *words).code == 0
        assert rule.read_bytes() == after
        assert {path.name for path in rule.parent.iterdir()} == names
    assert kills > 4


def test_write_refuses_front_matter_that_it_cannot_add_to(project: SampleProject) -> None:
    text = '-- /// rule\n-- columns = { id = { type = "int64" } }\n-- ///\nSELECT id, name FROM people\n'
    project.write("rules/customers.sql", text)
    ran = run_here(project, "contract", "customers", "--write")
    assert ran.code == 1
    assert "hint:  give each column a table of its own: [columns.NAME]" in ran.err
    assert project.read("rules/customers.sql") == text


def test_columns_of_rules_toml_stay_there(project: SampleProject) -> None:
    project.write("rules.toml", project.read("rules.toml") + '\n[contracts.customers.columns.id]\ntype = "int64"\n')
    run(project, "contract", "customers", "--write")
    assert "[columns.id]" not in project.read("rules/customers.sql")
    run(project, "plan")


def test_unknown_product(project: SampleProject) -> None:
    project.sql("fine", "SELECT id AS order_id FROM people WHERE id > 5")
    ran = run_here(project, "contract", "order")
    assert (ran.code, ran.err) == (2, "error: unknown product 'order'\n  hint: did you mean 'orders'?\n")
