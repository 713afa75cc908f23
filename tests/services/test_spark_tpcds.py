"""TPC-DS's 99 queries as rules, on two executors and locally: equal, or run locally for a reason that the plan says.

On the tiny tables of the tests; on others, of the same columns, where RULES_TPCDS_DATA names a folder of their Parquet
files.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from support import inprocess, spark, tpcds
from support.projects import SampleProject

pytestmark = [pytest.mark.service, pytest.mark.soak, pytest.mark.timeout(5400)]

ON_SPARK = 87


def test_tpcds_on_two_executors(remote: str, tmp_path: Path) -> None:
    here = SampleProject.at(tpcds.make_project(tmp_path / "here"))
    if "RULES_TPCDS_DATA" in os.environ:
        shutil.copytree(os.environ["RULES_TPCDS_DATA"], here.root / "data", dirs_exist_ok=True)
    here.write("rules.toml", here.read("rules.toml") + spark.profile(remote))
    there = SampleProject.copy_of(here.root, tmp_path / "there")
    planned = inprocess.run(there, "plan", "--profile", "cluster", "--json").document["products"]
    on_spark = {one["name"] for one in planned if one["engine"] == "spark"}
    assert len(planned) == 99
    assert len(on_spark) == ON_SPARK
    assert all(one["engine_reason"] for one in planned if one["engine"] == "local")
    inprocess.build(here)
    inprocess.build(there, "--profile", "cluster")
    for name in sorted(on_spark):
        spark.assert_same_bag(here, there, name)
    assert set(inprocess.build(there, "--profile", "cluster").statuses.values()) == {"clean"}
    for project in (here, there):
        project.edit("rules/q37.sql", "BETWEEN 100 AND 500", "BETWEEN 200 AND 500")
    assert "q37" in on_spark
    assert inprocess.build(there, "--profile", "cluster").executed == {"q37"}
    assert inprocess.build(here).executed == {"q37"}
    spark.assert_same_bag(here, there, "q37")
