"""`rules publish` of Delta and Iceberg tables to a real server of S3, through a proxy that goes wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import obstore
import pytest
from deltalake import DeltaTable
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import StaticTable

from support import publishing, s3
from support.forks import shared
from support.inprocess import run
from support.projects import SampleProject
from support.publishing import products, published, sent, statuses

pytestmark = pytest.mark.service
KINDS = pytest.mark.parametrize("kind", ["delta", "iceberg"])
FAULTS = ("500", "truncated", "corrupt", "lost")


def target(prefix: str, kind: str) -> str:
    return f'\n[publish.lake]\nto = "s3://{s3.BUCKET}/{prefix}"\nformat = "{kind}"\n'


def rows(port: int, prefix: str, kind: str, name: str) -> list[dict[str, Any]]:
    """The rows of a table as the format's own reader finds them, on the server itself."""
    place = f"s3://{s3.BUCKET}/{prefix}/{name}"
    found: list[dict[str, Any]]
    if kind == "delta":
        options = {**s3.environment(port), "AWS_ALLOW_HTTP": "true"}
        found = DeltaTable(place, storage_options=options).to_pyarrow_table().to_pylist()
        return found
    table = StaticTable.from_metadata(place, s3.iceberg_options(port))
    assert isinstance(table.io, PyArrowFileIO)
    found = table.scan().to_arrow().to_pylist()
    return found


def project_of(root: Path, prefix: str, kind: str) -> SampleProject:
    made = SampleProject(root / "sample", sources=["raw"], toml=target(prefix, kind))
    made.parquet("raw", {"id": [1, 2, 3], "region": ["EU", "US", None]})
    made.sql("a", "SELECT r.id, r.region FROM raw AS r")
    made.sql("b", "SELECT r.id FROM raw AS r")
    run(made, "build")
    return made


@KINDS
def test_only_what_changed_is_sent(tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    s3.use(server, monkeypatch)
    prefix = tmp_path.name
    project = project_of(tmp_path, prefix, kind)
    assert statuses(published(project, "--dry-run")) == {"a": "send", "b": "send"}
    assert not s3.objects(server, prefix)
    assert statuses(published(project)) == {"a": "sent", "b": "sent"}
    assert rows(server, prefix, kind, "a") == [
        {"id": 1, "region": "EU"}, {"id": 2, "region": "US"}, {"id": 3, "region": None},
    ]  # fmt: skip
    before = set(s3.objects(server, prefix))
    project.sql("b", "SELECT r.id * 2 AS id FROM raw AS r")
    run(project, "build")
    assert statuses(published(project)) == {"a": "kept", "b": "sent"}
    new = set(s3.objects(server, prefix)) - before
    assert len([name for name in new if name.endswith(".parquet")]) == 1
    assert all(f"{prefix}/b/" in name for name in new)
    assert statuses(published(project)) == {"a": "kept", "b": "kept"}
    assert [row["id"] for row in rows(server, prefix, kind, "b")] == [2, 4, 6]
    project.edit("rules.toml", f'format = "{kind}"', f'format = "{kind}"\npartition_by = {{ a = ["region"] }}')
    assert sent(published(project), "a")[0] == 3
    project.edit("rules/a.sql", "r.id,", "CASE WHEN r.region = 'EU' THEN 7 ELSE r.id END AS id,")
    run(project, "build")
    assert sent(published(project), "a")[0] == 1
    found = rows(server, prefix, kind, "a")
    assert sorted((row["id"], str(row["region"])) for row in found) == [(2, "US"), (3, "None"), (7, "EU")]
    (project.root / "rules" / "b.sql").unlink()
    assert statuses(published(project, "--prune")) == {"a": "kept", "b": "removed"}
    assert not [name for name in s3.objects(server, prefix) if "/b/" in name]


@KINDS
def test_what_is_not_ours_or_was_changed(
    tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    s3.use(server, monkeypatch)
    prefix = tmp_path.name
    project = project_of(tmp_path, prefix, kind)
    s3.put(server, f"{prefix}/a/letter.txt", b"mine")
    error = published(project, expect=1)["targets"][0]["error"]
    assert error["message"] == f"s3://{s3.BUCKET}/{prefix}/a is there, and no publish wrote it"
    assert s3.objects(server, prefix) == [f"{prefix}/a/letter.txt"]
    obstore.delete(s3.client(server), f"{prefix}/a/letter.txt")
    published(project)
    (data,) = [name for name in s3.objects(server, f"{prefix}/a") if name.endswith(".parquet")]
    obstore.delete(s3.client(server), data)
    document = published(project)
    assert "was removed by someone else" in products(document)["a"]["reason"]
    assert statuses(document) == {"a": "sent", "b": "kept"}
    assert len(rows(server, prefix, kind, "a")) == 3


@KINDS
def test_of_two_at_once_one_fails(tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Another machine commits to the table after this one has read it, and before it commits."""
    s3.use(server, monkeypatch)
    prefix = tmp_path.name
    project, other = project_of(tmp_path, prefix, kind), project_of(tmp_path / "other", prefix, kind)
    published(project)
    for made, number in ((project, 10), (other, 20)):
        made.sql("b", f"SELECT r.id + {number} AS id FROM raw AS r")
        run(made, "build")
    done: list[str] = []

    def choose(method: str, path: str) -> None:
        if method == "PUT" and f"{prefix}/b/" in path and not done:
            done.append(path)
            assert shared().run(other.root, "publish", env={**os.environ, **s3.environment(server)}).code == 0

    with s3.faulty(server, s3.Faults(choose=choose)) as port:
        s3.use(port, monkeypatch)
        (found,) = run(project, "publish", "--json", expect=1).document["targets"]
    assert done
    assert found["error"]["code"] == "raced"
    s3.use(server, monkeypatch)
    assert sorted(row["id"] for row in rows(server, prefix, kind, "b")) == [21, 22, 23]
    assert statuses(published(project))["b"] == "sent"
    assert sorted(row["id"] for row in rows(server, prefix, kind, "b")) == [11, 12, 13]


@KINDS
def test_faults_never_leave_a_wrong_or_short_table(
    tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    s3.use(server, monkeypatch)
    prefix = tmp_path.name
    project = project_of(tmp_path, prefix, kind)
    published(project)
    faults, done = s3.Faults(share=0.3, seed=7, only=FAULTS), 0
    with s3.faulty(server, faults) as port:
        for number in range(4):
            before = rows(server, prefix, kind, "b")
            project.sql("b", f"SELECT r.id + {number + 1} AS id FROM raw AS r")
            run(project, "build")
            s3.use(port, monkeypatch)
            ran = run(project, "publish", "--json", expect=None)
            s3.use(server, monkeypatch)
            done += ran.code == 0
            want = [{"id": one + number + 1} for one in (1, 2, 3)]
            assert rows(server, prefix, kind, "b") in ([want] if ran.code == 0 else [want, before])
            assert "a-secret-that-nobody-prints" not in ran.stdout + ran.stderr
            published(project)
            assert rows(server, prefix, kind, "b") == want
            assert len(rows(server, prefix, kind, "a")) == 3
    assert sum(faults.seen[one] for one in FAULTS) > 10
    assert done > 0


@pytest.mark.timeout(7200)
@KINDS
@pytest.mark.parametrize(
    "kills", [5, pytest.param(int(os.environ.get("RULES_SOAK_KILLS", "200")), marks=pytest.mark.soak)]
)
def test_killed_at_random_times(
    tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch, kind: str, kills: int
) -> None:
    s3.use(server, monkeypatch)
    prefix = f"{tmp_path.name}-kills"

    def seen() -> dict[str, tuple[int, int, int]]:
        found = {}
        for name in publishing.NAMES:
            column = [row["state"] for row in rows(server, prefix, kind, name)]
            found[name] = (len(column), min(column), max(column))
        return found

    publishing.killed_at_random(tmp_path, target(prefix, kind), seen, kills=kills, seed=1)
