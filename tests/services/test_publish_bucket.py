"""`rules publish` to a real server of S3, through a proxy that goes wrong: whole tables, or an error."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pyarrow.parquet as pq
import pytest
from obstore.store import S3Store

from support import publishing, s3
from support.inprocess import run
from support.projects import SampleProject

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with s3.s3_server() as port:
        yield port


def target(prefix: str) -> str:
    return f'\n[publish.lake]\nto = "s3://{s3.BUCKET}/{prefix}"\n'


def use(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment(port).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def project(tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch) -> SampleProject:
    """A project whose target has a prefix of its own."""
    use(server, monkeypatch)
    made = SampleProject(tmp_path / "sample", sources=["raw"], toml=target(tmp_path.name))
    made.parquet("raw", {"id": [1, 2, 3], "region": ["EU", "", None]})
    made.sql("a", "SELECT r.id, r.region FROM raw AS r")
    made.sql("b", "SELECT r.id FROM raw AS r")
    run(made, "build")
    return made


def statuses(project: SampleProject, *words: str, expect: int = 0) -> dict[str, str]:
    (found,) = run(project, "publish", "--json", *words, expect=expect).document["targets"]
    assert ("error" in found) == bool(expect), found
    return {one["name"]: one["status"] for one in found["products"]}


def client(port: int) -> S3Store:
    """Another client of the bucket."""
    environment = s3.environment(port)
    return S3Store(
        s3.BUCKET,
        endpoint=environment["AWS_ENDPOINT_URL"],
        access_key_id=environment["AWS_ACCESS_KEY_ID"],
        secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region=environment["AWS_REGION"],
        client_options={"allow_http": True},
    )


def content(port: int, name: str) -> bytes:
    return bytes(obstore.get(client(port), name).bytes())


def held(port: int, prefix: str) -> dict[str, Any]:
    tables: dict[str, Any] = json.loads(content(port, f"{prefix}/published.json"))["tables"]
    return tables


def rows(port: int, prefix: str, name: str) -> list[dict[str, Any]]:
    files = [content(port, f"{prefix}/{file['path']}") for file in held(port, prefix)[name]["files"]]
    found: list[dict[str, Any]] = [row for data in files for row in pq.read_table(io.BytesIO(data)).to_pylist()]
    return found


def test_only_what_changed_is_sent(project: SampleProject, tmp_path: Path, server: int) -> None:
    prefix = tmp_path.name
    assert statuses(project, "--dry-run") == {"a": "send", "b": "send"}
    assert not s3.objects(server, prefix)
    assert statuses(project) == {"a": "sent", "b": "sent"}
    before = set(s3.objects(server, prefix))
    project.sql("b", "SELECT r.id * 2 AS id FROM raw AS r")
    run(project, "build")
    assert statuses(project) == {"a": "kept", "b": "sent"}
    assert len(set(s3.objects(server, prefix)) - before) == 1
    assert statuses(project) == {"a": "kept", "b": "kept"}
    assert rows(server, prefix, "b") == [{"id": 2}, {"id": 4}, {"id": 6}]
    assert f"s3://{s3.BUCKET}/{prefix}/tables/b/" in content(server, f"{prefix}/views.sql").decode()


def test_what_someone_else_changed_is_noticed(project: SampleProject, tmp_path: Path, server: int) -> None:
    statuses(project)
    name = f"{tmp_path.name}/{held(server, tmp_path.name)['a']['files'][0]['path']}"
    data = content(server, name)
    obstore.put(client(server), name, data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    assert statuses(project) == {"a": "sent", "b": "kept"}
    assert content(server, name) == data


def test_prune_removes_the_objects(project: SampleProject, tmp_path: Path, server: int) -> None:
    statuses(project)
    (project.root / "rules" / "b.sql").unlink()
    assert statuses(project, "--prune") == {"a": "kept", "b": "removed"}
    assert not [name for name in s3.objects(server, tmp_path.name) if "/tables/b/" in name]


def test_of_two_at_once_one_fails_and_nothing_is_lost(
    project: SampleProject, tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other changes published.json after it was read, before it is replaced."""
    statuses(project)
    prefix = tmp_path.name
    name = f"{prefix}/published.json"
    theirs = content(server, name).replace(b"\n", b"\n ", 1)
    project.sql("b", "SELECT r.id * 2 AS id FROM raw AS r")
    run(project, "build")
    done: list[str] = []

    def choose(method: str, path: str) -> None:
        if method == "PUT" and "/tables/b/" in path and not done:
            done.append(path)
            obstore.put(client(server), name, theirs)

    with s3.faulty(server, s3.Faults(choose=choose)) as port:
        use(port, monkeypatch)
        (found,) = run(project, "publish", "--json", expect=1).document["targets"]
    assert done
    assert found["error"]["code"] == "raced"
    assert content(server, name) == theirs
    use(server, monkeypatch)
    assert statuses(project) == {"a": "kept", "b": "sent"}


def test_a_server_that_denies_is_one_clear_error(
    project: SampleProject, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3.faulty(server, s3.Faults(choose=lambda *_: "500")) as port:
        use(port, monkeypatch)
        monkeypatch.setattr("rules.publishing.places._PATIENCE", 0.5)
        ran = run(project, "publish", expect=1)
    assert "cannot be published to: it answered with status 500" in ran.stderr
    assert "secret" not in ran.stdout + ran.stderr


def test_faults_never_leave_a_wrong_or_short_table(
    project: SampleProject, tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = s3.Faults(share=0.3, seed=5, only=("500", "truncated", "corrupt", "lost"))
    sent = 0
    with s3.faulty(server, faults) as port:
        for number in range(6):
            project.sql("b", f"SELECT r.id + {number} AS id FROM raw AS r")
            run(project, "build")
            use(port, monkeypatch)
            code = run(project, "publish", expect=None).code
            use(server, monkeypatch)
            sent += code == 0
            if code == 0:
                assert rows(server, tmp_path.name, "b") == [{"id": one + number} for one in (1, 2, 3)]
            assert statuses(project)
            assert rows(server, tmp_path.name, "b") == [{"id": one + number} for one in (1, 2, 3)]
            assert len(rows(server, tmp_path.name, "a")) == 3
    assert sum(faults.seen[one] for one in ("500", "truncated", "corrupt", "lost")) > 10
    assert sent > 0


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    "kills", [10, pytest.param(int(os.environ.get("RULES_SOAK_KILLS", "200")), marks=pytest.mark.soak)]
)
def test_killed_at_random_times(tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch, kills: int) -> None:
    use(server, monkeypatch)
    prefix = f"{tmp_path.name}-kills"

    def seen() -> dict[str, tuple[int, int, int]]:
        found = {}
        for name in publishing.NAMES:
            column = [row["state"] for row in rows(server, prefix, name)]
            found[name] = (len(column), min(column), max(column))
        assert len({one[1] for one in found.values()}) == 1, "tables of one publish become current together"
        return found

    publishing.killed_at_random(tmp_path, target(prefix), seen, kills=kills, seed=1)
