"""Unit tests of another tool → files of `rules test`, one for each rule, and whether they pass here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cache.removal import remove_draft
from rules.config.project import load_project
from rules.config.toml_text import toml_key, toml_value
from rules.errors import UserErrors
from rules.importing.drafts import Draft, DraftRule, DraftUnitTest, reachable
from rules.importing.origin import GivenRows, UnitTest
from rules.importing.query_words import LOCAL, NOW, TODAY
from rules.importing.settling import Settled, put
from rules.importing.unit_test_cells import cell
from rules.planning.prepared import Request
from rules.testing.run_tests import Tested, run_tests
from rules.testing.test_files import FOLDER

_EXPECTED = ""
"""The key of the rows that a test expects; the rows of an input have the id of its table."""


class _LostError(Exception):
    """A unit test that cannot be carried over; the message says why."""


@dataclass
class Carried:
    """What became of unit tests. paths: of their files, by the test's id; lost: why one is nowhere.

    outcomes: of those that ran, by id. unread: tables whose rows are not there, so that what reads them did not run.
    """

    paths: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, Tested] = field(default_factory=dict)

    @property
    def failed(self) -> dict[str, Tested]:
        """Those that fail here."""
        return {one: tested for one, tested in self.outcomes.items() if tested.status == "failed"}


def carry_over(made: Draft, settled: Settled, root: Path, missing: Iterable[str]) -> Carried:
    """Write the unit tests of a project at `root`, and run those of rules that can be compiled.

    A test that cannot be run as it is written is taken out again. missing: sources without rows.
    """
    carried = Carried()
    texts: dict[str, str] = {}
    for id_, one in made.unit_tests.items():
        try:
            texts[id_] = "\n".join(_Writing(made, settled, one).lines())
        except _LostError as error:
            carried.lost[id_] = str(error)
    absent = set(missing)
    for _ in range(2):
        carried.paths = _write(made, texts, root)
        carried.outcomes = _outcomes(made, carried.paths, root, absent)
        unusable = dict[str, str]()
        for id_, tested in carried.failed.items():
            doubt = made.unit_tests[id_].test.doubt
            if tested.error is not None or doubt:
                unusable[id_] = doubt if tested.error is None else tested.error.message
        for id_, wrong in unusable.items():
            carried.lost[id_] = wrong
            del texts[id_]
        if not unusable:
            break
    return carried


def _rule_of(made: Draft, test: UnitTest) -> DraftRule | None:
    return made.rules.get(made.names.by_id.get(test.table, ""))


def _write(made: Draft, texts: Mapping[str, str], root: Path) -> dict[str, str]:
    """Write the files; return their paths by the ids of the tests."""
    remove_draft(root, FOLDER)  # with what could not be run
    by_path: dict[str, list[str]] = {}
    for one in texts:
        rule = _rule_of(made, made.unit_tests[one].test)
        assert rule is not None
        path = f"{FOLDER}/{rule.path.removeprefix('rules/').removesuffix('.sql')}.toml"
        by_path.setdefault(path, []).append(one)
    for path, ids in by_path.items():
        put(root, path, "\n\n".join(texts[one] for one in ids) + "\n")
    return {one: path for path, ids in by_path.items() for one in ids}


def _outcomes(made: Draft, paths: Mapping[str, str], root: Path, missing: set[str]) -> dict[str, Tested]:
    """Run the tests of rules all of whose sources are there; return how they ended."""
    by_name: dict[tuple[str, str], str] = {}
    for one in paths:
        rule = _rule_of(made, made.unit_tests[one].test)
        assert rule is not None
        if not missing & reachable(made, [rule.name]):
            by_name[rule.name, made.unit_tests[one].test.name] = one
    if not by_name:
        return {}
    request = Request(select=tuple(dict.fromkeys(name for name, _ in by_name)))
    try:
        found = run_tests(load_project(root), request, _quiet, _quiet, force=True)
    except UserErrors:
        return {}  # a rule that does not compile: the report names it
    return {by_name[tested.test.rule, tested.test.name]: tested for tested in found}


def _quiet(_said: object) -> None:
    """What a run says besides is found again by the user's own."""


class _Writing:
    """One unit test as text. Raises `_LostError`."""

    def __init__(self, made: Draft, settled: Settled, draft: DraftUnitTest) -> None:
        self.made, self.settled, self.draft = made, settled, draft
        self.test = draft.test

    def lines(self) -> Iterator[str]:
        """Yield the lines of a [[test]]."""
        test = self.test
        if test.why:
            raise _LostError(test.why)
        rule = _rule_of(self.made, test)
        if rule is None:
            raise _LostError("its model is no rule: queries hold it as a CTE")
        if rule.stub:
            raise _LostError(f"the query of {rule.name} is not here: {rule.stub}")
        variables = dict(self._variables(rule))
        given = dict(self._given(rule))
        yield from (f"# {line}".rstrip() for line in test.description.splitlines())
        yield "[[test]]"
        yield f"name = {toml_value(test.name)}"
        yield from (f"vars.{toml_key(name)} = {toml_value(value)}" for name, value in variables.items())
        for name, text in given.items():
            yield f"given.{toml_key(name)} = {text}"
        text, unnamed = self._rows(_EXPECTED, test.expect, rule.name)
        if unnamed:
            names = dict.fromkeys(self._column(rule.name, name) for row in test.expect.values for name in row)
            yield f"columns = {toml_value(list(names))}"
        yield f"expect = {text}"

    def _variables(self, rule: DraftRule) -> Iterator[tuple[str, Any]]:
        for name, value in self.test.variables.items():
            if name not in rule.variables:
                raise _LostError(f"it sets the variable {name}, whose value is in the text of the rule")
            yield name, value
        if self.test.moment:
            moment = self.test.moment
            local = moment if len(moment) > _DATE else f"{moment}T00:00:00"
            values = {NOW: f"{local}+00:00", TODAY: moment[:_DATE], LOCAL: local}
            yield from ((name, values[name]) for name in sorted(rule.clocks))

    def _given(self, rule: DraftRule) -> Iterator[tuple[str, str]]:
        by_name = {self.made.names.by_id[id_]: id_ for id_ in self.test.given if id_ in self.made.names.by_id}
        lacking = [name for name in rule.reads if name not in by_name]
        if lacking:
            raise _LostError(f"it gives no rows of {', '.join(lacking)}, which the rule reads")
        for name, id_ in by_name.items():
            if name in rule.reads:
                yield name, self._rows(id_, self.test.given[id_], name)[0]

    def _rows(self, id_: str, rows: GivenRows, name: str) -> tuple[str, bool]:
        """Return rows as TOML, and whether a column is NULL in all of them, so that no row names it."""
        if rows.sql:
            query = self.draft.queries[id_]
            if query.broken:
                raise _LostError(f"a query of its rows cannot be run here: {query.broken}")
            if query.refused:
                raise _LostError(f"a query of its rows is not known to mean the same here: {query.refused}")
            return toml_value(query.body.strip()), False
        if not rows.values:
            return "[]", False
        found = [dict(self._cells(name, row)) for row in rows.values]
        said = {column for row in found for column in row}
        lines = ("    {" + ", ".join(f"{toml_key(key)} = {text}" for key, text in row.items()) + "}," for row in found)
        unnamed = any(self._column(name, written) not in said for row in rows.values for written in row)
        return "\n".join(["[", *lines, "]"]), unnamed

    def _cells(self, name: str, row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        kinds = self.settled.columns.get(name, {})
        for written, value in row.items():
            column = self._column(name, written)
            if value is None:
                continue
            try:
                yield column, toml_value(cell(value, kinds.get(column, "")))
            except ValueError as error:
                shown = f"{value!r}"
                message = f"the value {shown} of {name}.{column}, of the type {kinds.get(column)}, cannot be written"
                raise _LostError(message) from error

    def _column(self, name: str, written: str) -> str:
        kinds = self.settled.columns.get(name)
        bare = re.sub('^"(.*)"$', r"\1", written.strip())
        if kinds is None or bare in kinds:
            return bare if kinds is not None else bare.lower()
        found = next((one for one in kinds if one.lower() == bare.lower()), None)
        if found is None:
            raise _LostError(f"{name} has no column {written} here")
        return found


_DATE = len("2026-01-01")
