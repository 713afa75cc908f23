"""Random queries that the translation for Spark takes, built by both engines; what differs, with the query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from compiler.errors import SqlError
from compiler.spark.numbers import NO_QUOTIENT, TOO_WIDE
from compiler.spark.refusal import RefusedError
from compiler.spark.translation import for_spark
from rules.storage.types import to_schema
from support import inprocess, spark
from support.compiling import TestCompiler
from support.projects import SampleProject
from support.spark_queries import expression, query, table

_TOGETHER = 12
"""Expressions of one rule: a query of Spark takes a second."""
_FAR = "does not fit into nanoseconds"


@dataclass(frozen=True)
class Compared:
    """What came of it. refused: by the translation; failed: queries that fail; differences: sentences."""

    taken: int
    refused: int
    failed: int
    differences: tuple[str, ...]


class Comparison:
    """Builds random queries over one random table. seed: of both; remote: the server."""

    def __init__(self, root: Path, remote: str, seed: int) -> None:
        self._root, self._remote, self._chance = root, remote, Random(seed)
        self._table = table(self._chance)
        self._compiler = TestCompiler({"t": self._table.schema})
        self._rounds = 0

    def run(self, expressions: int, queries: int) -> Compared:
        """Compare so many of each that are taken."""
        single, refused = self._taken(expressions, lambda: f"SELECT t.id, {expression(self._chance)} AS c0 FROM t")
        whole, more = self._taken(queries, lambda: query(self._chance))
        values = [one.removeprefix("SELECT t.id, ").removesuffix(" AS c0 FROM t") for one in single]
        groups = [values[at : at + _TOGETHER] for at in range(0, len(values), _TOGETHER)]
        alone = [*whole, *(f"SELECT t.id, {value} AS c0 FROM t" for group in self._suspects(groups) for value in group)]
        failed, differences = 0, list[str]()
        for text, found in zip(alone, self._compared(alone), strict=True):
            failed += found == ""
            differences += [f"{found}: {text}"] if found else []
        return Compared(len(single) + len(whole), refused + more, failed, tuple(differences))

    def _taken(self, count: int, make: Callable[[], str]) -> tuple[list[str], int]:
        found, refused = list[str](), 0
        while len(found) < count:
            text = make()
            try:
                compiled = self._compiler.compile(text)
                for_spark(compiled.meaning, {"t": to_schema(self._table.schema)}, compiled.schema)
            except RefusedError:
                refused += 1
            except SqlError:
                continue
            else:
                found.append(text)
        return found, refused

    def _suspects(self, groups: Sequence[Sequence[str]]) -> list[Sequence[str]]:
        """Return the groups whose queries do not make the same table."""
        texts = [
            "SELECT t.id, " + ", ".join(f"{value} AS c{place}" for place, value in enumerate(group)) + " FROM t"
            for group in groups
        ]
        found = self._compared(texts)
        return [group for group, one in zip(groups, found, strict=True) if one is not None]

    def _compared(self, texts: Iterable[str]) -> list[str | None]:
        """Build queries; return None for equal tables, "" where both engines fail, else what is wrong."""
        self._rounds += 1
        names = {f"r{place}": text for place, text in enumerate(texts)}
        if not names:
            return []
        here = SampleProject(self._root / f"here{self._rounds}", sources=["t"], toml=spark.profile(self._remote))
        here.parquet("t", self._table)
        for name, text in names.items():
            here.sql(name, text)
        there = SampleProject.copy_of(here.root, self._root / f"there{self._rounds}")
        mine = inprocess.build(here, "--keep-going", expect=None)
        others = inprocess.build(there, "--keep-going", "--profile", "cluster", expect=None)
        errors = [
            {one["name"]: one["error"]["message"] for one in ran.document["products"] if one["status"] == "failed"}
            for ran in (mine, others)
        ]
        return [self._told(here, there, name, [one.get(name) for one in errors]) for name in names]

    @staticmethod
    def _told(here: SampleProject, there: SampleProject, name: str, errors: Sequence[str | None]) -> str | None:
        if all(errors):
            return ""
        if errors[1] and any(sign in errors[1] for sign in (TOO_WIDE, NO_QUOTIENT)):
            return (
                ""  # of a value that the local engine, which goes through columns by batches, did not have to compute
            )
        if errors[0] and _FAR in errors[0]:
            return ""  # DataFusion truncates days and longer by way of nanoseconds, which end in 1677 and 2262
        if any(errors):
            return f"of the local engine and Spark only one fails {errors}"
        try:
            spark.assert_same_bag(here, there, name)
        except AssertionError as error:
            return f"the tables differ ({str(error).splitlines()[0]}) {_sample(here, there, name)}"
        return None


def _sample(here: SampleProject, there: SampleProject, name: str) -> str:
    """Show the first rows in which two tables differ."""
    both = []
    for one in (here, there):
        product = one.product(name)
        both.append(
            list(map(repr, zip(*(spark.bits(product[column]) for column in product.column_names), strict=True)))
        )
    only = [sorted(set(mine) - set(other)) for mine, other in (both, both[::-1])]
    return f"{only[0][:2]} instead of {only[1][:2]}"
