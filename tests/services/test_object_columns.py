"""Large objects of Parquet on a real server of S3: only footers and the columns that rules read are fetched."""

from __future__ import annotations

import io
import itertools
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datafusion
import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rules.engine.spark.executor_work import digest_of
from rules.engine.spark.staging import Staging
from rules.files.lazy_paths import Origin, lazy_path
from support import s3
from support.inprocess import build, run
from support.projects import SampleProject
from support.web import Web, web_server

pytestmark = pytest.mark.service
_NUMBERS = itertools.count()
COLUMNS, ROWS = 40, 4_000
KEPT = ".rules/downloads"


class Lake:
    """An object of 40 columns behind a proxy that counts bytes, and a project that reads three of them."""

    def __init__(self, root: Path, server: int, faults: s3.Faults) -> None:
        self.root, self.faults = root, faults
        self.prefix = f"wide{next(_NUMBERS)}"
        self._store = s3.client(server)

    def put(self, data: bytes, name: str = "t.parquet") -> None:
        obstore.put(self._store, f"{self.prefix}/{name}", data)

    def remove(self, name: str = "t.parquet") -> None:
        obstore.delete(self._store, f"{self.prefix}/{name}")

    def project(self, more: str = "", path: str = "t.parquet", name: str = "project") -> SampleProject:
        toml = f'\n[sources.t]\npath = "s3://{s3.BUCKET}/{self.prefix}/{path}"\n{more}'
        made = SampleProject(self.root / name, toml=toml)
        made.sql("total", "SELECT SUM(t.c1) AS a, SUM(t.c2) AS b, COUNT(t.c3) AS n FROM t")
        return made

    def bytes_sent(self) -> int:
        """Return how many bytes of objects were sent since the last call."""
        found = sum(size for path, size in self.faults.sent.items() if self.prefix in path)
        self.faults.sent.clear()
        return found

    def asked(self) -> list[str]:
        found = [method for method, path in self.faults.requests if self.prefix in path]
        self.faults.requests.clear()
        return found


@pytest.fixture
def lake(tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    faults = s3.Faults()
    monkeypatch.setattr("rules.sources.object_columns.LEAST", 1 << 18)
    monkeypatch.setattr("rules.sources.object_columns._TAIL", 1 << 15)
    monkeypatch.setattr("rules.sources.object_columns._GAP", 1 << 10)
    with s3.faulty(server, faults) as port:
        s3.use(port, monkeypatch)
        yield Lake(tmp_path, server, faults)


def values(seed: int, rows: int = ROWS) -> dict[str, Any]:
    chance = np.random.default_rng(seed)
    return {f"c{number}": chance.integers(0, 1 << 40, rows) for number in range(COLUMNS)}


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, **{"use_dictionary": False, "compression": "none", **options})
    return sink.getvalue()


def total(columns: dict[str, Any]) -> dict[str, int]:
    return {"a": int(columns["c1"].sum()), "b": int(columns["c2"].sum()), "n": len(columns["c3"])}


def found(project: SampleProject) -> dict[str, int]:
    (row,) = project.product("total").to_pylist()
    return row


def copies(project: SampleProject) -> list[Path]:
    return sorted((project.root / KEPT).glob("*/data.parquet"))


def test_only_the_columns_that_are_read_are_fetched(lake: Lake) -> None:
    columns = values(1)
    lake.put(data := parquet(columns))
    project = lake.project()
    assert build(project).executed == {"total"}
    assert found(project) == total(columns)
    of_column = ROWS * 8
    first = lake.bytes_sent()
    assert 2 * 3 * of_column < first < 2 * (3 * of_column + (1 << 15) + 9_000), "twice, as nothing else protects them"
    assert first < len(data) / 4
    assert run(project, "build").stdout == "nothing to do (1 product up to date)\n"
    assert lake.bytes_sent() == 0
    project.sql("more", "SELECT SUM(t.c3) AS a, SUM(t.c30) AS b FROM t")
    assert build(project).executed == {"more"}
    assert project.product("more").to_pylist() == [{"a": columns["c3"].sum(), "b": columns["c30"].sum()}]
    assert 2 * of_column < lake.bytes_sent() < 2 * (of_column + 2_000), "c3 is here"
    (copy,) = copies(project)
    assert copy.stat().st_size == len(data)
    document = run(project, "gc", "--json").document
    assert document["status"] == "ok"


def test_the_limit_of_copies_counts_what_is_on_the_disk(lake: Lake) -> None:
    lake.put(data := parquet(values(1)))
    project = lake.project(f'\n[store]\ndownloads = "{len(data) // 2}B"\n')
    build(project)
    (copy,) = copies(project)
    assert copy.stat().st_blocks * 512 < len(data) // 2 < copy.stat().st_size


def test_another_version_runs_what_reads_changed_columns(lake: Lake) -> None:
    columns = values(1)
    lake.put(parquet(columns))
    project = lake.project()
    project.sql("other", "SELECT SUM(t.c20) AS a FROM t")
    build(project)
    columns["c20"] = columns["c20"] + 1
    columns["c39"] = columns["c39"] + 1
    lake.put(parquet(columns))
    assert build(project).executed == {"other"}
    assert project.product("other").to_pylist() == [{"a": columns["c20"].sum()}]
    lake.put(parquet(columns, compression="zstd"))
    assert build(project).executed == set(), "other bytes, the same values"
    plain = SampleProject(lake.root / "plain", toml='\n[sources.t]\npath = "t.parquet"\n')
    (plain.root / "t.parquet").write_bytes(parquet(columns))
    plain.sql("total", (project.root / "rules" / "total.sql").read_text())
    keys = [build(one).document["products"] for one in (project, plain)]
    assert len({one["key"] for ran in keys for one in ran if one["name"] == "total"}) == 1, "the key says no place"


def test_rules_that_read_all_copy_the_whole_once(lake: Lake) -> None:
    columns = values(1)
    lake.put(data := parquet(columns))
    project = lake.project()
    project.sql("all_of_it", "SELECT * FROM t")
    build(project)
    assert project.product("all_of_it").to_pydict() == {name: list(one) for name, one in columns.items()}
    assert len(data) <= lake.bytes_sent() < 1.7 * len(data)


def test_rules_that_read_no_column_fetch_the_footer(lake: Lake) -> None:
    lake.put(parquet(values(1)))
    project = lake.project()
    (project.root / "rules" / "total.sql").unlink()
    project.sql("rows_of_it", "SELECT COUNT(*) AS n FROM t")
    build(project)
    assert project.product("rows_of_it").to_pylist() == [{"n": ROWS}]
    assert lake.bytes_sent() < 2 * ((1 << 15) + 9_000)


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "snappy", "use_dictionary": True}, {"data_page_version": "2.0"}, {"write_page_index": True},
     {"compression": "gzip", "row_group_size": 500}],
    ids=str,
)  # fmt: skip
def test_a_column_that_was_not_fetched_cannot_be_read(lake: Lake, options: dict[str, Any]) -> None:
    """Readers that were to look at a hole find no page there: no zeros pass for values."""
    lake.put(parquet(values(1), **options))
    project = lake.project()
    build(project)
    (copy,) = copies(project)
    assert pq.read_table(copy, columns=["c1"]).num_rows == ROWS
    with pytest.raises((OSError, pa.ArrowException)):
        pq.read_table(copy, columns=["c10"])
    context = datafusion.SessionContext()
    context.register_parquet("t", str(copy))
    with pytest.raises(Exception, match=r"(?i)parquet"):
        context.sql("SELECT SUM(c10) FROM t").collect()


def test_a_damaged_column_is_fetched_again(lake: Lake) -> None:
    columns = values(1)
    lake.put(data := parquet(columns))
    project = lake.project()
    build(project)
    (copy,) = copies(project)
    with copy.open("r+b") as file:
        file.seek(data.index(columns["c2"].tobytes()) + 800)
        file.write(b"damaged!")
    lake.bytes_sent()
    project.sql("more", "SELECT SUM(t.c1) AS a, SUM(t.c2) AS b FROM t")
    build(project)
    assert project.product("more").to_pylist() == [{"a": columns["c1"].sum(), "b": columns["c2"].sum()}]
    assert lake.bytes_sent() > 0


@pytest.mark.parametrize("damage", ["gone", "empty", "other", "lies"])
def test_a_damaged_record_of_what_is_here_is_not_believed(lake: Lake, damage: str) -> None:
    columns = values(1)
    lake.put(parquet(columns))
    project = lake.project()
    build(project)
    (copy,) = copies(project)
    record = copy.with_name("runs.json")
    told = json.loads(record.read_bytes())
    if damage == "gone":
        record.unlink()
    elif damage == "lies":
        told["runs"] = [[0, told["size"], told["runs"][0][2]]]
        record.write_text(json.dumps(told))
    else:
        record.write_text("{" if damage == "empty" else json.dumps({**told, "size": told["size"] + 1}))
    project.sql("more", "SELECT SUM(t.c1) AS a, SUM(t.c30) AS b FROM t")
    build(project)
    assert project.product("more").to_pylist() == [{"a": columns["c1"].sum(), "b": columns["c30"].sum()}]


def changed(lake: Lake, when: Callable[[int], bool], change: Callable[[], None]) -> None:
    """Let something happen at the n-th GET for the object, from 0, once."""
    count = itertools.count()

    def choose(method: str, path: str) -> None:
        if method == "GET" and path.partition("?")[0].endswith("t.parquet") and when(next(count)):
            change()

    lake.faults.choose = choose


@pytest.mark.parametrize("at", range(6))
def test_an_object_that_is_replaced_between_two_ranges(lake: Lake, at: int) -> None:
    """Either all columns are of the former object, of the latter, or it is an error; the next build has the latter."""
    old, new = values(1), values(2)
    lake.put(parquet(old))
    project = lake.project()
    project.sql("apart", "SELECT SUM(t.c5) + SUM(t.c30) AS n FROM t")
    replaced: list[int] = []

    def replace() -> None:
        lake.put(parquet(new))
        replaced.append(at)

    changed(lake, lambda number: number == at, replace)
    ran = build(project, expect=None)
    assert replaced
    if ran.code == 0:
        assert found(project) in (total(old), total(new))
    else:
        assert "changed while" in ran.document["error"]["message"] + str(ran.document)
    lake.faults.choose = None
    build(project)
    assert found(project) == total(new)


def test_an_object_that_is_replaced_once_its_footer_is_here(lake: Lake) -> None:
    old, new = values(1), values(2)
    lake.put(parquet(old))
    project = lake.project()
    run(project, "check")  # its columns are known, of which none is here
    lake.put(parquet(new))
    build(project)
    assert found(project) == total(new)
    lake.remove()
    project.sql("more", "SELECT SUM(t.c9) AS a FROM t")
    assert "matches no object" in build(project, expect=1).document["error"]["message"]
    assert found(project) == total(new)


def test_a_server_without_ranges_gives_the_whole(lake: Lake) -> None:
    columns = values(1)
    lake.put(data := parquet(columns))
    lake.faults.ranges = False
    project = lake.project()
    build(project)
    assert found(project) == total(columns)
    assert copies(project)[-1].stat().st_size == len(data)
    lake.faults.ranges = True
    lake.bytes_sent()
    project.sql("more", "SELECT SUM(t.c9) AS a FROM t")
    build(project)
    assert lake.bytes_sent() == 0, "all of it is here"


def test_a_server_that_gives_no_ranges_any_more(lake: Lake) -> None:
    columns = values(1)
    lake.put(parquet(columns))
    project = lake.project()
    build(project)
    lake.faults.ranges = False
    project.sql("more", "SELECT SUM(t.c9) AS a FROM t")
    build(project)
    assert project.product("more").to_pylist() == [{"a": columns["c9"].sum()}]


@pytest.mark.parametrize("wrong", ["truncated", "corrupt", "500"])
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_an_answer_that_is_wrong_is_asked_for_again(lake: Lake, wrong: str, at: int) -> None:
    columns = values(1)
    lake.put(parquet(columns))
    project = lake.project()
    count = itertools.count()

    def choose(method: str, path: str) -> str | None:
        is_data = method == "GET" and path.partition("?")[0].endswith("t.parquet")
        return wrong if is_data and next(count) == at else None

    lake.faults.choose = choose
    build(project)
    assert found(project) == total(columns)
    assert next(count) > 4


@pytest.mark.parametrize("seed", range(3))
def test_faults_never_make_a_wrong_table(lake: Lake, seed: int) -> None:
    """30 % of requests fail; the object is replaced between builds."""
    project = lake.project("\n[parts]\nmin_rows = 1000\n")
    lake.faults.only = ("500", "truncated", "lost")
    lake.faults.seed = seed
    lake.faults.__post_init__()
    done = 0
    for turn in range(4):
        columns = values(seed * 10 + turn)
        lake.put(parquet(columns, row_group_size=500))
        lake.faults.share = 0.3
        code = build(project, expect=None).code
        lake.faults.share = 0.0
        if code == 0:
            done += 1
            assert found(project) == total(columns)
    build(project)
    assert found(project) == total(columns)
    assert done > 0
    assert sum(lake.faults.seen[one] for one in lake.faults.only) > 5


def test_row_groups_are_parts_and_only_changed_ones_run(lake: Lake) -> None:
    columns = values(1, 8_000)
    project = lake.project("\n[parts]\nmin_rows = 1000\n")
    lake.put(parquet(columns, row_group_size=1000))
    first = {one["name"]: one for one in build(project).document["products"]}["total"]
    assert found(project) == total(columns)
    columns["c2"][-1] += 1
    columns["c30"] += 1
    lake.put(parquet(columns, row_group_size=1000))
    lake.bytes_sent()
    second = {one["name"]: one for one in build(project).document["products"]}["total"]
    assert found(project) == total(columns)
    assert first["parts"]["run"] == first["parts"]["total"] == second["parts"]["total"] > 2
    assert second["parts"]["run"] == 1
    assert lake.bytes_sent() < 2 * (4 * 8 * 8_000 + (1 << 15) + 20_000), "three columns, and the one by which it is cut"


def test_files_of_a_pattern_and_of_days(lake: Lake) -> None:
    days = {day: values(day) for day in range(3)}
    for day, columns in days.items():
        lake.put(parquet(columns), f"days/day={day}/t.parquet")
    project = lake.project(path="days/*/t.parquet")
    project.sql("by_day", "SELECT t.day, SUM(t.c5) AS a FROM t GROUP BY t.day ORDER BY t.day")
    build(project)
    assert [row["a"] for row in project.product("by_day").to_pylist()] == [one["c5"].sum() for one in days.values()]
    assert lake.bytes_sent() < 3 * 2 * (4 * ROWS * 8 + (1 << 15) + 20_000)
    random.shuffle(names := [f"days/day={day}/t.parquet" for day in range(3)])
    lake.remove(names[0])
    assert build(project).executed == {"total", "by_day"}
    assert lake.bytes_sent() == 0


def test_nested_columns_and_floats(lake: Lake) -> None:
    columns = values(1)
    table = {
        **columns,
        "f": np.random.default_rng(1).normal(size=ROWS),
        "s": pa.array([{"x": i, "y": [str(i), None]} for i in range(ROWS)]),
        "a.b": pa.array([f"text {i % 7}" for i in range(ROWS)]),
    }
    lake.put(parquet(table))
    project = lake.project()
    project.sql("nested", 'SELECT t.s, t."a.b" AS ab, t.f FROM t')
    build(project)
    made = project.product("nested").to_pydict()
    assert made == {"s": table["s"].to_pylist(), "ab": table["a.b"].to_pylist(), "f": list(table["f"])}
    assert found(project) == total(columns)


def test_what_a_cluster_is_told_of_an_object_is_not_made_of_holes(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Executors compare what they read of the object with digests of the copy here, of which columns are missing."""
    monkeypatch.setattr("rules.sources.object_columns._TAIL", 1 << 16)
    lake.put(data := parquet(values(1), row_group_size=1000))
    project = lake.project()
    project.sql("total", "SELECT SUM(t.c1) + SUM(t.c3) AS n FROM t")
    build(project)
    (copy,) = copies(project)
    assert copy.read_bytes() != data
    file = lazy_path(copy, len(data), lambda columns: None, Origin(f"s3://{s3.BUCKET}/t.parquet", '"tag"'))  # noqa: ARG005
    spans = [one for piece in Staging(f"s3://{s3.BUCKET}/x").pieces(file, ["c1", "c3"]) for one in piece.spans]
    assert len(spans) > 4
    assert all(one.digest == digest_of(data[one.start : one.start + one.length]) for one in spans)


@pytest.mark.parametrize("ranges", [True, False])
def test_web_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranges: bool) -> None:
    monkeypatch.setattr("rules.sources.object_columns.LEAST", 1 << 18)
    columns = values(1)
    monkeypatch.setattr("rules.sources.object_columns._TAIL", 1 << 15)
    with web_server(Web(ranges=ranges)) as web:
        web.files["t.parquet"] = parquet(columns)
        project = SampleProject(tmp_path, toml=f'\n[sources.t]\npath = "{web.url}/t.parquet"\n')
        project.sql("total", "SELECT SUM(t.c1) AS a, SUM(t.c2) AS b, COUNT(t.c3) AS n FROM t")
        build(project)
        assert found(project) == total(columns)
        assert (web.sent < len(web.files["t.parquet"])) == ranges
