"""`rules publish` to a real server of S3, through a proxy that goes wrong: whole tables, or an error."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import obstore
import pyarrow.parquet as pq
import pytest

from support import publishing, s3
from support.inprocess import run
from support.projects import SampleProject

pytestmark = pytest.mark.service


def target(prefix: str) -> str:
    return f'\n[publish.lake]\nto = "s3://{s3.BUCKET}/{prefix}"\n'


@pytest.fixture
def project(tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch) -> SampleProject:
    """A project whose target has a prefix of its own."""
    s3.use(server, monkeypatch)
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


def held(port: int, prefix: str) -> dict[str, Any]:
    tables: dict[str, Any] = json.loads(s3.content(port, f"{prefix}/published.json"))["tables"]
    return tables


def rows(port: int, prefix: str, name: str) -> list[dict[str, Any]]:
    files = [s3.content(port, f"{prefix}/{file['path']}") for file in held(port, prefix)[name]["files"]]
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
    assert f"s3://{s3.BUCKET}/{prefix}/tables/b/" in s3.content(server, f"{prefix}/views.sql").decode()


def test_objects_of_other_partitions_stay_where_they_are(
    tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.use(server, monkeypatch)
    prefix = tmp_path.name
    made = SampleProject(tmp_path, sources=["raw"], toml=f'{target(prefix)}partition_by = {{ a = ["region"] }}\n')
    made.sql("a", "SELECT r.id, r.region FROM raw AS r")

    def turn(eu: int, us: int) -> tuple[int, int]:
        """Publish other ids of two regions; return how many files and bytes were sent."""
        made.parquet("raw", {"id": [eu] * 500 + [us] * 500 + [3], "region": ["EU"] * 500 + ["US"] * 500 + [None]})
        run(made, "build")
        before = set(s3.objects(server, prefix))
        found = publishing.sent(publishing.published(made), "a")
        new = [name for name in set(s3.objects(server, prefix)) - before if "/tables/" in name]
        assert len(new) == found[0]
        assert sum(len(s3.content(server, name)) for name in new) == found[1]
        assert {row["id"] for row in rows(server, prefix, "a")} == {eu, us, 3}
        assert len(rows(server, prefix, "a")) == 1001
        return found

    assert turn(1, 1)[0] == 3
    first = {file["path"] for file in held(server, prefix)["a"]["files"]}
    assert turn(2, 1)[0] == 1
    assert turn(2, 2)[0] == 1
    assert turn(1, 2)[0] == 1
    assert turn(1, 3)[0] == 1
    assert publishing.statuses(publishing.published(made)) == {"a": "kept"}
    files, former = (held(server, prefix)["a"][key] for key in ("files", "former_files"))
    named = {file["path"] for file in files}
    assert len(named & first) == 1, "of NULL, which never changed"
    text = s3.content(server, f"{prefix}/views.sql").decode()
    assert all(f"s3://{s3.BUCKET}/{prefix}/{path}" in text for path in named)
    there = {name.removeprefix(f"{prefix}/") for name in s3.objects(server, prefix) if "/tables/" in name}
    assert there == named.union(former), "nothing else is left"
    (made.root / "rules" / "a.sql").unlink()
    made.sql("b", "SELECT r.id FROM raw AS r")
    made.edit("rules.toml", 'a = ["region"]', "")
    run(made, "build")
    publishing.published(made, "--prune")
    assert not [name for name in s3.objects(server, prefix) if "/tables/a/" in name]


def test_what_someone_else_changed_is_noticed(project: SampleProject, tmp_path: Path, server: int) -> None:
    statuses(project)
    name = f"{tmp_path.name}/{held(server, tmp_path.name)['a']['files'][0]['path']}"
    data = s3.content(server, name)
    obstore.put(s3.client(server), name, data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    assert statuses(project) == {"a": "sent", "b": "kept"}
    assert s3.content(server, name) == data


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
    theirs = s3.content(server, name).replace(b"\n", b"\n ", 1)
    project.sql("b", "SELECT r.id * 2 AS id FROM raw AS r")
    run(project, "build")
    done: list[str] = []

    def choose(method: str, path: str) -> None:
        if method == "PUT" and "/tables/b/" in path and not done:
            done.append(path)
            obstore.put(s3.client(server), name, theirs)

    with s3.faulty(server, s3.Faults(choose=choose)) as port:
        s3.use(port, monkeypatch)
        (found,) = run(project, "publish", "--json", expect=1).document["targets"]
    assert done
    assert found["error"]["code"] == "raced"
    assert s3.content(server, name) == theirs
    s3.use(server, monkeypatch)
    assert statuses(project) == {"a": "kept", "b": "sent"}


def test_a_server_that_denies_is_one_clear_error(
    project: SampleProject, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3.faulty(server, s3.Faults(choose=lambda *_: "500")) as port:
        s3.use(port, monkeypatch)
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
            s3.use(port, monkeypatch)
            code = run(project, "publish", expect=None).code
            s3.use(server, monkeypatch)
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
    s3.use(server, monkeypatch)
    prefix = f"{tmp_path.name}-kills"

    def seen() -> dict[str, tuple[int, int, int]]:
        found = {}
        for name in publishing.NAMES:
            column = [row["state"] for row in rows(server, prefix, name)]
            found[name] = (len(column), min(column), max(column))
        assert len({one[1] for one in found.values()}) == 1, "tables of one publish become current together"
        return found

    publishing.killed_at_random(tmp_path, target(prefix), seen, kills=kills, seed=1)
