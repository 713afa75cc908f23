"""The generated project of the benchmarks, small enough for tests."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks import generated
from support.projects import SampleProject

ROWS = 200


def make_project(root: Path, size: int) -> SampleProject:
    """Write a project of `size` rules with its sources."""
    project = SampleProject(root)
    generated.write_project(root, size, rows=ROWS)
    return project


def write_source(project: SampleProject, name: str, *, version: int) -> None:
    """Write another version of data/NAME.parquet: other notes, all else as it was."""
    generated.write_source(project.root / "data" / f"{name}.parquet", rows=ROWS, version=version)


def touch(path: Path) -> None:
    """Give a file another time of change and nothing else."""
    os.utime(path)
