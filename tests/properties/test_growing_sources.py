"""Soak: files of a source come, go, change, are split, merged and renamed, and rules are edited in between.

RULES_SOAK_SEED is the first of eight seeds (100), RULES_SOAK_STEPS how many steps each form takes with each (100).

The source is of Parquet files, in Hive folders too; of one Parquet file, whose row groups these files then are; or of
CSV files or JSON lines, of which those of some rows are cut into blocks.

After every step each product equals the same query over all files as one table, by another session of the engine,
and, after some, as a bag to the last bit, the build of an empty store. What ran is compared with an oracle of parts:
the contents of the files since the store began, and the rules that read them.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

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
path = "data/tENDING"
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
    "filtered": ("SELECT t.k, t.v, t.w FROM t WHERE t.v > {0}", ""),
    "joined": ("SELECT t.k, d.name, t.v + {0} AS v FROM t LEFT JOIN d ON t.k = d.k", ""),
    "sums": ("SELECT t.k, COUNT(*) AS n, SUM(t.v) AS v, MIN(t.s) AS s, AVG(t.w) AS w FROM t GROUP BY t.k", "k"),
    "having": ("SELECT t.s, SUM(t.v) AS v FROM t GROUP BY t.s HAVING COUNT(*) > {0}", "s"),
    "total": ("SELECT COUNT(*) AS n, MAX(t.v) AS v, COUNT(DISTINCT t.s) AS s FROM t WHERE t.v <> {0}", ""),
    "floats": ("SELECT t.k, SUM(t.f) AS f FROM t GROUP BY t.k", "k"),
    "after": ("SELECT f.k, SUM(f.v) AS v FROM filtered AS f GROUP BY f.k", None),
    "ranked": ("SELECT t.y, t.v, RANK() OVER (PARTITION BY t.y ORDER BY t.v) AS r FROM t WHERE t.v <> {0}", None),
    "daily": ("SELECT t.y, COUNT(*) AS n, SUM(t.f) AS f, MEDIAN(t.v) AS m FROM t GROUP BY t.y", None),
    "days": ("SELECT t.y, SUM(t.v) AS v, SUM(t.f) AS f FROM t GROUP BY t.y", None),
    "of_days": ("SELECT r.y, MAX(r.r) OVER (PARTITION BY r.y) AS r FROM ranked AS r WHERE r.v > {0}", None),
    "window": ("SELECT t.v, ROW_NUMBER() OVER (ORDER BY t.v, t.s, t.k, t.f, t.w) AS n FROM t", None),
}
"""Queries, and how each reads the parts of the source: "" for one by one; for a column, those that share values of it
together, if they form groups enough; None is left out of the oracle."""
ADDS_FLOATS = {"floats"}
OF_FOLDERS = {
    "folders": ("SELECT t.p, COUNT(*) AS n, SUM(t.v) AS v FROM t WHERE t.v <> {0} GROUP BY t.p", None),
    "in_folder": ("SELECT t.p, t.v, RANK() OVER (PARTITION BY t.p ORDER BY t.v) AS r FROM t", None),
}
"""Those that read the column in the names of Hive folders."""
FOLDERS = ("a", "b", "__HIVE_DEFAULT_PARTITION__")

TEXT = 'columns = { k = "int32", v = "int64", s = "string", w = "decimal(12,2)", f = "double" }\nnulls = ["NULL"]'
LARGER = ("csv", "json", "groups")
"""Forms with files of more rows, of which some are cut, or rules would join another input once for each."""
CLEAN = 3
"""The steps after which a store is built from nothing."""
_FIRST, _STEPS = (int(os.environ.get(f"RULES_SOAK_{name}", "100")) for name in ("SEED", "STEPS"))
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

    days = [rng.randrange(40), rng.choice([0, 20, 39, None])]
    return pa.table(
        {
            "y": pa.array(rng.choices(days, [0.95, 0.05], k=rows), pa.int32()),
            "k": pa.array(some([1, 2, 3]), pa.int32()),
            "v": pa.array(some(list(range(-9, 10))), pa.int64()),
            "s": pa.array(some(["a", 'b "\n,', "", "ä"]), pa.string()),
            "w": pa.array(some([Decimal(0), Decimal("1.25"), Decimal("99.99")]), pa.decimal128(12, 2)),
            "f": pa.array(some([0.1, 0.2, 1e17, -1e17, float("nan") if nan else 0.5, -0.0]), pa.float64()),
        }
    )


Unit: TypeAlias = tuple[str, int, bool, tuple[str, ...]]
"""A rule, its number, whether groups lie within it, and rows: of each file, if that counts."""


def groups_of(values: list[set[Any]]) -> list[list[int]]:
    """Group sets, by their places, so that no two groups share a value."""
    groups: list[tuple[set[Any], list[int]]] = []
    for place, some in enumerate(values):
        touched = [group for group in groups if group[0] & some]
        groups = [group for group in groups if group not in touched]
        union = set().union(some, *(group[0] for group in touched))
        groups.append((union, sorted([place, *(one for group in touched for one in group[1])])))
    return sorted(places for _, places in groups)


class World:
    """A project, and what its files hold."""

    def __init__(self, root: Path, seed: int, form: str) -> None:
        self.rng, self.form, self.is_text = random.Random(seed), form, form in ("csv", "json")
        toml = TOML.replace("COLUMNS", TEXT if self.is_text else "")
        self.project = SampleProject(root, toml=toml.replace("ENDING", ".parquet" if form == "groups" else ""))
        self.forms = FORMS | (OF_FOLDERS if form == "folders" else {})
        (root / "data").mkdir()
        self.files: dict[str, pa.Table] = {}
        self.project.parquet("d", {"k": [1, 2, None], "name": ["one", "two", "none"]})
        self.numbers = dict.fromkeys(self.forms, 0)
        self.ran: set[Unit] = set()
        for _ in range(4):
            self.insert()
        for name in self.forms:
            self.write(name)

    def write(self, name: str) -> None:
        self.project.sql(name, self.sql(name))

    def sql(self, name: str) -> str:
        return self.forms[name][0].format(self.numbers[name])

    def put(self, name: str, rows: pa.Table) -> None:
        self.files[name] = rows
        if self.form == "groups":
            self._put_groups()
            return
        self._place(name).parent.mkdir(parents=True, exist_ok=True)
        write_file(self.form if self.is_text else "parquet", rows, self._place(name))

    def drop(self, name: str) -> pa.Table:
        rows = self.files.pop(name)
        if self.form == "groups":
            self._put_groups()
        else:
            self._place(name).unlink()
        return rows

    def _put_groups(self) -> None:
        """Write the one file, of which each row group is what is a file otherwise."""
        listed = [self.files[name] for name in sorted(self.files)]
        with pq.ParquetWriter(self.project.root / "data" / "t.parquet", table(self.rng, 0).schema) as writer:
            for rows in listed:
                writer.write_table(rows)

    def _place(self, name: str) -> Path:
        return self.project.root / "data" / "t" / f"{name}.{self.form if self.is_text else 'parquet'}"

    def most_parts(self, rows: tuple[str, ...]) -> int:
        """Return how many parts a file can have."""
        return -(-len(rows) // BLOCK_ROWS) if self.is_text else 1

    def units(self, name: str) -> dict[Unit, int] | None:
        """Return what a rule runs once, each with how many parts it is; None if it is not known."""
        column = self.forms[name][1]
        listed = [rows.to_pylist() for _, rows in sorted(self.files.items()) if len(rows)]
        if column is None or (column and self.is_text):
            return None
        groups, of_keys = [[rows] for rows in listed], False
        if column:
            together = groups_of([{row[column] for row in rows} for rows in listed])
            if 2 <= len(together) >= len(listed) / 2:
                groups = [[listed[place] for place in places] for places in together]
                of_keys = True
        found: dict[Unit, int] = {}
        for group in groups:
            # Where floats are added, the cut within parts that are read together counts: it can change their last bits.
            cut = of_keys and name in ADDS_FLOATS
            rows = tuple(map(repr, group if cut else itertools.chain.from_iterable(group)))
            found[name, self.numbers[name], of_keys, rows] = self.most_parts(rows) if self.is_text else len(group)
        return found

    def rows_of(self, name: str) -> pa.Table:
        """Return the rows of a file, with the column in the name of its folder."""
        rows = self.files[name]
        if self.form != "folders":
            return rows
        value = name.partition("/")[0].removeprefix("p=")
        filled = pa.array([None if value == FOLDERS[-1] else value] * len(rows), pa.string())
        return rows.append_column("p", filled)

    def append(self) -> None:
        """Add rows to the end of a file."""
        name = self.rng.choice(sorted(self.files))
        self.put(name, pa.concat_tables([self.files[name], self._table(self.rng.choice([1, 5]))]))

    def _table(self, rows: int) -> pa.Table:
        return table(self.rng, rows, nan=self.form != "json")

    def fresh(self) -> str:
        folder = f"p={self.rng.choice(FOLDERS)}/" if self.form == "folders" else ""
        while (name := f"{folder}{self.rng.randrange(10**4):04d}") in self.files:
            pass
        return name

    def insert(self) -> None:
        self.put(self.fresh(), self._table(self.rng.choice([0, 1, 3, 8, 30] if self.form in LARGER else [0, 1, 3, 8])))

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

    def swap(self) -> None:
        """Let two files change places."""
        first, second = self.rng.sample(sorted(self.files), 2)
        one, other = self.files[first], self.files[second]
        self.put(first, other)
        self.put(second, one)

    def edit(self) -> None:
        name = self.rng.choice(list(self.forms))
        self.numbers[name] = self.rng.choice([0, 1, 2])
        self.write(name)

    def step(self) -> str:
        kinds = ["insert", "insert", "delete", "replace", "split", "merge", "rename", "swap", "edit"]
        name = self.rng.choice([*kinds, "append", "append"] if self.is_text else kinds)
        getattr(self, name)()
        return name

    def expected(self) -> dict[str, list[str]]:
        """Return the rows of each product as the bare engine has them, sorted; floats are left out."""
        session = SessionContext()
        session.from_arrow(pa.concat_tables(map(self.rows_of, sorted(self.files))), "t")
        session.from_arrow(pq.read_table(self.project.root / "data" / "d.parquet"), "d")
        for name in ("filtered", "ranked"):
            session.from_arrow(session.sql(self.sql(name)).to_arrow_table(), name)
        return {name: rows_of(session.sql(self.sql(name)).to_arrow_table()) for name in self.forms}


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
            units = world.units(one["name"]) if counts is not None else None
            if units is not None:
                most = sum(size for unit, size in units.items() if unit not in world.ran)
                assert counts["run"] <= most, f"{where}: {one['name']} {counts}"
                world.ran |= units.keys()
                runs += counts["run"]
        if number % CLEAN and number < steps - 1:
            continue
        other = tmp_path / "clean"
        shutil.rmtree(other, ignore_errors=True)
        clean = SampleProject.copy_of(world.project.root, other)
        build(clean)
        for name in world.forms:
            one, other_one = clean.product(name), world.project.product(name)
            assert same_bits(one, other_one), f"{where}: {name} differs from a build in an empty store"
    return runs


def same_bits(one: pa.Table, other: pa.Table) -> bool:
    """Whether two tables have the same rows, to the last bit of floats, NaN being equal to itself.

    Not in order: a table that came out with the same rows in another order stays the one that it was.
    """
    return sorted(map(repr, one.to_pylist())) == sorted(map(repr, other.to_pylist()))


@pytest.mark.slow
@pytest.mark.parametrize(("form", "steps"), [("parquet", 2), ("groups", 2), ("folders", 2), ("csv", 2), ("json", 2)])
def test_a_few_steps(tmp_path: Path, form: str, steps: int) -> None:
    assert soak(tmp_path, seed=1, steps=steps, form=form)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("form", ["parquet", "groups", "folders", "csv", "json"])
@pytest.mark.parametrize("seed", range(_FIRST, _FIRST + 8))
def test_many_steps(tmp_path: Path, seed: int, form: str) -> None:
    """40 times 100 steps, unless the environment says otherwise."""
    assert soak(tmp_path, seed, steps=_STEPS, form=form)
