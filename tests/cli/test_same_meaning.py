"""Edits that mean nothing: a plan or build of them looks at the edited rules alone, and says what the long way says."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.test_authored_edits import EDITS, SAME
from rules.planning import same_meaning
from support.inprocess import build, run
from support.projects import SampleProject

NOTHING = "nothing to do (3 products up to date)\n"
LARGE = '-- /// rule\n-- key = ["id"]\n-- ///\nSELECT o.id, o.amount, o.day FROM orders AS o WHERE o.amount > 10\n'


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["orders"])
    sample.parquet("orders", {"id": [1, 2, 3], "amount": [10, 20, 20], "day": [1, 1, 2]})
    sample.sql("large", LARGE)
    sample.sql("days", "SELECT l.day, SUM(l.amount) AS total FROM large AS l GROUP BY l.day")
    sample.sql("top", "SELECT d.day FROM days AS d ORDER BY d.total DESC LIMIT 1")
    build(sample)
    return sample


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What each short look found."""
    found: list[bool] = []
    look = same_meaning.mean_the_same

    def noted(*arguments: object, **options: object) -> bool:
        found.append(look(*arguments, **options))  # type: ignore[arg-type]
        return found[-1]

    monkeypatch.setattr(same_meaning, "mean_the_same", noted)
    return found


@pytest.mark.parametrize(
    "text",
    [
        LARGE.replace("FROM", "-- from here\nFROM"),
        LARGE.replace("o.", "x.").replace("AS o", "AS x"),
        LARGE.replace("o.amount > 10", "10 < o.amount AND TRUE"),
        LARGE.replace("SELECT", "WITH w AS (SELECT 1 AS one) SELECT"),
    ],
)
def test_an_edit_that_means_the_same_is_known_by_the_rule_alone(
    project: SampleProject, looks: list[bool], text: str
) -> None:
    project.sql("large", text)
    assert run(project, "plan").stdout == NOTHING
    assert run(project, "plan", "--json").document["summary"]["clean"] == 3  # the long way
    assert run(project, "build").stdout == NOTHING
    assert looks in ([True, True], [True])  # a plan with options before -C goes the long way
    looks.clear()
    assert run(project, "build").stdout == NOTHING
    assert looks == []  # the state is that of the edited text
    found = run(project, "plan", "--json").document["products"]
    assert {one["verdict"] for one in found} == {"clean"}


@pytest.mark.parametrize(
    ("text", "ran"),
    [
        (LARGE.replace("> 10", "> 20"), {"large", "days", "top"}),
        (LARGE.replace("o.id, o.amount", "o.amount, o.id"), {"large"}),
        (LARGE.replace("o.id, o.amount, o.day", "o.id, o.amount, o.day, 1 AS one"), {"large"}),
        (LARGE.replace("key", "tier = 2\n-- key"), {"large"}),
        ("SELECT CAST(o.id AS INTEGER) AS id, o.amount, o.day FROM orders AS o WHERE o.amount > 10", {"large"}),
    ],
)
def test_an_edit_that_means_something_goes_the_long_way(
    project: SampleProject, looks: list[bool], text: str, ran: set[str]
) -> None:
    project.sql("large", text)
    assert build(project).executed == ran
    assert looks == [False]


def test_options_and_contracts_are_no_comments(project: SampleProject, looks: list[bool]) -> None:
    project.sql("large", LARGE.replace("key", 'tags = ["daily"]\n-- key'))
    assert run(project, "ls", "-s", "tag:daily").stdout.split("\n")[1].split()[0] == "large"
    assert build(project).statuses == dict.fromkeys(("large", "days", "top"), "clean")
    project.sql("large", LARGE.replace('["id"]', '["amount"]'))
    assert "check key failed" in run(project, "build", expect=1).stderr
    assert looks == [False, False]


def test_several_edits_are_looked_at_together(project: SampleProject, looks: list[bool]) -> None:
    project.sql("large", LARGE + "-- the end\n")
    project.sql("top", "SELECT d.day\nFROM days AS d ORDER BY d.total DESC LIMIT 1")
    assert build(project).statuses == dict.fromkeys(("large", "days", "top"), "clean")
    project.sql("large", LARGE + "-- another end\n")
    project.sql("top", "SELECT d.day FROM days AS d ORDER BY d.total LIMIT 1")
    assert build(project).executed == {"top"}
    assert looks == [True, False]


@pytest.mark.slow
def test_whatever_else_has_changed_is_noticed_beside_an_edit(project: SampleProject, looks: list[bool]) -> None:
    project.sql("large", LARGE + "-- the end\n")
    project.parquet("orders", {"id": [1, 2, 3], "amount": [10, 20, 31], "day": [1, 1, 2]})
    assert build(project).executed == {"large", "days", "top"}
    project.sql("large", LARGE + "-- another end\n")
    project.sql("more", "SELECT 1 AS one")
    assert build(project).executed == {"more"}
    project.sql("large", LARGE)
    link = project.root / ".rules" / "products" / "more.parquet"
    link.unlink()
    assert build(project).statuses["more"] == "clean"
    assert link.exists()
    assert looks == []


def test_what_is_wrong_with_an_edit_is_said_as_ever(project: SampleProject) -> None:
    project.sql("large", LARGE.replace("o.day", "o.dya"))
    assert "rules/large.sql:4:" in run(project, "build", expect=1).stderr
    project.sql("large", LARGE.replace("WHERE", "WHERE ("))
    assert "rules/large.sql:" in run(project, "plan", expect=1).stderr
    project.sql("large", LARGE)
    assert run(project, "build").stdout == NOTHING


@pytest.mark.slow
def test_the_short_look_says_what_the_long_way_says(tmp_path: Path, looks: list[bool]) -> None:
    sample = SampleProject(tmp_path / "project", sources=["orders"])
    sample.parquet("orders", {"k": ["a", "a", None], "n": [1, 8, 20], "p": [True, None, False], "t": [None] * 3})
    for before, after, *_ in [*SAME, *EDITS]:
        if ".t " in before:
            continue
        sample.sql("edited", before)
        build(sample)
        sample.sql("edited", after)
        is_same = run(sample, "plan", "--json").document["summary"]["clean"] == 1
        looks.clear()
        assert ("nothing to do" in run(sample, "build").stdout) == is_same, after
        assert looks == [is_same]


def test_a_text_that_python_reads_is_more_than_its_meaning(project: SampleProject, looks: list[bool]) -> None:
    project.write(
        "rules/own.py",
        "from pathlib import Path\n\nfrom rules import rule\n\n"
        "LENGTH = len((Path(__file__).parent / 'large.sql').read_text())\n\n"
        "@rule\ndef length(days):\n    return days.mutate(length=LENGTH)\n",
    )
    build(project)
    project.sql("large", LARGE + "-- a comment\n")
    assert build(project).executed == {"length"}
    assert looks == []
    project.sql("top", "SELECT d.day FROM days AS d ORDER BY d.total DESC LIMIT 1 -- a comment")
    assert run(project, "build").stdout == "nothing to do (4 products up to date)\n"
    project.sql("large", LARGE.replace("> 10", "> 9"))
    assert build(project).executed == {"large", "days", "top", "length"}
