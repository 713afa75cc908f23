"""Delta and Iceberg tables on a real server of S3 as sources, through a proxy that goes wrong."""

from __future__ import annotations

import random
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyiceberg.catalog.sql import SqlCatalog

from support import s3
from support.delta import HandWritten, field
from support.inprocess import build, run
from support.language_client import asked
from support.projects import SampleProject

pytestmark = pytest.mark.service
KINDS = pytest.mark.parametrize("kind", ["delta", "iceberg"])
FAULTS = ("500", "truncated", "corrupt", "lost")


class Lake:
    """A table in a bucket behind a proxy, and a project that reads from it. The table is written past the proxy."""

    def __init__(self, root: Path, server: int, kind: str, faults: s3.Faults) -> None:
        self.root, self.kind, self.faults = root, kind, faults
        self.prefix = f"{root.name}-{random.randrange(10**9)}"
        self.place = f"s3://{s3.BUCKET}/{self.prefix}/t"
        self.client, self._server = s3.client(server), server
        self._catalogue: SqlCatalog | None = None

    def append(self, ids: list[int], amounts: list[int]) -> None:
        table = pa.table({"id": ids, "amount": amounts})
        if self.kind == "delta":
            write_deltalake(self.place, table, mode="append", storage_options=self.options)
            return
        self.iceberg().append(table)

    @property
    def options(self) -> dict[str, str]:
        return {**s3.environment(self._server), "AWS_ALLOW_HTTP": "true", "AWS_CONDITIONAL_PUT": "etag"}

    def iceberg(self) -> Any:
        """The table by its catalogue, of SQL."""
        if self._catalogue is None:
            options = s3.iceberg_options(self._server)
            self._catalogue = SqlCatalog("c", uri=f"sqlite:///{self.root}/catalogue.db", **options)
            weakref.finalize(self, self._catalogue.close)
            self._catalogue.create_namespace("n")
            schema = pa.schema([("id", pa.int64()), ("amount", pa.int64())])
            self._catalogue.create_table("n.t", schema, location=self.place)
        return self._catalogue.load_table("n.t")

    def project(self, more: str = "", name: str = "project") -> SampleProject:
        toml = f'\n[sources.t]\npath = "{self.place}"\nformat = "{self.kind}"\n{more}'
        made = SampleProject(self.root / name, toml=toml)
        made.sql("ids", "SELECT t.id FROM t")
        made.sql("total", "SELECT SUM(t.amount) AS amount FROM t")
        return made

    def asked(self) -> list[str]:
        """Return the requests since the last call, as METHOD NAME."""
        found = [f"{method} {path.partition(self.prefix)[2].lstrip('/')}" for method, path in self.faults.requests]
        self.faults.requests.clear()
        return found


@pytest.fixture
def lake(
    tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Lake]:
    faults = s3.Faults()
    with s3.faulty(server, faults) as port:
        s3.use(port, monkeypatch)
        kind = request.node.callspec.params.get("kind", "delta") if hasattr(request.node, "callspec") else "delta"
        yield Lake(tmp_path, server, kind, faults)


def amount(project: SampleProject) -> int:
    found: int = project.product("total").to_pylist()[0]["amount"]
    return found


@KINDS
def test_a_commit_runs_what_reads_it_and_a_no_op_lists_once(lake: Lake, kind: str) -> None:
    lake.append([1, 2], [10, 20])
    project = lake.project()
    assert build(project).executed == {"ids", "total"}
    assert amount(project) == 30
    lake.asked()
    assert run(project, "build").stdout == "nothing to do (2 products up to date)\n"
    assert lake.asked() == ["GET "], "one listing"
    lake.append([3], [5])
    assert build(project).executed == {"ids", "total"}
    assert amount(project) == 35
    data = [one for one in lake.asked() if one.startswith("GET") and one.endswith(".parquet")]
    assert len(data) == 1, "only the new file is fetched"
    if kind == "delta":
        DeltaTable(lake.place, storage_options=lake.options).create_checkpoint()
    else:
        with lake.iceberg().transaction() as change:
            change.set_properties({"of": "no matter"})
    assert build(project).executed == set()
    assert run(project, "check").code == 0
    lake.asked()
    run(project, "lineage", "total")
    run(project, "check")
    assert lake.asked() == [], "nothing asks for data"


@KINDS
def test_editors_and_checks_ask_no_server(lake: Lake, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.append([1, 2], [10, 20])
    project = lake.project()
    build(project)
    lake.asked()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # so that each request would be an error
    project.sql("twice", "SELECT t.amount * 2 AS twice FROM t")
    hover, defined = asked(project, "rules/twice.sql", "t.amo|unt")
    assert "t.amount" in hover
    assert "int64" in hover
    assert defined == "rules.toml"
    assert run(project, "check").code == 0
    found = run(project, "lineage", "twice.twice", "--json").document
    assert "amount" in str(found)
    project.sql("twice", "SELECT t.amonut * 2 AS twice FROM t")
    assert "amount" in run(project, "check", expect=1).stdout, "columns are known"
    assert lake.asked() == []
    del kind


@KINDS
def test_other_states_of_a_table(lake: Lake, kind: str) -> None:
    for number in (10, 20, 30):
        lake.append([number], [number])
    if kind == "delta":
        DeltaTable(lake.place, storage_options=lake.options).create_checkpoint()
        lake.append([40], [40])
        first = "version = 1"
    else:
        lake.append([40], [40])
        first = f"snapshot = {lake.iceberg().metadata.snapshots[1].snapshot_id}"
    now, then = lake.project(), lake.project(first, "then")
    build(now)
    build(then)
    assert (amount(now), amount(then)) == (100, 30)


def test_deleted_rows_and_partitions_of_delta(lake: Lake) -> None:
    fields = [field("id", "long"), field("amount", "long"), field("day", "date")]
    made = HandWritten(lake.root / "local", fields, ["day"], features=("deletionVectors",))
    one = made.add("a1.parquet", pa.table({"id": [1, 2, 3], "amount": [1, 10, 100]}), deleted=[1], day="2024-01-01")
    made.commit(one, made.add("a2.parquet", pa.table({"id": [4], "amount": [1000]}), day=None))
    for path in (lake.root / "local").rglob("*"):
        if path.is_file():
            obstore.put(lake.client, f"{lake.prefix}/t/{path.relative_to(lake.root / 'local').as_posix()}", path)
    project = lake.project()
    project.sql("days", "SELECT t.day, COUNT(*) AS n FROM t GROUP BY t.day")
    build(project)
    assert amount(project) == 1101
    assert len(project.product("days")) == 2


@KINDS
def test_faults_never_make_a_wrong_table(lake: Lake, kind: str) -> None:
    """30 % of requests fail."""
    del kind
    project = lake.project("\n[parts]\nmin_rows = 50\n")
    lake.faults.only, lake.faults.seed = FAULTS, 3
    lake.faults.__post_init__()
    total, done = 0, 0
    for turn in range(4):
        values = [turn * 100 + one for one in range(60)]
        lake.append(values, values)
        total += sum(values)
        lake.faults.share = 0.3
        code = build(project, expect=None).code
        lake.faults.share = 0.0
        if code == 0:
            done += 1
            assert amount(project) == total
            assert len(project.product("ids")) == 60 * (turn + 1)
    build(project)
    assert amount(project) == total
    assert done > 0
    assert sum(lake.faults.seen[one] for one in FAULTS) > 5


@KINDS
def test_what_is_missing_is_said(lake: Lake, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    project = lake.project()
    error = build(project, expect=1).document["error"]
    assert error["message"].startswith("the source 't' does not exist" if kind == "delta" else "the source 't'")
    lake.append([1], [10])
    build(project)
    (data,) = [
        one["path"] for page in obstore.list(lake.client, f"{lake.prefix}/t/") for one in page
        if one["path"].endswith(".parquet")
    ]  # fmt: skip
    obstore.delete(lake.client, data)
    error = build(project, expect=1).document["error"]
    assert f"lacks the data file {data.rpartition('/')[2]}" in error["message"]
    assert amount(project) == 10, "products stay as they were"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    ran = build(project, expect=1)
    assert "the source 't' cannot be read: it cannot be reached" in ran.document["error"]["message"]
    assert run(project, "check").code == 0, "checking needs no data"
    shown = ran.stdout + ran.stderr
    kept = [path.read_bytes() for path in project.root.rglob("*") if path.is_file()]
    for secret in ("a-secret-that-nobody-prints", "a-test-key"):
        assert secret not in shown
        assert all(secret.encode() not in one for one in kept)


def test_a_web_server_has_no_tables(tmp_path: Path) -> None:
    made = SampleProject(tmp_path, toml='\n[sources.t]\npath = "https://example.org/t"\nformat = "delta"\n')
    assert "a web server lists no files" in run(made, "build", "--json", expect=2).document["error"]["message"]
