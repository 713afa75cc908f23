"""Sources on a real server of S3, through a proxy that goes wrong: never a wrong or short table."""

from __future__ import annotations

import io
import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support import s3
from support.inprocess import build, run
from support.projects import SampleProject

pytestmark = pytest.mark.service
_NUMBERS = itertools.count()


class Bucket:
    """A prefix of the bucket behind a proxy, and a project that reads from it."""

    def __init__(self, root: Path, server: int, faults: s3.Faults) -> None:
        self.faults, self.root = faults, root
        self.prefix = f"lake{next(_NUMBERS)}"
        self._store = s3.client(server)

    def project(self, path: str, more: str = "", name: str = "project") -> SampleProject:
        toml = f'\n[sources.t]\npath = "s3://{s3.BUCKET}/{self.prefix}/{path}"\n{more}'
        made = SampleProject(self.root / name, toml=toml)
        made.sql("ids", "SELECT t.id FROM t")
        made.sql("total", "SELECT SUM(t.amount) AS amount FROM t")
        return made

    def put(self, name: str, data: bytes) -> None:
        obstore.put(self._store, f"{self.prefix}/{name}", data)

    def remove(self, name: str) -> None:
        obstore.delete(self._store, f"{self.prefix}/{name}")

    def asked(self) -> list[str]:
        """Return the requests since the last call, as METHOD NAME."""
        found = [f"{method} {path.partition(self.prefix)[2].lstrip('/')}" for method, path in self.faults.requests]
        self.faults.requests.clear()
        return found


@pytest.fixture
def bucket(tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    faults = s3.Faults()
    with s3.faulty(server, faults) as port:
        s3.use(port, monkeypatch)
        yield Bucket(tmp_path, server, faults)


def parquet(ids: list[int], amounts: list[int], **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": ids, "amount": amounts}), sink, **options)
    return sink.getvalue()


def amount(project: SampleProject) -> int:
    found: int = project.product("total").to_pylist()[0]["amount"]
    return found


def test_a_no_op_asks_once_and_fetches_nothing(bucket: Bucket) -> None:
    bucket.put("t.parquet", parquet([1, 2], [10, 20]))
    project = bucket.project("t.parquet")
    assert build(project).executed == {"ids", "total"}
    assert amount(project) == 30
    assert bucket.asked() == ["HEAD t.parquet", "GET t.parquet", "HEAD t.parquet"]
    assert run(project, "build").stdout == "nothing to do (2 products up to date)\n"
    assert bucket.asked() == ["HEAD t.parquet"]


def test_another_object_runs_what_reads_the_changed_columns(bucket: Bucket) -> None:
    bucket.put("t.parquet", parquet([1, 2], [10, 20]))
    project = bucket.project("t.parquet")
    build(project)
    bucket.put("t.parquet", parquet([1, 2], [10, 21]))
    assert build(project).executed == {"total"}
    assert amount(project) == 31
    bucket.put("t.parquet", parquet([1, 2], [10, 21], compression="none"))
    bucket.asked()
    assert build(project).executed == set(), "another ETag, equal content"
    assert "GET t.parquet" in bucket.asked()


def test_a_new_object_of_a_pattern_is_the_only_one_that_is_fetched(bucket: Bucket) -> None:
    for day in range(3):
        bucket.put(f"days/{day}.parquet", parquet([day], [day]))
    bucket.put("days/deep/9.parquet", parquet([9], [9]))
    bucket.put("days/.hidden.parquet", parquet([9], [9]))
    project = bucket.project("days/*.parquet", "\n[parts]\nmin_rows = 1\n")
    build(project)
    assert amount(project) == 3
    bucket.asked()
    bucket.put("days/3.parquet", parquet([3], [30]))
    document = build(project).document
    assert amount(project) == 33
    assert [one for one in bucket.asked() if one.startswith("GET days")] == ["GET days/3.parquet"]
    assert "1 of 4 parts" in str(document) or {p["status"] for p in document["products"]} == {"executed"}
    bucket.remove("days/0.parquet")
    bucket.remove("days/2.parquet")
    build(project)
    assert amount(project) == 31


def test_text_and_folders_of_keys_are_read_as_on_this_machine(bucket: Bucket) -> None:
    bucket.put("csv/day=1/a b.csv", b"id,amount\n1,10\n")
    bucket.put("csv/day=2/b.csv", b"id,amount\n2,20\n")
    bucket.put("csv/_SUCCESS", b"")
    project = bucket.project("csv")
    project.sql("days", "SELECT t.day, SUM(t.amount) AS n FROM t GROUP BY t.day ORDER BY t.day")
    build(project)
    assert project.product("days").to_pylist() == [{"day": "1", "n": 10}, {"day": "2", "n": 20}]


def test_what_was_removed_from_the_copies_is_fetched_again(bucket: Bucket) -> None:
    bucket.put("t.parquet", parquet([1, 2], [10, 20]))
    project = bucket.project("t.parquet", '\n[store]\ndownloads = "1B"\n')
    build(project)
    assert not list((project.root / ".rules/downloads").glob("*/*")), "more than the limit"
    project.sql("more", "SELECT t.id + 1 AS id FROM t")
    bucket.asked()
    assert build(project).executed == {"more"}
    assert bucket.asked().count("GET t.parquet") == 1
    assert project.product("more").to_pylist() == [{"id": 2}, {"id": 3}]


def test_a_damaged_copy_is_not_believed(bucket: Bucket) -> None:
    bucket.put("t.csv", b"id,amount\n1,10\n")
    bucket.put("t.parquet", parquet([1, 2], [10, 20]))
    project = bucket.project("t.parquet")
    build(project)
    (copy,) = (project.root / ".rules/downloads").glob("*/*")
    copy.write_bytes(parquet([1, 2], [666, 20]))
    project.sql("more", "SELECT t.amount + 1 AS amount FROM t")
    build(project)
    assert project.product("more").to_pylist() == [{"amount": 11}, {"amount": 21}]


def test_the_least_used_copies_go_first(bucket: Bucket) -> None:
    for day in range(4):
        bucket.put(f"days/{day}.parquet", parquet([day], [day]))
    size = len(parquet([0], [0]))
    project = bucket.project("days/*.parquet", f'\n[store]\ndownloads = "{2 * size + 9}B"\n')
    build(project)
    assert len(list((project.root / ".rules/downloads").iterdir())) == 2


@pytest.mark.parametrize("seed", range(3))
def test_faults_never_make_a_wrong_table(bucket: Bucket, seed: int) -> None:
    """30 % of requests fail: 500s, cut or damaged bodies, lost answers; an object is replaced in between."""
    bucket.faults.share, bucket.faults.only, bucket.faults.seed = 0.3, ("500", "truncated", "corrupt", "lost"), seed
    bucket.faults.__post_init__()
    project = bucket.project("days/*.parquet", "\n[parts]\nmin_rows = 50\n")
    want = {day: list(range(day, day + 60)) for day in range(4)}
    for turn in range(4):
        want[turn % 4] = [one + 1000 for one in want[turn % 4]]
        for day, values in want.items():
            bucket.put(f"days/{day}.parquet", parquet(values, values))
        if build(project, expect=None).code == 0:
            assert amount(project) == sum(sum(values) for values in want.values())
            assert len(project.product("ids")) == 240
    bucket.faults.share = 0.0
    build(project)
    assert amount(project) == sum(sum(values) for values in want.values())
    assert bucket.faults.seen["truncated"] > 0
    assert bucket.faults.seen["500"] > 0


@pytest.mark.parametrize("what", ["replaced", "removed"])
def test_an_object_that_changes_between_listing_and_reading(bucket: Bucket, what: str) -> None:
    for day in range(3):
        bucket.put(f"days/{day}.parquet", parquet([day], [1]))
    done = threading.Event()

    def change(method: str, path: str) -> None:
        if method == "GET" and path.partition("?")[0].endswith("days/1.parquet") and not done.is_set():
            done.set()
            if what == "removed":
                bucket.remove("days/1.parquet")
            else:
                bucket.put("days/1.parquet", parquet([7, 7], [100, 100]))

    bucket.faults.choose = change
    project = bucket.project("days/*.parquet")
    build(project)
    assert done.is_set()
    assert amount(project) == (2 if what == "removed" else 202)


def test_an_object_that_never_rests_is_an_error(bucket: Bucket) -> None:
    bucket.put("t.parquet", parquet([1], [1]))
    turns = itertools.count()

    def change(method: str, path: str) -> None:
        if method == "GET" and path.partition("?")[0].endswith("t.parquet"):
            bucket.put("t.parquet", parquet([1], [next(turns)]))

    bucket.faults.choose = change
    error = build(bucket.project("t.parquet"), expect=1).document["error"]
    assert "the source 't' changed while it was read" in error["message"]


def test_a_server_that_is_away_is_one_error_and_loses_nothing(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put("t.parquet", parquet([1, 2], [10, 20]))
    project = bucket.project("t.parquet")
    build(project)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    ran = build(project, expect=1)
    error = ran.document["error"]
    assert "the source 't' cannot be read: it cannot be reached" in error["message"]
    assert error["where"] == "rules.toml:5:1"
    assert "Traceback" not in ran.stderr
    assert amount(project) == 30
    assert run(project, "check").code == 0, "checking needs no data"


def test_a_missing_object_names_itself(bucket: Bucket) -> None:
    error = build(bucket.project("gone.parquet"), expect=1).document["error"]
    assert f"matches no object: s3://{s3.BUCKET}/{bucket.prefix}/gone.parquet" in error["message"]


def test_credentials_are_nowhere(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put("t.parquet", parquet([1], [10]))
    project = bucket.project("t.parquet")
    shown = [build(project).stdout]
    bucket.faults.choose = lambda method, path: "500"  # noqa: ARG005
    monkeypatch.setattr("rules.sources.object_stores.TIMEOUT", 0.3)
    ran = run(project, "build", expect=1)
    shown += [ran.stdout, ran.stderr]
    kept = [path.read_bytes() for path in project.root.rglob("*") if path.is_file()]
    for secret in ("a-secret-that-nobody-prints", "a-test-key"):
        assert all(secret not in text for text in shown)
        assert all(secret.encode() not in data for data in kept)


@pytest.mark.parametrize("name", ["parquet", "csv"])
def test_a_new_day_fetches_one_object_even_where_no_copy_is_kept(bucket: Bucket, name: str) -> None:
    def day(number: int) -> bytes:
        ids = list(range(60 * number, 60 * number + 60))
        return parquet(ids, ids) if name == "parquet" else b"id,amount\n" + b"".join(b"%d,%d\n" % (i, i) for i in ids)

    for number in range(4):
        bucket.put(f"days/{number}.{name}", day(number))
    project = bucket.project(f"days/*.{name}", '\n[parts]\nmin_rows = 50\n[store]\ndownloads = "0B"\n')
    build(project)
    assert not list((project.root / ".rules/downloads").glob("*/data*"))
    bucket.asked()
    bucket.put(f"days/4.{name}", day(4))
    products = {one["name"]: one for one in build(project).document["products"]}
    parts = products["ids"]["parts"]
    assert (parts["run"] == 1 and parts["total"] == 5) if name == "parquet" else parts["run"] < parts["total"] / 4
    assert [one for one in bucket.asked() if one.startswith("GET days")] == [f"GET days/4.{name}"]
    assert amount(project) == sum(range(300))
    assert len(project.product("ids")) == 300
    # What is read again as a whole is fetched again.
    project.sql("ordered", "SELECT t.id, row_number() OVER (ORDER BY t.amount DESC) AS n FROM t")
    assert build(project).executed == {"ordered"}
    assert len(project.product("ordered")) == 300


def test_credentials_of_the_files_of_aws(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put("t.parquet", parquet([1], [10]))
    project = bucket.project("t.parquet")
    endpoint = without_keys(tmp_path, monkeypatch)
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = of-default\naws_secret_access_key = hidden\n"
        "[lake]\naws_access_key_id = of-lake\naws_secret_access_key = hidden-too%\n"
    )
    (tmp_path / "config").write_text(
        f"[profile lake]\nregion = us-east-1\nendpoint_url = {endpoint}\n[profile sso]\nsso_session = x\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "lake")
    build(project)
    assert amount(project) == 10
    monkeypatch.setenv("AWS_PROFILE", "sso")
    error = build(project, expect=1).document["error"]
    assert "the profile 'sso' that AWS_PROFILE names has no keys" in error["message"]
    assert "AWS_ACCESS_KEY_ID" in error["hint"]


def without_keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Take the settings of S3 out of the environment, but for where the files of AWS are; return the endpoint."""
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    for name in s3.environment(0):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    return endpoint


def test_keys_are_names_whatever_is_in_them(bucket: Bucket) -> None:
    names = ["day=1/a b.parquet", "day=1/50%.parquet", "day=2/ü+&=,;@!'.parquet", "day=2/%41.parquet"]
    for place, name in enumerate(names):
        bucket.put(f"days/{name}", parquet([place], [10**place]))
    bucket.put("days/day=3", b"")  # as consoles mark an empty folder
    project = bucket.project("days/day=*/*.parquet")
    build(project)
    assert amount(project) == 1111
    one = bucket.project("days/day=1/50%.parquet", name="one")
    build(one)
    assert amount(one) == 10
    whole = bucket.project("days/", 'format = "parquet"\n', name="whole")
    build(whole)
    assert amount(whole) == 1111
