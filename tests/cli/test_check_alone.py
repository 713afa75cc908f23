"""A check after an edit looks at what the edit can reach, and says what looking at everything says."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

import rules.lint.project as linting
from rules.compiling import reach
from support.inprocess import Ran, run
from support.projects import SampleProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGE = '-- /// rule\n-- key = ["id"]\n-- ///\nSELECT o.id, o.amount, o.day FROM orders AS o WHERE o.amount > $least\n'
DAYS = "SELECT l.day, SUM(l.amount) AS total FROM large AS l GROUP BY l.day"
TOP = "SELECT d.day, d.total FROM days AS d ORDER BY d.total DESC LIMIT 1"  # R008, twice with the check of data
NAMES = """-- /// rule
-- [columns.id]
-- references = "large.id"
-- [[checks]]
-- name = "few"
-- sql = "SELECT n.id FROM names AS n WHERE n.id > (SELECT COUNT(*) FROM days)"
-- ///
SELECT p.id, p.name FROM people AS p WHERE id < 9"""
FIRST = "SELECT l.id, FIRST_VALUE(l.day) OVER (ORDER BY l.id) AS day FROM large AS l"
NOTED = "SELECT 1 AS one, id FROM people AS p -- noqa: R001"
PYTHON = """
from rules import rule, udf

@rule
def doubled(days):
    return days.mutate(total=days.total * 2)

@udf.python
def again(value: int) -> int:
    return value + 1
"""
VARS = "\n[vars]\nleast = 10\nidle = 1\n\n[contracts.unread]\nkey = ['id']\n"


@pytest.fixture(autouse=True)
def _no_project_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "SMALL", 0)


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["orders", "people", "unread", "spare"], toml=VARS)
    sample.parquet("orders", {"id": [1, 2, 3], "amount": [10, 20, 20], "day": [1, 1, 2]})
    sample.parquet("people", {"id": [2, 3], "name": ["a", "b"]})
    for name in ("unread", "spare"):
        sample.parquet(name, {"id": [2, 3]})
    texts = {"large": LARGE, "days": DAYS, "top": TOP, "names": NAMES, "first": FIRST, "noted": NOTED}
    for name, text in texts.items():
        sample.sql(name, text)
    run(sample, "check", expect=1)
    return sample


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The rules that each check loaded, one set for each time that it began."""
    found: list[set[str]] = []
    load = linting.load_rules

    def noted(*arguments: Any, **options: Any) -> Any:
        loaded = load(*arguments, **options)
        found.append(set(loaded.rules))
        return loaded

    monkeypatch.setattr(linting, "load_rules", noted)
    return found


@contextlib.contextmanager
def looking_at_everything() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linting, "reach_of_edits", lambda *_: None)
        yield


def shown(sample: SampleProject) -> tuple[Ran, Ran, Ran]:
    """Return what a check says, one of an unchanged project, and one of a single file."""
    first = run(sample, "check", "--json", expect=None)
    return (
        first,
        run(sample, "check", expect=None),
        run(sample, "check", str(sample.root / "rules/top.sql"), expect=None),
    )


ALL = {"large", "days", "top", "names", "first", "noted"}
OF_DAYS = {"days", "top", "names"}
OF_LARGE = ALL - {"noted"}
EDITS = [
    ("noted", "SELECT 1 AS one", {"noted"}),
    ("noted", "SELECT id FROM people AS p", {"noted"}),
    ("noted", "SELECT 2 AS one, p.id FROM people AS p -- noqa: R001", {"noted"}),
    ("noted", "SELECT d.day, d.totl FROM days AS d", {"noted"}),
    ("noted", "SELECT d.day, d.total FROM dayz AS d", {"noted"}),
    ("noted", "SELECT d.day, d.total FROM days AS d ORDER BY d.day LIMIT 2", {"noted"}),
    ("noted", "SELECT l.id, LAG(l.day) OVER (ORDER BY l.id) AS day FROM large AS l", {"noted"}),
    ("noted", "SELECT f.id, f.day FROM first AS f WHERE f.day = $least", {"noted"}),
    ("noted", "SELECT $idle AS one", {"noted"}),
    ("noted", "SELECT n.id FROM nowhere AS n", {"noted"}),
    ("noted", "SELECT (", {"noted"}),
    ("noted", "-- /// rule\n-- kee = 1\n-- ///\nSELECT 1 AS one", {"noted"}),
    ("noted", "SELECT o.id + 'x' AS one FROM orders AS o", {"noted"}),
    ("noted", "SELECT s.id FROM spare AS s", None),
    ("top", TOP.replace("LIMIT 1", ""), {"top"}),
    ("top", "SELECT l.day, l.amount AS total FROM large AS l LIMIT 1", {"top"}),
    ("top", "SELECT l.amount, CASE WHEN t.total = 1 THEN 1 END AS x FROM large AS l, top AS t", None),
    ("days", DAYS.replace("l.amount", "l.amount + 0"), OF_DAYS),
    ("days", DAYS.replace("AS total", "AS sum"), OF_DAYS),
    ("days", DAYS.replace("SUM(l.amount)", "SUM(l.amont)"), OF_DAYS),
    ("days", DAYS.replace("SUM(l.amount)", "CAST(SUM(l.amount) AS VARCHAR)"), OF_DAYS),
    ("days", "SELECT t.day, t.total FROM top AS t", None),
    ("days", "SELECT n.id AS day, 1 AS total FROM names AS n", None),
    ("days", "SELECT (", OF_DAYS),
    ("days", "-- /// rule\n-- key = ['day']\n-- ///\n" + DAYS, OF_DAYS),
    ("large", LARGE.replace("$least", "10"), OF_LARGE),
    ("large", LARGE.replace("$least", "$leats"), OF_LARGE),
    ("large", LARGE.replace('-- key = ["id"]\n', ""), OF_LARGE),
    ("large", LARGE.replace('"id"', '"day"'), OF_LARGE),
    ("large", LARGE.replace('"id"', '"nothing"'), OF_LARGE),
    ("large", LARGE.replace("o.id,", "o.id AS number,"), OF_LARGE),
    ("large", LARGE.replace("orders", "nothing"), None),
    ("large", LARGE.replace("key", "tier = 2\n-- key"), OF_LARGE),
    ("names", NAMES.replace("id < 9", "p.id < 9"), {"names"}),
    ("names", NAMES.replace("p.id,", "p.id + 7 AS nr,"), {"names"}),
    ("names", NAMES.replace("large.id", "large.nr"), {"names"}),
    ("names", NAMES.replace("large.id", "spare.id"), None),
    ("names", NAMES.replace("FROM days", "FROM dayz"), {"names"}),
    ("names", NAMES.replace("n.id >", "id >"), {"names"}),
]
QUICK = {3, 13, 18, 27}
"""The places of edits in the list that are tried each time."""


@pytest.mark.parametrize(
    ("name", "text", "reached"),
    [pytest.param(*edit, marks=() if number in QUICK else pytest.mark.slow) for number, edit in enumerate(EDITS)],
)
def test_what_looking_at_everything_says(
    project: SampleProject, tmp_path: Path, looked: list[set[str]], name: str, text: str, reached: set[str] | None
) -> None:
    other = SampleProject.copy_of(project.root, tmp_path / "other" / "project")
    run(other, "check", expect=1)
    looked.clear()
    before = project.read(f"rules/{name}.sql")
    for each in (text + "\n", before):
        project.write(f"rules/{name}.sql", each)
        other.write(f"rules/{name}.sql", each)
        found = shown(project)
        if each != before:
            assert looked[-1] == (reached or ALL)
        with looking_at_everything():
            assert found == shown(other)
    assert any(one == ALL for one in looked)  # of the other project


def test_edits_follow_one_another(project: SampleProject, looked: list[set[str]]) -> None:
    project.sql("noted", "SELECT (")
    assert "R900" in run(project, "check", "--format", "concise", expect=1).stdout
    project.sql("noted", "SELECT t.day FROM top AS t")
    first = run(project, "check", expect=1).stdout
    project.sql("days", DAYS.replace("AS total", "AS sum"))  # which noted reads by now
    second = run(project, "check", "--json", expect=1).document
    assert "noted.sql" not in first
    assert {one["path"] for one in second["findings"] if one["code"] == "R003"} == {"rules/top.sql"}
    assert looked == [{"noted"}, {"noted"}, {"days", "top", "names", "noted"}]
    project.sql("days", DAYS)
    project.sql("top", TOP.replace("LIMIT 1", ""))
    run(project, "check", expect=1)
    run(project, "check", expect=1)
    assert looked[3:] == [{"days", "top", "names", "noted"}]


@pytest.mark.parametrize(
    "change",
    [
        "source",
        "comes",
        *(
            pytest.param(one, marks=pytest.mark.slow)
            for one in ("goes", "toml", "python", "lost source", "store", "fixed", "two names", "policy")
        ),
    ],
)
def test_whatever_else_has_changed_is_looked_at(project: SampleProject, looked: list[set[str]], change: str) -> None:
    options: list[str] = []
    expected = set(ALL)
    project.sql("noted", "SELECT 2 AS one, id FROM people AS p")
    if change == "source":
        project.parquet("orders", {"id": [1], "sum": [10], "day": [1]})
    elif change == "comes":
        project.sql("more", "SELECT 7 AS seven")
        expected |= {"more"}
    elif change == "goes":
        (project.root / "rules/first.sql").unlink()
        expected -= {"first"}
    elif change == "toml":
        project.write("rules.toml", project.read("rules.toml") + "\n[policy]\nignore = ['R008']\n")
    elif change == "python":
        project.write("rules/own.py", PYTHON)
        expected |= {"doubled"}
    elif change == "lost source":
        (project.root / "data/orders.parquet").unlink()
    elif change == "store":
        (project.root / ".rules/index.sqlite").unlink()
    elif change == "fixed":
        options = ["--fix"]
    elif change == "two names":
        project.write("rules/more/Top.sql", "SELECT 1 AS one\n")
        run(project, "check", expect=1)
        looked.clear()
        project.sql("top", TOP.replace("LIMIT 1", ""))
        expected -= {"top"}  # which is known by its file alone
    elif change == "policy":
        project.write("policy.py", "def hook(name):\n    return None\n")
        project.write("rules.toml", project.read("rules.toml") + "\n[policy]\non_qualify = 'policy.py:hook'\n")
        run(project, "check", expect=1)
        looked.clear()
        project.sql("noted", "SELECT 3 AS one, id FROM people AS p")
    found = run(project, "check", "--json", *options, expect=None).document
    assert looked[0] >= expected
    (project.root / ".rules/index.sqlite").unlink()
    assert run(project, "check", "--json", expect=None).document["findings"] == found["findings"]


def test_python_reads_and_is_read(project: SampleProject, looked: list[set[str]]) -> None:
    project.write("rules/own.py", PYTHON)
    project.sql("last", "SELECT d.total FROM doubled AS d")
    project.sql("calls", "SELECT again(p.id) AS id FROM people AS p")
    run(project, "check", expect=1)
    looked.clear()
    project.sql("noted", "SELECT p.id FROM people AS p")  # which reads none of it
    run(project, "check", expect=1)
    assert looked.pop() == {"noted"}
    for name, text in {
        "last": "SELECT d.totl FROM doubled AS d",
        "days": DAYS.replace("l.amount", "l.amount * 3"),
        "calls": "SELECT again(p.name) AS id FROM people AS p",
        "noted": "SELECT agian(p.id) AS id FROM people AS p",
    }.items():
        project.sql(name, text)
        found = run(project, "check", "--json", expect=1).document
        whole = looked.pop() >= ALL
        assert whole == (name != "noted")
        (project.root / ".rules/index.sqlite").unlink()
        assert found == run(project, "check", "--json", expect=1).document


def test_a_source_whose_check_reads_a_product(project: SampleProject, looked: list[set[str]]) -> None:
    check = (
        '[[contracts.people.checks]]\nname = "few"\nsql = "SELECT p.id FROM people AS p, noted AS n WHERE one = 3"\n'
    )
    project.write("rules.toml", project.read("rules.toml") + check)
    run(project, "check", expect=1)
    looked.clear()
    project.sql("noted", "SELECT 2 AS two")
    found = run(project, "check", "--json", expect=1).document
    assert looked == [ALL]
    assert [one["path"] for one in found["findings"] if "one" in one["message"]] == ["rules.toml"]


def test_a_source_that_changes_while_an_edit_is_checked(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = linting.reach_of_edits

    def late(*arguments: Any) -> Any:
        found = find(*arguments)
        project.parquet("people", {"nr": [2, 3], "name": ["a", "b"]})
        return found

    project.sql("noted", "SELECT p.id FROM people AS p")
    monkeypatch.setattr(linting, "reach_of_edits", late)
    found = run(project, "check", "--json", expect=1).document
    assert {one["path"] for one in found["findings"] if one["code"] in {"R002", "R003"}} == {
        "rules/noted.sql", "rules/names.sql",
    }  # fmt: skip


def test_what_is_remembered_of_a_read_rule_is_lost(project: SampleProject, looked: list[set[str]]) -> None:
    import sqlite3

    with contextlib.closing(sqlite3.connect(project.root / ".rules/index.sqlite")) as index, index:
        index.execute("DELETE FROM parsed WHERE memo LIKE 'check %'")
    project.sql("noted", "SELECT d.totl FROM days AS d")
    assert "unknown column 'totl'" in run(project, "check", expect=1).stdout
    assert looked == [{"noted"}, ALL]
