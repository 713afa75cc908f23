"""Profiles through the command line: settings that cost speed or memory do not change what a table says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rules.api import Project
from rules.config.profiles import SETTINGS, Effect
from support import inprocess
from support.projects import SampleProject

ROWS = 1_000_000
OTHER: dict[str, Any] = {
    "remote": "sc://127.0.0.1:1",
    "spark_writes": "true",
    "spark_staging": "s3://bucket/prefix",
    "jobs": 1,
    "spill_file_mb": 1,
    "temp_directory": ".",
    "temp_limit_mb": 500,
    "arrow_threads": 3,
    "arrow_io_threads": 3,
    "metadata_size_hint": 64,
    "metadata_cache_mb": 1,
    "analyze_level": "summary",
    "evidence": "full",
    "preserve_order": "true",
    "timeout": "1h",
    "product_timeout": "1h",
} | dict.fromkeys(
    [
        "pruning",
        "page_index",
        "bloom_filters",
        "dynamic_filters",
        "join_dynamic_filters",
        "topk_dynamic_filters",
        "aggregate_dynamic_filters",
        "repartition_aggregations",
        "repartition_joins",
        "repartition_windows",
        "repartition_file_scans",
        "round_robin",
        "prefer_hash_join",
        "coalesce_batches",
        "fuse_selects",
        "text_views",
    ],
    "false",
)
"""For every setting that only costs time, another value than the default."""
TIGHT = "\n[profiles.memory_tight]\nmemory_limit_mb = 80\n"
RANKED = """SELECT t.i, t.g, RANK() OVER (PARTITION BY t.g ORDER BY t.s, t.i) AS place
FROM t AS t
"""


@pytest.mark.slow
def test_a_sort_of_more_than_the_memory_allowed_spills_and_gives_the_same_table(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "project", sources=["t"], toml=TIGHT)
    generator = np.random.default_rng(0)
    project.parquet(
        "t",
        {
            "i": generator.integers(0, 1 << 40, ROWS),
            "g": generator.integers(0, 8, ROWS),
            "s": [f"word {number:08}" for number in generator.integers(0, 100_000, ROWS)],
        },
    )
    project.sql("ranked", RANKED)
    whole = project.build()["products"][0]
    assert whole["status"] == "executed"
    tight = project.build("--profile", "memory_tight", "--force", "ranked")["products"][0]
    assert (tight["status"], tight["artifact"], tight["changed"]) == ("executed", whole["artifact"], False)


def floats(root: Path, toml: str = "") -> SampleProject:
    """A project in which whatever moves rows or batches would show: rules over floats of very different sizes."""
    project = SampleProject(root, sources=["t", "d"], toml=toml)
    generator = np.random.default_rng(7)
    count = 60_000
    columns = {
        "i": np.arange(count),
        "k": generator.integers(0, 50, count),
        "x": generator.normal(size=count) * 10.0 ** generator.integers(-8, 9, count),
        "s": generator.integers(0, 9, count),
    }
    project.parquet("t", columns)
    project.parquet("d", {"i": np.concatenate([np.arange(5_000, 9_000, 3), np.arange(40_000, 50_000, 7)])})
    project.sql("sums", "SELECT t.k, SUM(t.x) AS total FROM t AS t WHERE t.i > 20000 GROUP BY t.k\n")
    project.sql("joined", "SELECT SUM(t.x) AS total, COUNT(*) AS n FROM t AS t JOIN d AS d ON d.i = t.i\n")
    project.sql("first", "SELECT t.i, t.x FROM t AS t ORDER BY t.s LIMIT 40\n")
    project.sql("plain", "SELECT t.s, COUNT(*) AS n, MAX(t.i) AS last FROM t AS t GROUP BY t.s\n")
    return project


def facts(document: dict[str, Any], *names: str) -> dict[str, tuple[Any, ...]]:
    return {one["name"]: tuple(one[name] for name in names) for one in document["products"]}


SPEED = {name: OTHER[name] for name, one in SETTINGS.items() if one.effect in {Effect.SPEED, Effect.SPREAD}}


@pytest.mark.slow
def test_no_setting_that_only_costs_time_changes_a_fingerprint_or_a_bit(tmp_path: Path) -> None:
    project = floats(tmp_path)
    expected = facts(inprocess.build(project).document, "fingerprint", "artifact")
    for name, value in SPEED.items():
        built = inprocess.build(project, "--force", "*", "--set", f"{name}={value}")
        assert built.executed == set(expected), name
        assert facts(built.document, "fingerprint", "artifact") == expected, name


@pytest.mark.slow
def test_at_several_partitions_bags_of_deterministic_rules_are_equal(tmp_path: Path) -> None:
    project = floats(tmp_path)
    expected = facts(inprocess.build(project).document, "fingerprint", "artifact")["plain"]
    for name, value in {**SPEED, "partitions": 4}.items():
        wide = ("--set", "partitions=2", "--set", f"{name}={value}")
        document = inprocess.build(project, "-s", "plain", "--force", "plain", *wide).document
        assert facts(document, "status", "changed") == {"plain": ("executed", False)}, name
        assert facts(document, "fingerprint", "artifact")["plain"] == expected, name


def test_a_setting_that_moves_rows_runs_only_the_rules_that_it_can_change(tmp_path: Path) -> None:
    project = floats(tmp_path, "\n[profiles.wide]\npartitions = 2\n")
    inprocess.build(project)
    assert inprocess.build(project, "--set", "batch_size=500").executed == {"sums", "joined", "first"}
    assert inprocess.build(project, "--profile", "wide").executed == {"sums", "joined", "first"}
    assert inprocess.build(project, "--set", "dynamic_filters=false").executed == set()
    free = "datafusion.execution.perfect_hash_join_small_build_threshold=16"
    assert inprocess.build(project, "--set", free).executed == {"sums", "joined", "first", "plain"}
    assert inprocess.build(project).executed == set()


def test_sums_of_floats_do_not_depend_on_which_partition_is_idle(tmp_path: Path) -> None:
    project = floats(tmp_path)
    wide = ("--set", "partitions=2", "-s", "joined", "--force", "joined")
    found = {facts(inprocess.build(project, *wide).document, "artifact")["joined"] for _ in range(4)}
    assert len(found) == 1


def test_the_variable_chooses_the_profile_and_the_option_wins(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, toml="\n[profiles.mine]\nevidence = true\n")
    project.sql("one", "SELECT 1 AS x\n")
    built = project.build(env={"RULES_PROFILE": "mine"})
    kept = tmp_path / ".rules/evidence" / built["build"] / "one"
    assert '"mine"' in (kept / "settings.json").read_text()
    assert project.cli("build", env={"RULES_PROFILE": "mine"}).stdout.startswith("nothing to do (1 product")
    given = ("--set", "batch_size=77", "--force", "one")
    kept = kept.parents[1] / project.build(*given, env={"RULES_PROFILE": "mine"})["build"] / "one"
    assert json.loads((kept / "settings.json").read_text())["profile"]["batch_size"] == 77
    wrong = project.json("build", env={"RULES_PROFILE": "mni"}, expect=2)["error"]
    assert (wrong["message"], wrong["hint"]) == ("unknown profile 'mni'", "did you mean 'mine'?")
    assert project.build("--profile", "prod_fast", env={"RULES_PROFILE": "mni"})["status"] == "ok"


@pytest.mark.parametrize(
    ("setting", "message", "hint"),
    [
        ("partitons=2", "--set partitons=2: unknown setting 'partitons'", "did you mean 'partitions'?"),
        ("partitions", "'partitions' gives no value", "write --set partitions=VALUE"),
        ("partitions=two", "--set partitions=two: 'partitions' must be an integer, not a string", None),
        ("pruning=1", "--set pruning=1: 'pruning' must be true or false, not a string", None),
        (
            "datafusion.execution.parquet.pushdown_filter=true",
            (
                "--set datafusion.execution.parquet.pushdown_filter=true: the engine has no setting "
                "'datafusion.execution.parquet.pushdown_filter'"
            ),
            "did you mean 'datafusion.execution.parquet.pushdown_filters'?",
        ),
    ],
)
def test_a_wrong_setting_on_the_command_line(tmp_path: Path, setting: str, message: str, hint: str | None) -> None:
    project = SampleProject(tmp_path)
    project.sql("one", "SELECT 1 AS x\n")
    error = inprocess.build(project, "--set", setting, expect=2).document["error"]
    assert (error["message"], error["hint"]) == (message, hint)


@pytest.mark.parametrize(
    "setting", ["datafusion.execution.spill_compression=gzipp", "datafusion.runtime.list_files_cache_ttl=soon"]
)
def test_a_value_that_the_engine_refuses_is_an_error_of_the_profile(tmp_path: Path, setting: str) -> None:
    project = SampleProject(tmp_path)
    project.sql("one", "SELECT 1 AS x\n")
    error = inprocess.build(project, "--set", setting, expect=2).document["error"]
    key, _, value = setting.partition("=")
    assert error["message"] == f"the engine refuses '{value}' for {key}, which profile 'prod_fast' sets"


def test_a_program_chooses_profile_and_settings(tmp_path: Path) -> None:
    project = floats(tmp_path)
    inprocess.build(project)
    opened = Project.open(tmp_path, profile="memory_tight", settings={"evidence": True, "batch_size": 100})
    statuses = {name: one.status for name, one in opened.build().results.items()}
    assert statuses == {"sums": "executed", "joined": "executed", "first": "executed", "plain": "clean"}


def test_arrow_has_its_threads_again_after_a_build(tmp_path: Path) -> None:
    project = SampleProject(tmp_path)
    project.sql("one", "SELECT 1 AS x\n")
    before = pa.cpu_count(), pa.io_thread_count()
    inprocess.build(project, "--set", "arrow_threads=3", "--set", "arrow_io_threads=2")
    assert (pa.cpu_count(), pa.io_thread_count()) == before


def test_a_disabled_optimisation_is_off_in_every_profile_and_runs_every_rule(tmp_path: Path) -> None:
    project = floats(tmp_path)
    inprocess.build(project)
    before = facts(inprocess.run(project, "plan", "--json").document, "fingerprint")
    pins = '"join_dynamic_filters", "enable_window_limits", "datafusion.optimizer.join_reordering"'
    project.edit("rules.toml", "[project]", f"[engine]\ndisable = [{pins}]\n\n[project]")
    ran = inprocess.build(project, "--set", "join_dynamic_filters=true", "--set", "evidence=full")
    assert ran.executed == {"sums", "joined", "first", "plain"}
    after = facts(ran.document, "fingerprint")
    assert all(after[name] != before[name] for name in before)
    kept = (tmp_path / ".rules/evidence" / ran.document["build"] / "joined/settings.json").read_text()
    for key in ("enable_join_dynamic_filter_pushdown", "enable_window_limits", "join_reordering"):
        assert f'"datafusion.optimizer.{key}": "false"' in kept
    assert inprocess.build(project).executed == set()
    project.edit("rules.toml", f"[engine]\ndisable = [{pins}]\n\n", "")
    assert facts(inprocess.run(project, "plan", "--json").document, "fingerprint") == before


@pytest.mark.parametrize(
    ("pin", "message", "hint"),
    [
        (
            "join_reorder",
            "the engine has no switch 'join_reorder'",
            "did you mean 'datafusion.optimizer.join_reordering'?",
        ),
        ("batch_size", "'batch_size' is no switch of the engine: it is not true or false", None),
        (
            "repartition_sorts",
            "'datafusion.optimizer.repartition_sorts' is set by rules itself: what queries mean depends on it",
            "leave it out",
        ),
        ("show_sizes", "'datafusion.explain.show_sizes' changes no table", "leave it out"),
    ],
)
def test_what_cannot_be_disabled_is_an_error_at_its_place(
    tmp_path: Path, pin: str, message: str, hint: str | None
) -> None:
    project = SampleProject(tmp_path, toml=f'\n[engine]\ndisable = ["prefer_hash_join", "{pin}"]\n')
    error = inprocess.build(project, expect=2).document["error"]
    assert (error["message"], error["hint"], error["where"]) == (message, hint, "rules.toml:5:32")
