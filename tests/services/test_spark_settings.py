"""A server whose settings are all others by default makes the tables of any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from rules.engine.spark.identity import SETTINGS
from support import inprocess, spark
from support.projects import SampleProject
from support.spark_cases import LOCALLY, QUERIES, ROWS, nasty

pytestmark = [pytest.mark.service, pytest.mark.timeout(900)]

OTHERS = {
    "spark.sql.session.timeZone": "America/New_York",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.files.ignoredPathSegmentRegex": "^t",
    "spark.sql.legacy.ctePrecedencePolicy": "LEGACY",
    "spark.sql.legacy.timeParserPolicy": "LEGACY",
    "spark.sql.parquet.datetimeRebaseModeInRead": "LEGACY",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "LEGACY",
    "spark.sql.parquet.int96RebaseModeInRead": "LEGACY",
    "spark.sql.parquet.outputTimestampType": "INT96",
}
FLIPPED = {"true": "false", "false": "true"}
SHARE = 5
"""Of the queries one in so many: one takes a second."""


def test_a_server_with_other_settings_makes_the_same_tables(tmp_path: Path) -> None:
    spark.require_spark()
    here = SampleProject(tmp_path / "here", sources=["t"])
    here.parquet("t", nasty())
    rows = [one for examples in ROWS.values() for one in examples]
    outputs = ", ".join(f"{one} AS c{place}" for place, one in enumerate(rows))
    here.sql("rows_of_all", f"SELECT id, {outputs} FROM t")
    here.sql("of_none", "SELECT 'a' AS a FROM t HAVING COUNT(*) > 1")
    for name in sorted(set(QUERIES) - LOCALLY)[::SHARE]:
        here.sql(name, QUERIES[name])
    inprocess.build(here)
    others = {key: OTHERS.get(key) or FLIPPED[value] for key, value in SETTINGS.items()}
    confs = here.root / ".rules" / "engines" / "spark" / "conf"
    confs.mkdir(parents=True)
    (confs / "spark-defaults.conf").write_text("".join(f"{key} {value}\n" for key, value in others.items()))
    try:
        remote = inprocess.run(here, "engine", "up", "spark", "--json").document["remote"]
        here.write("rules.toml", here.read("rules.toml") + spark.profile(remote))
        there = SampleProject.copy_of(here.root, tmp_path / "there")
        built = inprocess.build(there, "--profile", "cluster")
    finally:
        inprocess.run(here, "engine", "down", "spark")
    for name in built.statuses:
        spark.assert_same_bag(here, there, name)
