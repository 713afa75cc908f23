"""A plan or build after an edit looks at what the edit can reach, and says and does what looking at everything does."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

import rules.build as driver
from rules.compiling import reach
from rules.core import Core
from rules.planning import narrow
from rules.planning.prepared import Request
from support.inprocess import build, run
from support.observers import Silent
from support.projects import SampleProject

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = '-- /// rule\n-- key = ["id"]\n-- ///\nSELECT o.id, o.amount, o.day FROM orders AS o WHERE o.amount > 10\n'
DAYS = "SELECT l.day, SUM(l.amount) AS total FROM large AS l GROUP BY l.day"
TOP = "SELECT d.day, d.total FROM days AS d ORDER BY d.total DESC, d.day LIMIT 1"
NAMES = """-- /// rule
-- [columns.id]
-- references = "large.id"
-- ///
SELECT p.id, p.name FROM people AS p WHERE p.id < 9"""
UNREAD = "SELECT u.id, u.id AS amount, 1 AS day FROM unread AS u"
KEY = '["id"]'
PYTHON = """
from rules import rule

@rule
def doubled(days):
    return days.mutate(total=days.total * 2)
"""


@pytest.fixture(autouse=True)
def _no_project_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "SMALL", 0)


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["orders", "people", "unread"])
    sample.parquet("orders", {"id": [1, 2, 3], "amount": [10, 20, 20], "day": [1, 1, 2]})
    sample.parquet("people", {"id": [2, 3], "name": ["a", "b"]})
    sample.parquet("unread", {"id": [2, 3]})
    sample.sql("large", LARGE)
    sample.sql("days", DAYS)
    sample.sql("top", TOP)
    sample.sql("names", NAMES)
    sample.sql("alone", "SELECT 1 AS one")
    build(sample)
    return sample


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> list[set[str] | None]:
    """The products that each plan and build looked at, None for all."""
    found: list[set[str] | None] = []
    prepare = driver.prepare

    def noted(*arguments: Any, **options: Any) -> Any:
        prepared = prepare(*arguments, **options)
        found.append(set(prepared.order) if prepared.session.reach is not None else None)
        return prepared

    monkeypatch.setattr(driver, "prepare", noted)
    return found


@contextlib.contextmanager
def looking_at_everything() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(narrow, "reach_of_edits", lambda *_: None)
        yield


def timeless(document: Any) -> Any:
    """Return plain data without what passes: times, and the names of builds."""
    if isinstance(document, dict):
        passing = {"build", "seconds", "saved_seconds", "executed SQL"}
        return {key: timeless(value) for key, value in document.items() if key not in passing}
    if isinstance(document, list):
        return [timeless(one) for one in document]
    return re.sub(r"\d+\.\d+ s", "… s", document) if isinstance(document, str) else document


def shown(sample: SampleProject, *arguments: str) -> tuple[int, Any, list[str]]:
    """Return what a command shows, products in order of names."""
    ran = run(sample, *arguments, expect=None)
    lines = sorted(timeless(ran.stderr).splitlines())  # products that run side by side end in any order
    if "--json" not in arguments:
        return ran.code, timeless(ran.stdout), lines
    document = timeless(ran.document)
    document["products"] = sorted(document.get("products", []), key=lambda one: str(one["name"]))
    return ran.code, document, lines


def said(sample: SampleProject) -> dict[str, Any]:
    """Return what a plan, a build and those after it say, and what the products are then."""
    found: dict[str, Any] = {"plan": shown(sample, "plan"), "build": shown(sample, "build", "--json", "-k")}
    links = sorted((sample.root / ".rules" / "products").iterdir())
    found["tables"] = {link.stem: pq.read_table(link).to_pylist() for link in links}
    found["next"] = shown(sample, "build", "--json"), shown(sample, "plan"), shown(sample, "plan", "--json")
    with looking_at_everything():
        found["all"] = shown(sample, "plan", "--json", "--explain")
    return found


EDITS = [
    ("alone", "SELECT 2 AS one", {"alone"}),
    ("alone", "SELECT 1 AS one, 2 AS two", {"alone"}),
    ("alone", "SELECT d.day FROM days AS d", {"alone"}),
    ("alone", "SELECT COUNT(*) AS n FROM top AS t JOIN people AS p ON p.id = t.day", {"alone"}),
    ("top", TOP.replace(" DESC", ""), {"top"}),
    ("top", "SELECT l.day, l.amount AS total FROM large AS l LIMIT 1", {"top"}),
    ("days", DAYS.replace("l.amount", "l.amount + 0"), {"days", "top"}),
    ("days", DAYS.replace("l.amount", "l.amount * 2"), {"days", "top"}),
    ("days", DAYS.replace("total", "total, MIN(l.id) AS first"), {"days", "top"}),
    ("days", DAYS.replace("AS total", "AS sum"), None),
    ("days", DAYS.replace("SUM(l.amount)", "SUM(l.amont)"), None),
    ("days", "SELECT t.day, t.total FROM top AS t", None),
    ("days", "SELECT n.day, n.total FROM nothing AS n", None),
    ("days", "SELECT (", None),
    ("days", DAYS.replace("l.amount", "CAST(l.day / (l.day - l.day) AS BIGINT)"), {"days", "top"}),
    ("large", LARGE.replace("> 10", "> 9"), {"large", "days", "top", "names"}),
    ("large", LARGE.replace("> 10", "> 20"), {"large", "days", "top", "names"}),
    ("large", LARGE.replace(f"-- key = {KEY}\n", ""), {"large", "days", "top", "names"}),
    ("large", LARGE.replace(KEY, '["day"]'), {"large", "days", "top", "names"}),
    ("large", LARGE.replace(KEY, '["amount"]\n-- severity = "warn"'), {"large", "days", "top", "names"}),
    ("large", LARGE.replace("key", "tier = 2\n-- key"), {"large", "days", "top", "names"}),
    ("large", LARGE.replace("key", "volatile = true\n-- key"), {"large", "days", "top", "names"}),
    ("large", LARGE.replace("orders AS o", f"({UNREAD}) AS o"), {"large", "days", "top", "names"}),
    ("names", NAMES.replace("p.id < 9", "p.id < 3"), {"names"}),
    ("names", NAMES.replace("p.id, p.name", "p.id + 7 AS id, p.name"), {"names"}),
]
QUICK = {1, 5, 8, 9, 16, 24}
"""The places of edits in the list that are tried each time."""


@pytest.mark.parametrize(
    ("name", "text", "looked"),
    [pytest.param(*edit, marks=() if number in QUICK else pytest.mark.slow) for number, edit in enumerate(EDITS)],
)
def test_what_looking_at_everything_says(
    project: SampleProject, tmp_path: Path, reached: list[set[str] | None], name: str, text: str, looked: set[str]
) -> None:
    other = SampleProject.copy_of(project.root, tmp_path / "other" / "project")
    build(other)
    reached.clear()
    project.sql(name, text)
    other.sql(name, text)
    found = said(project)
    assert reached[0] == looked
    with looking_at_everything():
        everything = said(other)
    for what, one in found.items():
        assert one == everything[what], what


def test_several_edits_and_what_the_next_build_knows(project: SampleProject, reached: list[set[str] | None]) -> None:
    project.sql("alone", "SELECT 2 AS one")
    project.sql("top", TOP.replace(" DESC", ""))
    assert build(project).executed == {"alone", "top"}
    assert reached == [{"alone", "top"}]
    assert "nothing to do (5 products up to date)" in run(project, "build").stdout
    project.sql("alone", "SELECT t.day FROM top AS t")  # which is read now
    assert build(project).executed == {"alone"}
    project.sql("top", TOP.replace("1", "3"))
    assert build(project).executed == {"alone", "top"}
    assert reached == [{"alone", "top"}, {"alone"}, {"alone", "top"}]


def test_an_edit_that_failed_is_mended(project: SampleProject, reached: list[set[str] | None]) -> None:
    project.sql("days", DAYS.replace("l.amount", "CAST(l.day / (l.day - l.day) AS BIGINT)"))
    failed = build(project, expect=1)
    assert failed.statuses == {"large": "clean", "days": "failed", "top": "skipped", "names": "clean", "alone": "clean"}
    project.sql("days", DAYS.replace("l.amount", "l.amount * 3"))
    assert build(project).executed == {"days", "top"}
    assert reached == [{"days", "top"}] * 2
    assert "nothing to do" in run(project, "build").stdout


@pytest.mark.parametrize(
    "change",
    [
        "source",
        "comes",
        "damaged",
        *(
            pytest.param(one, marks=pytest.mark.slow)
            for one in ("goes", "toml", "function", "variable", "selection", "forced", "unlinked", "profile")
        ),
    ],
)
def test_whatever_else_has_changed_is_looked_at(
    project: SampleProject, reached: list[set[str] | None], change: str
) -> None:
    project.sql("alone", "SELECT 2 AS one")
    options: list[str] = []
    products = project.root / ".rules" / "products"
    executed = {"alone"}
    if change == "source":
        project.parquet("orders", {"id": [1, 2, 3], "amount": [10, 20, 30], "day": [1, 1, 2]})
        executed |= {"large", "days", "top"}
    elif change == "comes":
        project.sql("more", "SELECT 7 AS seven")
        executed |= {"more"}
    elif change == "goes":
        (project.root / "rules" / "names.sql").unlink()
    elif change == "toml":
        project.write("rules.toml", project.read("rules.toml") + '[contracts.top]\nkey = ["day"]\n')
    elif change == "function":
        project.write("rules/own.py", PYTHON)
        executed |= {"doubled"}
    elif change == "variable":
        options = ["--var", "x=1"]
        project.write("rules.toml", project.read("rules.toml") + "[vars]\nx = 1\n")
    elif change == "selection":
        options = ["-s", "alone"]
    elif change == "forced":
        options, executed = ["--force", "top"], executed | {"top"}
    elif change == "unlinked":
        (products / "top.parquet").unlink()
    elif change == "damaged":
        file = (products / "top.parquet").resolve()
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:-1])
        executed |= {"top"}
    elif change == "profile":
        options = ["--profile", "dev_debug"]
    assert build(project, *options).executed == executed
    assert reached == [None]
    assert (products / "top.parquet").exists()


def test_python_reads_and_is_read(project: SampleProject, reached: list[set[str] | None]) -> None:
    project.write("rules/own.py", PYTHON)
    project.sql("last", "SELECT d.total FROM doubled AS d")
    build(project)
    reached.clear()
    project.sql("last", "SELECT d.total + 1 AS total FROM doubled AS d")
    assert build(project).executed == {"last"}
    project.sql("days", DAYS.replace("l.amount", "l.amount * 3"))
    assert build(project).executed == {"days", "top", "doubled", "last"}
    assert reached == [{"last"}, None]
    assert pq.read_table(project.root / ".rules/products/last.parquet").to_pylist() == [{"total": 121}] * 2


def test_a_check_of_another_product_or_source_reads_what_was_edited(
    project: SampleProject, reached: list[set[str] | None]
) -> None:
    project.sql("large", LARGE.replace("o.id, o.amount", "o.id + 1 AS id, o.amount"))  # names.id references it
    assert "check references.id failed" in run(project, "build", expect=1).stderr
    assert reached == [{"large", "days", "top", "names"}]
    project.sql("large", LARGE)
    build(project)
    check = 'name = "few"\nsql = "SELECT p.id FROM people AS p WHERE p.id > (SELECT COUNT(*) + 8 FROM alone AS a)"'
    project.write("rules.toml", project.read("rules.toml") + f"[[contracts.people.checks]]\n{check}\n")
    build(project)
    reached.clear()
    project.sql("alone", "SELECT 1 AS one LIMIT 0")
    build(project)
    assert reached == [None]
    project.sql("top", TOP.replace(" DESC", ""))
    assert build(project).executed == {"top"}
    project.sql("names", NAMES.replace("p.id < 9", "p.id < 3"))  # of a source with a contract
    assert build(project).executed == {"names"}
    assert reached == [None, {"top"}, {"names"}]
    checks = {check["name"]: check["status"] for one in build(project).document["sources"] for check in one["checks"]}
    assert checks == {"people.few": "clean"}


def test_a_source_that_changes_while_an_edit_is_built_is_not_taken_for_known(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = narrow.reach_of_edits

    def late(*arguments: Any) -> Any:
        found = find(*arguments)
        project.parquet("orders", {"id": [1, 2, 3], "amount": [10, 20, 30], "day": [1, 1, 2]})
        return found

    project.sql("alone", "SELECT o.amount FROM orders AS o")
    with monkeypatch.context() as patch:
        patch.setattr(narrow, "reach_of_edits", late)
        assert build(project).executed == {"alone"}
    assert pq.read_table(project.root / ".rules/products/alone.parquet").to_pydict() == {"amount": [10, 20, 30]}
    assert build(project).executed == {"large", "days", "top"}


def test_a_rule_that_is_edited_again_while_it_is_built_is_seen(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = narrow.reach_of_edits

    def late(*arguments: Any) -> Any:
        found = find(*arguments)
        project.sql("top", TOP.replace(" DESC", ""))  # beyond what the first edit reaches
        return found

    project.sql("alone", "SELECT 2 AS one")
    with monkeypatch.context() as patch:
        patch.setattr(narrow, "reach_of_edits", late)
        assert build(project).executed == {"alone"}
    assert build(project).executed == {"top"}


def test_a_core_looks_at_as_little(project: SampleProject, reached: list[set[str] | None]) -> None:
    core = Core(project.root)
    core.build(Request(), Silent())
    reached.clear()
    for number in range(3):
        project.sql("top", TOP.replace("1", str(2 + number)))
        brief = core.plan(Request(brief=True), Silent())
        assert brief.summary == {"clean": 4, "restore": 0, "run": 1, "maybe": 0}
        assert core.plan(Request(), Silent()).summary == brief.summary
        report = core.build(Request(brief=True), Silent())
        assert list(report.results) == ["top"]
        assert report.summary["clean"] == 4
        project.sql("alone", f"SELECT {number} AS one, 7 AS seven")
        whole = core.build(Request(), Silent())
        assert {name for name, one in whole.results.items() if one.status == "executed"} == {"alone"}
        assert len(whole.results) == 5
        assert core.plan(Request(brief=True), Silent()).summary["clean"] == 5
        assert len(core.build(Request(), Silent()).results) == 5
    assert reached == [{"top"}, None, {"top"}, {"alone"}, set(), set()] * 3


@pytest.mark.slow
def test_a_project_of_two_hundred_rules_is_not_loaded(project: SampleProject, reached: list[set[str] | None]) -> None:
    for number in range(200):
        project.sql(f"more_{number}", f"SELECT t.total + {number} AS n FROM top AS t")
    build(project)
    reached.clear()
    project.sql("more_7", "SELECT t.total + 1000 AS n FROM top AS t")
    ran = run(project, "build")
    assert "1 executed, 204 clean" in ran.stdout
    project.sql("top", TOP.replace("1", "2"))
    assert len(build(project).executed) == 201
    assert reached == [{"more_7"}, None]  # what reaches nearly all is looked at together


def test_an_input_that_is_corrupt_is_made_again(project: SampleProject, reached: list[set[str] | None]) -> None:
    file = (project.root / ".rules/products/days.parquet").resolve()
    before = file.stat()
    file.chmod(0o644)
    file.write_bytes(b"x" * before.st_size)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    project.sql("top", TOP.replace("1", "2"))
    assert build(project).executed == {"days", "top"}
    assert reached == [{"top"}, None]
    assert len(project.product("top")) == 2
    assert run(project, "cache", "verify", "--json").document["bad"] == []


def test_what_is_not_looked_at_counts_as_saved(project: SampleProject) -> None:
    before = run(project, "cache", "stats", "--json").document
    project.sql("top", TOP.replace("1", "2"))
    assert "1 executed, 4 clean" in run(project, "build").stdout
    stats = run(project, "cache", "stats", "--json").document
    assert (stats["hits"] - before["hits"], stats["misses"] - before["misses"]) == (4, 1)
    project.sql("top", TOP.replace("1", "3"))
    assert run(project, "build", "-v").stderr.count("\nclean ") == 4


def test_what_a_colleague_has_made_of_the_same_edit_is_taken(
    project: SampleProject, tmp_path: Path, reached: list[set[str] | None]
) -> None:
    project.write("rules.toml", project.read("rules.toml") + f'\n[cache]\nremote = "file://{tmp_path}/remote"\n')
    other = SampleProject.copy_of(project.root, tmp_path / "other")
    build(project)
    build(other)
    reached.clear()
    for one in (project, other):
        one.sql("days", DAYS.replace("l.amount", "l.amount * 5"))
    assert build(project).executed == {"days", "top"}
    taken = build(other)
    assert taken.executed == set()
    assert {name for name, status in taken.statuses.items() if status == "restored"} == {"days", "top"}
    assert reached == [{"days", "top"}] * 2
    assert other.product("top").equals(project.product("top"))
