"""`rules test`: rows given to a rule, the rows it has to yield, and when a test that passed runs again."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.inprocess import Ran, build, run
from support.projects import SampleProject

DAILY = "SELECT s.day, SUM(s.amount) AS revenue, COUNT(*) AS n FROM signed AS s GROUP BY s.day ORDER BY s.day"
SIGNED = "SELECT o.id, o.day, CASE WHEN o.state = 'back' THEN -o.amount ELSE o.amount END AS amount FROM orders AS o"
TESTS = """
[[test]]
name = "adds up"
given.signed = [{day = "2024-01-01", amount = 0.1}, {day = 2024-01-01, amount = 0.2}, {day = "2024-01-02"}]
expect = [{day = "2024-01-01", revenue = 0.3, n = 2}, {day = "2024-01-02", n = 1}]

[[test]]
name = "no rows"
given.signed = []
expect = []
"""


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path / "project", toml='\n[sources.orders]\npath = "data/orders.csv"\n')
    made.write("data/orders.csv", "id,day,amount,state\n1,2024-01-01,10.5,ok\n2,2024-01-02,3,back\n")
    made.sql("signed", SIGNED)
    made.sql("daily", DAILY)
    made.write("tests/daily.toml", TESTS)
    return made


def statuses(ran: Ran) -> dict[str, str]:
    return {one["name"]: one["status"] for one in ran.document["tests"]}


def outcomes(project: SampleProject, *words: str, expect: int | None = None) -> dict[str, str]:
    return statuses(run(project, "test", "--json", *words, expect=expect))


@pytest.mark.slow
def test_a_test_that_passed_runs_again_only_if_its_rule_or_its_rows_mean_something_else(project: SampleProject) -> None:
    assert outcomes(project) == {"adds up": "passed", "no rows": "passed"}
    assert outcomes(project) == {"adds up": "clean", "no rows": "clean"}
    assert run(project, "test").stdout == "nothing to do (2 tests passed before)\n"
    project.sql("daily", "-- a comment\n" + DAILY.replace("s.day, SUM", "s.day,\n SUM"))
    assert outcomes(project) == {"adds up": "clean", "no rows": "clean"}
    project.write("data/orders.csv", "id,day,amount,state\n9,2024-01-09,1.5,ok\n")
    assert outcomes(project) == {"adds up": "clean", "no rows": "clean"}, "no test reads the data"
    project.edit("tests/daily.toml", "amount = 0.1", "amount = 0.10")
    assert outcomes(project) == {"adds up": "clean", "no rows": "clean"}
    project.edit(
        "tests/daily.toml", 'amount = 0.2}, {day = "2024-01-02"}', 'amount = 0.2}, {day = "2024-01-02", amount = 7}'
    )
    assert outcomes(project) == {"adds up": "failed", "no rows": "clean"}
    project.sql("daily", DAILY.replace("COUNT(*)", "COUNT(*) + 0 * COUNT(s.amount)"))
    assert outcomes(project)["no rows"] == "passed", "it ran again"
    assert outcomes(project, "--force") == {"adds up": "failed", "no rows": "passed"}


def test_what_differs_is_shown_cell_by_cell(project: SampleProject) -> None:
    project.sql("daily", DAILY.replace("SUM(s.amount)", "MAX(s.amount)"))
    ran = run(project, "test", expect=1)
    assert ran.stdout.splitlines() == [
        "failed    daily: adds up  tests/daily.toml:2",
        "  row 1: revenue is 0.2 instead of 0.3  where day = 2024-01-01, n = 2",
        "passed    daily: no rows  tests/daily.toml:7",
        "2 tests: 1 passed, 1 failed",
    ]
    document = run(project, "test", "--json", expect=1).document
    assert document["status"] == "failed"
    (difference,) = document["tests"][0]["differences"]
    assert (difference["row"], difference["columns"]) == (1, ["revenue"])


def test_rows_of_rules_without_an_order_are_a_bag(project: SampleProject) -> None:
    project.write(
        "tests/more/signed.toml",
        """
        given.orders = [
            {id = 1, amount = 2, state = "ok"},
            {id = 2, amount = 3, state = "back"},
            {id = 2, amount = 3, state = "back"},
        ]
        expect = [{id = 2, amount = -3.0}, {id = 1, amount = 2.0}, {id = 2, amount = -3.0}]
        """,
    )
    assert outcomes(project, "signed") == {"signed": "passed"}
    project.edit("tests/more/signed.toml", ", {id = 2, amount = -3.0}]", ", {id = 4, amount = 1.0}]")
    ran = run(project, "test", "signed", expect=1)
    assert "  missing: id = 4, amount = 1.0" in ran.stdout
    assert "  unexpected: id = 2, amount = -3.0" in ran.stdout
    project.edit("tests/more/signed.toml", "given", "ordered = true\n        given")
    assert "row 1: id is 1 instead of 2" in run(project, "test", "signed", expect=1).stdout


def test_rows_in_files_and_queries(project: SampleProject) -> None:
    project.write("tests/rows.csv", "id,day,amount,state\n7,2024-02-01,1.5,back\n8,,2,\n")
    project.parquet("wanted", {"id": [7, 8], "amount": [-1.5, 2.0]})
    (project.root / "data" / "wanted.parquet").rename(project.root / "tests" / "wanted.parquet")
    project.write("tests/signed.toml", 'given.orders = "rows.csv"\nexpect = "wanted.parquet"\n')
    project.write(
        "tests/sql/signed.sql",
        """
        WITH orders AS (SELECT 7 AS id, 1.5 AS amount, 'back' AS state UNION ALL SELECT 8, 2, NULL)
        SELECT 7 AS id, -1.5 AS amount UNION ALL SELECT 8, 2.0
        """,
    )
    project.edit("tests/signed.toml", "given", 'name = "of files"\ngiven')
    assert outcomes(project, "signed") == {"of files": "passed", "signed": "passed"}
    project.edit("tests/sql/signed.sql", "SELECT 8, 2.0", "SELECT 9, 2.0")
    assert outcomes(project, "signed") == {"of files": "clean", "signed": "failed"}


def test_rules_in_python_and_functions_of_the_project(project: SampleProject) -> None:
    project.write(
        "rules/pythons.py",
        "import pyarrow as pa\n"
        "from rules import rule, udf\n\n\n"
        "@udf.python\ndef twice(x: float) -> float:\n    return 2 * x\n\n\n"
        '@rule(engine="arrow", output={"id": pa.int64(), "amount": pa.float64()})\n'
        "def doubled(signed):\n"
        "    for batch in signed:\n"
        "        yield batch.select(['id', 'amount'])\n",
    )
    project.sql("own", "SELECT twice(s.amount) AS amount FROM signed AS s")
    project.write("tests/own.toml", "given.signed = [{amount = 1.5}]\nexpect = [{amount = 3}]\n")
    project.write("tests/doubled.toml", "given.signed = [{id = 1, amount = 1.5}]\nexpect = [{id = 1, amount = 1.5}]\n")
    assert outcomes(project, "own", "doubled") == {"own": "passed", "doubled": "passed"}
    project.edit("rules/pythons.py", "2 * x", "3 * x")
    assert outcomes(project, "own", "doubled") == {"own": "failed", "doubled": "clean"}


@pytest.mark.parametrize(
    ("code", "text", "message", "place"),
    [
        (2, "given.signed = []\n", "the test does not say which rows it expects", "tests/daily.toml:1:1"),
        (1, "given.sined = []\nexpect = []\n", "daily does not read sined", "tests/daily.toml:1"),
        (1, "expect = []\n", "the test gives no rows of signed, which daily reads", "tests/daily.toml:1"),
        (
            1,
            'given.signed = [{day = "May"}]\nexpect = []\n',
            "column day of signed, row 1: 'May' is no date32[day]",
            ":1",
        ),
        (1, "given.signed = [{dya = 1}]\nexpect = []\n", "signed has no column dya", "tests/daily.toml:1"),
        (1, "given.signed = []\nexpect = [{revenu = 1}]\n", "daily has no column revenu", "tests/daily.toml:2"),
        (2, "given.signed = []\nexpekt = []\n", "'expekt' is no key of a test", "tests/daily.toml:2"),
        (2, "given.signed = 3\nexpect = []\n", "signed has to be rows", "tests/daily.toml:1"),
        (1, 'given.signed = "no.csv"\nexpect = []\n', "cannot read the rows in no.csv: No such file", ":1"),
        (1, 'given.signed = "SELECT x.a FROM x"\nexpect = []\n', "unknown input 'x'", ":1"),
        (1, 'given.signed = "SELECT now() AS day"\nexpect = []\n', "'now' is volatile", ":1"),
        (1, "given.signed = [{amount = true}]\nexpect = []\n", "amount of signed, row 1: true is no double", ":1"),
        (1, "given.signed = [{amount = 2024-01-01}]\nexpect = []\n", "row 1: 2024-01-01 is no double", ":1"),
        (2, "given.signed = [\n", "not valid TOML: invalid value", "tests/daily.toml:2:1"),
        (2, "name = 1\n  name = 2\n", "not valid TOML: cannot overwrite a value", "tests/daily.toml:2:3"),
        (2, f"given.signed = [{{n = {'9' * 5000}}}]\n", "a number with thousands of digits", "tests/daily.toml:1:22"),
    ],
)
def test_a_test_that_cannot_be_read_says_where(
    project: SampleProject, code: int, text: str, message: str, place: str
) -> None:
    project.write("tests/daily.toml", text)
    ran = run(project, "test", expect=code)
    assert message in ran.stdout + ran.stderr
    assert place in ran.stdout + ran.stderr


def test_a_test_of_no_rule_and_rules_that_do_not_compile(project: SampleProject) -> None:
    project.write("tests/dayly.toml", "expect = []\n")
    ran = run(project, "test", expect=2)
    assert "tests/dayly.toml tests dayly, which is no rule" in ran.stderr
    assert "did you mean 'daily'?" in ran.stderr
    (project.root / "tests" / "dayly.toml").unlink()
    project.sql("daily", "SELECT s.nothing FROM signed AS s")
    assert "rules/daily.sql" in run(project, "test", expect=1).stderr


def test_tests_leave_nothing_behind_and_no_table_changes(project: SampleProject) -> None:
    build(project)
    before = sorted(path.name for path in (project.root / ".rules" / "objects").rglob("*.parquet"))
    assert set(outcomes(project).values()) == {"passed"}
    assert sorted(path.name for path in (project.root / ".rules" / "objects").rglob("*.parquet")) == before
    assert run(project, "build").stdout.startswith("nothing to do")


def test_a_project_without_tests(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "bare")
    assert "no unit tests" in run(project, "test").stdout
    project.sql("one", "SELECT 1 AS x")
    assert "no unit tests" in run(project, "test", "one").stdout
    assert "unknown product 'oen'" in run(project, "test", "oen", expect=2).stderr


def test_a_test_may_give_variables_values_of_its_own(project: SampleProject) -> None:
    project.write("rules.toml", project.read("rules.toml") + "\n[vars]\nleast = 5\nstate = 'ok'\n")
    project.sql("large", "SELECT o.id FROM orders AS o WHERE o.amount >= $least AND o.state = $state")
    given = "given.orders = [{id = 1, amount = 4, state = 'ok'}, {id = 2, amount = 6, state = 'ok'}]\n"
    tests = [("as declared", "", "2"), ("lower", "vars.least = 3\n", "1}, {id = 2"), ("none", "vars.state = ''\n", "")]
    for name, values, ids in tests:
        expect = f"expect = [{{id = {ids}}}]\n" if ids else "expect = []\n"
        text = f"[[test]]\nname = '{name}'\n{values}{given}{expect}"
        project.write("tests/large.toml", (project.read("tests/large.toml") if name != "as declared" else "") + text)
    large = ("-s", "large")
    assert set(outcomes(project, *large).values()) == {"passed"}
    assert set(outcomes(project, *large).values()) == {"clean"}
    project.edit("rules.toml", "least = 5", "least = 4")
    assert outcomes(project, *large) == {"as declared": "failed", "lower": "clean", "none": "passed"}
    project.edit("tests/large.toml", "vars.least = 3", "vars.leest = 3")
    ran = run(project, "test", "--json", "-s", "large", expect=1)
    (wrong,) = (one for one in ran.document["tests"] if one["name"] == "lower")
    assert wrong["error"]["message"] == "unknown variable 'leest'"
    assert wrong["error"]["where"].startswith("tests/large.toml:")
    project.edit("tests/large.toml", "vars.leest = 3", "vars.least = 'x'")
    assert outcomes(project, *large)["lower"] == "failed"


def test_columns_that_are_compared_may_be_named_so_that_rows_leave_out_null(project: SampleProject) -> None:
    test = 'columns = ["day", "revenue"]\ngiven.signed = [{day = 2024-01-02}]\nexpect = [{day = 2024-01-02}]\n'
    project.write("tests/daily.toml", test)
    assert outcomes(project) == {"daily": "passed"}
    project.edit(
        "tests/daily.toml", "given.signed = [{day = 2024-01-02}]", "given.signed = [{day = 2024-01-02, amount = 1}]"
    )
    (difference,) = run(project, "test", "--json", expect=1).document["tests"][0]["differences"]
    assert difference["columns"] == ["revenue"]
    project.edit("tests/daily.toml", '"revenue"]', '"n"]')
    assert outcomes(project) == {"daily": "failed"}
    for columns, said in (('["x"]', "daily has no column x"), ('["n"]', "these rows name day, which columns does not")):
        project.write("tests/daily.toml", test.replace('["day", "revenue"]', columns))
        assert run(project, "test", "--json", expect=1).document["tests"][0]["error"]["message"] == said
