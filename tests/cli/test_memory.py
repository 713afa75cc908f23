"""Bounded memory: what does not fit is spilled; what cannot be spilled is run again in a way that needs less, said so
and keyed so; and what no way can run fails in one sentence that says what to raise."""

from __future__ import annotations

import json
import weakref
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from cache.digests import TableDigest
from rules.config.profiles import PROFILES, Profile
from rules.engine.failures import engine_errors
from rules.engine.fallbacks import fallbacks, within_memory
from rules.engine.protocol import Executed, MemoryExhaustedError
from support import inprocess
from support.inprocess import Ran
from support.projects import SampleProject

ROWS = 500_000
LITTLE = "\n[profiles.little]\nmemory_limit_mb = {limit}\n"
JOIN = "SELECT l.a, r.c, l.b FROM l AS l JOIN r AS r ON r.a = l.a\n"
FLOATS = "SELECT SUM(r.c / 7.0) AS total, SUM(l.b / 3.0) AS other FROM l AS l JOIN r AS r ON r.a = l.a\n"
LISTS = "SELECT l.b % 1000 AS k, ARRAY_AGG(l.a ORDER BY l.a) AS xs FROM l AS l GROUP BY 1\n"
DISTINCTS = "SELECT COUNT(DISTINCT l.a) AS n, COUNT(DISTINCT l.b) AS m FROM l AS l\n"
IN_BATCHES = "memory ran out, so it was run again with small batches on one partition"
WITH_COPIES = "memory ran out, so it was run again with texts copied from batch to batch"
BY_MERGING = "memory ran out, so it was run again with small batches and sort-merge joins on two partitions"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    root = tmp_path_factory.mktemp("memory")
    project = SampleProject(root, sources=["l", "r"], toml=LITTLE.format(limit=32))
    generator = np.random.default_rng(3)
    for name, other in (("l", "b"), ("r", "c")):
        project.parquet(name, {"a": generator.permutation(ROWS), other: generator.integers(0, ROWS, ROWS)})
    return project


@pytest.fixture
def project(large: SampleProject, tmp_path: Path) -> SampleProject:
    return SampleProject.copy_of(large.root, tmp_path / "copy")


def little(project: SampleProject, *words: str, limit: int = 32, expect: int = 0) -> Ran:
    project.edit("rules.toml", "memory_limit_mb = 32", f"memory_limit_mb = {limit}")
    return inprocess.build(project, "--profile", "little", *words, expect=expect)


def only(ran: Ran) -> dict[str, Any]:
    (product,) = ran.document["products"]
    return dict(product)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "said", "settings"),
    [
        (LISTS, IN_BATCHES, {"partitions": 1, "batch_size": 1024, "sort_reservation_mb": 1, "spill_fan_in": 4}),
        (JOIN, BY_MERGING, {"partitions": 2, "batch_size": 1024, "prefer_hash_join": False}),
    ],
)
def test_a_query_that_exhausts_its_memory_is_run_again_in_smaller_steps(
    project: SampleProject, query: str, said: str, settings: dict[str, Any]
) -> None:
    project.sql("rule", query)
    roomy = only(inprocess.build(project))
    ran = inprocess.build(project, "--profile", "little", "--force", "rule")
    tight = only(ran)
    assert tight["reason"] == f"asked for with --force; {said}; its rows only came in another order"
    assert (tight["changed"], tight["artifact"]) == (False, roomy["artifact"])
    evidence = project.root / ".rules/evidence" / ran.document["build"] / "rule/settings.json"
    profile = json.loads(evidence.read_text())["profile"]
    assert {name: profile[name] for name in settings} == settings
    assert list((project.root / ".rules/tmp").iterdir()) == []


@pytest.mark.slow
def test_rows_that_share_their_texts_are_not_counted_as_having_all_of_them(tmp_path: Path) -> None:
    """What a window makes is one batch; cut into pieces for a sort, each of which has its texts, it fits."""
    project = SampleProject(tmp_path, sources=["t"], toml=LITTLE.format(limit=320))
    rows = 400_000
    generator = np.random.default_rng(5)
    words = [f"{number:0{20 + number % 20}d}" for number in generator.integers(0, 10**6, rows)]
    project.parquet("t", {"k": generator.permutation(rows), "g": generator.integers(0, 50, rows), "s": words})
    share = "COUNT(*) OVER (PARTITION BY t.g) AS c"
    project.sql("sorted", f"SELECT t.k, t.s, {share} FROM t ORDER BY t.s, t.k\n")
    project.sql("twice", f"SELECT t.k, t.s, {share}, COUNT(*) OVER (PARTITION BY t.s) AS d FROM t\n")
    project.sql("cast_there", "SELECT t.k, CAST(t.k AS VARCHAR) || t.s AS s, SUM(t.g) OVER () AS c FROM t ORDER BY 2\n")
    project.sql("numbers", f"SELECT t.k, t.g, {share} FROM t ORDER BY t.g, t.k\n")
    made = {one["name"]: one for one in inprocess.build(project, "--profile", "little").document["products"]}
    instead = {name for name, one in made.items() if one["reason"] == f"new rule; {WITH_COPIES}"}
    assert instead == {"sorted", "twice", "cast_there"}
    assert made["numbers"]["reason"] == "new rule"
    # Rows that tie may come in another order; the tables of these rules are the same in any.
    audited = inprocess.run(project, "audit", "--json")
    assert audited.document["differing"] == []


@pytest.mark.slow
def test_a_table_without_floats_has_the_key_of_every_profile_however_it_was_made(project: SampleProject) -> None:
    project.sql("rule", JOIN)
    tight = only(little(project))
    assert tight["reason"].endswith(BY_MERGING)
    assert inprocess.build(project).statuses == {"rule": "clean"}


@pytest.mark.slow
def test_a_table_of_floats_is_keyed_by_the_settings_that_made_it(project: SampleProject) -> None:
    project.sql("rule", FLOATS)
    tight = only(little(project))
    assert tight["reason"].endswith(BY_MERGING)
    assert little(project).statuses == {"rule": "clean"}
    assert only(inprocess.run(project, "plan", "--json", "--profile", "little"))["verdict"] == "clean"
    roomy = only(inprocess.build(project))
    assert (roomy["status"], roomy["fingerprint"] == tight["fingerprint"]) == ("executed", False)
    assert roomy["key"] != tight["key"]
    # Back under the little profile, what was made there is found again only if it is made so again.
    again = only(little(project))
    assert (again["status"], again["key"]) == ("executed", tight["key"])
    # With more memory the profile's own settings suffice, and their key is the profile's.
    enough = only(little(project, "--force", "rule", limit=512))
    assert (enough["status"], enough["key"] in {tight["key"], roomy["key"]}) == ("executed", False)


@pytest.mark.slow
def test_a_query_that_no_step_can_run_says_what_to_raise(project: SampleProject) -> None:
    project.sql("rule", DISTINCTS)
    project.sql("other", "SELECT COUNT(*) AS n FROM l AS l\n")
    ran = little(project, "-k", expect=1)
    assert ran.statuses == {"other": "executed", "rule": "failed"}
    error = next(one["error"] for one in ran.document["products"] if one["name"] == "rule")
    assert error["message"] == "the query needs more memory than the 32 MiB that profile 'little' gives a product"
    assert error["hint"] == "raise memory_limit_mb in [profiles.little], or try --set memory_limit_mb=64"
    assert (error["code"], error["where"]) == ("memory", "rules/rule.sql")
    assert (
        inprocess.build(project, "--profile", "little", "--set", "memory_limit_mb=256").statuses["rule"] == "executed"
    )


@pytest.mark.slow
def test_a_query_that_spills_too_much_says_so(project: SampleProject) -> None:
    project.sql("rule", "SELECT l.a, l.b FROM l AS l ORDER BY l.b, l.a\n")
    error = only(little(project, "--set", "memory_limit_mb=48", "--set", "temp_limit_mb=1", expect=1))["error"]
    assert error["message"] == "the query spills more to disk than the 1 MiB that profile 'little' allows"
    assert list((project.root / ".rules/tmp").iterdir()) == []
    spilling = project.root / "spilling"
    spilling.mkdir()
    assert (
        only(little(project, "--set", "memory_limit_mb=48", "--set", f"temp_directory={spilling}"))["status"]
        == "executed"
    )
    assert list(spilling.iterdir()) == []
    error = inprocess.build(project, "--set", "temp_directory=nowhere", expect=2).document["error"]
    assert error["message"] == f"the temp_directory '{project.root}/nowhere' of profile 'prod_fast' is no folder"


def test_a_pool_that_the_machine_gives_changes_no_bit_and_no_key(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.sql("sums", "SELECT l.b, SUM(l.a / 3.0) AS total FROM l AS l GROUP BY l.b\n")
    project.sql("counts", "SELECT l.b, COUNT(*) AS n, MAX(l.a) AS last FROM l AS l GROUP BY l.b\n")
    roomy = {one["name"]: one for one in inprocess.build(project).document["products"]}
    monkeypatch.setattr("rules.engine.memory.machine_memory", lambda: 1 << 20)
    monkeypatch.setattr("rules.engine.memory._LEAST", 12 << 20)
    assert inprocess.build(project).document["summary"]["clean"] == 2
    small = {one["name"]: one for one in inprocess.build(project, "--force", "*").document["products"]}
    assert small["counts"]["key"] == roomy["counts"]["key"]
    assert small["counts"]["artifact"] == roomy["counts"]["artifact"]
    # Spilled groups are added up in another order, so this is another table, under another key.
    assert small["sums"]["reason"].endswith("memory did not suffice, so a part of it was spilled to disk")
    assert small["sums"]["key"] != roomy["sums"]["key"]
    assert inprocess.build(project).document["summary"]["clean"] == 2
    monkeypatch.undo()
    assert inprocess.build(project).document["summary"]["clean"] == 2
    forced = {one["name"]: one for one in inprocess.build(project, "--force", "*").document["products"]}
    assert {name: one["key"] for name, one in forced.items()} == {name: one["key"] for name, one in roomy.items()}


def test_many_small_sorts_side_by_side_leave_memory_for_one_another(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["t"])
    project.parquet("t", {"a": list(range(1000)), "b": [n % 7 for n in range(1000)]})
    windows = ", ".join(f"SUM(t.a) OVER (PARTITION BY t.b ORDER BY t.a % {n}, t.a) AS w{n}" for n in range(2, 14))
    project.sql("rule", f"SELECT t.a, {windows} FROM t AS t ORDER BY t.a")
    assert only(inprocess.build(project))["reason"] == "new rule"


def test_a_query_that_failed_is_let_go_before_the_next_step() -> None:
    """What it has read is freed with it: the peak is not that of two steps."""
    held: list[weakref.ref[Event]] = []

    tried: list[int] = []

    def run(profile: Profile) -> Executed:
        tried.append(profile.partitions)
        assert not any(one() for one in held), "a failed step is still in memory"
        query = Event()
        held.append(weakref.ref(query))
        if len(held) == len(fallbacks(PROFILES["memory_tight"], texts=False)) + 1:
            return Executed(TableDigest(0, {}, ""), {}, 0.0)
        with engine_errors():  # which raises from an error whose frames know the query
            raise RuntimeError("Resources exhausted: Failed to allocate")

    done = within_memory(run, PROFILES["memory_tight"], spread=True, texts=False)
    assert tried == [1, 1, 2], "one partition, then sort-merge joins on two"
    assert done.fallback is not None
    assert done.fallback.name == "sort-merge joins"


def test_a_hash_join_without_room_is_merged_at_once() -> None:
    """Small batches would not help it: a step that must fail as well is not tried first."""
    tried: list[int] = []

    def run(profile: Profile) -> Executed:
        tried.append(profile.partitions)
        if profile.partitions == 1:
            with engine_errors():
                raise RuntimeError(
                    "Resources exhausted: Failed to allocate additional 64.0 KB for HashJoinInput with …"
                )
        return Executed(TableDigest(0, {}, ""), {}, 0.0)

    assert within_memory(run, PROFILES["memory_tight"], spread=True, texts=False).fallback is not None
    assert tried == [1, 2]
    with pytest.raises(MemoryExhaustedError):
        within_memory(run, PROFILES["memory_tight"], spread=False, texts=False)
    assert tried == [1, 2, 1, 1]
    within_memory(run, PROFILES["memory_tight"], spread=True, texts=True)
    assert tried[4:] == [1, 1, 2], "texts that are copied may be all that it takes"
