"""The judge: what decides whether two queries share a result, and what finds out whether they may."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from datafusion import SessionContext
from sqlglot import exp

from compiler.compiled import Compiled
from compiler.errors import SqlError
from compiler.schema import Schema
from properties.drafts import Drafts, draft_tree, text_of
from properties.patterns import patterned_query
from properties.queries import small_query
from properties.shapes import shaped_query
from rules.engine.session import make_session, qualified_name
from rules.storage.types import to_schema
from support.compiling import TestCompiler
from support.databases import TABLES, random_database, same_table
from support.forms import PROFILE, StoredDatabase, collected, difference
from support.pairs import is_ordered

SIZES = (6, 12, 0, 3, 20, 40, 1, 25, 9, 2)
DATABASES = 40
CHANGES_OF_ONE = 10
Change = Callable[[str, Drafts], str | None]
SCHEMAS: dict[str, Schema] = {table: to_schema(schema) for table, schema in TABLES.items()}


@dataclass(frozen=True)
class Case:
    """A random query as it was made (`authored`); qualified, its text, what that compiles to, and its tree."""

    seed: int
    authored: str
    sql: str
    compiled: Compiled
    tree: exp.Query

    def drafts(self) -> Drafts:
        return Drafts(self.authored, self.tree, SCHEMAS, self.seed, row_order=self.row_order)

    @property
    def row_order(self) -> bool:
        """Whether the order of the rows it reads is of no consequence."""
        return not self.compiled.traits.order_dependent


@dataclass
class Tally:
    """What became of the queries of each class."""

    tried: Counter[str] = field(default_factory=Counter)
    merged: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def table(self, title: str) -> str:
        lines = [f"{title:32}{'tried':>7}{'one':>7}{'rate':>8}{'refused':>9}"]
        for name in sorted(self.tried, key=lambda one: (-self.rate(one), one)):
            counts = f"{self.tried[name]:7}{self.merged[name]:7}{self.rate(name):8.1%}{self.refused[name]:9}"
            lines.append(f"{name:32}{counts}")
        total = f"{self.tried.total():7}{self.merged.total():7}{self.rate():8.1%}{self.refused.total():9}"
        return "\n".join([*lines, f"{'all':32}{total}"])

    def rate(self, name: str | None = None) -> float:
        """The share that unified, of one class or of all."""
        if name is None:
            return self.merged.total() / max(1, self.tried.total())
        return self.merged[name] / max(1, self.tried[name])


@cache
def compiler() -> TestCompiler:
    return TestCompiler(TABLES)


class UnplannedError(Exception):
    """The engine has no plan for a query, whatever the tables hold: it has no result that could be another."""


def identity(compiled: Compiled) -> tuple[object, ...]:
    """What decides whether two rules share an action: nothing else of a rule is in its action key."""
    return compiled.fingerprint, compiled.inputs, compiled.reads


def compiled_or_none(sql: str) -> Compiled | None:
    try:
        return compiler().compile(sql)
    except SqlError:
        return None


def cases(start: int) -> Iterator[Case]:
    """Random queries that compile, one after the other from a seed on."""
    seed = start
    while True:
        authored = (small_query, shaped_query, patterned_query)[seed % 3](seed)
        executed = compiled_or_none(authored)
        tree = None if executed is None else draft_tree(executed)
        compiled = None if tree is None else compiled_or_none(text_of(tree))
        if compiled is not None and tree is not None:
            yield Case(seed, authored, text_of(tree), compiled, tree)
        seed += 1


@cache
def _database(seed: int) -> dict[str, pa.RecordBatch]:
    tables = random_database(seed, SIZES[seed % len(SIZES)]).items()
    return {name: pa.RecordBatch.from_pylist(table.to_pylist(), schema=table.schema) for name, table in tables}


@contextmanager
def _open(compiled: Compiled, seed: int) -> Iterator[SessionContext]:
    """A session that shows a query what it may see: the columns of its scan sets, which names in it rely on."""
    session = _session()
    try:
        for name, columns in compiled.scans.items():
            batch = _database(seed)[name].select(list(columns))
            session.register_record_batches(qualified_name(name), [[batch]])
        yield session
    finally:
        for name in compiled.scans:
            session.deregister_table(qualified_name(name))


@cache
def _session() -> SessionContext:
    return make_session(PROFILE)


def outcome(compiled: Compiled, seed: int) -> pa.Table | None:
    """Run the executed form on one database; None where the engine fails on it."""
    with _open(compiled, seed) as session:
        try:
            return collected(session.sql(compiled.sql))
        except Exception:  # noqa: BLE001 — the engine raises the bare class
            return None


def stored_outcome(compiled: Compiled, seed: int) -> pa.Table | None:
    """Run the executed form over Parquet files, as a build does; None where a value makes it fail."""
    with TemporaryDirectory() as folder:
        database = StoredDatabase(random_database(seed, SIZES[seed % len(SIZES)]), Path(folder) / "tables")
        try:
            return database.executed(compiled)
        except Exception as error:
            if "Arrow error" not in str(error):
                raise UnplannedError(str(error)) from error
            return None


def told_apart(first: Case, second: Compiled, sql: str, databases: range) -> str | None:
    """Return on what database two queries differ and how, None if on none of them."""
    ordered = is_ordered(first.sql) or is_ordered(sql)
    if first.compiled.schema != second.schema:
        return f"schemas {first.compiled.schema.columns} and {second.schema.columns}"
    for seed in databases:
        tables = outcome(first.compiled, seed), outcome(second, seed)
        if _between(*tables, ordered=ordered) is None:
            continue
        # Rules read files, and some plans fail over tables in memory alone.
        try:
            tables = stored_outcome(first.compiled, seed), stored_outcome(second, seed)
        except UnplannedError:
            return None
        if (found := _between(*tables, ordered=ordered)) is not None:
            return f"on database {seed}: {found}"
    return None


def _between(left: pa.Table | None, right: pa.Table | None, *, ordered: bool) -> str | None:
    if left is None or right is None:
        return None if left is right else "only one of them fails"
    return None if same_table(left, right, ordered=ordered) else difference(left, right, ordered=ordered)


def one_plan(first: Compiled, second: Compiled) -> bool:
    """Whether the engine makes one optimised plan of both: then they certainly do not differ."""
    plans = []
    for compiled in (first, second):
        with _open(compiled, 0) as session:
            plans.append(session.sql(compiled.sql).optimized_logical_plan().display_indent())
    return plans[0] == plans[1]


def judged(
    start: int, wanted: int, classes: tuple[str, ...], change: Change, tally: Tally
) -> Iterator[tuple[Case, str, str, Compiled]]:
    """Yield `wanted` random queries, each with the class of a change, the changed text and what that compiles to.

    The classes that were tried least come first, so that all of them are tried about equally often where they apply.
    """
    rng = random.Random(start)
    for case in cases(start):
        drafts = case.drafts()
        changed = 0
        for name in sorted(classes, key=lambda one: (tally.tried[one] + tally.refused[one], rng.random())):
            if changed == CHANGES_OF_ONE:
                break
            sql = change(name, drafts)
            if sql is None:
                continue
            compiled = compiled_or_none(sql)
            if compiled is None:
                tally.refused[name] += 1
                continue
            changed += 1
            tally.tried[name] += 1
            yield case, name, sql, compiled
            if tally.tried.total() >= wanted:
                return
