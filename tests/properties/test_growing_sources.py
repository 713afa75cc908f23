"""Soak: files of a source come, go, change, are split, merged and renamed, and rules are edited in between.

The source is of Parquet files, or of CSV files or JSON lines, of which those of some rows are cut into blocks.

After every step each product equals the same query over all files as one table, by another session of the engine,
and, as a bag to the last bit, the build of an empty store. What ran is compared with an oracle of parts: the contents
of the files since the store began, and the rules that read them.
"""

from __future__ import annotations

import json
import random
import shutil
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datafusion import SessionContext

from support.inprocess import build
from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path

TOML = """
[sources.t]
path = "data/t"
COLUMNS
[sources.d]
path = "data/d.parquet"
[parts]
min_rows = 1
[store]
max_size = "10GB"
"""
"""Nothing is collected meanwhile, so that the oracle knows what the store holds."""
FORMS = {
    "filtered": ("SELECT t.k, t.v, t.w FROM t WHERE t.v > {0}", True),
    "joined": ("SELECT t.k, d.name, t.v + {0} AS v FROM t LEFT JOIN d ON t.k = d.k", True),
    "sums": ("SELECT t.k, COUNT(*) AS n, SUM(t.v) AS v, MIN(t.s) AS s, AVG(t.w) AS w FROM t GROUP BY t.k", True),
    "having": ("SELECT t.s, SUM(t.v) AS v FROM t GROUP BY t.s HAVING COUNT(*) > {0}", True),
    "total": ("SELECT COUNT(*) AS n, MAX(t.v) AS v, COUNT(DISTINCT t.s) AS s FROM t WHERE t.v <> {0}", True),
    "floats": ("SELECT t.k, SUM(t.f) AS f FROM t GROUP BY t.k", True),
    "after": ("SELECT f.k, SUM(f.v) AS v FROM filtered AS f GROUP BY f.k", False),
    "window": ("SELECT t.v, ROW_NUMBER() OVER (ORDER BY t.v, t.s, t.k, t.f, t.w) AS n FROM t", False),
}
"""Queries, and whether each reads the parts of the source."""


TEXT = 'columns = { k = "int32", v = "int64", s = "string", w = "decimal(12,2)", f = "double" }\nnulls = ["NULL"]'
BLOCK_ROWS = 4
"""The rows that a block has at least, if a part should have one."""


def write_file(form: str, rows: pa.Table, path: Path) -> None:
    """Write a file of the source."""
    if form == "parquet":
        pq.write_table(rows, path)
    elif form == "csv":
        lines = [rows.column_names, *(map(_cell, row.values()) for row in rows.to_pylist())]
        path.write_text("".join(f"{','.join(line)}\n" for line in lines), encoding="utf-8")
    else:
        lines = [
            json.dumps({**row, "w": _cell(row["w"]) if row["w"] is not None else None}) for row in rows.to_pylist()
        ]
        path.write_text("".join(f"{line}\n" for line in lines) or "\n", encoding="utf-8")


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    return '"' + value.replace('"', '""') + '"' if isinstance(value, str) else str(value)


def table(rng: random.Random, rows: int, *, nan: bool = True) -> pa.Table:
    def some(values: list[Any]) -> list[Any]:
        return [rng.choice([None, *values]) for _ in range(rows)]

    return pa.table(
        {
            "k": pa.array(some([1, 2, 3]), pa.int32()),
            "v": pa.array(some(list(range(-9, 10))), pa.int64()),
            "s": pa.array(some(["a", 'b "\n,', "", "ä"]), pa.string()),
            "w": pa.array(some([Decimal(0), Decimal("1.25"), Decimal("99.99")]), pa.decimal128(12, 2)),
            "f": pa.array(some([0.1, 0.2, 1e17, -1e17, float("nan") if nan else 0.5, -0.0]), pa.float64()),
        }
    )


class World:
    """A project, and what its files hold."""

    def __init__(self, root: Path, seed: int, form: str) -> None:
        self.rng, self.form = random.Random(seed), form
        self.project = SampleProject(root, toml=TOML.replace("COLUMNS", "" if form == "parquet" else TEXT))
        (root / "data" / "t").mkdir(parents=True)
        self.files: dict[str, pa.Table] = {}
        self.project.parquet("d", {"k": [1, 2, None], "name": ["one", "two", "none"]})
        self.numbers = dict.fromkeys(FORMS, 0)
        self.ran: set[tuple[str, int, tuple[Any, ...]]] = set()
        for _ in range(4):
            self.insert()
        for name in FORMS:
            self.write(name)

    def write(self, name: str) -> None:
        self.project.sql(name, self.sql(name))

    def sql(self, name: str) -> str:
        return FORMS[name][0].format(self.numbers[name])

    def put(self, name: str, rows: pa.Table) -> None:
        self.files[name] = rows
        write_file(self.form, rows, self._place(name))

    def drop(self, name: str) -> pa.Table:
        self._place(name).unlink()
        return self.files.pop(name)

    def _place(self, name: str) -> Path:
        return self.project.root / "data" / "t" / f"{name}.{self.form}"

    def most_parts(self, rows: tuple[str, ...]) -> int:
        """Return how many parts a file can have."""
        return 1 if self.form == "parquet" else -(-len(rows) // BLOCK_ROWS)

    def append(self) -> None:
        """Add rows to the end of a file."""
        name = self.rng.choice(sorted(self.files))
        self.put(name, pa.concat_tables([self.files[name], self._table(self.rng.choice([1, 5]))]))

    def _table(self, rows: int) -> pa.Table:
        return table(self.rng, rows, nan=self.form != "json")

    def fresh(self) -> str:
        while (name := f"{self.rng.randrange(10**4):04d}") in self.files:
            pass
        return name

    def insert(self) -> None:
        self.put(
            self.fresh(), self._table(self.rng.choice([0, 1, 3, 8, 30] if self.form != "parquet" else [0, 1, 3, 8]))
        )

    def delete(self) -> None:
        if len(self.files) > 2:
            self.drop(self.rng.choice(sorted(self.files)))

    def replace(self) -> None:
        name = self.rng.choice(sorted(self.files))
        self.put(name, self._table(self.rng.choice([1, 4])))

    def split(self) -> None:
        name = self.rng.choice(sorted(self.files))
        rows = self.drop(name)
        place = self.rng.randint(0, len(rows))
        self.put(name, rows.slice(0, place))
        self.put(f"{name}b", rows.slice(place))

    def merge(self) -> None:
        names = sorted(self.files)
        if len(names) > 2:
            place = self.rng.randrange(len(names) - 1)
            first, second = (self.drop(name) for name in names[place : place + 2])
            self.put(names[place], pa.concat_tables([first, second]))

    def rename(self) -> None:
        name = self.rng.choice(sorted(self.files))
        self.put(self.fresh(), self.drop(name))

    def edit(self) -> None:
        name = self.rng.choice(list(FORMS))
        self.numbers[name] = self.rng.choice([0, 1, 2])
        self.write(name)

    def step(self) -> str:
        kinds = ["insert", "insert", "delete", "replace", "split", "merge", "rename", "edit"]
        name = self.rng.choice(kinds if self.form == "parquet" else [*kinds, "append", "append"])
        getattr(self, name)()
        return name

    def expected(self) -> dict[str, list[str]]:
        """Return the rows of each product as the bare engine has them, sorted; floats are left out."""
        session = SessionContext()
        session.from_arrow(pa.concat_tables(self.files[name] for name in sorted(self.files)), "t")
        session.from_arrow(pq.read_table(self.project.root / "data" / "d.parquet"), "d")
        session.from_arrow(session.sql(self.sql("filtered")).to_arrow_table(), "filtered")
        return {name: rows_of(session.sql(self.sql(name)).to_arrow_table()) for name in FORMS}


def rows_of(found: pa.Table) -> list[str]:
    found = found.select([name for name in found.column_names if name != "f"])
    return sorted(repr(tuple(row.values())) for row in found.to_pylist())


def soak(tmp_path: Path, seed: int, steps: int, form: str = "parquet") -> int:
    """Return how many part runs there were."""
    world, runs = World(tmp_path / "world", seed, form), 0
    for number in range(steps):
        done = world.step() if number else "begin"
        where = f"seed {seed}, step {number}: {done}"
        ran = build(world.project)
        for name, rows in world.expected().items():
            assert rows_of(world.project.product(name)) == rows, f"{where}: {name}"
        for one in ran.document["products"]:
            counts = one.get("parts")
            if counts is not None and FORMS[one["name"]][1]:
                parts = {tuple(map(repr, rows.to_pylist())) for rows in world.files.values() if len(rows)}
                known = {key[2] for key in world.ran if key[:2] == (one["name"], world.numbers[one["name"]])}
                most = sum(map(world.most_parts, parts - known))
                assert counts["run"] <= most, f"{where}: {one['name']} {counts}"
                world.ran |= {(one["name"], world.numbers[one["name"]], rows) for rows in parts}
                runs += counts["run"]
        other = tmp_path / "clean"
        shutil.rmtree(other, ignore_errors=True)
        clean = SampleProject.copy_of(world.project.root, other)
        build(clean)
        for name in FORMS:
            one, other_one = clean.product(name), world.project.product(name)
            assert same_bits(one, other_one), f"{where}: {name} differs from a build in an empty store"
    return runs


def same_bits(one: pa.Table, other: pa.Table) -> bool:
    """Whether two tables have the same rows, to the last bit of floats, NaN being equal to itself.

    Not in order: a table that came out with the same rows in another order stays the one that it was.
    """
    return sorted(map(repr, one.to_pylist())) == sorted(map(repr, other.to_pylist()))


@pytest.mark.parametrize(("form", "steps"), [("parquet", 3), ("csv", 2), ("json", 2)])
def test_a_few_steps(tmp_path: Path, form: str, steps: int) -> None:
    assert soak(tmp_path, seed=1, steps=steps, form=form)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_steps(tmp_path: Path, seed: int) -> None:
    assert soak(tmp_path, seed, steps=300)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("form", ["csv", "json"])
@pytest.mark.parametrize("seed", range(200, 205))
def test_many_steps_of_text(tmp_path: Path, seed: int, form: str) -> None:
    assert soak(tmp_path, seed, steps=200, form=form)
