"""Files that Spark would read otherwise, for their names or what they say of themselves: the local engine's tables."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rules.engine.protocol import Executed, Job, UndecidedError
from rules.engine.spark import execute
from rules.engine.spark.staging import Staging
from rules.engine.stopping import Stop
from support import inprocess, spark
from support.projects import SampleProject

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]

NAMES = {
    "classes": ("a[12].parquet", "a1.parquet"),
    "braces": ("a{x,y}.parquet", "ax.parquet"),
    "marks": ("a?.parquet", "a*.parquet", "ab.parquet"),
    "slashes": ("a\\b.parquet", "a b%20#+ü.parquet"),
    "underscores": ("a.parquet", "_b.parquet"),
    "points": (".a.parquet", ".b.parquet"),
    "colons": ("a:b.parquet",),
}
"""Sources, and the names of their files."""
LOCAL = {"underscores", "points", "colons", "old", "legacy"}
"""Sources that Spark cannot read as they are."""


def test_files_that_spark_would_take_for_others(remote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = SampleProject(tmp_path / "a project [of {two}]" / "here", toml=spark.profile(remote))
    for first, (source, names) in enumerate(NAMES.items()):
        (here.root / source).mkdir()
        for place, name in enumerate(names):
            rows = pa.table({"k": [*range(place, first + 3)]})  # others in each: equal tables are made once
            pq.write_table(rows, here.root / source / name)
    moments = [datetime.datetime(1500, 1, 1), datetime.datetime(1582, 10, 4, 5), datetime.datetime(2000, 1, 1)]
    legacy = {"org.apache.spark.legacyDateTime": "", "org.apache.spark.timeZone": "America/Los_Angeles"}
    for source, notes in {
        "old": {"org.apache.spark.version": "2.4.0"},
        "legacy": {"org.apache.spark.version": "3.5.0"} | legacy,
        "recent": {"org.apache.spark.version": "3.5.0"},
    }.items():
        (here.root / source).mkdir()
        moments.append(moments[-1] + datetime.timedelta(days=1))
        stamps = pa.array(moments, pa.timestamp("us", "UTC"))
        days = pa.table({"k": [moment.date() for moment in moments], "v": stamps})
        pq.write_table(days.replace_schema_metadata(notes), here.root / source / "a.parquet")
        here.sql(f"moments_of_{source}", f"SELECT v FROM {source}")
    sources = [*NAMES, "old", "legacy", "recent"]
    declared = "".join(
        f"\n[sources.{one}]\npath = '{one}/{'.*' if one == 'points' else '*.parquet'}'\n" for one in sources
    )
    here.write("rules.toml", here.read("rules.toml") + declared)
    for source in sources:
        here.sql(f"of_{source}", f"SELECT k FROM {source}")
        here.sql(f"rows_of_{source}", f"SELECT COUNT(*) AS c FROM {source}")
    there = SampleProject.copy_of(here.root, tmp_path / "a project [of {two}]" / "there")
    planned = inprocess.run(there, "plan", "--profile", "cluster", "--json").document["products"]
    assert {one["engine"] for one in planned} == {"spark"}
    inprocess.build(here)
    undecided = set[str]()
    run = execute.execute

    def noting(remote: str, job: Job, stop: Stop, staging: Staging | None = None) -> Executed:
        try:
            return run(remote, job, stop, staging)
        except UndecidedError:
            undecided.update(entry.name for entry in job.query.inputs)
            raise

    monkeypatch.setattr(execute, "execute", noting)
    built = inprocess.build(there, "--profile", "cluster")
    assert undecided == LOCAL, "the others are computed by Spark"
    for name in built.statuses:
        spark.assert_same_bag(here, there, name)
    files = SampleProject.copy_of(here.root, tmp_path / "a project [of {two}]" / "files")
    inprocess.build(files, "--profile", "cluster", "--set", "spark_writes=true")
    for name in built.statuses:
        spark.assert_same_bag(here, files, name)
