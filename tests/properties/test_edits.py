"""Incremental = clean: after random edits of random projects, products equal those of a build in an empty store.

And what `rules plan` and `rules diff` foresee is never narrower than what the build then does.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.inprocess import build, run
from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = ("s0", "s1", "text")
Row = tuple[Any, ...]


def random_query(generator: random.Random, tables: list[str]) -> str:
    """A query over some of `tables`; all tables, and so its result, have the columns k, g and v."""
    one, n, m = generator.choice(tables), generator.randint(1, 9), generator.randint(2, 5)
    other = generator.choice(SOURCES)
    operator = generator.choice(["<", ">", "=", "<>", "<="])
    return generator.choice(
        [
            f"SELECT k, g, v FROM {one} WHERE v {operator} {n}",
            f"SELECT k, g, v {generator.choice('+-*')} {n} AS v FROM {one}",
            f"SELECT MIN(k) AS k, g, SUM(v) AS v FROM {one} GROUP BY g HAVING COUNT(*) > {m - 2}",
            f"SELECT a.k, b.g, a.v + b.v AS v FROM {one} AS a JOIN {other} AS b ON a.k = b.k",
            f"SELECT a.k, b.g, a.v FROM {one} AS a LEFT JOIN {other} AS b ON a.k = b.k AND b.v > {n}",
            f"SELECT k, g, v FROM {one} UNION ALL SELECT k, g, v FROM {other}",
            f"SELECT k, g, v FROM {one} EXCEPT SELECT k, g, v FROM {other} WHERE v > {n}",
            f"SELECT DISTINCT k % {m} AS k, g, v % {m} AS v FROM {one}",
            f"SELECT MIN(k) AS k, g, CAST(AVG(v) * 1000 AS BIGINT) AS v FROM {one} GROUP BY g",
            f"SELECT k, g, SUM(v) OVER (PARTITION BY g) AS v FROM {one}",
            f"SELECT k, g, ROW_NUMBER() OVER (PARTITION BY g ORDER BY k, v) + {n} AS v FROM {one}",
            f"SELECT COUNT(*) AS k, 'all' AS g, {n} AS v FROM {one}",
            f"SELECT k, 'none' AS g, {n} AS v FROM {one}",
            f"SELECT k, g, v FROM {one} ORDER BY k, g, v",
            f"SELECT k, g, v FROM {one} ORDER BY v DESC, k, g LIMIT {n}",
            f"SELECT k, g, v FROM {one} WHERE k IN (SELECT b.k FROM {other} AS b WHERE b.v > {n})",
            f"SELECT k, g, v FROM {one} AS a WHERE NOT EXISTS (SELECT 1 FROM {other} AS b WHERE b.k = a.k)",
            f"WITH x AS (SELECT k, g, v FROM {one} WHERE g IS NOT NULL) SELECT x.k, x.g, x.v FROM x WHERE x.v > {n}",
        ]
    )


class World:
    """A project that random edits change. `queries`: its rules in an order in which they can be built."""

    def __init__(self, root: Path, generator: random.Random) -> None:
        self.random = generator
        sources = '\n[sources.text]\npath = "data/text.csv"\ncolumns = { k = "int64", g = "string", v = "int64" }\n'
        self.project = SampleProject(root, sources=["s0", "s1"], toml=sources)
        self.rows = {name: [self._row() for _ in range(24)] for name in SOURCES}
        self.queries: dict[str, str] = {}
        self.named = 0
        self.past: list[tuple[dict[str, list[Row]], dict[str, str]]] = []
        for _ in range(5):
            self.add()

    def _row(self) -> Row:
        return self.random.randrange(16), self.random.choice(["a", "b", "c", None]), self.random.randrange(12)

    def write(self) -> None:
        """Bring the files to what this world says; files that already say it are left alone."""
        for name, rows in self.rows.items():
            if name == "text":
                lines = [",".join("" if value is None else str(value) for value in row) for row in rows]
                self._write_if_other("data/text.csv", "\n".join(["k,g,v", *lines]) + "\n")
                continue
            columns = [
                pa.array([row[at] for row in rows], kind)
                for at, kind in enumerate((pa.int64(), pa.string(), pa.int64()))
            ]
            table = pa.table(columns, ["k", "g", "v"])
            path = self.project.root / "data" / f"{name}.parquet"
            if not path.exists() or not pq.read_table(path).equals(table) or self.random.random() < 0.2:
                path.parent.mkdir(exist_ok=True)
                pq.write_table(table, path, row_group_size=self.random.choice([5, 1000]))
        for path in (self.project.root / "rules").iterdir():
            if path.stem not in self.queries:
                path.unlink()
        for name, query in self.queries.items():
            self._write_if_other(f"rules/{name}.sql", query + "\n")

    def _write_if_other(self, path: str, text: str) -> None:
        target = self.project.root / path
        if not target.exists() or target.read_text() != text:
            self.project.write(path, text)

    def edit(self) -> str:
        """Change something; return what, for the message of a failure."""
        self.past.append(({name: list(rows) for name, rows in self.rows.items()}, dict(self.queries)))
        edits = [self.add, self.remove, self.rename, self.comment, self.replace, self.replace, self.tweak, self.tweak]
        edits += [self.value, self.value, self.permute, self.append, self.back, self.delete_object]
        edits += [self.extra, self.extra, self.rework]
        chosen = self.random.sample(edits, self.random.choice([1, 1, 2]))
        for one in chosen:
            one()
        self.write()
        return " and ".join(one.__name__ for one in chosen)

    def add(self) -> None:
        self.queries[f"p{self.named}"] = random_query(self.random, [*SOURCES, *self.queries, *list(self.queries)[-2:]])
        self.named += 1

    def remove(self) -> None:
        read = " ".join(self.queries.values())
        unread = [name for name in self.queries if not re.search(rf"\b{name}\b", read)]
        if len(self.queries) > 2:
            del self.queries[self.random.choice(unread)]

    def rename(self) -> None:
        old, new = self.random.choice(list(self.queries)), f"p{self.named}"
        self.named += 1
        self.queries = {
            new if name == old else name: re.sub(rf"\b{old}\b", new, query) for name, query in self.queries.items()
        }

    def comment(self) -> None:
        name = self.random.choice(list(self.queries))
        self.queries[name] = f"-- {self.random.random()}\n" + self.queries[name].replace(" ", "  ", 1)

    def replace(self) -> None:
        names = list(self.queries)
        at = self.random.randrange(len(names))
        self.queries[names[at]] = random_query(self.random, [*SOURCES, *names[:at]])

    def tweak(self) -> None:
        name = self.random.choice(list(self.queries))
        number = str(self.random.randint(1, 9))
        self.queries[name] = re.sub(r"(?<=[<>=+*-] )\d+", number, self.queries[name])

    def extra(self) -> None:
        """Add an output column that nobody reads, or take it away."""
        name = self.random.choice(list(self.queries))
        query = self.queries[name]
        inner = re.fullmatch(r"SELECT z.k, z.g, z.v, .*? AS e FROM \((.*)\) AS z", query, re.DOTALL)
        made = self.random.choice(["z.v * 2", "z.k", "UPPER(z.g)", "COUNT(*) OVER ()"])
        self.queries[name] = inner[1] if inner else f"SELECT z.k, z.g, z.v, {made} AS e FROM ({query}\n) AS z"

    def rework(self) -> None:
        """Change what a column is made of, and not the rows."""
        name = self.random.choice(list(self.queries))
        column, made = self.random.choice([("k", "k + 1"), ("g", "COALESCE(g, 'x')"), ("v", "v % 5")])
        others = ", ".join(f"{made} AS {one}" if one == column else one for one in "kgv")
        if " ORDER BY " not in self.queries[name]:
            self.queries[name] = f"SELECT {others} FROM ({self.queries[name]}\n) AS y"

    def value(self) -> None:
        rows = self.rows[self.random.choice(SOURCES)]
        at, column = self.random.randrange(len(rows)), self.random.randrange(3)
        rows[at] = (*rows[at][:column], self._row()[column], *rows[at][column + 1 :])

    def permute(self) -> None:
        self.random.shuffle(self.rows[self.random.choice(SOURCES)])

    def append(self) -> None:
        self.rows[self.random.choice(SOURCES)].append(self._row())

    def back(self) -> None:
        rows, queries = self.random.choice(self.past)
        self.rows, self.queries = {name: list(found) for name, found in rows.items()}, dict(queries)

    def delete_object(self) -> None:
        stored = sorted((self.project.root / ".rules" / "objects").glob("*/*"))
        if stored:
            self.random.choice(stored).unlink()


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


def check(world: World, scratch: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    generator = world.random
    edits = run(world.project, "diff", "--json").document["rules"]
    before = tables(world.project)
    if generator.random() < 0.2:
        build(world.project, "-s", f"+{generator.choice(list(world.queries))}")
    force = ["--force", generator.choice(list(world.queries))] if generator.random() < 0.1 else []
    foreseen = run(world.project, "plan", "--explain", "--json", *force).document["products"]
    ran = build(world.project, *force)
    for product in foreseen:
        allowed = {"clean": {"clean"}, "restore": {"restored", "clean"}}.get(product["verdict"])
        status = ran.statuses[product["name"]]
        assert allowed is None or status in allowed, (what, product, status)
        kinds = {cause["kind"] for cause in product.get("causes", [])}
        assert bool(kinds) == (product["verdict"] != "clean"), (what, product)
        assert "unknown" not in kinds, (what, product)
    if not world.past or world.past[-1][0] == world.rows:
        check_reach(edits, before, tables(world.project), what)
    shutil.rmtree(scratch, ignore_errors=True)
    monkeypatch.setenv("RULES_STORE", str(scratch))
    build(world.project, "-j", "1")
    monkeypatch.delenv("RULES_STORE")
    found, expected = products(world.project.root / ".rules"), products(scratch)
    assert set(found) == set(expected) == set(world.queries), what
    for name, rows in expected.items():
        assert Counter(found[name]) == Counter(rows), (what, name, world.queries[name], ran.statuses)
        if " ORDER BY k, g, v" in world.queries[name]:
            assert found[name] == rows, (what, name)
    assert "nothing to do" in run(world.project, "build").stdout, what


def walk(root: Path, seed: int, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(root / "project", random.Random(seed))
    world.write()
    done = ["first build"]
    for step in range(steps):
        check(world, root / "scratch", monkeypatch, f"seed {seed}, step {step}: {done[-1]}")
        done.append(world.edit())


@pytest.mark.parametrize("seed", range(3))
def test_products_equal_those_of_a_build_in_an_empty_store(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk(tmp_path, seed, 10, monkeypatch)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_products_equal_those_of_a_build_in_an_empty_store_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = int(os.environ.get("RULES_SOAK_SEED", "1000"))
    for seed in range(first, first + int(os.environ.get("RULES_SOAK_RUNS", "100"))):
        walk(tmp_path / str(seed), seed, 20, monkeypatch)
        shutil.rmtree(tmp_path / str(seed))
