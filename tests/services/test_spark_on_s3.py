"""A cluster that shares no folder with the process of `rules`: inputs and results are on S3, which goes wrong at times.

The cluster has other mounts: it sees an empty folder where projects and their stores are.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support import inprocess, s3, spark, tpch
from support.projects import SampleProject

pytestmark = [pytest.mark.service, pytest.mark.timeout(900)]

OF_A_PRODUCT = (
    "SELECT n.l_returnflag AS flag, COUNT(*) AS n, MAX(n.count_order) AS most FROM q01 AS n GROUP BY n.l_returnflag"
)
TOTALS = "SELECT t.k % 7 AS k, COUNT(*) AS n, SUM(t.v) AS total, MIN(t.s) AS least FROM t GROUP BY t.k % 7"
KEPT = "SELECT t.k, t.v, t.s, t.x FROM t WHERE t.v % 3 = 0"
CLUSTER = ("--profile", "cluster")
IN_FILES = (*CLUSTER, "--set", "spark_writes=true")


@dataclass
class Apart:
    """A bucket behind a proxy, and a cluster that reads it through the same proxy."""

    server: int
    proxy: int
    faults: s3.Faults
    cluster: spark.DistantCluster
    changes: dict[str, bytes] = field(default_factory=dict)
    """Path of an object → what it is replaced by before it is next read."""

    def put(self, name: str, data: bytes) -> None:
        obstore.put(s3.client(self.server), name, data)

    def profile(self) -> str:
        return spark.profile(self.cluster.remote) + f'spark_staging = "s3://{s3.BUCKET}/staging"\n'

    def choose(self, method: str, path: str) -> str | None:
        """Replace an object, if it is to be; nothing else goes wrong."""
        data = self.changes.pop(path.partition("?")[0], None) if method == "GET" else None
        if data is not None:
            self.put(path.removeprefix(f"/{s3.BUCKET}/"), data)
        return None


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    faults = s3.Faults()
    with (
        s3.s3_server() as server,
        s3.faulty(server, faults) as proxy,
        spark.distant_cluster(tmp_path_factory.getbasetemp(), s3.environment(proxy)) as cluster,
    ):
        yield Apart(server, proxy, faults, cluster)


@pytest.fixture
def apart(started: Apart, monkeypatch: pytest.MonkeyPatch) -> Iterator[Apart]:
    s3.use(started.proxy, monkeypatch)
    started.faults.share, started.faults.choose = 0.0, None
    yield started
    started.faults.share, started.faults.choose = 0.0, None
    assert s3.objects(started.server, "staging/results/") == [], "results are fetched and removed"


def table(rows: int, seed: int = 1) -> pa.Table:
    numbers = np.random.default_rng(seed)
    values = numbers.normal(size=rows)
    values[:3] = [np.nan, -0.0, np.inf]
    texts = [None if one % 11 == 0 else f"s{one} ü\x00" for one in range(rows)]
    return pa.table(
        {"k": numbers.integers(0, 1 << 40, rows), "v": numbers.integers(0, 1 << 30, rows), "s": texts, "x": values}
    )


def parquet(rows: int, seed: int = 1) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table(rows, seed), sink, row_group_size=max(1, rows // 5))
    return sink.getvalue()


def project(root: Path, apart: Apart, name: str) -> SampleProject:
    """Make a project with a source on S3, of two objects, and one beside it."""
    toml = f'\n[sources.t]\npath = "s3://{s3.BUCKET}/{name}/*.parquet"\n{apart.profile()}'
    made = SampleProject(root, sources=["u"], toml=toml)
    for number in (0, 1):
        apart.put(f"{name}/{number}.parquet", parquet(5000, number))
    made.parquet("u", {"k": list(range(7)), "w": [f"name {one}" for one in range(7)]})
    made.sql("totals", TOTALS)
    made.sql("kept", KEPT)
    made.sql("named", "SELECT u.w, o.n, o.total FROM totals AS o JOIN u ON u.k = o.k")
    return made


def test_tpch_with_nothing_but_s3_between(apart: Apart, tmp_path: Path) -> None:
    here = SampleProject.at(tpch.make_project(tmp_path / "here"))
    here.sql("of_a_product", OF_A_PRODUCT)
    toml = here.read("rules.toml")
    for file in (here.root / "data").iterdir():
        if file.stem not in {"nation", "region"}:  # which are sent to the staging prefix
            apart.put(f"tpch/{file.name}", file.read_bytes())
            toml = toml.replace(f'"data/{file.name}"', f'"s3://{s3.BUCKET}/tpch/{file.name}"')
            file.unlink()
    here.write("rules.toml", toml + apart.profile())
    there = SampleProject.copy_of(here.root, tmp_path / "there")
    in_files = SampleProject.copy_of(here.root, tmp_path / "in_files")
    inprocess.build(here)
    for other, options in ((there, CLUSTER), (in_files, IN_FILES)):
        built = inprocess.build(other, *options)
        assert len(built.executed) == 23
        for name in built.executed:
            spark.assert_same_bag(here, other, name)
        assert set(inprocess.build(other, *options).statuses.values()) == {"clean"}
    for name in built.executed:
        assert there.product(name).equals(in_files.product(name)), "in the same order, too"
    assert not any(apart.cluster.sees(one) for one in (there.root, in_files.root))
    assert len(s3.objects(apart.server, "staging/inputs/")) == 3, "nation, region and the product, once each"
    there.edit("rules/q06.sql", "l.l_quantity < 24", "l.l_quantity < 25")
    assert inprocess.build(there, *CLUSTER).executed == {"q06"}
    assert s3.environment(0)["AWS_SECRET_ACCESS_KEY"] not in apart.cluster.said()


def test_floats_keep_their_bits_in_files(apart: Apart, tmp_path: Path) -> None:
    here = project(tmp_path / "here", apart, "floats")
    there = SampleProject.copy_of(here.root, tmp_path / "there")
    inprocess.build(here)
    assert inprocess.build(there, *IN_FILES).executed == {"totals", "kept", "named"}
    for name in ("totals", "kept", "named"):
        spark.assert_same_bag(here, there, name)


def test_of_large_objects_only_the_columns_that_are_read_are_fetched(apart: Apart, tmp_path: Path) -> None:
    numbers = np.random.default_rng(3)
    sink = io.BytesIO()
    pq.write_table(pa.table({name: numbers.integers(0, 1 << 62, 400_000) for name in "abcdefgh"}), sink)
    apart.put("large/0.parquet", sink.getvalue())
    here = SampleProject(tmp_path / "here", toml=f'\n[sources.t]\npath = "s3://{s3.BUCKET}/large/"\n{apart.profile()}')
    here.sql("some", "SELECT t.b % 5 AS k, COUNT(*) AS n, MIN(t.g) AS least FROM t GROUP BY t.b % 5")
    there = SampleProject.copy_of(here.root, tmp_path / "there")
    inprocess.build(here)
    assert inprocess.build(there, *CLUSTER).executed == {"some"}
    spark.assert_same_bag(here, there, "some")
    (copy,) = (
        one
        for one in (there.root / ".rules" / "downloads").rglob("*")
        if one.is_file() and one.stat().st_size > 1 << 20
    )
    assert copy.stat().st_blocks * 512 < copy.stat().st_size / 2


def test_an_object_that_is_replaced_while_a_build_runs_fails_it(apart: Apart, tmp_path: Path) -> None:
    made = project(tmp_path / "p", apart, "swapped")
    inprocess.build(made)  # so that the objects are known, and only executors read them
    made.sql("more", "SELECT t.k + 1 AS k, COUNT(*) AS n FROM t GROUP BY t.k + 1")
    apart.changes = {f"/{s3.BUCKET}/swapped/1.parquet": parquet(5000, 7)}
    apart.faults.choose = apart.choose
    ran = inprocess.build(made, *CLUSTER, "-s", "more", expect=1)
    (failed,) = ran.document["products"]
    assert failed["error"]["message"] == (
        f"s3://{s3.BUCKET}/swapped/1.parquet was replaced or removed while the build read it"
    )
    assert inprocess.build(made, *CLUSTER).executed == {"totals", "kept", "named", "more"}
    here = SampleProject.copy_of(made.root, tmp_path / "here")
    inprocess.build(here)
    for name in ("totals", "kept", "named", "more"):
        spark.assert_same_bag(here, made, name)


def test_bytes_that_are_damaged_on_their_way_are_no_table(apart: Apart, tmp_path: Path) -> None:
    made = project(tmp_path / "p", apart, "damaged")
    inprocess.build(made)
    apart.faults.choose = lambda method, path: "corrupt" if method == "GET" and "damaged/0" in path else None
    ran = inprocess.build(made, *CLUSTER, "-s", "kept", expect=1)
    (failed,) = ran.document["products"]
    assert failed["error"]["message"] == f"s3://{s3.BUCKET}/damaged/0.parquet has other bytes than were digested"


@pytest.mark.parametrize("seed", [1, 2])
def test_a_bucket_that_goes_wrong_gives_no_wrong_table(apart: Apart, tmp_path: Path, seed: int) -> None:
    here = project(tmp_path / "here", apart, f"faulty{seed}")
    inprocess.build(here)
    there = SampleProject.copy_of(here.root, tmp_path / "there")
    apart.faults.seen.clear()
    apart.faults.share = 0.2
    ran = inprocess.build(there, *IN_FILES, "--keep-going", expect=None)
    apart.faults.share = 0.0
    assert sum(count for wrong, count in apart.faults.seen.items() if wrong != "none") > 0
    for name, status in ran.statuses.items():
        if status == "executed":
            spark.assert_same_bag(here, there, name)
    inprocess.build(there, *IN_FILES)
    for name in ("totals", "kept", "named"):
        spark.assert_same_bag(here, there, name)
    for one in s3.objects(apart.server, "staging/results/"):  # what could not be removed while requests failed
        obstore.delete(s3.client(apart.server), one)
