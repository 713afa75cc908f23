"""What `rules plan` says an edit reaches, to the column; the build that follows executes nothing beyond it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.inprocess import build, run
from support.projects import SampleProject

RULES = {
    "clean": "SELECT id, status, amount, amount * 2 AS twice, note FROM orders WHERE amount IS NOT NULL",
    "by_status": "SELECT status, SUM(amount) AS total, COUNT(*) AS n FROM clean GROUP BY status",
    "doubled": "SELECT id, twice + 1 AS more FROM clean",
    "notes": "SELECT id, UPPER(note) AS note FROM clean WHERE status = 'open'",
    "loud": "SELECT id, note FROM notes WHERE note <> ''",
    "rich": "SELECT id FROM clean WHERE twice > 20",
    "shares": "SELECT status, total FROM by_status",
    "mean": "SELECT status, AVG(amount) AS mean, MAX(note) AS note FROM clean GROUP BY status",
    "means": "SELECT mean FROM mean",
    "latest": "SELECT status, note FROM mean",
}


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = SampleProject(tmp_path / "project", sources=["orders"])
    write_orders(project)
    for name, sql in RULES.items():
        project.sql(name, sql)
    build(project)
    return project


def write_orders(project: SampleProject, **columns: list[object]) -> None:
    rows: dict[str, list[object]] = {
        "id": [1, 2, 3, 4],
        "status": ["open", "held", "open", None],
        "amount": [5, 7, None, 30],
        "note": ["a", None, "c", ""],
    }
    project.parquet("orders", rows | columns)


def verdicts(project: SampleProject) -> dict[str, str]:
    return {product["name"]: product["verdict"] for product in run(project, "plan", "--json").document["products"]}


def reached(project: SampleProject) -> tuple[set[str], set[str]]:
    """What is planned to run, and what may; the build that follows stays within it."""
    found = verdicts(project)
    runs, may = ({name for name, verdict in found.items() if verdict == kind} for kind in ("run", "maybe"))
    executed = build(project).executed
    assert runs <= executed <= runs | may
    return runs, may


def changed_rule(project: SampleProject, name: str) -> tuple[str, list[str], str]:
    product = next(one for one in run(project, "plan", "--json").document["products"] if one["name"] == name)
    return product["class"], product["columns"], product["reason"]


def test_a_cosmetic_edit_reaches_nothing(project: SampleProject) -> None:
    project.sql("clean", RULES["clean"].replace("amount IS NOT NULL", "NOT (amount IS NULL) -- known"))
    assert changed_rule(project, "clean")[:2] == ("cosmetic", [])
    assert reached(project) == (set(), set())


def test_an_added_column_reaches_no_reader(project: SampleProject) -> None:
    project.sql("clean", RULES["clean"].replace("note FROM", "note, id + 1 AS next_id FROM"))
    reason = "column next_id: added, orders.id + 1"
    assert changed_rule(project, "clean") == ("additive", ["next_id"], reason)
    assert reached(project) == ({"clean"}, set())


def test_a_changed_column_reaches_its_readers_alone(project: SampleProject) -> None:
    project.sql("clean", RULES["clean"].replace("amount * 2", "amount * 3"))
    reason = "column twice: orders.amount * 2 → orders.amount * 3"
    assert changed_rule(project, "clean") == ("column", ["twice"], reason)
    assert reached(project) == ({"clean"}, {"doubled", "rich"})


def test_a_column_that_filters_reaches_every_column_of_the_reader(project: SampleProject) -> None:
    project.sql("clean", RULES["clean"].replace("id, status", "id, UPPER(status) AS status"))
    assert changed_rule(project, "clean")[:2] == ("column", ["status"])
    # notes filters by it, so loud may change; by_status groups by it.
    assert reached(project)[1] == {"by_status", "notes", "loud", "shares", "mean", "means", "latest"}


@pytest.mark.slow
def test_a_row_edit_reaches_every_reader(project: SampleProject) -> None:
    project.sql("clean", RULES["clean"].replace("IS NOT NULL", "> 5"))
    found = changed_rule(project, "clean")
    assert found[0] == "row"
    assert found[2] == "WHERE: NOT (orders.amount IS NULL) → orders.amount > 5"
    assert reached(project) == ({"clean"}, RULES.keys() - {"clean"})


def test_a_source_column_reaches_what_is_made_of_it(project: SampleProject) -> None:
    write_orders(project, note=["a", "b", "c", ""])
    assert reached(project) == ({"clean"}, {"notes", "loud", "mean", "latest"} | {"means"})


def test_what_is_made_of_a_float_sum_may_change_with_any_run(project: SampleProject) -> None:
    project.sql("mean", RULES["mean"].replace("MAX(note)", "MIN(note)"))
    assert reached(project) == ({"mean"}, {"latest", "means"})
    project.sql("by_status", RULES["by_status"].replace("COUNT(*)", "COUNT(id)"))
    assert reached(project) == ({"by_status"}, set())


@pytest.mark.slow
def test_new_rows_reach_everything(project: SampleProject) -> None:
    write_orders(project, id=[1, 2, 3, 4, 5], status=["open"] * 5, amount=[1] * 5, note=["a"] * 5)
    assert reached(project) == ({"clean"}, RULES.keys() - {"clean"})


def test_an_engine_setting_is_a_row_edit(project: SampleProject) -> None:
    project.sql(
        "by_status",
        '-- /// rule\n-- tier = 2\n-- key = ["status"]\n-- severity = "warn"\n-- ///\n' + RULES["by_status"],
    )
    assert changed_rule(project, "by_status")[0] == "row"
    assert reached(project) == ({"by_status"}, {"shares"})


def test_a_reader_behind_its_input_is_not_called_clean(project: SampleProject) -> None:
    project.sql("clean", RULES["clean"].replace("amount * 2", "amount * 3"))
    build(project, "-s", "clean")  # doubled and rich are behind now
    project.sql("clean", RULES["clean"].replace("amount * 2", "amount * 3").replace("note FROM", "note, 1 AS one FROM"))
    found = verdicts(project)
    assert found["clean"] == "run"
    assert {name for name, verdict in found.items() if verdict != "clean"} == {"clean", "doubled", "rich"}
    assert reached(project)[0] >= {"clean"}


@pytest.mark.slow
def test_a_long_rule_is_compared_like_any_other(project: SampleProject) -> None:
    terms = " OR ".join(f"amount + {number} <> id" for number in range(200))
    project.sql("rich", f"SELECT id FROM clean WHERE {terms}")
    build(project)
    project.sql("rich", f"SELECT id FROM clean WHERE {terms} OR amount > 77")
    found = changed_rule(project, "rich")
    assert found[0] == "row"
    assert found[2].startswith("WHERE: ")
    assert run(project, "diff", "--exit-code", expect=1).stdout.startswith("row ")


def test_where_a_rule_was_edited_is_told(project: SampleProject) -> None:
    project.sql("clean", RULES["clean"].replace("amount * 2", "amount * 3"))
    nothing: dict[str, list[str]] = {"added": [], "changed": [], "removed": []}
    column = {
        "clauses": ["SELECT"],
        "columns": {**nothing, "changed": ["twice"]},
        "options": [],
        "script": "column",
        "proved": "column",
    }
    assert edit_of(project, "clean") == column
    project.sql("clean", '-- /// rule\n-- tier = 2\n-- key = ["id"]\n-- severity = "warn"\n-- ///\n' + RULES["clean"])
    assert edit_of(project, "clean") == {
        "clauses": [], "columns": nothing, "options": ["tier", "key"], "script": None, "proved": None,
    }  # fmt: skip
    assert changed_rule(project, "clean")[0] == "row", "digests of the query prove nothing of its options"
    project.sql("clean", RULES["clean"] + " -- a comment")
    assert edit_of(project, "clean") == {
        "clauses": [], "columns": nothing, "options": [], "script": None, "proved": None,
    }  # fmt: skip


def edit_of(project: SampleProject, name: str) -> dict[str, object]:
    product = next(one for one in run(project, "plan", "--json").document["products"] if one["name"] == name)
    return dict(product["edit"])
