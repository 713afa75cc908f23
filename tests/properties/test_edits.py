"""Incremental = clean: after random edits of random projects, products equal those of a build in an empty store.

And minimal: what a build executes had to run, or one of a few reasons explains it. And what `rules plan` and `rules
diff` foresee is never narrower than what the build then does.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from properties.minimal import EXPLAINED, Oracle, basis
from properties.world import FILES, Row, World
from rules.compiling import reach
from support.inprocess import Ran, build, run
from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_project_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "SMALL", 0)


def products(store: Path) -> dict[str, list[Row]]:
    links = sorted((store / "products").iterdir())
    return {link.stem: [tuple(row.values()) for row in pq.read_table(link).to_pylist()] for link in links}


def tables(project: SampleProject) -> dict[str, list[dict[str, Any]]]:
    links = (project.root / ".rules" / "products").glob("*.parquet")
    return {link.stem: pq.read_table(link).to_pylist() for link in links if link.exists()}


def check_reach(
    edits: list[dict[str, Any]],
    before: dict[str, list[dict[str, Any]]],
    after: dict[str, list[dict[str, Any]]],
    what: str,
) -> None:
    """What `rules diff` does not foresee stays as it is, where no source has changed; in any order of rows."""
    touched: dict[str, set[str] | None] = {}
    for edit in edits:
        columns = None if edit["class"] in {"row", "new", "removed"} else set(edit["columns"])
        reached = {edit["name"]: columns} | {one["product"]: one["columns"] for one in edit["impact"]}
        for name, found in reached.items():
            known = touched.get(name, set())
            touched[name] = None if known is None or found is None else known | set(found)
    for name in before.keys() & after.keys():
        columns = touched.get(name, set())
        if columns is None or not before[name] or not after[name]:
            assert columns is None or len(before[name]) == len(after[name]), (what, name, edits)
            continue
        kept = [one for one in before[name][0] if one in after[name][0] and one not in columns]
        bags = [Counter(tuple(row[one] for one in kept) for row in rows) for rows in (before[name], after[name])]
        assert bags[0] == bags[1], (what, name, kept, edits)


def check_cutoff(
    world: World,
    ran: Ran,
    before: dict[str, list[dict[str, Any]]],
    after: dict[str, list[dict[str, Any]]],
    what: str,
) -> None:
    """A product that ran to the very rows it had, in whatever order, is not changed, unless its order is its own."""
    for product in ran.document["products"]:
        name = product["name"]
        if product["status"] == "executed" and before.get(name) and not world.rules[name].is_ordered:
            bags = [Counter(tuple(row.items()) for row in rows[name]) for rows in (before, after)]
            assert product["changed"] == (bags[0] != bags[1]), (what, product)


def planned_build(world: World, oracle: Oracle, what: str, *options: str, forced: str = "") -> Ran:
    """Plan, then build: the plan foresees all that is executed, and all that is executed had to be."""
    force = ["--force", forced] if forced else []
    foreseen = run(world.project, "plan", "--explain", "--json", *options, *force).document["products"]
    oracle.look()
    ran = build(world.project, *options, *force)
    for product in foreseen:
        allowed = {"clean": {"clean"}, "restore": {"restored", "clean"}}.get(product["verdict"])
        status = ran.statuses[product["name"]]
        assert allowed is None or status in allowed, (what, product, status)
        kinds = {cause["kind"] for cause in product.get("causes", [])}
        assert bool(kinds) == (product["verdict"] != "clean"), (what, product)
        assert "unknown" not in kinds, (what, product)
    found: dict[str, Any] = {}

    def rows(table: str, columns: str) -> list[Row]:
        if table in world.rows:
            return [tuple(row["kgv".index(one)] for one in columns) for row in world.rows[table]]
        if table not in found:
            found[table] = pq.read_table(world.project.root / ".rules" / "products" / f"{table}.parquet").to_pylist()
        return [tuple(row[one] for one in columns) for row in found[table]]

    products = ran.document["products"]
    bases = {one["name"]: basis(world.rules[one["name"]], rows, FILES) for one in products}
    oracle.forget(world.rules)
    oracle.learn(products, bases, forced, what=what, deleted=world.deleted > 0)
    return ran


def check(world: World, oracle: Oracle, scratch: Path, what: str) -> None:
    generator = world.random
    edits = run(world.project, "diff", "--json").document["rules"]
    was = before = tables(world.project)
    partly: set[str] = set()
    if generator.random() < 0.2:
        partly = planned_build(world, oracle, what, "-s", f"+{generator.choice(list(world.rules))}").executed
        was = tables(world.project)
    forced = generator.choice(list(world.rules)) if generator.random() < 0.1 else ""
    ran = planned_build(world, oracle, what, forced=forced)
    if world.reverted:
        assert partly | ran.executed <= {forced}, (what, ran.stdout)
        oracle.counts["reverts"] += 1
    after = tables(world.project)
    check_cutoff(world, ran, was, after, what)
    if not world.past or world.past[-1].rows == world.rows:
        check_reach(edits, before, after, what)
    shutil.rmtree(scratch, ignore_errors=True)
    build(SampleProject.copy_of(world.project.root, scratch), "-j", "1")
    found, expected = products(world.project.root / ".rules"), products(scratch / ".rules")
    assert set(found) == set(expected) == set(world.rules), what
    for name, rows in expected.items():
        assert Counter(found[name]) == Counter(rows), (what, name, world.rules[name], ran.statuses)
        if world.rules[name].is_ordered:
            assert found[name] == rows, (what, name)
    assert "nothing to do" in run(world.project, "build").stdout, what


def walk(root: Path, seed: int, steps: int) -> Counter[str]:
    """Make a project and edit it again and again; return what the builds did, and for which reasons."""
    world = World(root / "project", random.Random(seed))
    oracle = Oracle(world.project.root / ".rules" / "objects")
    world.write()
    done = "first build"
    for step in range(steps):
        check(world, oracle, root / "scratch", f"seed {seed}, step {step}: {done}")
        oracle.counts["steps"] += 1
        done = world.edit()
    return oracle.counts


def report(counts: Counter[str]) -> None:
    """Print what the builds of walks came to (shown with -s)."""
    explained = {name: counts[name] for name in EXPLAINED if counts[name]}
    executed = f"{counts['executed']} executed, of which {sum(explained.values())} are only explained: {explained}"
    print(f"{counts['steps']} steps, {counts['reverts']} reverts, {executed}")  # noqa: T201 — asked for with -s


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_products_equal_those_of_a_build_in_an_empty_store(tmp_path: Path, seed: int) -> None:
    report(walk(tmp_path, seed, 10))


def test_going_back_to_any_earlier_state_executes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path / "project", random.Random(7))
    world.write()
    for _ in range(12):
        build(world.project)
        world.edit()
    build(world.project)
    states = [state for state in world.past if state.deleted == world.deleted]
    assert len(states) > 5
    for state in world.random.sample(states, len(states)):
        world.go_back(state)
        world.write()
        assert build(world.project).executed == set()


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_products_equal_those_of_a_build_in_an_empty_store_long(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    first = int(os.environ.get("RULES_SOAK_SEED", "1000"))
    for seed in range(first, first + int(os.environ.get("RULES_SOAK_RUNS", "100"))):
        counts += walk(tmp_path / str(seed), seed, 20)
        shutil.rmtree(tmp_path / str(seed))
        report(counts)
