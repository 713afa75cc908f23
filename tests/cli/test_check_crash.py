"""A build killed around its checks leaves the last good product, and the next build judges as if nothing had been."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.checked import checked_project, rows
from support.forks import shared
from support.inprocess import build


@pytest.mark.slow
def test_killed_around_a_failing_check(tmp_path: Path) -> None:
    project = checked_project(tmp_path / "checked")
    build(project)
    good = project.product("orders")
    rows(project, status=["lost", "held", "open"], id=[1, 2, 4])
    forks = shared()
    whole = tmp_path / "whole"
    shutil.copytree(project.root, whole, symlinks=True)
    steps = forks.run(whole, "build", kill_at=-1).steps
    borders = [number for number, step in enumerate(steps) if step.endswith(("COMMIT", "symlink"))]
    assert len(borders) > 4
    for number in borders:
        project.root = tmp_path / f"{number}"
        shutil.copytree(tmp_path / "checked", project.root, symlinks=True)
        forks.run(project.root, "build", kill_at=number)
        assert project.product("orders").equals(good), steps[number]
        after = build(project, "-k", expect=1).document
        assert {one["name"]: one["status"] for one in after["products"]} == {
            "customers": "clean",
            "orders": "failed",
            "totals": "skipped",
        }
        assert project.product("orders").equals(good), steps[number]
        shutil.rmtree(project.root)
