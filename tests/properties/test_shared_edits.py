"""A shared cache changes nothing but who computes: after random edits a clone has the tables of a build without it.

The project and its clones share one cache; what the project has just computed, a clone takes, all at once or lazily.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from properties.world import World
from support.inprocess import build, run
from support.projects import SampleProject


def rows(project: SampleProject, name: str) -> list[tuple[object, ...]]:
    """Return the rows of a product, which `rules show` fetches if they are not here."""
    place = project.root / ".rules" / "products" / f"{name}.parquet"
    if not place.exists():
        done = project.cli("show", name, "--format", "csv")
        assert done.returncode == 0, done.stderr
    return [tuple(row.values()) for row in pq.read_table(place).to_pylist()]


def walk(root: Path, seed: int, steps: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Edit a project again and again; return how many products clones have taken."""
    world = World(root / "project", random.Random(seed))
    text = world.project.read("rules.toml")
    world.project.write("rules.toml", f'{text}\n[cache]\nremote = "file://{root}/remote"\n')
    world.write()
    kept = SampleProject.copy_of(world.project.root, root / "kept")  # a second builder, with a store of its own
    taken, done = 0, "first build"
    for step in range(steps):
        what = f"seed {seed}, step {step}: {done}"
        assert not build(world.project).document.get("shared", {}).get("refused"), what
        clean = SampleProject.copy_of(world.project.root, root / f"clean{step}")
        with monkeypatch.context() as patched:
            patched.setenv("RULES_CACHE_MODE", "off")
            build(clean)
        clone = SampleProject.copy_of(world.project.root, root / f"clone{step}")
        for folder in ("rules", "data"):
            shutil.rmtree(kept.root / folder)
            shutil.copytree(world.project.root / folder, kept.root / folder)
        for project in (clone, kept):
            ran = build(project, *(["--lazy"] if world.random.random() < 0.5 else []))
            assert ran.executed == set(), (what, ran.stdout)
            taken += sum(status == "restored" for status in ran.statuses.values())
            for name, rule in world.rules.items():
                found, expected = rows(project, name), rows(clean, name)
                assert Counter(found) == Counter(expected), (what, name)
                assert found == expected or not rule.is_ordered, (what, name)
        assert "nothing to do" in run(kept, "build").stdout, what
        shutil.rmtree(clean.root)
        shutil.rmtree(clone.root)
        done = world.edit()
    return taken


@pytest.mark.slow
def test_clones_have_what_a_build_without_a_shared_cache_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert walk(tmp_path, 1, 3, monkeypatch) > 0


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(int(os.environ.get("RULES_SOAK_RUNS", "20"))))
def test_many_clones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    assert walk(tmp_path, 1000 + seed, 12, monkeypatch) > 0
