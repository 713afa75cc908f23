"""A generated project of any number of rules: staging, joins with windows and CASE, aggregations; deterministic."""

from __future__ import annotations

import os
import random
from pathlib import Path

from support.projects import SampleProject

SOURCES = 5


def queries(size: int) -> dict[str, str]:
    """Return `size` rules: 40 % read a source, 40 % join one to three earlier rules, 20 % aggregate.

    One staging rule in ten also shows its source's `note`, which nothing below reads.
    """
    generator = random.Random(size)
    found: dict[str, str] = {}
    for number in range(size * 2 // 5):
        note = ", s.note" if number % 10 == 0 else ""
        found[f"stg_{number:03}"] = (
            f"SELECT s.id, s.grp, s.val * {number + 2} AS val, s.val % {number + 3} AS rest{note}\n"
            f"FROM s{number % SOURCES} AS s\nWHERE s.val >= 0"
        )
    for number in range(size * 2 // 5):
        inputs = generator.sample(list(found)[-60:], generator.randint(1, 3))
        first, *others = inputs
        joins = "".join(f"\nJOIN {name} AS j{at} ON j{at}.id = m.id" for at, name in enumerate(others))
        added = "".join(f" + j{at}.val" for at in range(len(others)))
        found[f"int_{number:03}"] = (
            f"SELECT m.id, m.grp, m.val{added} AS val,\n"
            f"CASE WHEN m.rest > {number} THEN m.rest ELSE 0 END AS rest,\n"
            f"RANK() OVER (PARTITION BY m.grp ORDER BY m.val) AS place\nFROM {first} AS m{joins}"
        )
    middle = [name for name in found if name.startswith("int_")]
    for number in range(size - len(found)):
        name = generator.choice(middle)
        found[f"agg_{number:03}"] = (
            f"SELECT a.grp, SUM(a.val) AS total, COUNT(*) AS n, MAX(a.rest) AS most\nFROM {name} AS a\nGROUP BY a.grp"
        )
    return found


def write_source(project: SampleProject, number: int, *, rows: int = 200, note: str = "n") -> Path:
    """Write data/sN.parquet."""
    generator = random.Random(number)
    return project.parquet(
        f"s{number}",
        {
            "id": list(range(rows)),
            "grp": [generator.randrange(8) for _ in range(rows)],
            "val": [generator.randrange(1000) for _ in range(rows)],
            "note": [f"{note}{row}" for row in range(rows)],
        },
    )


def make_project(root: Path, size: int) -> SampleProject:
    """Write a project of `size` rules with its sources."""
    project = SampleProject(root, sources=[f"s{number}" for number in range(SOURCES)])
    for number in range(SOURCES):
        write_source(project, number)
    for name, sql in queries(size).items():
        project.sql(name, sql)
    return project


def touch(path: Path) -> None:
    """Give a file another time of change and nothing else."""
    os.utime(path)
