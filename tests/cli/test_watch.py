"""`rules watch`: what it says of saves, of trouble, and how it ends. One process is watched through each test."""

from __future__ import annotations

import json
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest

from support import inprocess
from support.projects import SampleProject
from support.watching import PATIENCE, Watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def sample(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["orders"])
    sample.parquet("orders", {"id": [1, 2, 3], "region": ["EU", "US", "EU"], "amount": [10.5, 20.0, 30.0]})
    sample.sql("large", "SELECT o.id, o.region, o.amount\nFROM orders AS o\nWHERE o.amount > 10")
    sample.sql("total", "SELECT l.region, SUM(l.amount) AS total FROM large AS l GROUP BY l.region")
    return sample


@pytest.fixture
def watch(sample: SampleProject) -> Iterator[Callable[..., Watching]]:
    started: list[Watching] = []

    def start(*options: str) -> Watching:
        started.append(Watching(sample, *options))
        return started[-1]

    yield start
    for one in started:
        one.close()


def executed(document: dict[str, Any]) -> list[str]:
    return sorted(one["name"] for one in document["products"] if one["status"] == "executed")


@pytest.mark.slow
def test_saves_are_planned_and_built(sample: SampleProject, watch: Callable[..., Watching]) -> None:
    watching = watch("--json", "--show", "total", "-n", "1")
    first = watching.document()
    assert (first["format"], first["command"], first["event"], first["changed"]) == (1, "watch", "built", [])
    assert executed(first) == ["large", "total"]

    sample.edit("rules/large.sql", "FROM", "-- a word\nFROM")
    comment = watching.of("rules/large.sql")
    assert comment["event"] == "built"
    assert comment["edits"] == [
        {"name": "large", "class": "cosmetic", "sentence": "the rule means what it meant"},
    ]
    assert (comment["products"], comment["summary"]["clean"]) == ([], 2)

    sample.edit("rules/large.sql", "> 10", "> 15")
    edit = watching.of("rules/large.sql")
    assert edit["edits"][0]["class"] == "row"
    assert "> 15" in edit["edits"][0]["sentence"]
    assert executed(edit) == ["large", "total"]
    assert (edit["show"]["product"], edit["show"]["total"], len(edit["show"]["rows"])) == ("total", 2, 1)

    sample.edit("rules/large.sql", "o.amount > 15", "o.amuont > 15")
    broken = watching.of("rules/large.sql")
    assert broken["event"] == "failed"
    assert broken["error"]["where"] == "rules/large.sql:4:9"
    assert broken["error"]["excerpt"] == ["    4 | WHERE o.amuont > 15", f"{' ' * 16}^"]

    sample.edit("rules/large.sql", "amuont > 15", "amount > 15")
    assert watching.of("rules/large.sql")["summary"]["clean"] == 2

    sample.parquet("orders", {"id": [1, 2], "region": ["EU", "US"], "amount": [10.5, 70.0]})
    source = watching.document(lambda one: "data/orders.parquet" in one["changed"] and bool(executed(one)))
    assert source["event"] == "built"
    assert executed(source) == ["large", "total"]
    assert inprocess.run(sample, "plan", "--exit-code").code == 0
    code, seconds = watching.stop()
    assert code == 130
    assert seconds < PATIENCE / 4


@pytest.mark.slow
def test_settings_that_are_broken_for_a_moment_do_not_end_it(
    sample: SampleProject, watch: Callable[..., Watching]
) -> None:
    watching = watch("--json")
    watching.document()
    toml = sample.read("rules.toml")
    sample.write("rules.toml", "")
    broken = watching.of("rules.toml")
    assert (broken["event"], broken["error"]["where"]) == ("failed", "rules.toml:1:1")
    sample.edit("rules/large.sql", "10", "11")
    sample.write("rules.toml", toml)
    assert executed(watching.document(lambda one: one["event"] == "built")) == ["large", "total"]
    assert watching.process.poll() is None


@pytest.mark.slow
def test_many_files_at_once_a_lost_folder_and_others_at_work(
    sample: SampleProject, watch: Callable[..., Watching], tmp_path: Path
) -> None:
    one, other = watch("--json"), watch("--json")
    ran = executed(one.document()) + executed(other.document())
    assert sorted(ran) == ["large", "total"]  # they share the work

    for number in range(40):  # as when a branch is checked out
        sample.sql(f"more_{number}", f"SELECT t.region, t.total + {number} AS total FROM total AS t")
    ran = []
    for watching in (one, other):
        while True:
            found = watching.document()
            ran += executed(found)
            if len(found["summary"]) and sum(found["summary"].values()) == 42 and not found["summary"].get("failed"):
                break
    assert sorted(ran) == sorted(f"more_{number}" for number in range(40))
    assert inprocess.run(sample, "build").code == 0

    away = tmp_path / "away"
    sample.root.rename(away)
    assert one.document(lambda one: one["event"] == "failed")["error"]["code"] == "no-project"
    shutil.copytree(away, sample.root, symlinks=True)
    back = one.document(lambda one: one["event"] == "built")
    assert sum(back["summary"].values()) == 42
    assert one.stop(signal.SIGTERM)[0] == 143


@pytest.mark.slow
def test_what_lies_elsewhere_is_watched(sample: SampleProject, watch: Callable[..., Watching], tmp_path: Path) -> None:
    """Rules in a folder outside of the project, in one that a link leads to, and a source that is a link."""
    sample.edit("rules.toml", 'name = "sample"', 'name = "sample"\nrules = ["rules", "../beside"]')
    for folder, rule in (("beside", "outer"), ("one", "linked"), ("two", "linked"), ("data", "none")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{rule}.sql").write_text(f"SELECT o.id, '{folder}' AS word FROM orders AS o")
    (sample.root / "rules/link").symlink_to(tmp_path / "one")
    orders = tmp_path / "data/orders.parquet"
    (sample.root / "data/orders.parquet").rename(orders)
    (sample.root / "data/orders.parquet").symlink_to(orders)
    watching = watch("--json")
    assert executed(watching.document()) == ["large", "linked", "outer", "total"]

    (tmp_path / "beside/outer.sql").write_text("SELECT o.id AS other FROM orders AS o")
    assert executed(watching.document(lambda one: bool(executed(one)))) == ["outer"]
    (tmp_path / "one/linked.sql").write_text("SELECT o.id + 1 AS other FROM orders AS o")
    answer = watching.document(lambda one: bool(executed(one)))
    assert executed(answer) == ["linked"]
    assert [(one["name"], one["class"]) for one in answer["edits"]] == [("linked", "column")]
    (tmp_path / "new").symlink_to(tmp_path / "two")
    (tmp_path / "new").replace(sample.root / "rules/link")
    assert executed(watching.document(lambda one: bool(executed(one)))) == ["linked"]
    (tmp_path / "two/linked.sql").write_text("SELECT o.id + 2 AS other FROM orders AS o")
    assert executed(watching.document(lambda one: bool(executed(one)))) == ["linked"]
    shutil.copyfile(sample.parquet("new", {"id": [7], "region": ["EU"], "amount": [50.0]}), tmp_path / "copy")
    (tmp_path / "copy").replace(orders)
    assert executed(watching.document(lambda one: bool(executed(one)))) == ["large", "linked", "outer", "total"]


@pytest.mark.slow
def test_plans_only_and_says_so_to_people(sample: SampleProject, watch: Callable[..., Watching]) -> None:
    watching = watch("--plan")

    def until(text: str) -> list[str]:
        found: list[str] = []
        while not found or text not in found[-1]:
            found.append(watching.line())
        return found

    until("proved clean")
    assert not (sample.root / ".rules" / "products").exists()
    inprocess.build(sample)
    sample.edit("rules/total.sql", "SUM", "MAX")
    said = "".join(until("proved clean"))
    assert "rules/total.sql changed" in said
    assert "total  row: column total: SUM(large.amount) → MAX(large.amount)" in said
    assert "1 to run; 1 of 2 products proved clean" in said
    sample.write("rules/total.sql", "SELECT l.regoin AS region FROM large AS l\n")
    said = "".join(until("^"))
    assert "    1 | SELECT l.regoin AS region FROM large AS l" in said
    assert inprocess.run(sample, "plan", expect=1).code == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--select", "totl"), "unknown product 'totl'"),
        (("--show", "totl"), "unknown product 'totl'"),
        (("--profile", "fast"), "unknown profile 'fast'"),
        (("--var", "limit=1"), "unknown variable 'limit'"),
    ],
)
def test_what_no_edit_mends_ends_it(sample: SampleProject, options: tuple[str, ...], message: str) -> None:
    ended = sample.cli("watch", "--json", *options)
    assert ended.returncode == 2
    assert json.loads(ended.stdout)["error"]["message"] == message
    assert not (sample.root / ".rules" / "products").exists()
