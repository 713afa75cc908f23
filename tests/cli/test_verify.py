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
from rules.config.engine_keys import is_speed_only
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


@pytest.mark.slow
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


FUNCTIONS = """
import time
import pyarrow as pa
import pyarrow.compute as pc
from rules import rule, udf

@udf.pyarrow
def beside(a: int) -> int:
    return pc.subtract(a, pc.min(a))

@udf.pyarrow
def thrown(a: int) -> int:
    clock = getattr(time, "perf_" + "counter_ns")  # by its name it would be refused
    return pa.array([clock()] * len(a), pa.int64())

@udf.pyarrow
def refusing(a: int) -> int:
    if 0 < len(a) <= 1000:
        raise ValueError("too few")
    return a

@rule
def by_batch(t):
    return t.select("i", b=beside(t.i))

@rule
def by_chance(t):
    return t.select("i", b=thrown(t.i))

@rule
def by_error(t):
    return t.select("i", b=refusing(t.i))

@rule(engine="arrow", output={"i": pa.int64()})
def streamed(t):
    for batch in t:
        yield batch.select(["i"])
"""


@pytest.mark.slow
def test_functions_that_look_at_batches_or_chance_are_found(project: SampleProject) -> None:
    project.write("rules/functions.py", FUNCTIONS)
    build(project)
    ran = run(project, "verify", "path:rules/functions.py", "--json", expect=1)
    found = {one["name"]: one for one in ran.document["products"]}
    assert {one["name"]: one["reason"] for one in ran.document["unverified"]} == {
        "streamed": "it is run by Python, which has no settings"
    }
    assert {name: one["difference"] for name, one in found.items()} == {
        "by_batch": "other values in b",
        "by_chance": "other values in b",
        "by_error": "no rows, because it fails: ValueError: too few",
    }
    traced = {name: ([it["setting"] for it in one["settings"]], one["repeatable"]) for name, one in found.items()}
    batches = (["datafusion.execution.batch_size"], True)
    assert traced == {"by_batch": batches, "by_error": batches, "by_chance": ([], False)}
    assert all("function" in one["hint"] and "the same for a row" in one["hint"] for one in found.values())
    kept = Path(found["by_error"]["evidence"])
    assert (kept / "error.txt").read_text()
    assert json.loads((kept / "difference.json").read_text())["difference"] == found["by_error"]["difference"]
    assert run(project, "verify", "by_chance", expect=1).stderr.startswith(
        "error: the result of by_chance differs from run to run: it has other values in b\n"
    )


def test_ties_that_an_optimisation_decides_are_traced_to_it_and_the_pin_is_in_key_and_manifest(
    tmp_path: Path,
) -> None:
    project = SampleProject(tmp_path / "p", sources=["t"])
    table = pa.table({"i": np.arange(ROWS), "g": np.sort(np.arange(ROWS) % 9)})
    (project.root / "data").mkdir()
    pq.write_table(table, project.root / "data/t.parquet", row_group_size=5000)
    project.sql("ties", "SELECT t.i, t.g FROM t ORDER BY t.g DESC LIMIT 7")
    project.sql("counted", "SELECT t.g, COUNT(*) AS n FROM t GROUP BY t.g")
    before = {one["name"]: one["key"] for one in build(project).document["products"]}
    (one,) = run(project, "verify", "ties", "--json", expect=1).document["products"]
    gate = "datafusion.optimizer.enable_sort_pushdown"
    assert [setting["setting"] for setting in one["settings"]] == [gate]
    assert one["hint"].startswith("its rule leaves open which rows come")
    assert f'[engine] disable = ["{gate}"]' in one["hint"]
    with (project.root / "rules.toml").open("a") as file:
        file.write(f'\n[engine]\ndisable = ["{gate}"]\n')
    ran = build(project)
    assert ran.executed == {"ties", "counted"}, "a pin is in the key of every rule"
    assert {one["name"]: one["key"] == before[one["name"]] for one in ran.document["products"]} == {
        "ties": False,
        "counted": False,
    }
    manifest = project.root / ".rules/evidence" / ran.document["build"] / "manifest.json"
    assert json.loads(manifest.read_text())["profile"]["engine"][gate] == "false"
    after = run(project, "verify", "--json").document
    assert {one["name"]: one["same"] for one in after["products"]} == {"ties": True, "counted": True}
    assert gate not in {one["setting"] for one in after["changed"]}


def test_every_optimisation_that_verify_names_can_be_disabled(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "p")
    project.sql("one", "SELECT 1 AS a")
    these = {one.key for name in AGAINST for one in changes(PROFILES["prod_fast"], name) if one.can_be_disabled}
    speed_only = {key for key in these if is_speed_only(key)}
    assert not speed_only, "the hint would name a pin that is refused"
    with (project.root / "rules.toml").open("a") as file:
        file.write(f"\n[engine]\ndisable = {json.dumps(sorted(these))}\n")
    assert build(project).executed == {"one"}


def test_what_a_tier_keeps_on_one_partition_is_not_said_to_be_verified_on_several(project: SampleProject) -> None:
    for tier, name in ((1, "kept"), (2, "sorted")):
        project.write(
            f"rules/{name}.sql",
            f'-- /// rule\n-- tier = {tier}\n-- key = ["g"]\n-- ///\n{RULES["mean"]}\n',
        )
    build(project)
    found = run(project, "verify", "kept", "sorted", "--against", "partitions", "--json").document
    reason = "its tier, {}, keeps it on one partition, so nothing would be another"
    assert {one["name"]: one["reason"] for one in found["unverified"]} == {
        "kept": reason.format(1),
        "sorted": reason.format(2),
    }
    found = run(project, "verify", "kept", "sorted", "--json").document
    assert [(one["name"], one["same"]) for one in found["products"]] == [("kept", True), ("sorted", True)]


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
        pinned = msgspec.structs.replace(profile, engine_keys=dict.fromkeys(keys, "false"))
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
