"""A profile with Spark beside the local engine: what runs where, under which keys. No Spark is needed for any of it."""

from __future__ import annotations

import datetime
import random
import re
import socket
import struct
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from support import inprocess
from support.projects import SampleProject

PROFILE = '\n[profiles.cluster]\nengine = "spark"\nremote = "sc://127.0.0.1:{port}"\n'
RULES = {
    "totals": "SELECT k, COUNT(*) AS n, SUM(v) AS total FROM t GROUP BY k",
    "means": "SELECT k, AVG(f) AS mean FROM t GROUP BY k",
    "sums": "SELECT k, SUM(f) AS total FROM t GROUP BY k",
    "shouted": "SELECT initcap(s) AS s FROM t",
    "first": "SELECT k, v FROM t ORDER BY k LIMIT 1",
    "some": "SELECT k FROM t LIMIT 1 OFFSET 1",
    "dated": "SELECT COUNT(at) AS n FROM t",
    "averages": "SELECT k, AVG(v) AS mean FROM t GROUP BY k",
    "seen": "SELECT MAX(seen) AS seen FROM t",
    "large": "SELECT o.k FROM totals AS o WHERE o.n > 1",
}
MIDNIGHT = datetime.datetime(1582, 10, 10)
LOCAL = {
    "means": "AVG of float64 is not known to mean the same there",
    "sums": "SUM of float64 is not known to mean the same there",
    "shouted": "the function initcap is not known to mean the same there",
    "dated": "the type of column at, timestamp<ms>, is not one of both engines",
    "some": "OFFSET of SELECT is not known to mean the same there",
}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path / "p", sources=["t"], toml=PROFILE.format(port=free_port()))
    made.parquet(
        "t",
        {
            "k": [1, 1, 2],
            "v": [1, 2, 3],
            "f": [0.5, 1.5, None],
            "s": ["a", "b", None],
            "at": pa.array([MIDNIGHT, None, None], pa.timestamp("ms")),
            "seen": [MIDNIGHT, None, None],
        },
    )
    for name, query in RULES.items():
        made.sql(name, query)
    return made


def planned(project: SampleProject, *arguments: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in inprocess.run(project, "plan", "--json", *arguments).document["products"]}


def test_a_plan_says_where_each_rule_runs_and_why(project: SampleProject) -> None:
    found = planned(project, "--profile", "cluster")
    assert {name: one["engine"] for name, one in found.items()} == {
        name: "local" if name in LOCAL else "spark" for name in RULES
    }
    assert {name: one["engine_reason"] for name, one in found.items() if "engine_reason" in one} == LOCAL
    assert found["totals"]["reason"] == "new rule; it runs on Spark"
    assert found["sums"]["reason"] == f"new rule; it runs locally: {LOCAL['sums']}"
    assert all("engine" not in one for one in planned(project).values())


def test_another_engine_is_in_the_keys_of_only_the_rules_that_run_there(project: SampleProject) -> None:
    inprocess.build(project)
    here, there = planned(project), planned(project, "--profile", "cluster")
    moved = {name for name in RULES if here[name]["fingerprint"] != there[name]["fingerprint"]}
    assert moved == RULES.keys() - LOCAL.keys()
    assert {name for name, one in there.items() if one["verdict"] == "clean"} == LOCAL.keys()
    assert there["totals"]["reason"].startswith("it runs on spark 4.3.0 instead of datafusion 55.0.0")
    other = planned(project, "--profile", "cluster", "--set", "remote=sc://elsewhere:1")
    assert {name: one["fingerprint"] for name, one in other.items()} == {
        name: one["fingerprint"] for name, one in there.items()
    }


def test_the_local_engine_is_in_the_keys_of_only_the_rules_that_it_may_have_to_decide(
    project: SampleProject,
) -> None:
    few = planned(project, "--profile", "cluster")
    other = planned(project, "--profile", "cluster", "--set", "batch_size=100", "--set", "partitions=3")
    assert {name for name, one in few.items() if one["engine"] == "spark"} >= {"first", "totals"}
    assert few["first"]["fingerprint"] != other["first"]["fingerprint"]
    assert few["averages"]["fingerprint"] != other["averages"]["fingerprint"]
    assert few["totals"]["fingerprint"] == other["totals"]["fingerprint"]


def test_auto_is_spark_for_the_rules_that_read_much(project: SampleProject) -> None:
    project.write("rules.toml", project.read("rules.toml") + '\n[sources.many]\npath = "data/many.parquet"\n')
    values = random.Random(4).randbytes(1 << 20)  # which no encoding makes smaller
    project.parquet("many", {"k": list(range(1 << 17)), "v": list(struct.unpack(f"{1 << 17}q", values))})
    project.sql("of_many", "SELECT k % 3 AS k, COUNT(*) AS n FROM many GROUP BY k % 3")
    project.sql("of_its_product", "SELECT MAX(n) AS n FROM of_many")
    project.sql("of_both", "SELECT t.k FROM t JOIN of_many AS o ON o.k = t.k")
    project.sql("float_of_many", "SELECT AVG(v * 1e0) AS mean FROM many")
    auto = ("--profile", "cluster", "--set", "engine=auto", "--set", "spark_from_mb=1")
    here, there = planned(project), planned(project, "--profile", "cluster")
    found = planned(project, *auto)
    large = {"of_many", "of_its_product", "of_both"}
    assert {name for name, one in found.items() if one["engine"] == "spark"} == large
    for name, one in found.items():
        assert one["fingerprint"] == (there if name in large else here)[name]["fingerprint"]
    assert re.fullmatch(
        r"new rule; it runs on Spark: the sources below it have 2\.\d MB, at least spark_from_mb \(1 MiB\)",
        found["of_many"]["reason"],
    )
    assert re.fullmatch(
        r"new rule; it runs locally: the sources below it have \d\.\d kB, less than spark_from_mb \(1 MiB\)",
        found["totals"]["reason"],
    )
    assert found["float_of_many"]["engine_reason"].endswith("is not known to mean the same there")
    inprocess.build(project)  # what is known of products now moves no rule
    assert {name: one["engine"] for name, one in planned(project, *auto).items()} == {
        name: one["engine"] for name, one in found.items()
    }
    assert {one["engine"] for one in planned(project, *auto[:-1], "spark_from_mb=3").values()} == {"local"}


def test_a_build_that_runs_all_locally_needs_no_client(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    built = inprocess.build(project, "--profile", "cluster", "--set", "engine=auto")
    assert built.executed == RULES.keys()


@pytest.mark.parametrize("tier", [1, 2])
def test_a_promised_order_is_kept(project: SampleProject, tier: int) -> None:
    project.sql("keyed", f'-- /// rule\n-- tier = {tier}\n-- key = ["v"]\n-- ///\nSELECT v, k FROM t')
    found = planned(project, "--profile", "cluster")["keyed"]
    assert found["engine"] == ("local" if tier == 1 else "spark")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("engine=spark",), "profile 'prod_fast' runs rules on Spark, but names no server"),
        (
            ("engine=spark", "remote=http://x:1"),
            "--set remote=http://x:1: 'remote' must be sc://HOST:PORT, not 'http://x:1'",
        ),
        (
            ("spark_staging=/tmp/here",),
            "--set spark_staging=/tmp/here: 'spark_staging' must be s3://BUCKET/PREFIX, not '/tmp/here'",
        ),
        (
            ("spark_staging=s3://me:secret@bucket/x",),
            "--set spark_staging=s3://bucket/x: 'spark_staging': the URL holds a user or a password",
        ),
        (
            ("spark_staging=s3://bucket/x/*",),
            "--set spark_staging=s3://bucket/x/*: 'spark_staging' must be s3://BUCKET/PREFIX, not 's3://bucket/x/*'",
        ),
    ],
)
def test_profiles_that_cannot_be(project: SampleProject, settings: tuple[str, ...], message: str) -> None:
    given = [word for one in settings for word in ("--set", one)]
    ran = inprocess.run(project, "plan", "--json", *given, expect=2)
    assert ran.document["error"]["message"] == message


def test_a_missing_client_is_one_error_before_anything_runs(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    ran = inprocess.run(project, "build", "--json", "--profile", "cluster", expect=2)
    assert ran.document["error"]["code"] == "missing-extra"
    assert ran.document["error"]["hint"] == "pip install 'leastwork-rules[spark]'"


def test_a_server_that_is_not_there_fails_only_what_was_to_run_there(project: SampleProject) -> None:
    pytest.importorskip("grpc")
    pytest.importorskip("pyspark")
    ran = inprocess.build(project, "--profile", "cluster", "--keep-going", expect=1)
    assert {name for name, status in ran.statuses.items() if status == "executed"} == LOCAL.keys()
    (failed,) = (one for one in ran.document["products"] if one["name"] == "totals")
    assert "does not answer" in failed["error"]["message"]
    assert inprocess.build(project).executed == RULES.keys() - LOCAL.keys()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["spark"], "profile 'prod_fast' names no server of Spark, so there is no other engine"),
        (["spork"], "error: --engine: there is no engine 'spork': choose spark or local"),
        (["spark", "200%"], "error: --engine: must be a share such as 5%, 0.05 or all, not '200%'"),
        (["local", "1%", "2%"], "error: --engine: takes an engine and a share, not also '2%'"),
    ],
)
def test_an_audit_that_cannot_be(project: SampleProject, options: list[str], message: str) -> None:
    assert message in inprocess.run(project, "audit", "--engine", *options, expect=2).stderr


@pytest.mark.parametrize("prefix", ["s3://bucket/a", "s3://bucket/a/", "s3://bucket"])
def test_where_spark_keeps_its_files_is_in_no_key(project: SampleProject, prefix: str) -> None:
    staging = ("--set", f"spark_staging={prefix}")
    assert planned(project, "--profile", "cluster", *staging) == planned(project, "--profile", "cluster")


def test_an_audit_on_a_server_that_is_not_there_is_one_error(project: SampleProject) -> None:
    pytest.importorskip("grpc")
    pytest.importorskip("pyspark")
    audit = ("audit", "--json", "--profile", "cluster", "--engine")
    assert inprocess.run(project, *audit, "spark").document["checked"] == []  # nothing is built
    inprocess.build(project)
    ran = inprocess.run(project, *audit, "spark", expect=1)
    assert (ran.document["error"]["code"], "does not answer" in ran.document["error"]["message"]) == ("engine", True)
    assert inprocess.run(project, *audit, "local").document["checked"] == []  # Spark has made nothing


def test_nothing_is_ended_that_was_not_started(project: SampleProject) -> None:
    assert inprocess.run(project, "engine", "down", "spark", "--json").document["remote"] is None
