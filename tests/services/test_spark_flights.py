"""The sample project on two executors and locally: equal, or run locally for a reason that the plan says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import inprocess, spark
from support.projects import FIXTURES, SampleProject

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.service, pytest.mark.timeout(900)]

ON_SPARK = 32
"""Of 60 rules; the others compute with times in nanoseconds, statistics of floats, lists, or in Python."""


def test_flights_on_two_executors(remote: str, tmp_path: Path) -> None:
    here = SampleProject.copy_of(FIXTURES / "flights", tmp_path / "here")
    here.write("rules.toml", here.read("rules.toml") + spark.profile(remote))
    there = SampleProject.copy_of(here.root, tmp_path / "there")
    planned = inprocess.run(there, "plan", "--profile", "cluster", "--json").document["products"]
    on_spark = {one["name"] for one in planned if one["engine"] == "spark"}
    assert len(on_spark) == ON_SPARK
    assert all(one["engine_reason"] for one in planned if one["engine"] == "local")
    inprocess.build(here)
    inprocess.build(there, "--profile", "cluster")
    for name in sorted(on_spark):
        spark.assert_same_bag(here, there, name)
    assert set(inprocess.build(there, "--profile", "cluster").statuses.values()) == {"clean"}
    name = "delay_by_plane_age"
    assert name in on_spark
    for project in (here, there):
        project.edit(f"rules/marts/{name}.sql", "COUNT(*) AS flights", "COUNT(*) + 1 AS flights")
    assert inprocess.build(there, "--profile", "cluster").executed == inprocess.build(here).executed == {name}
    spark.assert_same_bag(here, there, name)
