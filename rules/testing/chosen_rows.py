"""Real rows for a unit test: few of each input, that show what can be shown of a rule.

The outcomes that the data has are those of `compiler.coverage`. Rows are left out, first many at a time and then fewer,
as long as what is left has all of these outcomes: the way of A. Zeller and R. Hildebrandt, Simplifying and isolating
failure-inducing input (2002).
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from compiler.schema import INPUT_DB
from rules.engine.protocol import EngineError, EngineInput, EngineQuery
from rules.errors import FAILED, UserError
from rules.running.query_runner import Runner, callable_function
from rules.storage.types import to_arrow, written_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from compiler.coverage.outcomes import Outcome, Question
    from compiler.schema import Schema
    from rules.compiling.compiled_rule import CompiledRule
    from rules.compiling.session import Session

MOST_ROWS = 100_000
"""Rows of an input that are looked at: the first ones."""
ROW = "~row"
"""The column of a table of whose rows nothing but their number is read."""
_QUOTE = '"'
MANY_ROWS = 100
"""Of an input: what is not shown by so many, or fewer, is given up."""
SECONDS = 60.0
"""After these no more rows are left out."""

Shown = frozenset[tuple[int, int]]
"""Outcomes, by the numbers of their question and of themselves in it."""


@dataclass(frozen=True)
class Chosen:
    """Rows of the inputs of a rule, in the columns that it reads, and the outcomes that they show.

    absent: those that the data has not; costly: those that few rows do not show.
    """

    tables: Mapping[str, pa.Table]
    shown: tuple[Outcome, ...]
    absent: tuple[Outcome, ...]
    costly: tuple[Outcome, ...]
    is_partial: bool
    """Whether an input has rows that were not looked at."""


def chosen_rows(
    session: Session, rule: CompiledRule, schemas: Mapping[str, Schema], asked: Sequence[Question], scratch: Path
) -> Chosen:
    """Return few rows of the inputs of a rule that show all that their first rows can show of it.

    schemas: of its inputs; asked: what counts its outcomes; scratch: a folder for files. Raises `UserError`.
    """
    counting = _Counting(session, rule, asked, schemas, scratch)
    tables = {name: counting.rows(name) for name in rule.scans}
    is_partial = any(table.num_rows == MOST_ROWS for table in tables.values())
    there = wanted = counting.shown(tables)
    tables = _all_reduced(counting, tables, wanted)
    if any(table.num_rows > MANY_ROWS for table in tables.values()):
        tables = {name: table.slice(0, MANY_ROWS) for name, table in tables.items()}
        wanted &= counting.shown(tables)
        tables = _all_reduced(counting, tables, wanted)
    outcomes = {(place, at): one for place, question in enumerate(asked) for at, one in enumerate(question.outcomes)}
    shown = tuple(one for key, one in outcomes.items() if key in wanted)
    absent = tuple(one for key, one in outcomes.items() if key not in there and one.required)
    costly = tuple(one for key, one in outcomes.items() if key in there - wanted and one.required)
    return Chosen(tables, shown, absent, costly, is_partial)


def _all_reduced(counting: _Counting, tables: Mapping[str, pa.Table], wanted: Shown) -> dict[str, pa.Table]:
    """Leave out rows of all tables, of the largest one first."""
    kept, until = dict(tables), time.monotonic() + SECONDS
    for name in sorted(tables, key=lambda one: -tables[one].num_rows):
        kept = _reduced(counting, kept, name, wanted, until)
    return kept


def _reduced(
    counting: _Counting, tables: Mapping[str, pa.Table], name: str, wanted: Shown, until: float
) -> dict[str, pa.Table]:
    """Leave out rows of one table as long as all that is wanted is shown."""
    kept = dict(tables)
    size = kept[name].num_rows
    while size:
        size = -(-size // 2)
        end = kept[name].num_rows  # the first rows stay, as far as they do as well as others
        while end > 0 and time.monotonic() < until:
            table, start = kept[name], max(0, end - size)
            less = pa.concat_tables([table.slice(0, start), table.slice(end)])
            if counting.still_shows({**kept, name: less}, name, wanted):
                kept[name] = less.combine_chunks()
            end = start
        if size == 1 or time.monotonic() >= until:
            break
    return kept


class _Counting:
    """Asks the engine what tables show of a rule."""

    def __init__(
        self,
        session: Session,
        rule: CompiledRule,
        asked: Sequence[Question],
        schemas: Mapping[str, Schema],
        scratch: Path,
    ) -> None:
        self._session, self._rule, self._asked, self._schemas, self._scratch = session, rule, asked, schemas, scratch
        faults: list[UserError] = []
        called = Runner.called(rule)
        self._functions = tuple(callable_function(session.python, session.functions[one], faults) for one in called)
        self._files: dict[str, tuple[pa.Table, Path]] = {}
        self._failed: set[int] = set()

    def rows(self, name: str) -> pa.Table:
        """Return the first rows of an input, in the columns that the rule reads. Raises `UserError`."""
        whole = written_schema(to_arrow(self._schemas[name]))
        columns = tuple(column for column in whole.names if column in self._rule.scans[name])
        files, constants = self._stored(name)
        entry = EngineInput(name, files, self._schemas[name], columns, constants)
        quoted = [f'"{one.replace(_QUOTE, _QUOTE * 2)}"' for one in (*columns, name)]
        listed = ", ".join(quoted[:-1]) or f'1 AS "{ROW}"'
        sql = f"SELECT {listed} FROM {INPUT_DB}.{quoted[-1]} LIMIT {MOST_ROWS}"
        types = pa.schema([whole.field(column) for column in columns] or [pa.field(ROW, pa.int64())])
        return self._answer(EngineQuery(sql, (entry,), self._session.profile), types)

    def shown(self, tables: Mapping[str, pa.Table]) -> Shown:
        """Return the outcomes that tables show. A question that the engine cannot answer shows none."""
        return frozenset(pair for place in range(len(self._asked)) for pair in self._of(place, tables))

    def still_shows(self, tables: Mapping[str, pa.Table], changed: str, wanted: Shown) -> bool:
        """Whether tables show all that is wanted; those other than `changed` are as they were when they did."""
        for place, question in enumerate(self._asked):
            own = {pair for pair in wanted if pair[0] == place}
            if own and changed in question.scans and not own <= self._of(place, tables):
                return False
        return True

    def _of(self, place: int, tables: Mapping[str, pa.Table]) -> Shown:
        question = self._asked[place]
        if place in self._failed:
            return frozenset()
        inputs = tuple(
            EngineInput(name, (self._file(name, tables[name]),), self._schemas[name], columns)
            for name, columns in question.scans.items()
        )
        types = pa.schema([pa.field(f"n{number}", pa.int64()) for number in range(len(question.outcomes))])
        query = EngineQuery(question.sql, inputs, self._session.profile, self._functions)
        try:
            (row,) = self._answer(query, types).to_pylist()
        except (UserError, ValueError):
            self._failed.add(place)
            return frozenset()
        return frozenset((place, number) for number, count in enumerate(row.values()) if count)

    def _file(self, name: str, table: pa.Table) -> Path:
        known = self._files.get(name)
        if known is not None and known[0] is table:
            return known[1]
        path = self._scratch / f"{len(self._files)}-of-rule.parquet" if known is None else known[1]
        pq.write_table(table, path)
        self._files[name] = table, path
        return path

    def _answer(self, query: EngineQuery, types: pa.Schema) -> pa.Table:
        try:
            with closing(self._session.engine.stream(query, types, self._scratch)) as found:
                return pa.Table.from_batches(list(found), types)
        except EngineError as error:
            message = f"the rows of {self._rule.node.name}'s inputs cannot be read: {error}"
            raise UserError(message, code="execution", exit_code=FAILED) from error

    def _stored(self, name: str) -> tuple[tuple[Path, ...], Mapping[str, Any]]:
        session = self._session
        if name in session.project.sources:
            return session.sources.paths(name), session.sources.constants(name)
        last = session.store.states.get(name)
        if last is None or not session.store.bring(last.artifact):
            message = f"there are no rows of {name}, which {self._rule.node.name} reads: it was not built yet"
            raise UserError(message, code="missing-object", hint=f"rules build -s {name}", exit_code=FAILED)
        return session.store.files(last.artifact), {}
