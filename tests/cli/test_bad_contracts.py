"""Contracts that are wrong, or that a rule does not keep: told without any data, at the declaration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.projects import SampleProject
from support.refusals import MARK, orders_project, place_of_mark, refused, refused_rule, run_here

QUERY = "SELECT o.order_id, o.status, o.amount, o.placed_on FROM orders AS o"
COLUMNS = "its columns: order_id, status, amount, placed_on"

BROKEN = {
    "column missing": (
        "[columns.«statos]\nnot_null = true",
        "bad yields no column 'statos', which its contract declares",
        "did you mean 'status'?",
    ),
    "another type": (
        '[columns.amount]\n«type = "decimal(10, 2)"',
        "bad.amount is declared as decimal(10, 2), but the rule yields double",
        'cast it in the rule, or declare type = "double"',
    ),
    "no type": (
        '[columns.amount]\n«type = "strin"',
        "unknown type 'strin'",
        "examples: string, int64, double, decimal(10, 2), date, timestamp, or a type as rules contract prints it",
    ),
    "value of another type": (
        '[columns.order_id]\naccepted = [1, «"2"]',
        "'2' cannot be a value of bad.order_id, which is int64",
        "write strings in quotes, numbers and booleans without",
    ),
    "reference to no column": (
        '[columns.order_id]\n«references = "customers.id"',
        "customers has no column 'id', which bad.order_id refers to",
        "its columns: customer_id, name",
    ),
    "reference to another kind of value": (
        '[columns.order_id]\n«references = "customers.name"',
        "bad.order_id is int64, but customers.name is string",
        "cast one of the two in its rule",
    ),
    "not all declared": (
        "«exact = true\n[columns.order_id]",
        "bad yields the column 'status', which its exact contract does not declare",
        "add [columns.status], or leave out exact = true",
    ),
    "key": ('«key = ["ordr_id"]', "key column 'ordr_id' is not an output column", "did you mean 'order_id'?"),
    "reference to nothing": (
        '[columns.order_id]\n«references = "customer.id"',
        "check references.order_id of bad: unknown input 'customer'",
        "did you mean 'customers'?",
    ),
    "reference without a column": (
        '[columns.order_id]\n«references = "customers"',
        "'references' must name a product and its column, not 'customers'",
        'write references = "customers.id"',
    ),
    "accepted time": (
        "[columns.placed_on]\naccepted = [«10:30:00]",
        "'accepted' lists strings, numbers, booleans, dates and timestamps",
        'compare anything else in a query: [[checks]] name = "…" sql = "…"',
    ),
    "unknown key of a column": (
        "[columns.status]\n«notnull = true",
        "unknown key 'notnull' in [columns.status]",
        "did you mean 'not_null'?",
    ),
    "a column's unique": (
        "[columns.status]\n«unique = true",
        "unknown key 'unique' in [columns.status]",
        'write key = ["id"], which is unique and never NULL, for the whole table',
    ),
    "a word of dbt": (
        '[columns.status]\n«accepted_values = ["open"]',
        "unknown key 'accepted_values' in [columns.status]",
        'write accepted = ["open", "paid"]',
    ),
    "a word of SQLMesh": (
        '«grain = ["order_id"]',
        "unknown option 'grain'",
        'write key = ["id"], which is unique and never NULL',
    ),
    "a column's promise of the table": (
        '«not_null = ["status"]',
        "unknown option 'not_null'",
        "write columns.id.not_null = true",
    ),
    "key of a wrong type": (
        "[columns.status]\n«not_null = 1",
        "'not_null' must be true or false, not an integer",
        None,
    ),
    "unknown severity": (
        '[columns.status]\n«severity = "warning"',
        "'severity' cannot be 'warning'",
        "did you mean 'warn'?",
    ),
    "unknown key of a check": (
        '[[checks]]\nname = "a"\nsql = "SELECT 1 AS x"\n[[checks]]\nname = "b"\n«query = "SELECT 1 AS x"',
        "unknown key 'query' in [checks.1]",
        "known: description, name, severity, sql, volatile",
    ),
    "check without a query": ('«[[checks]]\nname = "a"', "missing key 'sql' in [checks.0]", 'add sql = "…"'),
    "two checks of one name": (
        '[[checks]]\nname = "b"\nsql = "SELECT 1 AS x"\n[[checks]]\n«name = "b"\nsql = "SELECT 2 AS x"',
        "two checks are named 'b'",
        "rename one",
    ),
    "name of a check": (
        '[[checks]]\n«name = "a b"\nsql = "SELECT 1 AS x"',
        "'a b' is not a usable name of a check: letters, digits and _ only, no digit first",
        None,
    ),
    "check that does not parse": (
        '[[checks]]\nname = "a"\nsql = "SELECT FROM «bad"',
        "check a of bad: a query without a SELECT list is not supported",
        None,
    ),
    "check of an unknown column": (
        '[[checks]]\nname = "a"\nsql = "SELECT b.«amout FROM bad AS b"',
        "check a of bad: unknown column 'amout'",
        "did you mean 'amount'?",
    ),
    "check that is volatile": (
        '[[checks]]\nname = "a"\nsql = "SELECT b.amount FROM bad AS b WHERE «random() > b.amount"',
        "check a of bad: 'random' is volatile: its result changes from run to run",
        "add volatile = true beside sql (the check then runs in every build), or pass the value as a $var",
    ),
    "check of what is made of it": (
        '[[checks]]\nname = "a"\n«sql = "SELECT r.order_id FROM reader AS r"',
        "check a of bad: it reads reader, which is made of bad itself: bad → reader → bad",
        "bad is published when its checks have passed; declare this one at reader, as [[checks]]",
    ),
}


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    return orders_project(tmp_path / "orders")


@pytest.mark.parametrize("case", BROKEN)
def test_contract_in_front_matter(project: SampleProject, case: str) -> None:
    declared, message, hint = BROKEN[case]
    project.sql("reader", "SELECT b.order_id FROM bad AS b")
    block = "".join(f"-- {line}\n" for line in declared.split("\n"))
    if f"-- {MARK}[[checks]]" in block:  # an item stands where its name does
        block = block.replace(f"{MARK}[[checks]]", f"[[{MARK}checks]]")
    refusal = refused_rule(project, f"-- /// rule\n{block}-- ///\n{QUERY}")
    assert (refusal.exit_code, refusal.message, refusal.hint) == (1, message, hint)


WITHOUT_THE_ENGINE = (
    "column missing", "another type", "no type", "value of another type", "reference to no column",
    "reference to another kind of value", "not all declared", "key", "reference to nothing",
)  # fmt: skip


@pytest.mark.parametrize("case", WITHOUT_THE_ENGINE)
def test_a_check_finds_what_a_build_would_refuse(project: SampleProject, case: str) -> None:
    declared, message, hint = BROKEN[case]
    text = f"-- /// rule\n{''.join(f'-- {line}{chr(10)}' for line in declared.split(chr(10)))}-- ///\n{QUERY}"
    line, column = place_of_mark(text)
    project.sql("bad", text.replace(MARK, ""))
    found = findings_in(project, "rules/bad.sql")
    expected = {"path": "rules/bad.sql", "line": line, "column": column, "message": message, "hint": hint}
    assert expected in [{name: one[name] for name in expected} for one in found]


def test_a_check_finds_an_order_without_a_key(project: SampleProject) -> None:
    project.sql("bad", f'-- /// rule\n-- tags = ["a"]\n-- tier = 2\n-- ///\n{QUERY}')
    (found,) = findings_in(project, "rules/bad.sql")
    assert (found["line"], found["column"], found["code"]) == (3, 4, "R902")
    assert found["message"] == "tier 2 orders the product by its key, and no key is declared"


def test_a_check_says_nothing_of_types_that_only_the_engine_can_tell(project: SampleProject) -> None:
    project.sql("fine", "SELECT o.order_id, md5(o.status) AS code, o.amount / 3 AS third FROM orders AS o")
    assert run_here(project, "build").code == 0
    assert run_here(project, "contract", "fine", "--write").code == 0
    assert "[columns.third]" in project.read("rules/fine.sql")
    assert findings_in(project, "rules/fine.sql") == []


def findings_in(project: SampleProject, path: str) -> list[dict[str, Any]]:
    found = json.loads(run_here(project, "check", "--json").out)["findings"]
    return [one for one in found if one["path"] == path]


IN_TOML = {
    "of nothing": (
        "[contracts.«fin]\nexact = true",
        "unknown product or source 'fin' in [contracts.fin]",
        "did you mean 'fine'?",
    ),
    "of a source": (
        "[contracts.orders]\n«exact = true",
        "orders has the column 'order_id', which its exact contract does not declare",
        "add [columns.order_id]",
    ),
    "unknown key": (
        "[contracts.fine]\n«keys = []",
        "unknown key 'keys' in [contracts.fine]",
        "did you mean 'key'?",
    ),
    "type": (
        '[contracts.fine.columns.order_id]\n«type = "string"',
        "fine.order_id is declared as string, but the rule yields int64",
        'cast it in the rule, or declare type = "int64"',
    ),
    "check": (
        '[[contracts.fine.checks]]\nname = "a"\nsql = "SELECT «x FROM fine"',
        "check a of fine: unknown column 'x'",
        "known columns: order_id",
    ),
}


@pytest.mark.parametrize("case", IN_TOML)
def test_contract_in_rules_toml(project: SampleProject, case: str) -> None:
    declared, message, hint = IN_TOML[case]
    text = f"{project.read('rules.toml')}\n{declared}\n"
    line, column = place_of_mark(text)
    project.write("rules.toml", text.replace(MARK, ""))
    refusal = refused(project, "build")
    assert (refusal.message, refusal.where) == (message, f"rules.toml:{line}:{column}")
    assert refusal.hint is not None
    assert refusal.hint.startswith(hint)


def test_nothing_is_declared_twice(project: SampleProject) -> None:
    project.sql("fine", '-- /// rule\n-- key = ["order_id"]\n-- ///\nSELECT o.order_id FROM orders AS o')
    project.write("rules.toml", f'{project.read("rules.toml")}\n[contracts.fine]\nkey = ["order_id"]\n')
    refusal = refused(project, "build")
    assert refusal.message == "rules/fine.sql declares this too"
    assert refusal.where is not None
    assert refusal.where.startswith("rules.toml:")


def test_a_broken_contract_of_one_product_leaves_the_others_alone(project: SampleProject) -> None:
    project.sql("bad", f'-- /// rule\n-- [columns.status]\n-- type = "int64"\n-- ///\n{QUERY}')
    project.sql("other", "SELECT o.status FROM orders AS o")
    assert run_here(project, "build", "-s", "other").code == 0
    assert refused(project, "build", "-s", "+bad").code == "contract"


@pytest.mark.parametrize("owner", ["orders", "raw"])
def test_a_check_of_rules_toml_that_is_no_query_is_told_at_its_place(tmp_path: Path, owner: str) -> None:
    toml = f'\n[[contracts.{owner}.checks]]\nname = "late"\nsql = "SELECT x.id FROM {owner} AS x WHERE"\n'
    project = SampleProject(tmp_path / "sample", sources=["raw"], toml=toml)
    project.parquet("raw", {"id": [1]})
    own = (
        '-- /// rule\n-- [[checks]]\n-- name = "own"\n-- sql = "SELECT o.id FROM orders AS o WHERE o.id < 0"\n-- ///\n'
    )
    project.sql("orders", f"{own}SELECT r.id FROM raw AS r")
    line = next(n for n, text in enumerate(project.read("rules.toml").splitlines(), 1) if text.startswith("sql"))
    error = json.loads(run_here(project, "build", "--json").out)["error"]
    assert error["where"] == f"rules.toml:{line}:{len('sql = ') + 2 + len(f'SELECT x.id FROM {owner} AS x ')}"
    assert error["message"] == f"check late of {owner}: an expression is missing, near WHERE"
    for words in (["ls"], ["check"], ["contract", owner]):
        assert run_here(project, *words).code in (0, 1)
