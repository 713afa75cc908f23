"""A generated project of any number of rules: staging, joins with windows and CASE, aggregations; deterministic.

40 % of the rules read one of five sources, 40 % join one to three earlier rules, 20 % aggregate. The depth hardly grows
with the number of rules, so that projects of different sizes have one shape. No value overflows, whatever the depth:
engines disagree about what that does.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SOURCES = tuple(f"s{number}" for number in range(5))
ROWS = 100_000

_GROUPS = 8
_VALUES = 1000
_MODULUS = 1_000_003
_TABLE = re.compile(r"\b(?:FROM|JOIN) (\w+) AS\b")


def queries(size: int) -> dict[str, str]:
    """Return `size` rules, inputs first.

    One staging rule in ten, all of them of source s0, also shows its source's `note`, which nothing below reads.
    """
    generator = random.Random(size)  # noqa: S311 — the same project every time, nothing secret
    found: dict[str, str] = {}
    staging = middle = size * 2 // 5
    for number in range(staging):
        note = ", s.note" if number % 10 == 0 else ""
        found[f"stg_{number:03}"] = (
            f"SELECT s.id, s.grp, s.val * {number + 2} AS val, s.val % {number + 3} AS rest{note}\n"
            f"FROM {SOURCES[number % len(SOURCES)]} AS s\nWHERE s.val >= 0"
        )
    for number in range(middle):
        inputs = generator.sample(list(found)[-(size * 3 // 5) :], generator.randint(1, 3))
        first, *others = inputs
        joins = "".join(f"\nJOIN {name} AS j{at} ON j{at}.id = m.id" for at, name in enumerate(others))
        added = "".join(f" + j{at}.val" for at in range(len(others)))
        found[f"int_{number:03}"] = (
            f"SELECT m.id, m.grp, (m.val{added}) % {_MODULUS} AS val,\n"
            f"CASE WHEN m.rest > {number % 40} THEN m.rest ELSE {number} END AS rest,\n"
            f"RANK() OVER (PARTITION BY m.grp ORDER BY m.val) AS place\nFROM {first} AS m{joins}"
        )
    names = [name for name in found if name.startswith("int_")]
    for number in range(size - len(found)):
        name = generator.choice(names)
        found[f"agg_{number:03}"] = (
            f"SELECT a.grp, SUM(a.val % {number + 1000}) AS total, COUNT(*) AS n, MAX(a.rest) AS most\n"
            f"FROM {name} AS a\nGROUP BY a.grp"
        )
    return found


def inputs_of(sql: str) -> list[str]:
    """Return the sources and rules that a generated rule reads."""
    return _TABLE.findall(sql)


def with_tables(sql: str, named: Mapping[str, str]) -> str:
    """Return a generated rule that reads its inputs under other names."""
    return _TABLE.sub(lambda found: found[0].replace(f" {found[1]} ", f" {named[found[1]]} "), sql)


def reach(rules: Mapping[str, str]) -> dict[str, int]:
    """Return for each rule how many others read it, directly or not."""
    below = dict.fromkeys(rules, 0)  # a bit for each rule
    for number, name in reversed(list(enumerate(rules))):
        for one in inputs_of(rules[name]):
            if one in below:
                below[one] |= below[name] | 1 << number
    return {name: bits.bit_count() for name, bits in below.items()}


def readers(rules: Mapping[str, str], changed: str) -> set[str]:
    """Return all that reads a source or a rule, directly or not."""
    found = {changed}
    for name, sql in rules.items():  # inputs first
        if not found.isdisjoint(inputs_of(sql)):
            found.add(name)
    return found - {changed}


def ancestors(rules: Mapping[str, str], wanted: set[str]) -> set[str]:
    """Return the rules that have to be computed for some of them, those included."""
    found = set(wanted)
    for name in reversed(list(rules)):
        if name in found:
            found.update(one for one in inputs_of(rules[name]) if one in rules)
    return found


def source(number: int, *, rows: int = ROWS, version: int = 0) -> pa.Table:
    """Return a source: `note` and `loaded_at`, which nothing computes with, depend on the version, and nothing else."""
    generator = random.Random(number)  # noqa: S311
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "grp": pa.array([generator.randrange(_GROUPS) for _ in range(rows)], pa.int64()),
            "val": pa.array([generator.randrange(_VALUES) for _ in range(rows)], pa.int64()),
            "note": [f"n{version}.{row}" for row in range(rows)],
            "loaded_at": pa.array([_LOADED + version * 3600] * rows, pa.timestamp("s")),
        }
    )


_LOADED = 1_767_225_600  # the first second of 2026


def write_source(path: Path, *, rows: int = ROWS, version: int = 0) -> None:
    """Write a source, whose number is the end of the file's name, as Parquet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(source(int(path.stem.removeprefix("s")), rows=rows, version=version), path)


def write_project(root: Path, size: int, *, rows: int = ROWS) -> dict[str, str]:
    """Write a whole project for `rules`; return its rules."""
    rules = queries(size)
    for name in SOURCES:
        write_source(root / "data" / f"{name}.parquet", rows=rows)
    declared = "".join(f'\n[sources.{name}]\npath = "data/{name}.parquet"\n' for name in SOURCES)
    (root / "rules.toml").write_text(f'[project]\nname = "generated"\n{declared}', encoding="utf-8")
    (root / "rules").mkdir(exist_ok=True)
    for name, sql in rules.items():
        (root / "rules" / f"{name}.sql").write_text(sql + "\n", encoding="utf-8")
    return rules


def main() -> None:
    """Write a project: python -m benchmarks.generated FOLDER SIZE [ROWS]."""
    import sys

    folder, size, *rows = sys.argv[1:]
    write_project(Path(folder), int(size), rows=int(rows[0]) if rows else ROWS)


if __name__ == "__main__":
    main()
