"""A format of sources is one class and one entry: a table format whose log says which files are in the table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rules.errors import Flaw
from rules.formats import registry
from rules.formats.parquet import Parquet
from rules.formats.partitions import Partitions
from rules.formats.source import Source
from rules.formats.source_format import Files, Listing, ListingError, Option
from support.direct import build, executed, run
from support.inprocess import run as run_text
from support.projects import SampleProject


class Logged(Parquet):
    """Folders of Parquet files; PATH/_log/0.json, 1.json, … say which are in the table: added, or removed again."""

    name = "logged"
    extensions = ()
    options = (Option("version", int | None, None),)
    lists_files = True

    def __init__(self) -> None:
        self.asked = 0

    def flaw(self, options: Mapping[str, Any]) -> Flaw | None:
        if options["version"] is None or options["version"] >= 0:
            return None
        return Flaw(("version",), "'version' must not be negative", "the first one is 0")

    def listing(self, source: Source, files: Files) -> Listing:
        self.asked += 1
        days: dict[str, str] = {}
        version, last = 0, source.options["version"]
        while last is None or version <= last:
            path = f"{source.path}/_log/{version}.json"
            commit = files.read(path)
            if commit is None:
                break
            for line in commit.splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    raise ListingError("has a commit that is no JSON", path, "write it again") from None
                if "add" in entry:
                    days[f"{source.path}/{entry['add']}"] = entry["day"]
                else:
                    del days[f"{source.path}/{entry['remove']}"]
            version += 1
        if not version:
            raise ListingError("has no log", source.path)
        return Listing(tuple(days), Partitions(("day",), tuple((day,) for day in days.values())))


class Table:
    """A table of that format on disk, with three rules that read it."""

    def __init__(self, root: Path, options: str = "") -> None:
        toml = f'\n[sources.t]\npath = "lake/t"\nformat = "logged"\n{options}'
        self.project = SampleProject(root, toml=toml)
        self.root = root
        self.project.sql("ids", "SELECT t.id FROM t")
        self.project.sql("amounts", "SELECT SUM(t.amount) AS amount FROM t")
        self.project.sql("days", "SELECT t.day, COUNT(*) AS n FROM t GROUP BY t.day")
        self.versions = 0

    def put(self, name: str, ids: list[int], amounts: list[int]) -> None:
        path = self.root / "lake" / "t" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"id": ids, "amount": amounts}), path)

    def commit(self, *entries: dict[str, str]) -> Path:
        lines = "".join(json.dumps(entry) + "\n" for entry in entries)
        self.versions += 1
        return self.project.write(f"lake/t/_log/{self.versions - 1}.json", lines)

    def rows(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.project.product(name).to_pylist()
        return found


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Logged:
    one = Logged()
    monkeypatch.setattr(registry, "FORMATS", (*registry.FORMATS, one))
    return one


@pytest.fixture
def table(tmp_path: Path, logged: Logged) -> Table:
    made = Table(tmp_path)
    made.put("one.parquet", [1, 2], [10, 20])
    made.put("two.parquet", [3], [30])
    made.put("gone.parquet", [9], [90])
    made.commit({"add": "gone.parquet", "day": "sun"}, {"add": "one.parquet", "day": "mon"})
    made.commit({"add": "two.parquet", "day": "tue"}, {"remove": "gone.parquet"})
    assert executed(build(tmp_path)) == {"ids", "amounts", "days"}
    logged.asked = 0
    return made


def test_the_log_says_which_files_are_in_the_table(table: Table) -> None:
    assert [row["id"] for row in table.rows("ids")] == [1, 2, 3]
    assert table.rows("amounts") == [{"amount": 60}]
    assert sorted((row["day"], row["n"]) for row in table.rows("days")) == [("mon", 2), ("tue", 1)]


def test_a_no_op_looks_at_what_the_listing_read_and_lists_nothing(table: Table, logged: Logged) -> None:
    table.put("stray.parquet", [7], [70])
    table.put("gone.parquet", [9], [91])
    assert run_text(table.project, "build").stdout == "nothing to do (3 products up to date)\n"
    assert logged.asked == 0


def test_a_commit_that_comes_runs_what_reads_the_changed_columns(table: Table) -> None:
    table.put("two-b.parquet", [3], [31])
    table.commit({"remove": "two.parquet"}, {"add": "two-b.parquet", "day": "tue"})
    assert executed(build(table.root)) == {"amounts"}
    assert table.rows("amounts") == [{"amount": 61}]
    table.commit({"remove": "two-b.parquet"}, {"add": "two-b.parquet", "day": "wed"})
    assert executed(build(table.root)) == {"days"}
    table.commit({"add": "gone.parquet", "day": "wed"})
    assert executed(build(table.root)) == {"ids", "amounts", "days"}


def test_a_commit_that_leaves_the_files_runs_nothing(table: Table, logged: Logged) -> None:
    table.commit()
    assert executed(build(table.root)) == set()
    assert logged.asked > 0, "a commit that was not there is looked at"
    logged.asked = 0
    assert executed(build(table.root)) == set()
    assert logged.asked == 0


def test_a_rewritten_commit_is_noticed(table: Table) -> None:
    table.project.edit("lake/t/_log/1.json", "two.parquet", "gone.parquet")
    table.project.edit("lake/t/_log/1.json", '"remove": "gone.parquet"', '"remove": "one.parquet"')
    assert executed(build(table.root)) == {"ids", "amounts", "days"}
    assert table.rows("amounts") == [{"amount": 90}]


def test_an_option_of_the_format_pins_a_version(tmp_path: Path, table: Table, logged: Logged) -> None:
    table.project.edit("rules.toml", 'format = "logged"', 'format = "logged"\nversion = 0')
    assert executed(build(tmp_path)) == {"ids", "amounts", "days"}
    assert table.rows("amounts") == [{"amount": 120}]
    logged.asked = 0
    table.commit({"remove": "one.parquet"})
    assert executed(build(tmp_path)) == set()
    assert logged.asked == 0, "later versions do not concern it"


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ('version = "first"', "'version' must be an integer, not a string", None),
        ("version = -1", "'version' must not be negative", "the first one is 0"),
        ("versoin = 1", "unknown key 'versoin' in [sources.t]", "did you mean 'version'?"),
        ('delimiter = ";;"', "'delimiter' must be a single ASCII character", 'for tabs: "\\t"'),
    ],
)
def test_options_are_checked_where_they_are_declared(
    tmp_path: Path, logged: Logged, line: str, message: str, hint: str | None
) -> None:
    del logged
    Table(tmp_path, f"{line}\n")
    error = build(tmp_path, expect=2)["error"]
    assert (error["message"], error["hint"]) == (message, hint)
    assert error["where"].startswith("rules.toml:7:")


def test_hints_name_every_format(tmp_path: Path, logged: Logged) -> None:
    del logged
    table = Table(tmp_path)
    table.project.edit("rules.toml", '"logged"', '"excel"')
    assert build(tmp_path, expect=2)["error"]["hint"] == "known: arrow, csv, delta, iceberg, json, logged, parquet"
    table.project.edit("rules.toml", 'format = "excel"\n', "")
    table.put("a.csv", [1], [1])
    table.put("b.json", [1], [1])
    wanted = 'add format = "parquet", "csv", "json", "arrow", "delta", "iceberg" or "logged"'
    assert build(tmp_path, expect=1)["error"]["hint"] == wanted


def test_a_log_that_cannot_be_read_is_an_error_there(table: Table) -> None:
    table.project.write("lake/t/_log/2.json", "{\n")
    for command in ("build", "plan", "check"):
        document = run(table.root, command, expect=1)
        error = document["error"] if command != "check" else document["findings"][0]
        assert "the source 't' has a commit that is no JSON" in error["message"]
    assert run(table.root, "check", expect=1)["findings"], "and again, though nothing has changed"
    table.project.write("lake/t/_log/2.json", "")
    assert run(table.root, "check")["findings"] == []
    assert executed(build(table.root)) == set()


def test_a_file_that_the_log_names_and_that_is_gone_is_an_error(table: Table) -> None:
    path = table.root / "lake" / "t" / "two.parquet"
    path.unlink()
    error = build(table.root, expect=1)["error"]
    assert "'t' cannot be read" in error["message"]
    assert error["where"] == "lake/t/two.parquet"
    assert len(run(table.root, "check", expect=1)["findings"]) == 1
    table.put("two.parquet", [3], [30])
    assert run(table.root, "check")["findings"] == []
    assert executed(build(table.root)) == set()


def test_a_pattern_cannot_make_sources_of_such_tables(tmp_path: Path, logged: Logged) -> None:
    del logged
    SampleProject(tmp_path, toml='\n[sources."raw_*"]\npath = "lake/*"\nformat = "logged"\n')
    error = build(tmp_path, expect=2)["error"]
    assert error["message"].startswith("a table of the format logged has several files")
    assert error["where"] == "rules.toml:5:1"
