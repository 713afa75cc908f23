"""A rule whose SQL is wrong is refused with what is wrong, its exact line and column, and a hint."""

from __future__ import annotations

import json

import pytest

from support.projects import SampleProject
from support.refusals import orders_project, refused, refused_rule

JOIN = "FROM orders AS o JOIN customers AS c ON o.customer_id = c.customer_id"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    return orders_project(tmp_path_factory.mktemp("sql"))


SYNTAX = {
    "misspelt keyword": ("«SELEC amount FROM orders", "a rule is one query, and SELEC does not start one"),
    "misspelt FROM": ("SELECT amount FORM «orders", "unexpected orders"),
    "condition missing": ("SELECT amount FROM orders\n«WHERE", "an expression is missing, near WHERE"),
    "operand missing": ("SELECT amount FROM orders WHERE amount «>", "expected an expression after >, near >"),
    "operand missing in the middle": (
        "SELECT amount\nFROM orders\nWHERE amount > 1 «AND\nORDER BY amount",
        "expected an expression after AND, near AND",
    ),
    "open parenthesis": ("SELECT (amount «FROM orders", "expecting ), near FROM"),
    "stray parenthesis": ("SELECT amount«) FROM orders", "unexpected )"),
    "open string": ("SELECT amount FROM orders\nWHERE status = «'open", "the ' here is never closed"),
    "open name": ('SELECT amount AS «"a FROM orders', 'the " here is never closed'),
    "open comment": ("SELECT amount «/* c FROM orders", "the /* here is never closed"),
    "BY missing": ("SELECT amount FROM orders GROUP «amount", "unexpected amount"),
    "CASE without END": ("SELECT CASE WHEN amount > 1 THEN «2 FROM orders", "expected END after CASE, near 2"),
    "table missing": ("SELECT amount FROM orders AS o JOIN «ON TRUE", "expected table name, near ON"),
    "AND missing": ("SELECT amount FROM orders\nWHERE amount BETWEEN «1\n", "expected AND in BETWEEN, near 1"),
    "unknown operator": ("SELECT amount «# 2 AS a FROM orders", "unexpected #"),
    "number": ("SELECT «12a AS x FROM orders", "'12a' is not a number"),
    "type": ("SELECT CAST(amount AS «foo) AS a FROM orders", "expected TYPE after CAST, near foo"),
    "template": ("SELECT amount FROM «{{ ref('x') }}", "Jinja is not expanded here: {{ ref('x') }}"),
    "CTE without a name": (
        "WITH q AS (SELECT amount FROM orders),\n«SELECT amount FROM q",
        "expected CTE to have alias, near SELECT",
    ),
    "nothing": ("«", "this text contains no query"),
    "only blanks": ("«   \n\n", "this text contains no query"),
    "only comments": ("«-- nothing\n/* here */", "this text contains no query"),
    "two statements": ("SELECT 1 AS a«; SELECT 2 AS b", "a second statement starts after this ;"),
    "CREATE": ("«CREATE TABLE x AS SELECT 1 AS a", "a rule is one query, and CREATE does not start one"),
    "DROP": ("-- comment\n«DROP TABLE orders", "a rule is one query, and DROP does not start one"),
    "INSERT": ("«INSERT INTO x SELECT 1 AS a", "a rule is one query, and INSERT does not start one"),
    "UPDATE": ("«UPDATE orders SET a = 1", "a rule is one query, and UPDATE does not start one"),
    "DELETE": ("«DELETE FROM orders", "a rule is one query, and DELETE does not start one"),
    "NUL": ("SELECT amo«\0unt FROM orders", "a NUL character, which no text holds"),
}


@pytest.mark.parametrize("case", SYNTAX)
def test_syntax(project: SampleProject, case: str) -> None:
    text, message = SYNTAX[case]
    assert refused_rule(project, text).message == message


UNKNOWN_COLUMNS = {
    "in SELECT": "SELECT «amout FROM orders",
    "in SELECT, with alias": "SELECT o.«amout FROM orders AS o",
    "in WHERE": "SELECT order_id\nFROM orders\nWHERE «amout > 3",
    "in WHERE, with alias": "SELECT order_id\nFROM orders AS o\nWHERE o.«amout > 3",
    "in ON": "SELECT o.order_id FROM orders AS o JOIN customers AS c ON o.amount = «amout",
    "in ON, with alias": "SELECT o.order_id FROM orders AS o JOIN customers AS c ON c.customer_id = o.«amout",
    "in GROUP BY": "SELECT COUNT(*) AS n FROM orders GROUP BY «amout",
    "in GROUP BY, with alias": "SELECT COUNT(*) AS n FROM orders AS o GROUP BY o.«amout",
    "in HAVING": "SELECT amount, COUNT(*) AS n FROM orders GROUP BY amount HAVING «amout > 3",
    "in ORDER BY": "SELECT order_id FROM orders ORDER BY «amout",
    "in ORDER BY, with alias": "SELECT order_id FROM orders AS o ORDER BY o.«amout",
    "in a window": "SELECT SUM(amount) OVER (PARTITION BY «amout) AS s FROM orders",
    "in a CTE": "WITH q AS (\n  SELECT «amout FROM orders\n)\nSELECT amout FROM q",
    "of a CTE": "WITH q AS (SELECT amount FROM orders)\nSELECT «amout FROM q",
    "of a CTE, with alias": "WITH q AS (SELECT amount FROM orders)\nSELECT q.«amout FROM q",
    "in a derived table": "SELECT s.amount FROM (SELECT «amout AS amount FROM orders) AS s",
    "in a subquery": "SELECT name FROM customers WHERE customer_id IN (SELECT «amout FROM orders)",
    "in EXISTS": f"SELECT c.name FROM customers AS c WHERE EXISTS (SELECT 1 {JOIN} WHERE o.«amout = 1)",
    "of the outer query": "SELECT 1 AS a FROM orders AS o WHERE EXISTS (SELECT 1 FROM customers WHERE o.«amout = 1)",
    "in a set operation": "SELECT amount FROM orders UNION ALL SELECT «amout FROM orders",
    "after letters of several bytes": "SELECT '日本😀' AS é, «amout FROM orders",
    "after Windows line ends": "SELECT order_id,\r\n\t«amout\r\nFROM orders",
}


@pytest.mark.parametrize("case", UNKNOWN_COLUMNS)
def test_unknown_column(project: SampleProject, case: str) -> None:
    refusal = refused_rule(project, UNKNOWN_COLUMNS[case])
    assert (refusal.exit_code, refusal.code, refusal.message) == (1, "unknown-column", "unknown column 'amout'")
    assert refusal.hint == "did you mean 'amount'?"


AMBIGUOUS = {
    "in SELECT": f"SELECT «customer_id {JOIN}",
    "in WHERE": f"SELECT o.order_id\n{JOIN}\nWHERE «customer_id = 1",
    "in ORDER BY": f"SELECT o.order_id\n{JOIN}\nORDER BY «customer_id",
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_ambiguous_column(project: SampleProject, case: str) -> None:
    refusal = refused_rule(project, AMBIGUOUS[case])
    assert (refusal.code, refusal.message) == ("ambiguous-column", "column 'customer_id' is ambiguous")
    assert refusal.hint == "write o.customer_id or c.customer_id"


NAMES = {
    "alias": ("SELECT «x.amount FROM orders AS o", "unknown table or alias 'x'", "in scope: o"),
    "alias in WHERE": (
        "SELECT o.amount\nFROM orders AS o\nWHERE «x.amount > 1",
        "unknown table or alias 'x'",
        "in scope: o",
    ),
    "close alias": (
        "SELECT «order.amount FROM orders",
        "unknown table or alias 'order'",
        "did you mean 'orders'?",
    ),
    "input": ("SELECT order_id FROM «ordrs", "unknown input 'ordrs'", "did you mean 'orders'?"),
    "input of a join": (
        "SELECT o.order_id\nFROM orders AS o\nJOIN «custmers AS c ON TRUE",
        "unknown input 'custmers'",
        "did you mean 'customers'?",
    ),
    "input like nothing": (
        "SELECT 1 AS a FROM «zzz",
        "unknown input 'zzz'",
        "an input is a source of rules.toml or another rule",
    ),
    "schema": (
        "SELECT order_id FROM «main.orders",
        "'main.orders' has a schema; inputs are plain names",
        "write FROM orders",
    ),
    "variable": (
        "SELECT order_id FROM orders\nWHERE amount > «$last_amount",
        "unknown variable '$last_amount'",
        "did you mean 'least_amount'?",
    ),
    "variable like nothing": (
        "SELECT order_id FROM orders WHERE amount > «$x",
        "unknown variable '$x'",
        "declare it in rules.toml under [vars]",
    ),
    "function": (
        "SELECT order_id,\n  «uper(status) AS a FROM orders",
        "unknown function 'uper'",
        "did you mean 'upper'?",
    ),
    "function like nothing": ("SELECT «xyzzyx(amount) AS a FROM orders", "unknown function 'xyzzyx'", None),
    "output by number": (
        "SELECT order_id FROM orders ORDER BY «7",
        "unknown output column 7",
        "the query has 1 output column",
    ),
}


@pytest.mark.parametrize("case", NAMES)
def test_unknown_name(project: SampleProject, case: str) -> None:
    text, message, hint = NAMES[case]
    refusal = refused_rule(project, text)
    assert (refusal.exit_code, refusal.message, refusal.hint) == (1, message, hint)


OUTPUTS = {
    "two of one name": ("SELECT amount AS a, «status AS a FROM orders", "two output columns are named 'a'"),
    "two of one name through *": ("SELECT *, «amount FROM orders", "two output columns are named 'amount'"),
    "two of one name in *": (f"SELECT «* {JOIN}", "two output columns are named 'customer_id'"),
    "two of one name in two *": (f"SELECT o.*, «c.* {JOIN}", "two output columns are named 'customer_id'"),
    "expression without a name": ("SELECT order_id, «amount + 1 FROM orders", "output column 2 has no name"),
    "expression on an alias": ("SELECT «o.amount + 1 FROM orders AS o", "output column 1 has no name"),
    "number without a name": ("SELECT «1 FROM orders", "output column 1 has no name"),
    "string without a name": ("SELECT order_id,\n  «'x' FROM orders", "output column 2 has no name"),
    "call without a name": ("SELECT «COUNT(*) FROM orders", "output column 1 has no name"),
    "uneven set operation": (
        "SELECT order_id FROM orders\nUNION ALL\nSELECT «order_id, amount FROM orders",
        "the sides of UNION have 1 and 2 columns",
    ),
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_outputs(project: SampleProject, case: str) -> None:
    text, message = OUTPUTS[case]
    assert refused_rule(project, text).message == message


def _many(part: str, between: str = ",\n") -> str:
    return between.join(part.format(number, number) for number in range(200))


PLANNING = {
    "text plus number": (
        "SELECT «status + amount AS a FROM orders",
        "TEXT + DOUBLE cannot be computed",
    ),
    "date plus number": (
        "-- /// rule\n-- tags = ['x']\n-- ///\n\nSELECT order_id\nFROM orders\nWHERE «placed_on + amount > 3",
        "DATE + DOUBLE cannot be computed",
    ),
    "too many arguments": ("SELECT order_id, «upper(status, 1) AS a FROM orders", "'upper' takes 1 argument, not 2"),
    "too many arguments of an aggregate": ("SELECT «SUM(amount, 1) AS a FROM orders", "'sum' takes 1 argument, not 2"),
    "no argument": ("SELECT «SUM() AS a FROM orders", "'sum' needs an argument"),
    "wrong argument": (
        "SELECT\n  «abs(status) AS a\nFROM orders",
        "'abs' cannot be called with TEXT",
    ),
    "one of two calls": (
        "SELECT abs(amount) AS a, «abs(status) AS b FROM orders",
        "'abs' cannot be called with TEXT",
    ),
    "aggregate in WHERE": (
        "SELECT order_id FROM orders\nWHERE «SUM(amount) > 3",
        "an aggregate cannot be used in WHERE",
    ),
    "aggregate in an aggregate": (
        "SELECT SUM(«AVG(amount)) AS a FROM orders",
        "an aggregate cannot be nested in another",
    ),
    "column that is not grouped": (
        "SELECT order_id,\n  «o.status,\n  SUM(amount) AS a\nFROM orders AS o\nGROUP BY order_id",
        "column 'status' must be in GROUP BY or inside an aggregate",
    ),
    "a table for a column": (
        "SELECT o.order_id FROM orders AS o WHERE o.amount > «o",
        "'o' is a table, and no column",
    ),
    "a table for a column, in an aggregate": (
        "SELECT COUNT(«o) AS n FROM orders AS o",
        "'o' is a table, and no column",
    ),
    "a computed key of grouping sets": (
        "SELECT COUNT(*) AS n FROM orders AS o GROUP BY GROUPING SETS ((NOT «o.status LIKE 'x'), ())",
        "the engine cannot group by sets with such a computed key",
    ),
    "window function alone": ("SELECT «row_number() AS a FROM orders", "'row_number' is a window function"),
    "condition of a wrong type": (
        "SELECT order_id FROM orders WHERE «status",
        "WHERE and HAVING need a condition, but this is of type TEXT",
    ),
    "unsupported": ("SELECT «order_id FROM orders FOR UPDATE", "FOR UPDATE is not supported"),
    "one of many calls": (
        f"SELECT {_many('round(amount + {}) AS a{}')},\n1 + «round(status) AS b\nFROM orders",
        "'round' cannot be called with TEXT",
    ),
    "one of many operators": (
        f"SELECT {_many('amount + {} AS a{}')},\n  2 * («placed_on + 'x') AS b\nFROM orders",
        "DATE + TEXT cannot be computed",
    ),
    "one of many conditions": (
        f"SELECT order_id FROM orders\nWHERE {_many('round(amount) > {}', ' AND ')}\n AND «round(status) > 4",
        "'round' cannot be called with TEXT",
    ),
    "one of many branches": (
        f"SELECT CASE {_many('WHEN ln(amount) > {} THEN 1', ' ')}\nWHEN «sqrt(placed_on) > 1 THEN 5 END a FROM orders",
        "'sqrt' cannot be called with (DATE)",
    ),
    "one of many beside aggregates": (
        f"SELECT status, {_many('SUM(abs(amount)) AS a{}')},\n  MAX(«abs(status)) AS b\nFROM orders GROUP BY status",
        "'abs' cannot be called with TEXT",
    ),
    "window function of many": (
        f"SELECT {_many('amount + {} AS a{}')},\n  «lag(amount, 'x') OVER (ORDER BY amount) AS b\nFROM orders",
        "expected an integer value",
    ),
}


@pytest.mark.parametrize("case", PLANNING)
def test_what_the_engine_refuses(project: SampleProject, case: str) -> None:
    text, message = PLANNING[case]
    refusal = refused_rule(project, text)
    assert (refusal.exit_code, refusal.message) == (1, message)


@pytest.mark.parametrize("depth", [60, 2000])
def test_nested_parentheses_work(project: SampleProject, depth: int) -> None:
    project.sql("bad", f"SELECT {'(' * depth}o.amount{')' * depth} AS a FROM orders AS o")
    assert project.build()["status"] == "ok"
    assert project.product("bad").to_pydict() == {"a": [1.5, 2.5, 3.5]}


@pytest.mark.slow
def test_parentheses_nested_too_deeply_are_an_error(project: SampleProject) -> None:
    refusal = refused_rule(project, f"SELECT {'(' * 29_999}«(o.amount{')' * 30_000} AS a FROM orders AS o")
    assert (refusal.code, refusal.message) == ("too-deep", "nested too deeply")
    assert refusal.hint == "compute part of it in a CTE"


CRASHED = {
    "queries": f"SELECT q.a FROM {'(SELECT q.a FROM ' * 400}(SELECT 1 AS a) AS q{') AS q' * 400}",
    "operators": f"SELECT o.amount{' + 1' * 3000} AS a FROM orders AS o",
    "many operators": f"SELECT o.amount{' + 1' * 150_000} AS a FROM orders AS o",
}
"""These ended the process, as the engine exhausted its stack, or Python its own."""


@pytest.mark.parametrize(
    "case", [pytest.param(one, marks=[pytest.mark.soak] * (len(text) > 100_000)) for one, text in CRASHED.items()]
)
def test_what_exhausts_the_engine_is_an_error_and_not_a_crash(project: SampleProject, case: str) -> None:
    project.sql("bad", CRASHED[case])
    for command in ("build", "plan"):
        refusal = refused(project, command)
        assert (refusal.code, refusal.message) == ("too-deep", "nested too deeply")
        assert refusal.where is not None
        assert refusal.where.startswith("rules/bad.sql:1:")
    document = json.loads(project.cli("check", "--format", "json").stdout)
    assert [one["message"] for one in document["findings"] if one["path"] == "rules/bad.sql"] == ["nested too deeply"]


def test_plan_refuses_like_build(project: SampleProject) -> None:
    refused_rule(project, "SELECT «amout FROM orders")
    assert refused(project, "plan").where == "rules/bad.sql:1:8"


def test_every_broken_rule_is_told_in_one_document(project: SampleProject) -> None:
    project.sql("bad", "SELECT amout FROM orders")
    project.sql("worse", "SELECT amount FROM ordrs")
    try:
        document = project.build(expect=1)
        assert {error["where"] for error in document["errors"]} == {"rules/bad.sql:1:8", "rules/worse.sql:1:20"}
        assert document["error"] in document["errors"]
    finally:
        (project.root / "rules" / "worse.sql").unlink()


@pytest.mark.parametrize(
    "dialect", ["", *(pytest.param(one, marks=pytest.mark.slow) for one in ("duckdb", "bigquery", "snowflake"))]
)
@pytest.mark.parametrize(
    "text",
    [
        "SELECT CAST(order_id AS «DECIMAL({}, 2)) AS a FROM orders",
        "SELECT order_id FROM orders ORDER BY {}",
    ],
)
def test_numbers_that_count_nothing_are_refused(project: SampleProject, text: str, dialect: str) -> None:
    options = f'-- /// rule\n-- dialect = "{dialect}"\n-- ///\n' if dialect else ""
    project.sql("bad", options + text.replace("«", "").format("9" * 5000))
    for command in ("plan", "check"):
        assert project.cli(command, "--json").returncode == 1
