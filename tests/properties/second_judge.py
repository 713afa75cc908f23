"""Judge what a build yields by engines that share no code with ours; run one seed again from a command line.

    PYTHONPATH=.:tests .venv-test/bin/python -m properties.second_judge --seeds 0:2000 [--judge postgresql]

Each query is compiled, its executed form is run on Parquet files that show the
scan sets alone, and the rows are compared with the judge's: as a bag, or in order where ORDER BY decides it.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from compiler.compiled import Compiled
from compiler.errors import SqlError
from properties.disagreements import KNOWN_FAULTS, LEGAL_CLASSES, Fault
from properties.outside_judges import Judge, JudgeError, PostgresqlJudge, Row, SqliteJudge, normal, rows_of
from properties.portable_queries import PortableQuery, portable_query
from properties.portable_tables import portable_database, without_signed_zeros
from properties.reducing import reduced
from rules.engine.failures import engine_errors
from rules.engine.protocol import EngineError
from support.compiling import TestCompiler
from support.forms import StoredDatabase

OUTCOMES = EQUAL, REFUSED, FAILED, DIFFERS, UNJUDGED = "equal", "refused", "failed", "differs", "unjudged"
DATABASES = 24


@dataclass(frozen=True)
class Judged:
    """What became of a query. kind: of a refusal or failure, its message without the names in it.

    zeros: whether it is equal once the tables hold no -0.0.
    """

    outcome: str
    kind: str = ""
    number: int | None = None
    ours: tuple[Row, ...] = ()
    theirs: tuple[Row, ...] = ()
    compiled: Compiled | None = None
    zeros: bool = False


@dataclass
class Tally:
    """What became of many queries: counts; kinds of refusals and classes of disagreements, with their seeds."""

    judge: str
    counts: Counter[str] = field(default_factory=Counter)
    kinds: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    seeds: dict[str, list[int]] = field(default_factory=dict)
    unexplained: list[str] = field(default_factory=list)

    def add(self, seed: int, query: PortableQuery, judged: Judged) -> None:
        for prefix in ("", "correlated ") if query.correlated else ("",):
            self.counts[f"{prefix}queries"] += 1
            self.counts[f"{prefix}{judged.outcome}"] += 1
        if judged.kind:
            self.kinds.setdefault((judged.outcome, judged.kind), []).append(seed)

    def classify(self, seed: int, fault: Fault | None, example: str) -> None:
        """Count a disagreement or failure as one of a class, or as unexplained."""
        name = "unexplained" if fault is None else f"{fault.name} ({fault.whose})"
        self.seeds.setdefault(name, []).append(seed)
        if fault is None:
            self.unexplained.append(f"seed {seed}: {example}")

    def share(self, outcome: str, of: str = "") -> float:
        """Return the share of an outcome among all queries, or among the `correlated ` ones."""
        return self.counts[f"{of}{outcome}"] / max(1, self.counts[f"{of}queries"])

    def merge(self, other: Tally) -> None:
        """Take in another tally."""
        self.counts += other.counts
        self.unexplained += other.unexplained
        for kind, seeds in other.kinds.items():
            self.kinds.setdefault(kind, []).extend(seeds)
        for name, seeds in other.seeds.items():
            self.seeds.setdefault(name, []).extend(seeds)

    def __str__(self) -> str:
        titles = "".join(f"{title:>9}" for title in ("queries", *OUTCOMES))
        lines = [f"judged by {self.judge}", f"{'':24}{titles}"]
        for name, prefix in (("all", ""), ("with correlation", "correlated ")):
            cells = [self.counts[prefix + outcome] for outcome in ("queries", *OUTCOMES)]
            lines.append(f"  {name:22}{''.join(f'{cell:9}' for cell in cells)}")
        kinds = sorted(self.kinds.items(), key=lambda kind: -len(kind[1]))[:40]
        lines += [_line(f"{outcome}: {kind}", seeds) for (outcome, kind), seeds in kinds]
        lines += [_line(name, seeds) for name, seeds in self.seeds.items()]
        return "\n".join([*lines, *(f"  {text}" for text in self.unexplained[:40])])


def _line(name: str, seeds: Sequence[int]) -> str:
    return f"  {len(seeds):7} {name}: seeds {', '.join(map(str, seeds[:12]))}"


class SecondJudge:
    """Our compiler and engine beside a judge, over the same databases: those of `portable_tables` unless given."""

    def __init__(
        self, judge: Judge, folder: Path, databases: Sequence[Mapping[str, pa.Table]] = (), *, loose: bool = False
    ) -> None:
        """loose: see `outside_judges.normal`."""
        self.judge = judge
        self.loose = loose
        self.databases: list[StoredDatabase] = []
        self._plain_databases: dict[int, StoredDatabase] = {}
        made = databases or [portable_database(number, wild_floats=judge.features.nan) for number in range(DATABASES)]
        self.compiler = TestCompiler({name: table.schema for name, table in made[0].items()})
        for number, tables in enumerate(made):
            self.databases.append(StoredDatabase(tables, folder / str(number)))
            judge.add(number, tables)

    def query(self, seed: int) -> PortableQuery:
        return portable_query(seed, self.judge.features)

    def numbers(self, seed: int) -> tuple[int, ...]:
        """Return the databases on which the query of a seed is judged."""
        count = len(self.databases)
        return seed % count, (seed // count + seed + 1) % count

    def judged(self, sql: str, numbers: Iterable[int], *, ordered: bool, asked: str = "") -> Judged:
        """Judge one query on some databases; return the first result that is not equal, else the last.

        asked: how the judge is asked, if not with the same text.
        """
        try:
            answers = [(number, self.judge.answer(number, asked or sql)) for number in numbers]
        except JudgeError as error:
            return Judged(UNJUDGED, kind_of(str(error)))
        try:
            compiled = self.compiler.compile(sql)
        except SqlError as error:
            helpful = "" if error.hint and error.line else "without place or hint: "
            return Judged(REFUSED, helpful + kind_of(error.message))
        found = [self._compared(compiled, number, answer, ordered=ordered) for number, answer in answers]
        return next((one for one in found if one.outcome != EQUAL), found[-1])

    def normal(self, rows: Iterable[Row]) -> list[Row]:
        """Return rows as they are compared."""
        return normal(rows, booleans=self.judge.knows_booleans, loose=self.loose)

    def _compared(self, compiled: Compiled, number: int, answer: list[Row], *, ordered: bool) -> Judged:
        try:
            with engine_errors():
                table = self.databases[number].executed(compiled)
        except EngineError as error:
            return Judged(FAILED, kind_of(str(error)), number, compiled=compiled)
        ours, theirs = self.normal(rows_of(table)), self.normal(answer)

        def same(rows: list[Row]) -> bool:
            return rows == theirs if ordered else Counter(rows) == Counter(theirs)

        if same(ours):
            return Judged(EQUAL, "", number, tuple(ours), tuple(theirs), compiled)
        plain = self.normal(rows_of(self._plain(number).executed(compiled)))
        return Judged(DIFFERS, "", number, tuple(ours), tuple(theirs), compiled, zeros=same(plain))

    def _plain(self, number: int) -> StoredDatabase:
        """Return a database with 0.0 in place of each -0.0, which no judge tells apart."""
        if number not in self._plain_databases:
            stored = self.databases[number]
            tables = {name: without_signed_zeros(table) for name, table in stored.tables.items()}
            self._plain_databases[number] = StoredDatabase(tables, stored.folder / "plain")
        return self._plain_databases[number]

    def reduce(self, seed: int) -> tuple[str, Judged]:
        """Return a small query that ends as that of a seed does, and its end."""
        query = self.query(seed)
        first = self.judged(query.sql, self.numbers(seed), ordered=query.ordered)
        numbers = (first.number,) if first.number is not None else self.numbers(seed)

        # Shrunk, a text may lose what puts it in order; that of a bag cannot be the fault of its order.
        ordered = query.ordered and Counter(first.ours) == Counter(first.theirs)

        def holds(sql: str) -> bool:
            found = self.judged(sql, numbers, ordered=ordered)
            return (found.outcome, found.kind, found.zeros) == (first.outcome, first.kind, first.zeros)

        small = reduced(query.sql, holds)
        return small, self.judged(small, numbers, ordered=ordered)

    def shown(self, seed: int) -> str:
        """Return all there is to say of one seed: texts, results, and the small text of what is not equal."""
        query = self.query(seed)
        judged = self.judged(query.sql, self.numbers(seed), ordered=query.ordered)
        lines = ["-- authored", query.sql, "-- executed", judged.compiled.sql if judged.compiled else ""]
        lines += [
            "-- outcome",
            explained(judged),
            "-- ours",
            *map(str, judged.ours),
            "-- judge",
            *map(str, judged.theirs),
        ]
        if judged.outcome in (DIFFERS, FAILED):
            lines += ["-- shrunk", self.reduce(seed)[0]]
        return "\n".join([*lines, ""])

    def fault(self, small: str, judged: Judged) -> Fault | None:
        """Return the known fault, or class of legal differences, that a shrunk query shows."""
        fails = judged.outcome == FAILED
        text = judged.kind if fails else small
        return next(
            (
                one
                for one in (*KNOWN_FAULTS, *LEGAL_CLASSES)
                if one.fails == fails and one.zeros <= judged.zeros and one.pattern.search(text)
            ),
            None,
        )

    def run(self, seeds: Iterable[int]) -> Tally:
        """Judge the queries of these seeds, and say of each disagreement and failure what it is."""
        tally = Tally(self.judge.name)
        for seed in seeds:
            query = self.query(seed)
            judged = self.judged(query.sql, self.numbers(seed), ordered=query.ordered)
            tally.add(seed, query, judged)
            if judged.outcome == DIFFERS:
                small, found = self.reduce(seed)
                tally.classify(seed, self.fault(small, found), f"{small}\n    {explained(found)}")
            elif judged.outcome == FAILED:
                fault = self.fault("", judged)
                first = fault is None and len(tally.kinds[FAILED, judged.kind]) == 1
                text = self.reduce(seed)[0] if first else query.sql
                tally.classify(seed, fault, f"{text}\n    {explained(judged)}")
        return tally


def explained(judged: Judged) -> str:
    """Return how a query ended, on a line."""
    if judged.outcome != DIFFERS:
        return f"{judged.outcome} {judged.kind}"
    ours, theirs = Counter(judged.ours), Counter(judged.theirs)
    sides = [[tuple(value[1] for value in row) for row in list((one - other).elements())[:4]]  # type: ignore[index]
             for one, other in ((ours, theirs), (theirs, ours))]  # fmt: skip
    return f"database {judged.number}, only ours: {sides[0]}, only the judge's: {sides[1]}"


def kind_of(message: str) -> str:
    """Return a message without the names, numbers and texts in it, and no longer than a line."""
    line = " ".join(message.split())
    line = re.sub(r"'[^']*'|\"[^\"]*\"", "…", line)
    line = re.sub(r"\b\w+\.\w+\b|\b[cdefopqmtuvwkabsxyzr]\d*\b|\d+", "…", line)
    return re.sub(r"[…, ]*…[…, ]*", " … ", line)[:110].strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0:1000", help="A:B, or one seed, of which everything is printed")
    parser.add_argument("--judge", choices=("sqlite", "postgresql"), default="sqlite")
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition(":")
    with ExitStack() as stack:
        judge: Judge = SqliteJudge()
        if arguments.judge == "postgresql":
            from support.postgresql import postgresql

            judge = PostgresqlJudge(stack.enter_context(postgresql()))
            stack.callback(judge.close)
        second = SecondJudge(judge, Path(stack.enter_context(tempfile.TemporaryDirectory())) / "databases")
        if last:
            sys.stdout.write(f"{second.run(range(int(first), int(last)))}\n")
        else:
            sys.stdout.write(second.shown(int(first)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
