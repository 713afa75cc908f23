"""A build that is killed at any instant leaves the last committed state, and the next build goes on from there."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.killing import Ended, Forks
from support.projects import RULES, SampleProject

from cache.digests import TableDigester
from cache.index import Index
from rules.ingest import table_digest


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with Forks(tmp_path_factory.mktemp("forks")) as started:
        yield started


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    """A project with a Parquet and a CSV source, a chain, a fork, two products of the same content, and one alone."""
    toml = '\n[sources.cities]\npath = "data/cities.csv"\n'
    made = SampleProject(tmp_path / "project", sources=["orders"], toml=toml)
    made.parquet("orders", {"id": list(range(40)), "city": ["A", "B", None, "D"] * 10, "amount": [n % 7 for n in range(40)]})
    made.write("data/cities.csv", "city,country\nA,X\nB,Y\nD,X\n")
    made.sql("big", "SELECT id, city, amount FROM orders WHERE amount > 2")
    made.sql("by_city", "SELECT city, SUM(amount) AS total FROM big GROUP BY city")
    made.sql("by_country", "SELECT c.country, SUM(b.total) AS total FROM by_city AS b JOIN cities AS c ON b.city = c.city GROUP BY c.country")
    made.sql("twin", "SELECT id, city, amount FROM orders WHERE amount >= 3")
    return made


def edit_everything(project: SampleProject) -> None:
    """Change a source, a rule in the middle, remove one product, rename another, and add one."""
    project.write("data/cities.csv", "city,country\nA,X\nB,Y\nD,Y\n")
    project.edit("rules/big.sql", "amount > 2", "amount > 1")
    (project.root / "rules/twin.sql").rename(project.root / "rules/renamed.sql")
    project.sql("added", "SELECT COUNT(*) AS n FROM orders")


def tables(root: Path) -> dict[str, list[str]]:
    """What the products folder shows: each product's rows, in no order."""
    found = {}
    for link in sorted((root / ".rules" / "products").iterdir()):
        found[link.stem] = sorted(str(row) for row in pq.read_table(link).to_pylist())
    return found


def committed(root: Path) -> dict[str, str]:
    """What the index says of products, product → key; every one of them must have its object."""
    path = root / ".rules" / "index.sqlite"
    if not path.exists():
        return {}
    with Index(path) as index:
        products = index.products()
        artifacts = index.artifacts(product.artifact for product in products.values())
    for product in products.values():
        name = product.artifact
        assert (root / ".rules" / "objects" / name[:2] / f"{name[2:]}.parquet").stat().st_size == artifacts[name].bytes
    return {name: product.key for name, product in products.items()}


def assert_objects_whole(root: Path) -> None:
    """Every object holds the very table after which it is named, and cannot be written to."""
    for path in (root / ".rules" / "objects").glob("*/*"):
        table = pq.read_table(path)
        digester = TableDigester(table.schema)
        for batch in table.to_batches():
            digester.update(batch)
        digest = digester.finish()
        ingested = table_digest(digest.rows, {name: (_type(table, name), value) for name, value in digest.columns.items()})
        assert path.parent.name + path.stem in {digest.table, ingested}
        assert path.stat().st_mode & 0o777 == 0o444


def _type(table: pa.Table, name: str) -> str:
    from cache.digests import type_name

    return type_name(table.schema.field(name).type)


def kill_at_every_step(forks: Forks, project: SampleProject, work: Path, before: dict[str, list[str]], every: int) -> set[str]:
    """Kill a build of copies of the project at every step in turn; return the names of the steps."""
    clean = work / "clean"
    shutil.copytree(project.root, clean, symlinks=True, ignore=shutil.ignore_patterns(".rules"))
    assert forks.run(clean, "build").code == 0
    expected = tables(clean)
    steps: set[str] = set()
    for number in range(0, 10_000, every):
        root = work / f"{number}"
        shutil.copytree(project.root, root, symlinks=True)
        ended = forks.run(root, "build", "--json", kill_at=number)
        if not ended.killed:
            assert ended.code == 0, ended.stderr
            assert tables(root) == expected
            return steps
        assert ended.step is not None
        steps.add(ended.step.removeprefix("before ").removeprefix("after "))
        _check_after_kill(forks, root, ended, before, expected)
        shutil.rmtree(root)
    raise AssertionError("the build has more steps than can be")


def _check_after_kill(
    forks: Forks, root: Path, ended: Ended, before: dict[str, list[str]], expected: dict[str, list[str]]
) -> None:
    at = f"killed {ended.step}"
    kept = committed(root)
    if (root / ".rules" / "products").exists():
        for name, rows in tables(root).items():
            assert rows in (before.get(name), expected.get(name)), (at, name)
    assert_objects_whole(root)
    for name in list(kept)[:1]:
        shown = forks.run(root, "show", name, "--json")
        assert shown.code == 0, (at, shown.stderr)
    build = forks.run(root, "build", "--json")
    assert build.code == 0, (at, build.stderr)
    assert "warning" not in build.stderr, (at, build.stderr)
    done = {product["name"]: product for product in build.document["products"]}
    again = {name for name, product in done.items() if product["status"] == "executed" and kept.get(name) == product["key"]}
    assert not again, (at, "committed, and yet executed again", again)
    assert tables(root) == expected, at
    noop = build.document["build"] == ""  # killed after the last commit: there is no work left, and no one to sweep
    assert noop or not list((root / ".rules" / "tmp").iterdir()), at
    assert "nothing to do" in forks.run(root, "build").stdout, at


def test_killed_at_any_step_of_a_first_build(forks: Forks, project: SampleProject, tmp_path: Path) -> None:
    steps = kill_at_every_step(forks, project, tmp_path, {}, every=8)
    assert {"replace", "fsync", "COMMIT"} <= steps


def test_killed_at_any_step_of_a_build_after_edits(forks: Forks, project: SampleProject, tmp_path: Path) -> None:
    assert forks.run(project.root, "build").code == 0
    before = tables(project.root)
    edit_everything(project)
    steps = kill_at_every_step(forks, project, tmp_path, before, every=8)
    assert {"replace", "fsync", "COMMIT", "unlink"} <= steps


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_killed_at_every_single_step(forks: Forks, project: SampleProject, tmp_path: Path) -> None:
    kill_at_every_step(forks, project, tmp_path / "first", {}, every=1)
    assert forks.run(project.root, "build").code == 0
    before = tables(project.root)
    edit_everything(project)
    kill_at_every_step(forks, project, tmp_path / "second", before, every=1)
