"""What a build on a cluster does when parts of it die, when it takes too long, and when its user gives up."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rules.engine.spark.connection import open_session
from support import inprocess, spark
from support.projects import RULES, SampleProject

pytestmark = [pytest.mark.service, pytest.mark.timeout(900)]

ROWS, KEYS = 200_000, 1_000
KILLS = 20
HEAVY = (
    "SELECT a.k, COUNT(*) AS c, SUM(a.v * z.v + q.c) AS s FROM t AS a JOIN t AS z ON a.k = z.k "
    "JOIN quick AS q ON q.k = a.k GROUP BY a.k"
)
ENDLESS = "SELECT COUNT(*) AS c FROM t AS a, t AS b, t AS z WHERE (a.v + b.v * z.v) % 7 = 3"


def make(root: Path, remote: str, *rules: str) -> SampleProject:
    texts = {"quick": "SELECT k, COUNT(*) AS c FROM t GROUP BY k", "heavy": HEAVY, "endless": ENDLESS}
    made = SampleProject(root, sources=["t"], toml=spark.profile(remote))
    numbers = np.random.default_rng(3)
    made.parquet("t", pa.table({"k": numbers.integers(0, KEYS, ROWS), "v": numbers.integers(0, 1 << 40, ROWS)}))
    for name in rules:
        made.sql(name, texts[name])
    return made


def started(project: SampleProject, *arguments: str) -> subprocess.Popen[str]:
    command = [str(RULES), "-C", str(project.root), "build", "--json", "--profile", "cluster", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def assert_nothing_is_left(project: SampleProject) -> None:
    """Assert that the store is whole, and that nothing half-written is in it after the next command that builds."""
    inprocess.run(project, "build", "--json", "-s", "quick", "--profile", "cluster")
    assert [str(one) for one in (project.root / ".rules" / "tmp").rglob("*") if one.is_file()] == []
    inprocess.run(project, "verify")


def test_executors_that_die_are_replaced(spark_cluster: spark.SharedCluster, own_remote: str, tmp_path: Path) -> None:
    there = make(tmp_path / "there", own_remote, "quick", "heavy")
    here = SampleProject.copy_of(there.root, tmp_path / "here")
    inprocess.build(here)
    chance, killed = random.Random(23), 0
    with started(there) as build:
        while killed < 3 and build.poll() is None:
            time.sleep(chance.uniform(0.5, 3))
            if executors := spark_cluster.executors():
                spark.kill(chance.choice(executors))
                killed += 1
        _, errors = build.communicate()
    assert build.returncode == 0, errors
    assert killed
    spark.assert_same_bag(here, there, "heavy")


def test_the_server_collects_no_table_only_because_its_file_is_small(remote: str, tmp_path: Path) -> None:
    """What it sends to all executors passes through its memory, whose end is that of all builds."""
    numbers = np.random.default_rng(5)
    with open_session(remote) as session:
        plans = {}
        for rows in (1_000, 500_000):
            values = numbers.permutation(rows)
            file = tmp_path / f"{rows}.parquet"
            pq.write_table(pa.table({"k": values}), file, compression="zstd")
            session.read.parquet(str(file)).createOrReplaceTempView(f"t{rows}")
            joined = session.sql(f"EXPLAIN SELECT a.k FROM t{rows} AS a JOIN t{rows} AS z ON a.k = z.k")
            plans[rows] = joined.collect()[0][0]
        assert 1 << 20 < file.stat().st_size < 10 << 20
    assert "BroadcastHashJoin" in plans[1_000]
    assert "Broadcast" not in plans[500_000]


@pytest.mark.soak
@pytest.mark.timeout(5400)
def test_twenty_executors_and_a_worker_die_at_random_moments(
    spark_cluster: spark.SharedCluster, own_remote: str, tmp_path: Path
) -> None:
    """At most three in one build: a task that four executors take down with them is Spark's to give up."""
    project = make(tmp_path / "p", own_remote, "quick", "heavy")
    here = SampleProject.copy_of(project.root, tmp_path / "here")
    inprocess.build(here)
    chance, killed, builds, is_short, begun = random.Random(23), 0, 0, False, time.monotonic()
    while killed < KILLS:
        there = SampleProject.copy_of(project.root, tmp_path / f"there-{builds}")
        in_files = builds % 2 == 1
        worker = spark_cluster.pids()[1] if killed >= KILLS // 2 and not is_short else None
        builds, of_this = builds + 1, 0
        with started(there, "--set", f"spark_writes={str(in_files).lower()}") as build:
            spark_cluster.wait_until_busy(0.5)
            while of_this < 3 and killed < KILLS and build.poll() is None:
                time.sleep(chance.uniform(0.2, 3))
                if (executors := spark_cluster.executors()) and build.poll() is None:
                    spark.kill(chance.choice(executors))
                    of_this, killed = of_this + 1, killed + 1
                    if worker is not None and not is_short:
                        spark.kill(worker)
                        is_short = True
            _, errors = build.communicate()
        assert build.returncode == 0, errors
        spark.assert_same_bag(here, there, "heavy")
        said = f"build {builds}: {of_this} executors killed, {time.monotonic() - begun:.0f} s since the first began"
        print(said)  # noqa: T201 — asked for with -s
    assert is_short, "a worker was killed too"


def test_a_worker_that_dies_leaves_its_work_to_the_others(
    spark_cluster: spark.SharedCluster, own_remote: str, tmp_path: Path
) -> None:
    there = make(tmp_path / "there", own_remote, "quick", "heavy")
    here = SampleProject.copy_of(there.root, tmp_path / "here")
    inprocess.build(here)
    with started(there) as build:
        spark_cluster.wait_until_busy(1)
        spark.kill(spark_cluster.pids()[1])
        _, errors = build.communicate()
    assert build.returncode == 0, errors
    spark.assert_same_bag(here, there, "heavy")


def test_a_server_that_dies_is_one_error_and_the_next_build_goes_on(
    spark_cluster: spark.SharedCluster, own_remote: str, tmp_path: Path
) -> None:
    project = make(tmp_path / "p", own_remote, "quick", "heavy")
    with started(project) as build:
        while not (project.root / ".rules" / "products" / "quick.parquet").exists():
            time.sleep(0.05)
        spark_cluster.wait_until_busy(0.5)
        spark.kill(spark_cluster.pids()[0])
        output, errors = build.communicate()
    assert build.returncode == 1
    assert "Traceback" not in errors
    products = {one["name"]: one for one in json.loads(output)["products"]}
    assert products["quick"]["status"] == "executed"
    error = products["heavy"]["error"]
    assert (error["where"], error["code"]) == ("rules/heavy.sql", "execution")
    assert (
        error["message"]
        == f"the Spark server at {own_remote} does not answer; the next build goes on from what is stored"
    )
    inprocess.run(project, "verify")
    with_it = SampleProject.at(spark_cluster.root)
    remote = inprocess.run(with_it, "engine", "up", "spark", "--json").document["remote"]
    project.edit("rules.toml", own_remote, remote)
    assert inprocess.build(project, "--profile", "cluster").executed == {"heavy"}
    assert_nothing_is_left(project)


def test_a_result_too_large_for_the_server_comes_in_files(own_remote: str, tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "p", sources=["t"], toml=spark.profile(own_remote))
    text, rows = "x" * 200, 550_000  # 115 MB as Arrow, and little on disk
    project.parquet("t", pa.table({"k": range(rows), "half": pa.array([0.5] * rows), "text": pa.repeat(text, rows)}))
    project.sql("wide", "SELECT k, text FROM t WHERE k >= 0")
    project.sql("halves", "SELECT half, text FROM t WHERE k >= 0")
    ran = inprocess.build(project, "--keep-going", "--profile", "cluster", expect=1)
    reasons = {one["name"]: one["reason"] for one in ran.document["products"]}
    assert ran.statuses == {"wide": "executed", "halves": "failed"}
    assert "(spark.driver.maxResultSize), so executors wrote it to files" in reasons["wide"]
    assert "without spark_staging tables with DOUBLE come no other way" in reasons["halves"]
    made = project.product("wide")
    assert (made["k"].to_pylist(), made["text"].combine_chunks().unique().to_pylist()) == (list(range(rows)), [text])
    again = inprocess.build(project, "-s", "wide", "--profile", "cluster", "--set", "spark_writes=true")
    assert again.statuses == {"wide": "clean"}


def test_ctrl_c_ends_the_jobs_on_the_cluster(
    spark_cluster: spark.SharedCluster, own_remote: str, tmp_path: Path
) -> None:
    project = make(tmp_path / "p", own_remote, "quick", "endless")
    with started(project) as build:
        spark_cluster.wait_until_busy()
        build.send_signal(signal.SIGINT)
        _, errors = build.communicate()
    assert build.returncode == 130
    assert "Traceback" not in errors
    spark_cluster.wait_until_idle()
    assert_nothing_is_left(project)


def test_a_limit_of_time_ends_the_jobs_on_the_cluster(
    spark_cluster: spark.SharedCluster, own_remote: str, tmp_path: Path
) -> None:
    project = make(tmp_path / "p", own_remote, "endless")
    with started(project, "--timeout", "15s") as build:
        output, errors = build.communicate()
    assert build.returncode == 1, errors
    (product,) = json.loads(output)["products"]
    assert "was stopped" in product["error"]["message"]
    spark_cluster.wait_until_idle()
    project.sql("quick", "SELECT k, COUNT(*) AS c FROM t GROUP BY k")
    assert_nothing_is_left(project)
