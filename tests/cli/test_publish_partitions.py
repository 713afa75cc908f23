"""`rules publish` of partitioned tables: only the partitions that changed are sent, and all are what the product is."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from pyiceberg.table import StaticTable

from support.inprocess import run
from support.projects import SampleProject
from support.publishing import products, published, sent, statuses

ROWS = 3000
REGIONS = ("EU", "US", "", None)


def project_of(root: Path, target: str) -> SampleProject:
    """A project whose product `a` is partitioned by region, in four partitions."""
    made = SampleProject(root, sources=["raw"], toml=f'{target}\n[publish.out.partition_by]\na = ["region"]\n')
    write(made)
    made.sql("a", "SELECT r.id, r.region, r.id * 2 AS twice FROM raw AS r")
    run(made, "build")
    return made


def write(project: SampleProject, **changes: int) -> None:
    """Write the source; changes: what is added to the ids of a region."""
    regions = [REGIONS[number % 4] for number in range(ROWS)]
    ids = [number + changes.get(region or "", 0) for number, region in enumerate(regions)]
    project.parquet("raw", {"id": ids, "region": regions})


def wanted(project: SampleProject) -> list[tuple[Any, ...]]:
    return sorted((tuple(row.values()) for row in project.product("a").to_pylist()), key=str)


FILES = '\n[publish.out]\nto = "out"\n'


def viewed(project: SampleProject) -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        database.execute(project.read("out/views.sql"))
        return sorted(database.sql("SELECT id, region, twice FROM a").fetchall(), key=str)


def inodes(project: SampleProject) -> dict[str, int]:
    root = project.root / "out" / "a"
    return {path.parent.name: path.stat().st_ino for path in root.resolve().rglob("*.parquet")}


def test_files_of_other_partitions_are_kept(tmp_path: Path) -> None:
    project = project_of(tmp_path, FILES)
    files, size = sent(published(project), "a")
    assert files == 4
    before, former = inodes(project), (project.root / "out" / "a").resolve()
    write(project, EU=1)
    run(project, "build")
    again = sent(published(project), "a")
    assert again[0] == 1
    assert again[1] < size / 3
    after = inodes(project)
    assert {name for name in after if after[name] != before[name]} == {"region=EU"}
    assert viewed(project) == wanted(project)
    assert len(pq.ParquetDataset(former).read()) == ROWS, "the version before is still whole"
    assert statuses(published(project)) == {"a": "kept"}
    write(project, EU=1, US=2)  # the third version: the first one goes
    run(project, "build")
    assert sent(published(project), "a")[0] == 1
    assert not former.exists()
    assert viewed(project) == wanted(project)
    assert statuses(published(project)) == {"a": "kept"}
    held = json.loads(project.read("out/published.json"))["tables"]["a"]["files"]
    stamps = {one["path"]: one["modified"] for one in held}
    for path, stamp in stamps.items():
        stat = (project.root / "out" / path).stat()
        assert stamp == f"{stat.st_mtime_ns} {stat.st_ctime_ns}", "so that nobody digests it again"


def test_partitions_that_come_and_go(tmp_path: Path) -> None:
    project = project_of(tmp_path, FILES)
    published(project)
    project.edit("rules/a.sql", "FROM raw AS r", "FROM raw AS r WHERE r.region <> 'EU'")
    run(project, "build")
    assert sent(published(project), "a") == (0, 0)
    assert viewed(project) == wanted(project)
    assert set(inodes(project)) == {"region=US", "region="}
    project.edit("rules/a.sql", "r.region <> 'EU'", "r.region <> 'US'")
    run(project, "build")
    assert sent(published(project), "a")[0] == 1
    assert viewed(project) == wanted(project)


@pytest.mark.parametrize("format_", ["csv", "json", "arrow"])
def test_other_formats_too(tmp_path: Path, format_: str) -> None:
    project = project_of(tmp_path, f'{FILES}format = "{format_}"\n')
    assert sent(published(project), "a")[0] == 4
    write(project, US=7)
    run(project, "build")
    assert sent(published(project), "a")[0] == 1
    if format_ != "arrow":
        assert viewed(project) == wanted(project)


def test_another_column_or_another_order_sends_all(tmp_path: Path) -> None:
    project = project_of(tmp_path, FILES)
    published(project)
    project.edit("rules/a.sql", "FROM raw AS r", "FROM raw AS r ORDER BY r.id DESC")
    run(project, "build")
    assert sent(published(project), "a")[0] == 4
    project.edit("rules/a.sql", "r.id * 2 AS twice", "r.id * 2 AS double")
    run(project, "build")
    assert sent(published(project), "a")[0] == 4


def test_a_damaged_partition_is_sent_again_alone(tmp_path: Path) -> None:
    project = project_of(tmp_path, FILES)
    published(project)
    write(project, EU=1)
    run(project, "build")
    published(project)
    (path,) = (project.root / "out" / "a" / "region=US").resolve().glob("*.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:99] + bytes([data[99] ^ 1]) + data[100:])
    os.utime(path, ns=(1, 1))
    document = published(project)
    assert "was changed by someone else" in products(document)["a"]["reason"]
    assert sent(document, "a")[0] == 1
    assert viewed(project) == wanted(project)
    assert statuses(published(project)) == {"a": "kept"}


def test_a_partition_that_somebody_removed_is_sent_again_alone(tmp_path: Path) -> None:
    project = project_of(tmp_path, FILES)
    published(project)
    (path,) = (project.root / "out" / "a" / "region=US").resolve().glob("*.parquet")
    path.unlink()  # and its folder stays, empty
    document = published(project)
    assert "was removed by someone else" in products(document)["a"]["reason"]
    assert sent(document, "a")[0] == 1
    assert viewed(project) == wanted(project)
    assert statuses(published(project)) == {"a": "kept"}


# Delta and Iceberg tables


def lake(kind: str) -> str:
    return f'\n[publish.out]\nto = "out"\nformat = "{kind}"\n'


def read(project: SampleProject, kind: str, name: str = "a") -> list[tuple[Any, ...]]:
    """The rows of a table as the format's own reader finds them."""
    place = project.root / "out" / name
    if kind == "delta":
        found = DeltaTable(place).to_pyarrow_table()
    else:
        found = StaticTable.from_metadata(str(place)).scan().to_arrow()
    names = project.product(name).column_names
    return sorted((tuple(row.values()) for row in found.select(names).to_pylist()), key=str)


def moved(project: SampleProject, kind: str) -> tuple[int, int]:
    """How many data files the last commit added to a table, and how many it removed."""
    if kind == "delta":
        path = max((project.root / "out" / "a" / "_delta_log").glob("*.json"))
        actions = [next(iter(json.loads(line))) for line in path.read_text().splitlines()]
        return actions.count("add"), actions.count("remove")
    summary = StaticTable.from_metadata(str(project.root / "out" / "a")).metadata.snapshots[-1].summary
    assert summary is not None
    return int(summary["added-data-files"] or 0), int(summary["deleted-data-files"] or 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_of_lake_tables_too(tmp_path: Path, kind: str) -> None:
    project = project_of(tmp_path, lake(kind))
    project.edit("rules/a.sql", "r.region,", "coalesce(r.region, 'none') AS region,")
    project.edit("rules/a.sql", "FROM raw AS r", "FROM raw AS r WHERE coalesce(r.region, 'none') <> ''")
    run(project, "build")
    files, size = sent(published(project), "a")
    assert files == 3
    assert read(project, kind) == wanted(project)
    write(project, EU=1)
    run(project, "build")
    again = sent(published(project), "a")
    assert (again[0], moved(project, kind)) == (1, (1, 1))
    assert again[1] < size / 2
    assert read(project, kind) == wanted(project)
    project.edit("rules/a.sql", "<> ''", "NOT IN ('', 'US')")
    run(project, "build")
    assert sent(published(project), "a") == (0, 0)
    assert moved(project, kind) == (0, 1)
    assert read(project, kind) == wanted(project)
    assert statuses(published(project)) == {"a": "kept"}
    project.edit("rules.toml", 'a = ["region"]', "")
    document = published(project)
    assert products(document)["a"]["reason"] == "it is not to be partitioned"
    assert sent(document, "a")[0] == 1
    assert read(project, kind) == wanted(project)
    project.edit("rules/a.sql", "r.id * 2 AS twice", "r.id % 3 AS half, DATE '2024-01-31' AS day")
    project.edit("rules.toml", "partition_by]", 'partition_by]\na = ["day", "half"]')
    run(project, "build")
    assert sent(published(project), "a")[0] == 3
    assert read(project, kind) == wanted(project)
    assert statuses(published(project)) == {"a": "kept"}


def test_files_of_others_go_whatever_their_paths_are(tmp_path: Path) -> None:
    """The log of a Delta table has them encoded: a folder region=a%20b is region=a%2520b there."""
    project = project_of(tmp_path, lake("delta"))
    project.edit("rules/a.sql", "FROM raw AS r", "FROM raw AS r WHERE coalesce(r.region, 'none') <> ''")
    run(project, "build")
    published(project)
    names = project.product("a").column_names
    table = DeltaTable(project.root / "out" / "a").to_pyarrow_table().select(names).slice(0, 1)
    texts = [":", "a b", "50%", "é"]
    place = names.index("region")
    foreign = pa.concat_tables([table.set_column(place, "region", pa.array([one], pa.string())) for one in texts])
    write_deltalake(project.root / "out" / "a", foreign, mode="overwrite", partition_by=["region"])
    assert statuses(published(project)) == {"a": "sent"}
    assert read(project, "delta") == wanted(project)
    assert statuses(published(project)) == {"a": "kept"}


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_parts_and_partitions(tmp_path: Path, kind: str) -> None:
    """A product in parts: of a part that changed, only the partitions that did are sent."""
    toml = f'\n[sources.t]\npath = "t/*.parquet"\n[parts]\nmin_rows = 500\n{lake(kind)}'
    project = SampleProject(tmp_path, toml=f'{toml}partition_by = {{ a = ["half"] }}\n')
    (tmp_path / "t").mkdir()

    def day(number: int, *, odd: int = 0) -> None:
        values = [number * 1000 + one + (odd if one % 2 else 0) for one in range(1000)]
        table = pa.table({"n": values, "half": [one % 2 for one in range(1000)]})
        pq.write_table(table, tmp_path / "t" / f"{number}.parquet")

    for number in range(3):
        day(number)
    project.sql("a", "SELECT t.n, t.half FROM t")
    run(project, "build")
    assert sent(published(project), "a")[0] == 6
    day(1, odd=10_000)
    day(3)
    run(project, "build")
    assert sent(published(project), "a")[0] == 3
    assert moved(project, kind) == (3, 1)
    assert read(project, kind) == wanted(project)


VALUES = {
    "text": pa.array(["a/b=c %41", "é x", None]), "flag": pa.array([True, False, None]),
    "day": pa.array([dt.date(2024, 1, 31), dt.date(1, 1, 1), None]), "big": pa.array([2**64 - 1, 0, None], pa.uint64()),
    "small": pa.array([-1, 1, None], pa.int8()),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
@pytest.mark.parametrize("key", VALUES)
def test_values_of_partitions_come_through(tmp_path: Path, kind: str, key: str) -> None:
    toml = f'\n[sources.t]\npath = "t.parquet"\n{lake(kind)}partition_by = {{ a = ["k"] }}\n'
    project = SampleProject(tmp_path, toml=toml)
    pq.write_table(pa.table({"k": VALUES[key], "n": [1, 2, 3]}), tmp_path / "t.parquet")
    project.sql("a", "SELECT t.k, t.n FROM t")
    project.sql("b", "SELECT t.k, t.n FROM t")
    run(project, "build")
    assert statuses(published(project)) == {"a": "sent", "b": "sent"}
    assert read(project, kind) == wanted(project)
    assert statuses(published(project)) == {"a": "kept", "b": "kept"}
    # and back again, as a source
    project.edit("rules.toml", 'path = "t.parquet"', f'path = "out/a"\nformat = "{kind}"')
    before = project.product("b").to_pylist()
    run(project, "build", "-s", "b")
    assert sorted(project.product("b").to_pylist(), key=str) == sorted(before, key=str)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("nothing", "a has no column 'nothing'"),
        ("money", "column 'money' of a is of type decimal128(9, 2), which names no partitions"),
        ("x", "column 'x' of a is of type double, which names no partitions"),
        ("region", "column 'region' of a holds an empty text, which as a partition of Delta is NULL"),
    ],
)
def test_what_cannot_be_a_partition_is_refused(tmp_path: Path, key: str, message: str) -> None:
    project = project_of(tmp_path, lake("delta"))
    project.edit("rules/a.sql", "r.id * 2 AS twice", "CAST(r.id AS DOUBLE) AS x, CAST(r.id AS DECIMAL(9, 2)) AS money")
    project.edit("rules.toml", '["region"]', f'["{key}"]')
    run(project, "build")
    assert products(published(project, expect=1))["a"]["error"]["message"] == message
    assert not (tmp_path / "out" / "a" / "_delta_log").exists()
