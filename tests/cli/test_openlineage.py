"""[openlineage]: what a build did, as events in a file or to a real server; no failure there fails a build."""

from __future__ import annotations

import http.server
import json
import sys
import threading
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attr
import pytest

from support.inprocess import build, run
from support.projects import SampleProject

RULE = """-- /// rule
-- description = "What was paid"
-- tags = ["ops"]
-- key = ["id"]
-- [columns.status]
-- accepted = ["paid", "open"]
-- severity = "warn"
-- ///
SELECT r.id, r.amount * 2 AS amount, r.status, $api_token AS t FROM raw AS r WHERE r.kind = 'x'
"""


def sample(root: Path, events: str) -> SampleProject:
    toml = f'\n[vars]\napi_token = "hunter2-hunter2"\n\n[openlineage]\n{events}\n'
    made = SampleProject(root, sources=["raw"], toml=toml)
    columns = {"id": [1, 2, 3], "amount": [10, 20, 30], "status": ["paid", "void", "paid"], "kind": ["x", "x", "y"]}
    made.parquet("raw", columns)
    made.write("rules/orders.sql", RULE)
    made.sql("totals", "SELECT o.status, SUM(o.amount) AS total, COUNT(*) AS n FROM orders AS o GROUP BY o.status")
    return made


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    return sample(tmp_path / "project", 'path = "out/lineage.jsonl"')


def events_in(project: SampleProject) -> list[dict[str, Any]]:
    path = project.root / "out" / "lineage.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def told(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["job"]["name"], event["eventType"]) for event in events]


def ended(events: list[dict[str, Any]], job: str) -> dict[str, Any]:
    (found,) = [event for event in events if event["job"]["name"] == job and event["eventType"] != "START"]
    return found


def published() -> dict[str, type]:
    """Return the classes that the client has from the published schemas, by the URLs of these."""
    generated = import_module("openlineage.client.generated")
    modules = [import_module(f"{generated.__name__}.{one.name}") for one in iter_modules(generated.__path__)]
    found = [one for module in modules for one in vars(module).values() if isinstance(one, type)]
    own = [one for one in found if attr.has(one) and hasattr(one, "_get_schema")]
    return {one._get_schema(): one for one in own}  # noqa: SLF001  the client has no other name for it


def require_published_schema(event: dict[str, Any]) -> None:
    """Read an event by those classes, with all that is in it: nothing unknown, nothing missing, types as they say."""
    classes = published()

    def require(kind: Any, value: Any) -> None:
        options = get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)
        if value is None:
            assert NoneType in options
            return
        (kind,) = [one for one in options if one is not NoneType]
        if get_origin(kind) is list:
            assert isinstance(value, list)
            for one in value:
                require(get_args(kind)[0], one)
        elif get_origin(kind) is dict:
            for one in value.values():
                require(get_args(kind)[1], one)
        elif isinstance(kind, type) and issubclass(kind, Enum):
            assert value in {one.value for one in kind}
        elif attr.has(kind):
            kind = classes.get(value.get("_schemaURL"), kind)
            types, fields = get_type_hints(kind), {one.name: one for one in attr.fields(kind)}
            assert value.keys() <= fields.keys(), kind
            assert {name for name, one in fields.items() if one.default is attr.NOTHING} <= value.keys(), kind
            for name, one in value.items():
                require(types[name], one)
        elif kind is not Any:
            assert isinstance(value, kind), (kind, value)

    assert event["schemaURL"] in classes
    require(classes[event["schemaURL"]], event)


def test_the_classes_refuse_what_is_not_in_the_schema(project: SampleProject) -> None:
    build(project)
    for place, name in (("job", "facets"), ("run", "runId"), ("", "eventType")):
        event = ended(events_in(project), "orders")
        (event[place] if place else event)[name] = {"odd": 1}
        with pytest.raises((AssertionError, TypeError, AttributeError)):
            require_published_schema(event)


def test_what_a_build_did_is_told(project: SampleProject) -> None:
    build(project)
    events = events_in(project)
    for event in events:
        require_published_schema(event)
    assert sorted(told(events)) == sorted(
        (job, state) for job in ("sample.build", "orders", "orders.checks", "totals") for state in ("START", "COMPLETE")
    )
    assert [told(events)[at] for at in (0, -1)] == [("sample.build", "START"), ("sample.build", "COMPLETE")]
    assert [event["eventTime"] for event in events] == sorted(event["eventTime"] for event in events)
    whole = ended(events, "sample.build")["run"]["runId"]
    orders = ended(events, "orders")
    assert orders["run"]["facets"]["parent"]["run"]["runId"] == whole
    assert len({(event["run"]["runId"], event["job"]["name"]) for event in events}) == len(
        {e["run"]["runId"] for e in events}
    )
    assert orders["job"]["facets"]["documentation"]["description"] == "What was paid"
    assert [(one["namespace"], one["name"]) for one in orders["inputs"]] == [("sample", "raw")]
    (output,) = orders["outputs"]
    fields = [(one["name"], one["type"]) for one in output["facets"]["schema"]["fields"]]
    assert fields == [("id", "int64"), ("amount", "int64"), ("status", "string"), ("t", "string")]
    statistics = output["outputFacets"]["outputStatistics"]
    assert statistics["rowCount"] == 2
    assert statistics["size"] > 0
    assert "hunter2" not in (project.root / "out" / "lineage.jsonl").read_text(encoding="utf-8")


def test_values_are_direct_and_control_is_indirect(project: SampleProject) -> None:
    build(project)
    events = events_in(project)

    def steps(fields: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
        return {(one["field"], step["type"], step["subtype"]) for one in fields for step in one["transformations"]}

    def lineage(job: str) -> dict[str, Any]:
        found: dict[str, Any] = ended(events, job)["outputs"][0]["facets"]["columnLineage"]
        return found

    orders, totals = lineage("orders"), lineage("totals")
    assert steps(orders["fields"]["id"]["inputFields"]) == {("id", "DIRECT", "IDENTITY")}
    assert steps(orders["fields"]["amount"]["inputFields"]) == {("amount", "DIRECT", "TRANSFORMATION")}
    assert steps(orders["dataset"]) == {("kind", "INDIRECT", "FILTER")}
    assert steps(totals["fields"]["total"]["inputFields"]) == {("amount", "DIRECT", "AGGREGATION")}
    assert steps(totals["dataset"]) == {("status", "INDIRECT", "GROUP_BY")}


def test_checks_are_assertions_about_what_they_read(project: SampleProject) -> None:
    build(project)
    checks = ended(events_in(project), "orders.checks")
    (dataset,) = checks["inputs"]
    found = dataset["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert [(one["assertion"], one["success"], one.get("column"), one["severity"], one["actual"]) for one in found] == [
        ("unique", True, None, "error", "0"),
        ("accepted_values", False, "status", "warn", "1"),
    ]
    assert (dataset["name"], checks["eventType"]) == ("orders", "COMPLETE")


def test_a_failure_is_told_and_what_did_not_run_is_not(project: SampleProject) -> None:
    project.edit("rules/totals.sql", "SUM(o.amount)", "SUM(CAST(o.status AS INT))")
    build(project, expect=1)
    events = events_in(project)
    failed = ended(events, "totals")
    assert failed["eventType"] == ended(events, "sample.build")["eventType"] == "FAIL"
    assert failed["run"]["facets"]["errorMessage"]["message"]
    assert "outputFacets" not in failed["outputs"][0] or not failed["outputs"][0]["outputFacets"]
    project.edit("rules/totals.sql", "SUM(CAST(o.status AS INT))", "SUM(o.amount)")
    build(project)
    later = events_in(project)[len(events) :]
    assert set(told(later)) == {(job, state) for job in ("sample.build", "totals") for state in ("START", "COMPLETE")}
    for event in events_in(project):
        require_published_schema(event)


def test_a_no_op_tells_nothing_and_imports_nothing_of_it(project: SampleProject) -> None:
    build(project)
    before = events_in(project)
    ran = project.started("build", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert ran.stdout.startswith("nothing to do")
    assert "openlineage" not in ran.stderr
    build(project, "-s", "orders")
    assert events_in(project) == before


def test_what_is_restored_is_told_and_what_is_clean_is_not(project: SampleProject) -> None:
    build(project)
    first = ended(events_in(project), "totals")["outputs"][0]["facets"]["version"]
    text = project.read("rules/totals.sql")
    project.sql("totals", text.replace("SUM(o.amount)", "SUM(o.amount) + 1").strip())
    build(project)
    before = len(events_in(project))
    project.sql("totals", text.strip())
    assert build(project).statuses == {"orders": "clean", "totals": "restored"}
    later = events_in(project)[before:]
    assert set(told(later)) == {(job, state) for job in ("sample.build", "totals") for state in ("START", "COMPLETE")}
    assert ended(later, "totals")["outputs"][0]["facets"]["version"] == first


class _Server(http.server.ThreadingHTTPServer):
    """A server of lineage on loopback: keeps what it is sent, and answers as it is told to."""

    status = 201

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str | None, dict[str, Any]]] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers.get("Authorization"), json.loads(body)))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_a_server_gets_the_same(server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = server.server_address[1]
    events = f'url = "http://127.0.0.1:{port}/base"\nnamespace = "warehouse"'
    project = sample(tmp_path / "project", events)
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "k3y")
    ran = build(project)
    assert "warning: not" not in ran.stderr
    assert {(path, key) for path, key, _ in server.asked} == {("/base/api/v1/lineage", "Bearer k3y")}
    assert len(server.asked) == 8
    assert {event["job"]["namespace"] for *_, event in server.asked} == {"warehouse"}
    for *_, event in server.asked:
        require_published_schema(event)


def test_a_server_that_fails_is_one_warning(server: _Server, tmp_path: Path) -> None:
    server.status = 503
    project = sample(tmp_path / "project", f'url = "http://127.0.0.1:{server.server_address[1]}"')
    url = f"http://127.0.0.1:{server.server_address[1]}"
    ran = build(project)
    (warning,) = [line for line in ran.stderr.splitlines() if "OpenLineage" in line]
    assert warning == f"warning: not all OpenLineage events went to {url}: the server answered 503"
    assert len(server.asked) == 1
    assert ran.executed == {"orders", "totals"}


def test_a_dead_server_is_one_warning(tmp_path: Path) -> None:
    with _Server() as gone:
        port = gone.server_address[1]
    project = sample(tmp_path / "project", f'url = "http://127.0.0.1:{port}"')
    ran = build(project)
    (warning,) = [line for line in ran.stderr.splitlines() if "OpenLineage" in line]
    assert warning.endswith("the server cannot be reached")
    assert ran.document["status"] == "ok"
    assert build(project).statuses == {"orders": "clean", "totals": "clean"}


def test_a_file_that_cannot_be_written_is_one_warning(project: SampleProject) -> None:
    (project.root / "out" / "lineage.jsonl").mkdir(parents=True)
    ran = build(project)
    assert len([line for line in ran.stderr.splitlines() if "OpenLineage" in line]) == 1
    assert "Traceback" not in ran.stderr


def test_without_the_package_it_is_one_warning(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.startswith("rules.openlineage.events")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openlineage.client", None)
    ran = build(project)
    (warning,) = [line for line in ran.stderr.splitlines() if "OpenLineage" in line]
    assert "leastwork-rules[openlineage]" in warning
    assert ran.executed == {"orders", "totals"}


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ("", "one of 'url' and 'path'"),
        ('url = "http://h"\npath = "x"', "one of 'url' and 'path'"),
        ('url = "ftp://h"', "not the URL of a server"),
        ('url = "https://me:pass@h"', "not the URL of a server"),
        ('path = "s3://b/x"', "not the path of a file"),
        ('path = "x"\nnamespace = " "', "'namespace' is empty"),
        ('pfad = "x"', "unknown key 'pfad'"),
        ("path = 3", "must be"),
    ],
)
def test_settings_that_are_wrong(tmp_path: Path, events: str, said: str) -> None:
    ran = run(sample(tmp_path / "project", events), "build", expect=2)
    assert said in ran.stderr
    assert "rules.toml:" in ran.stderr
    assert "pass" not in ran.stderr.replace("password", "")
