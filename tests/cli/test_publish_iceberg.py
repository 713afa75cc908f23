"""`rules publish` to Iceberg tables: only changed parts, in one snapshot, and nothing that does not fit."""

from __future__ import annotations

import datetime as dt
import decimal
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.table import StaticTable
from pyiceberg.types import LongType, NestedField

from support import publishing
from support.inprocess import run
from support.projects import SampleProject
from support.publishing import products, published, statuses

LAKE = '\n[publish.lake]\nto = "out"\nformat = "iceberg"\n'


def table(project: SampleProject, name: str) -> StaticTable:
    return StaticTable.from_metadata(str(project.root / "out" / name))


def rows(project: SampleProject, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table(project, name).scan().to_arrow().to_pylist()
    return found


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path, sources=["raw"], toml=LAKE)
    made.parquet("raw", {"id": [1, 2, 3], "region": ["EU", "", None]})
    made.sql("a", "SELECT r.id, r.region FROM raw AS r")
    made.sql("b", "SELECT a.id + 1 AS id FROM a")
    run(made, "build")
    return made


@pytest.mark.slow
def test_only_what_changed_is_sent(project: SampleProject) -> None:
    assert statuses(published(project, "--dry-run")) == {"a": "send", "b": "send"}
    assert statuses(published(project)) == {"a": "sent", "b": "sent"}
    assert rows(project, "a") == [{"id": 1, "region": "EU"}, {"id": 2, "region": ""}, {"id": 3, "region": None}]
    assert statuses(published(project)) == {"a": "kept", "b": "kept"}
    project.edit("rules/b.sql", "+ 1", "+ 2")
    run(project, "build")
    assert statuses(published(project)) == {"a": "kept", "b": "sent"}
    assert [row["id"] for row in rows(project, "b")] == [3, 4, 5]
    first = table(project, "b").metadata.snapshots[0]
    before = table(project, "b").scan(snapshot_id=first.snapshot_id).to_arrow().column("id").to_pylist()
    assert before == [2, 3, 4], "the table before is still there for those who read it"


def test_only_changed_parts_are_sent(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, toml=f'\n[sources.t]\npath = "t/*.parquet"\n[parts]\nmin_rows = 1000\n{LAKE}')
    (tmp_path / "t").mkdir()
    for day in range(5):
        pq.write_table(pa.table({"n": [day * 1000 + one for one in range(1000)]}), tmp_path / "t" / f"{day}.parquet")
    project.sql("a", "SELECT t.n FROM t")
    run(project, "build")
    assert products(published(project))["a"]["files"] == 5
    pq.write_table(pa.table({"n": [7] * 1000}), tmp_path / "t" / "2.parquet")
    pq.write_table(pa.table({"n": [7] * 1000}), tmp_path / "t" / "5.parquet")
    run(project, "build")
    assert products(published(project))["a"]["files"] == 2
    summary = table(project, "a").current_snapshot().summary  # type: ignore[union-attr]
    assert (summary["added-data-files"], summary["deleted-data-files"]) == ("2", "1")  # type: ignore[index]
    found = table(project, "a").scan().to_arrow().column("n").to_pylist()
    assert sorted(found) == sorted(project.product("a").column("n").to_pylist())
    assert len(found) == 6000


def test_other_columns_make_another_version(project: SampleProject) -> None:
    published(project)
    project.edit("rules/b.sql", "a.id + 1 AS id", "a.id, TIMESTAMP '2024-01-01 00:00:00' AS at")
    run(project, "build")
    assert statuses(published(project)) == {"a": "kept", "b": "sent"}
    assert rows(project, "b")[0] == {"id": 1, "at": dt.datetime(2024, 1, 1)}
    assert statuses(published(project)) == {"a": "kept", "b": "kept"}


def test_what_somebody_else_did_is_noticed(project: SampleProject) -> None:
    published(project)
    (project.root / "out" / "a" / "metadata" / "version-hint.text").write_text("0")
    assert statuses(published(project)) == {"a": "kept", "b": "kept"}
    assert len(rows(project, "a")) == 3, "the hint leads to the table again"
    next((project.root / "out" / "b" / "data").glob("part-*")).unlink()
    assert statuses(published(project)) == {"a": "kept", "b": "sent"}
    assert len(rows(project, "b")) == 3


def theirs(root: Path, name: str) -> None:
    """A table that another writer made."""
    schema = Schema(NestedField(1, "mine", LongType()))
    with closing(SqlCatalog("c", uri=f"sqlite:///{root}/c.db", warehouse=f"file://{root}")) as catalog:
        catalog.create_namespace("db")
        catalog.create_table(f"db.{name}", schema, f"file://{root}/out/{name}").append(pa.table({"mine": [1]}))


def test_tables_of_others_are_left_alone(project: SampleProject) -> None:
    theirs(project.root, "a")
    before = sorted((project.root / "out" / "a").rglob("*"))
    (project.root / "out" / "b").mkdir()
    (project.root / "out" / "b" / "letter.txt").write_text("mine")
    document = published(project, expect=1)
    assert document["targets"][0]["error"]["message"] == "out/a is there, and no publish wrote it"
    assert sorted((project.root / "out" / "a").rglob("*")) == before
    assert [one.name for one in (project.root / "out" / "b").iterdir()] == ["letter.txt"]


def test_tables_of_products_that_are_gone(project: SampleProject) -> None:
    published(project)
    theirs(project.root, "theirs")
    (project.root / "rules" / "b.sql").unlink()
    assert published(project)["targets"][0]["others"] == ["b"]
    assert statuses(published(project, "--prune")) == {"a": "kept", "b": "removed"}
    assert not (project.root / "out" / "b").exists()
    assert any((project.root / "out" / "theirs").rglob("*.parquet"))


TYPES = {
    "u8": pa.array([255, None], pa.uint8()), "u64": pa.array([2**64 - 1, None], pa.uint64()),
    "i8": pa.array([-1, None], pa.int8()), "f32": pa.array([float("nan"), -0.0], pa.float32()),
    "f64": pa.array([float("inf"), None]), "flag": pa.array([True, None]), "text": pa.array(["é", ""]),
    "raw": pa.array([b"\x00", None]),
    "fixed": pa.array([b"ab", None], pa.binary(2)), "time": pa.array([dt.time(1), None]),
    "money": pa.array([decimal.Decimal("-1.25"), None], pa.decimal128(38, 2)),
    "day": pa.array([dt.date(1, 1, 1), None]), "ms": pa.array([5, None], pa.timestamp("ms")),
    "ns": pa.array([5000, None], pa.timestamp("ns")),
    "moment": pa.array([5, None], pa.timestamp("us", "Europe/Berlin")),
    "local": pa.array([5, None], pa.timestamp("us")),
    "list": pa.array([[1, None], []], pa.list_(pa.int64())), "nothing": pa.array([None, None], pa.int64()),
    "record": pa.array([{"a": 1, "b": ["x"]}, None], pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))])),
    "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    "symbol": pa.array(["s", "t"]).dictionary_encode(),
}  # fmt: skip


def test_types_come_through(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, toml=f'\n[sources.t]\npath = "t.parquet"\n{LAKE}')
    pq.write_table(pa.table(TYPES), tmp_path / "t.parquet")
    project.sql("a", "SELECT * FROM t")
    project.sql("empty", "SELECT * FROM t WHERE FALSE")
    run(project, "build")
    assert statuses(published(project)) == {"a": "sent", "empty": "sent"}
    found, made = table(project, "a").scan().to_arrow(), project.product("a")
    for name in TYPES:
        held = made.column(name).cast(found.column(name).type)
        assert str(found.column(name).to_pylist()) == str(held.to_pylist()), name
    assert {found.schema.field(name).type for name in ("ms", "ns", "local")} == {pa.timestamp("us")}
    assert found.schema.field("moment").type == pa.timestamp("us", "UTC")
    assert table(project, "empty").scan().to_arrow().num_rows == 0
    # and back again, as a source
    project.edit("rules.toml", 'path = "t.parquet"', 'path = "out/a"\nformat = "iceberg"')
    run(project, "build", "-s", "a")
    again = project.product("a")
    for name in TYPES:
        held = made.column(name).cast(again.column(name).type)
        assert str(again.column(name).to_pylist()) == str(held.to_pylist()), name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array([1], pa.duration("us")), "a has column 'x' of type duration[us], which Iceberg tables do not have"),
        (pa.array([{"y": [1]}], pa.struct([("y", pa.list_(pa.duration("s")))])), "which Iceberg tables do not have"),
        (pa.array([1], pa.time64("ns")), "a has values in column 'x' that time64[us] does not hold"),
        (pa.array([1], pa.timestamp("ns")), "a has values in column 'x' that timestamp[us] does not hold"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path: Path, values: pa.Array, message: str) -> None:
    project = SampleProject(tmp_path, toml=f'\n[sources.t]\npath = "t.parquet"\n{LAKE}')
    pq.write_table(pa.table({"x": values}), tmp_path / "t.parquet")
    project.sql("a", "SELECT t.x FROM t")
    run(project, "build")
    assert message in products(published(project, expect=1))["a"]["error"]["message"]
    assert not (tmp_path / "out" / "a" / "metadata").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("views = true", "'views' means nothing for [publish.lake], whose tables are Iceberg tables"),
        ('to = "ftp://host/x"', "'to' of [publish.lake] names nothing that can be published to"),
    ],
)
def test_settings_are_checked(project: SampleProject, line: str, message: str) -> None:
    project.edit("rules.toml", 'to = "out"', line if line.startswith("to") else f'to = "out"\n{line}')
    assert run(project, "publish", "--json", expect=2).document["error"]["message"] == message


def test_without_the_package(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyiceberg.table", None)
    error = published(project, expect=1)["targets"][0]["error"]
    assert error["message"] == "publishing Iceberg tables needs the package pyiceberg"


def killed(root: Path, kills: int) -> None:
    toml = f'\n[publish.lake]\nto = "{root}/out"\nformat = "iceberg"\n'
    publishing.killed_at_random(root, toml, lambda: seen(root / "out"), kills=kills, seed=1)


def seen(root: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for name in publishing.NAMES:
        states = StaticTable.from_metadata(str(root / name)).scan().to_arrow().column("state").to_pylist()
        found[name] = (len(states), min(states), max(states))
    return found


@pytest.mark.slow
def test_a_killed_publish_leaves_the_old_table_or_the_new_one(tmp_path: Path) -> None:
    killed(tmp_path, 2)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_200_kills_at_random_times(tmp_path: Path) -> None:
    killed(tmp_path, int(os.environ.get("RULES_SOAK_KILLS", "200")))
