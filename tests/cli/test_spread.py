"""A rule that reads its inputs whole uses the cores that nothing else needs, and no bit of anything shows how many."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rules.config import machine, profiles
from rules.engine import writing
from rules.running import query_runner
from support.inprocess import build, run
from support.projects import SampleProject
from support.tpch import make_project

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 600_000
TIED = "SELECT s.shop, COUNT(*) AS n, SUM(s.price) AS price FROM sales AS s GROUP BY s.shop ORDER BY n DESC LIMIT 20"
GROUPED = "SELECT s.day, s.shop, SUM(s.amount) AS amount FROM sales AS s GROUP BY s.day, s.shop"


def sales_at(folder: Path, rows: int = ROWS, **rules: str) -> SampleProject:
    project = SampleProject(folder, sources=["sales"])
    rng = np.random.default_rng(20)
    project.parquet(
        "sales",
        {
            "day": rng.integers(0, 30, rows).astype(np.int32),
            "shop": rng.integers(0, 400, rows),
            "amount": rng.integers(-(10**9), 10**9, rows),
            "price": rng.integers(0, 4, rows),
            "weight": rng.random(rows),
            "word": [f"{n}" for n in rng.integers(0, 9, rows)],
        },
    )
    for name, sql in rules.items():
        project.sql(name, sql)
    return project


def spread_over(project: SampleProject) -> dict[str, int | None]:
    """Return the partitions of each product that the evidence of the last build tells of."""
    folders = sorted((project.root / ".rules" / "evidence").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    lines = (folders[-1] / "products.jsonl").read_text(encoding="utf-8").splitlines()
    return {line["name"]: line.get("partitions") for line in map(json.loads, lines)}


def actions(project: SampleProject) -> dict[str, str]:
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as index:
        return dict(index.execute("SELECT key, artifact FROM actions"))


def made(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["name"]: (one["key"], one["artifact"]) for one in document["products"]}


def on_cores(monkeypatch: pytest.MonkeyPatch, cores: int, least: int = 0) -> None:
    """Let this process have so many cores, as far as it knows, and spread rules from some rows on."""
    monkeypatch.setattr(profiles, "usable_cores", lambda: cores)
    monkeypatch.setattr(query_runner, "SPREAD_ROWS", least)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process cannot be kept to some cores")
def test_a_lone_rule_uses_the_cores_that_the_process_is_kept_to(tmp_path: Path) -> None:
    first = sales_at(tmp_path / "first", tied=TIED)
    second = SampleProject.copy_of(first.root, tmp_path / "second")
    before = sorted(os.sched_getaffinity(0))
    found = []
    for project, cores in ((first, before[:1]), (second, before[:2])):
        os.sched_setaffinity(0, cores)  # which a process that it starts inherits
        try:
            done = project.started("build", "--json")
        finally:
            os.sched_setaffinity(0, before)
        assert done.returncode == 0, done.stderr
        found.append((made(json.loads(done.stdout)), actions(project)))
        assert spread_over(project) == {"tied": len(cores) if len(cores) > 1 else None}
    assert found[0] == found[1]


def test_a_quota_of_the_control_group_is_no_more_than_its_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sales_at(tmp_path / "first", tied=TIED)
    second = SampleProject.copy_of(first.root, tmp_path / "second")
    on_cores(monkeypatch, 4)
    wide = made(build(first).document)
    assert spread_over(first) == {"tied": 4}
    monkeypatch.undo()
    system = tmp_path / "system"
    for path, text in (("proc/self/cgroup", "0::/job\n"), ("sys/fs/cgroup/job/cpu.max", "100000 100000\n")):
        (system / path).parent.mkdir(parents=True)
        (system / path).write_text(text)
    monkeypatch.setattr(machine, "_ROOT", system)
    machine.quota.cache_clear()
    try:
        narrow = made(build(second).document)
    finally:
        machine.quota.cache_clear()
    assert spread_over(second) == {"tied": None}
    (manifest,) = (second.root / ".rules" / "evidence").glob("*/manifest.json")
    assert json.loads(manifest.read_text(encoding="utf-8"))["machine"]["cores"] == 1
    assert (narrow, actions(second)) == (wide, actions(first))


@pytest.mark.slow
def test_every_query_of_tpch_gives_the_same_on_1_2_and_4_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = SampleProject.at(make_project(tmp_path / "whole"))
    alone = SampleProject.copy_of(whole.root, tmp_path / "alone")
    on_cores(monkeypatch, 1)
    first = made(build(whole).document)
    assert len(first) == 22
    names = sorted(first)
    for cores, some in ((2, names[::2]), (4, names[1::2])):
        on_cores(monkeypatch, cores)
        for name in some:
            document = build(alone, "-s", name).document
            assert made(document) == {name: first[name]}
            assert spread_over(alone) == {name: cores}
    assert actions(whole) == actions(alone)


def test_many_products_side_by_side_have_a_core_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {f"day_{day}": f"{GROUPED.replace('GROUP', f'WHERE s.day <> {day} GROUP')}" for day in range(12)}
    project = sales_at(tmp_path, 2000, **rules)
    on_cores(monkeypatch, 4)
    build(project)
    assert sum(number is None for number in spread_over(project).values()) >= 8


def test_jobs_are_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = sales_at(tmp_path, 2000, grouped=GROUPED)
    on_cores(monkeypatch, 4)
    for jobs, expected in (("1", None), ("3", 3), ("9", 4)):
        build(project, "--force", "grouped", "--jobs", jobs)
        assert spread_over(project) == {"grouped": expected}


def test_rules_with_few_rows_and_rules_of_floats_stay_on_one_partition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    floats = "SELECT s.shop, SUM(s.weight) AS weight FROM sales AS s GROUP BY s.shop"
    project = sales_at(tmp_path, 2000, floats=floats, grouped=GROUPED)
    on_cores(monkeypatch, 4, least=2001)
    build(project, "-s", "grouped")
    assert spread_over(project) == {"grouped": None}
    on_cores(monkeypatch, 4, least=2000)
    build(project, "-s", "floats")
    assert spread_over(project) == {"floats": None}


def test_rows_that_come_in_an_order_now_are_the_table_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that an earlier version left: no rule runs because of it, and an audit finds its tables right."""
    reader = "SELECT g.day, MAX(g.amount) AS most FROM grouped AS g GROUP BY g.day"
    project = sales_at(tmp_path, 2000, grouped=GROUPED, tied=TIED, reader=reader)
    on_cores(monkeypatch, 2, least=1 << 60)
    before = made(build(project).document)
    on_cores(monkeypatch, 2)
    assert build(project).executed == set()
    run(project, "audit", "--json")
    forced = build(project, "--force", "grouped")
    assert forced.executed == {"grouped"}
    assert made(forced.document) == before


def test_many_rows_are_left_as_one_partition_yields_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = sales_at(tmp_path, 2000, grouped=GROUPED)
    monkeypatch.setattr(writing, "_PIECE", 64)
    monkeypatch.setattr(writing, "GROUP_BYTES", 999)
    monkeypatch.setattr(query_runner, "GROUP_BYTES", 999)
    on_cores(monkeypatch, 1, least=1 << 60)
    plain = made(build(project).document)
    for cores in (1, 4):  # where it is tried in vain
        on_cores(monkeypatch, cores)
        shutil.rmtree(project.root / ".rules")
        assert made(build(project).document) == plain
        assert spread_over(project) == {"grouped": None}
    monkeypatch.setattr(writing, "GROUP_BYTES", 1 << 20)
    build(project, "--force", "grouped")
    assert spread_over(project) == {"grouped": None}, "it had many rows last time"


def test_what_fails_is_said_by_the_run_on_one_partition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "SELECT s.word, SUM(CAST(s.word || 'x' AS BIGINT)) AS n FROM sales AS s GROUP BY s.word"
    project = sales_at(tmp_path, 2000, failing=failing)
    told = []
    for cores in (1, 2):
        on_cores(monkeypatch, cores)
        (product,) = build(project, expect=1).document["products"]
        told.append(product["reason"])
    assert told[0] == told[1]


def test_explain_says_whether_a_rule_may_be_spread(tmp_path: Path) -> None:
    project = sales_at(tmp_path, 10, grouped=GROUPED, lone="SELECT AVG(s.weight) AS weight FROM sales AS s")
    found = run(project, "explain", "grouped", "--json").document
    assert found["partitions"] == "any"
    assert found["partitions_reason"].endswith("and if they are few, they are put in the order of day, shop.")
    assert run(project, "explain", "lone", "--json").document["partitions"] == "one"
    assert "partitions:" in run(project, "explain", "lone").stdout


def test_products_on_the_longest_way_begin_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two chains of equal length the one that took longer last time comes first, whatever their names are."""
    slow = "SELECT SUM(a.amount * b.price) AS n FROM sales AS a JOIN sales AS b ON a.day = b.day AND a.word <= b.word"
    project = sales_at(tmp_path, 3000, a=GROUPED, z=slow)
    on_cores(monkeypatch, 1)
    build(project, "--jobs", "1")
    for longest, other in (("z", "a"), ("a", "z")):
        with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as index, index:
            index.execute("UPDATE products SET seconds = CASE name WHEN ? THEN 2.0 ELSE 1.0 END", [longest])
        build(project, "--jobs", "1", "--force", "*")
        assert list(spread_over(project)) == [longest, other]
