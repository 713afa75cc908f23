"""`rules verify`: no setting of the engine may change a table; one that does is found, named, and kept as evidence."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compiler.schema import Schema
from rules.config.profiles import PROFILES, Profile
from rules.engine.local import LOCAL
from rules.engine.protocol import EngineInput, EngineQuery, Job
from rules.running.other_settings import AGAINST, Against, Change, changed, changes, smallest
from rules.storage.types import to_schema
from support.inprocess import build, run
from support.projects import SampleProject
from support.stale import make_stale

ROWS = 60_000
RULES = {
    "joined": "SELECT t.g, u.i FROM t JOIN t AS u ON t.i = u.i WHERE t.g > 2",
    "first": "SELECT t.i, t.g FROM t ORDER BY t.g, t.i LIMIT 7",
    "mean": "SELECT t.g, SUM(t.x) AS total, AVG(t.x) AS mean FROM t GROUP BY t.g",
    "least": "SELECT MIN(t.i) AS least, MAX(t.i) AS most FROM t WHERE t.g = 3",
}


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = SampleProject(tmp_path / "p", sources=["t"])
    generator = np.random.default_rng(1)
    table = pa.table({"i": np.arange(ROWS), "g": generator.integers(0, 9, ROWS), "x": generator.normal(size=ROWS)})
    (project.root / "data").mkdir()
    pq.write_table(table, project.root / "data" / "t.parquet", row_group_size=5000)
    for name, sql in RULES.items():
        project.sql(name, sql)
    build(project)
    return project


@pytest.mark.parametrize("against", AGAINST)
def test_no_setting_changes_a_sound_result(project: SampleProject, against: str) -> None:
    project.write("rules.toml", project.read("rules.toml"))
    spread = ("--set", "datafusion.optimizer.repartition_file_min_size=1")
    build(project, *spread)
    found = run(project, "verify", "--against", against, "--json", *spread).document
    assert {one["name"]: (one["same"], one["runs"]) for one in found["products"]} == dict.fromkeys(RULES, (True, 1))
    compared = {one["name"]: one["compared"] for one in found["products"]}
    assert (compared["first"], compared["joined"]) == ("rows in order", "rows")
    if against == "partitions":
        assert compared["mean"] == "rows, floats to 9 digits", "partitions add floats up in another order"
    assert found["unverified"] == []
    assert not list((project.root / ".rules" / "evidence").glob("*/*/difference.json"))


def test_only_what_is_selected_and_up_to_date_runs(project: SampleProject) -> None:
    project.sql("late", "SELECT t.i FROM t")
    project.write(
        "rules/now.sql", "-- /// rule\n-- volatile = true\n-- ///\nSELECT t.i, random() AS r FROM t LIMIT 1\n"
    )
    build(project, "-s", "now")
    found = run(project, "verify", "late", "now", "-s", "first", "--json").document
    assert [one["name"] for one in found["products"]] == ["first"]
    reasons = {one["name"]: one["reason"] for one in found["unverified"]}
    assert reasons["late"] == "it is not up to date, so there is no table to compare with"
    assert set(reasons) == {"late", "now"}
    told = run(project, "verify", "first", "late").stdout.splitlines()
    assert told[0] == "not verified: late, because it is not up to date, so there is no table to compare with"
    assert told[1].startswith("verify: 1 product run again with 15 other settings; every result is the same")
    assert run(project, "verify", "nothing", "--json", expect=2).document["error"]["code"] == "selection"


def test_a_rule_that_depends_on_partitions_is_found_with_that_setting(project: SampleProject) -> None:
    project.sql("some", "SELECT string_agg(CAST(t.i AS VARCHAR), ',') AS all_of_them FROM t WHERE t.g = 3")
    spread = ("--set", "datafusion.optimizer.repartition_file_min_size=1")
    build(project, *spread)
    found = run(project, "verify", "some", "--against", "partitions", "--json", *spread, expect=1).document
    (one,) = found["products"]
    assert (one["same"], one["difference"], one["order_dependent"]) == (False, "other values in all_of_them", True)
    assert [setting["setting"] for setting in one["settings"]] == ["datafusion.execution.target_partitions"]
    assert one["hint"].startswith("its rule leaves open")
    kept = Path(one["evidence"])
    assert {path.name for path in kept.iterdir()} >= {"query.sql", "physical.txt", "settings.json", "difference.json"}
    assert json.loads((kept / "difference.json").read_text())["difference"] == one["difference"]
    settings = json.loads((kept / "settings.json").read_text())["settings"]
    assert settings["datafusion.execution.target_partitions"] == "4"
    before = project.product("some")
    assert project.product("some").equals(before), "nothing is recorded"


def test_a_wrong_table_needs_no_setting_to_differ(project: SampleProject) -> None:
    make_stale(project, "first")
    done = run(project, "verify", "--json", expect=1)
    wrong = [one for one in done.document["products"] if not one["same"]]
    assert [(one["name"], one["settings"], one["repeatable"]) for one in wrong] == [("first", [], True)]
    told = run(project, "verify", "first", expect=1)
    assert "the stored table of first is not what its rule yields" in told.stderr
    assert "rules build --force first" in told.stderr


def test_a_fault_of_the_engine_is_traced_to_the_settings_that_make_it(tmp_path: Path) -> None:
    """It is worked around in compiled rules, so the engine is given the text that a person would write."""
    inputs = {
        "a": pa.table({"k": [1, 2, 3], "x": [10, None, 30]}),
        "b": pa.table({"s": [1, 2, 4], "x": [7, 8, 9]}),
    }
    sql = 'SELECT b.s, b.x FROM "input".a RIGHT JOIN "input".b ON a.k = b.s WHERE a.x IS NULL'
    entries = []
    for name, table in inputs.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
        entries.append(
            EngineInput(name, (tmp_path / f"{name}.parquet",), to_schema(table.schema), tuple(table.schema.names))
        )
    schema: Schema = to_schema(pa.schema([("s", pa.int64()), ("x", pa.int64())]))

    def rows(profile: Profile) -> int:
        query = EngineQuery(sql, tuple(entries), profile)
        return LOCAL.execute(Job(query, schema, tmp_path / "out.parquet")).digest.rows

    profile = PROFILES["prod_fast"]
    assert rows(profile) == 0, "the engine is mended: two rows of b have no match"
    for against in ("reference", "unoptimised"):
        these = changes(profile, against)
        assert rows(changed(profile, these)) == 2
        guilty = smallest(these, lambda some: rows(changed(profile, some)) != 0)
        keys = {one.key for one in guilty}
        pinned = msgspec.structs.replace(profile, engine=dict.fromkeys(keys, "false"))
        assert rows(pinned) == 2, "as [engine] disable pins it"
        assert keys.isdisjoint(one.key for one in changes(pinned, against))
        assert keys == {"datafusion.execution.parquet.pruning", "datafusion.execution.collect_statistics"}
        assert all(one.can_be_disabled for one in guilty)


@pytest.mark.parametrize("against", AGAINST)
def test_every_profile_has_something_to_change(against: Against) -> None:
    for profile in PROFILES.values():
        these = changes(profile, against)
        assert these
        assert changes(changed(profile, these), against) != these


@pytest.mark.parametrize("guilty", [{3}, {0, 11}, {2, 3, 9}, set(range(12))], ids=str)
def test_the_smallest_set_is_found(guilty: set[int]) -> None:
    these = [Change(str(number), value=False, was=True) for number in range(12)]
    calls = 0

    def differs(some: object) -> bool:
        nonlocal calls
        calls += 1
        assert isinstance(some, list)
        return guilty <= {int(one.key) for one in some}

    assert {int(one.key) for one in smallest(these, differs)} == guilty
    assert calls <= 60
