"""An imported project in the making: what becomes of each table, before anything is written.

Every model has a rule. One whose query is not known, or cannot be run here, reads its last table instead, so that the
rest of the project builds.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rules.importing.column_types import declared_type
from rules.importing.locations import Location, located
from rules.importing.naming import SENSITIVE, Names, name_tables, plain_name
from rules.importing.origin import COUNTED, Model, Origin, Outside, Relation, Seed, Test, UnitTest
from rules.importing.query_text import CannotReadError, Reading, rewrite
from rules.importing.query_words import LOCAL, NOW, TODAY, Rewritten
from rules.importing.seeds import seed_file

VARIABLE = "var"
"""What of a template is the value of a variable, among what may be another thing each time."""
LAST = "_table"
"""What the name of the source ends in that holds a model's last table."""

_OWN_KINDS = frozenset({
    "table", "view", "materialized_view", "incremental", "microbatch", "ephemeral", "external", "copy",
    "dynamic_table", "streaming_table", "full", "embedded", "managed",
})  # fmt: skip
"""How dbt, its adapters and SQLMesh keep the rows of a query as they are."""


@dataclass(kw_only=True)
class DraftQuery:
    """A query in plain names. reads: names of tables; clocks: its variables; volatile: whether it draws numbers.

    variables: those of the project whose values it takes; frozen: its text with their values, if it has any.
    in_ours: whether its text is in our SQL by now. spoken: the dialect that it stays in, if it does. refused: what of
    it is not known to mean the same here. edits: the lines that were changed so that it does.
    """

    body: str
    reads: tuple[str, ...] = ()
    volatile: bool = False
    clocks: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()
    frozen: str = ""
    notes: list[str] = field(default_factory=list)
    in_ours: bool = False
    spoken: str = ""
    refused: str = ""
    edits: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class DraftTable:
    """A table, with its file, what was changed (notes), what that may change (risks), and what it promises.

    contract: as the keys of front matter are.
    """

    name: str
    path: str
    notes: list[str] = field(default_factory=list)
    risks: list[str] = field(default_factory=list)
    contract: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class DraftRule(DraftTable, DraftQuery):
    """A rule. model: None for one that only gives other names. stub: why it reads the model's last table if so."""

    model: Model | None
    stub: str = ""
    former: str = ""


@dataclass(kw_only=True)
class DraftSource(DraftTable):
    """A source. options: of its table in rules.toml. data: its file, if there is one; relation: in a warehouse."""

    origin: str
    options: dict[str, Any] = field(default_factory=dict)
    data: bytes | None = None
    relation: Relation | None = None
    description: str = ""


@dataclass(kw_only=True)
class DraftAside(DraftQuery):
    """A query that no rule is made of; broken: why it cannot be one."""

    broken: str = ""


@dataclass(kw_only=True)
class DraftCheck(DraftAside):
    """A test as a query in plain names."""

    test: Test


@dataclass(kw_only=True)
class DraftUnitTest:
    """A unit test. queries: of its rows that are queries, by the id of their table, and by "" of those it expects."""

    test: UnitTest
    queries: dict[str, DraftAside] = field(default_factory=dict)


@dataclass
class Draft:
    """A project in the making. All by name; checks and unit tests by the tool's id."""

    origin: Origin
    names: Names
    rules: dict[str, DraftRule] = field(default_factory=dict)
    sources: dict[str, DraftSource] = field(default_factory=dict)
    checks: dict[str, DraftCheck] = field(default_factory=dict)
    unit_tests: dict[str, DraftUnitTest] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    reading: Reading | None = None

    @property
    def variables(self) -> dict[str, Any]:
        """The variables that queries use: those of the project, and clocks, set to when the project was compiled."""
        models = [(rule, rule.model) for rule in self.rules.values() if rule.model is not None]
        own = {one.name: one.value for rule, model in models for one in model.values if one.name in rule.variables}
        used = {clock for one in self.queries for clock in one.clocks}
        moment = self.origin.moment.astimezone(datetime.UTC).replace(microsecond=0)
        values = {NOW: moment, TODAY: moment.date(), LOCAL: moment.replace(tzinfo=None)}
        return {**dict(sorted(own.items())), **{name: value for name, value in values.items() if name in used}}

    @property
    def asides(self) -> list[DraftAside]:
        """All checks, and queries of rows of unit tests."""
        return [*self.checks.values(), *(rows for one in self.unit_tests.values() for rows in one.queries.values())]

    @property
    def queries(self) -> list[DraftQuery]:
        """All rules, and what is none."""
        return [*self.rules.values(), *self.asides]

    @property
    def tables(self) -> list[DraftTable]:
        """All rules and sources."""
        return [*self.rules.values(), *self.sources.values()]

    def table(self, name: str) -> DraftTable:
        """Return a rule or source."""
        return self.rules[name] if name in self.rules else self.sources[name]

    def inline(self, rule: DraftRule, why: str) -> None:
        """Leave a rule out that has no table to read: queries hold it as a CTE again, as they did when compiled."""
        assert rule.model is not None
        assert self.reading is not None
        own = {name.lower() for name, one in self.origin.inlined.items() if one == rule.model.id}
        self.reading = replace(self.reading, inlined=self.reading.inlined - own)
        del self.rules[rule.name]
        for one in [one for one in self.rules.values() if rule.name in one.reads]:
            assert one.model is not None
            one.notes = [f"the model {rule.name} is a CTE of it: {why}"]
            _fill(one, rewrite(one.model.sql or "", self.reading))
            one.in_ours, one.refused = False, ""
        for check in [check for check in self.checks.values() if rule.name in check.reads]:
            written = rewrite(check.test.sql, self.reading, rows_only=_is_bare(check.test))
            check.body, check.reads, check.in_ours, check.refused = written.text, written.reads, False, ""

    def stub(self, rule: DraftRule, why: str) -> None:
        """Let a rule read its model's last table instead of its query."""
        assert rule.model is not None
        rule.stub, rule.former, rule.clocks, rule.volatile = why, rule.former or rule.body, frozenset(), False
        rule.variables, rule.frozen = frozenset(), ""
        source = f"{rule.name}{LAST}"
        rule.body, rule.reads = f"SELECT * FROM {source}", (source,)
        rule.notes = [f"it reads the last table that {self.origin.tool} made of it: {why}"]
        rule.edits = []
        rule.risks = ["nothing of it is computed here, until it is written again"]
        self.sources[source] = _table_source(source, rule.model.path, rule.model.relation)


def draft(origin: Origin, into: Path) -> Draft:
    """Turn a project into rules, sources and checks. into: where it will be. Raises `UserError`."""
    made = Draft(origin, name_tables(origin))
    files = _Files(made, into)
    for seed in origin.seeds:
        _seed(made, seed)
    for table in origin.outside:
        files.add(table)
    reading = Reading(
        origin.dialect, made.names, files.source_of, files.unknown, frozenset(one.lower() for one in origin.inlined)
    )
    made.reading = reading
    for model in origin.models:
        _model(made, model, reading)
    for alias in origin.aliases:
        made.table(made.names.by_id[alias]).notes.append(f"the source {alias.split('.', 2)[-1]} is this table")
    for test in origin.tests:
        made.checks[test.id] = _check(test, reading)
    for one in origin.unit_tests:
        rows = {"": one.expect, **one.given}
        queries = {id_: _given(given.sql, reading) for id_, given in rows.items() if given.sql}
        made.unit_tests[one.id] = DraftUnitTest(test=one, queries=queries)
    return made


def _model(made: Draft, model: Model, reading: Reading) -> None:
    name = made.names.by_id[model.id]
    folder = "/".join(["rules", *(plain_name(part) for part in model.folder)])
    rule = DraftRule(name=name, model=model, path=f"{folder}/{name}.sql", body=model.code)
    made.rules[name] = rule
    if model.sql is None:
        made.stub(rule, model.why)
    else:
        try:
            _fill(rule, rewrite(model.sql, reading, values=model.values))
            rule.frozen = rewrite(model.sql, reading).text if rule.variables else ""
        except CannotReadError as error:
            rule.body = model.sql
            made.stub(rule, str(error))
        rule.former = rule.former or rule.body
    if name != model.relation.name:
        rule.notes.append(f"{model.relation} is called {name}")
    if model.kind == "incremental" and not rule.stub:
        rule.notes.append(
            "incremental: it is the full query; of a source that grows only new parts are run, where that is proved"
        )
        rule.risks.append("its table in the warehouse may hold rows that the full query does not yield any more")
    if model.kind not in _OWN_KINDS and not rule.stub:
        rule.risks.append(
            f"it is kept by {model.kind}, code of the project or a package: what that does to its rows is not here"
        )
    if not rule.stub:
        rule.notes += model.notes
        rule.risks += model.risks


def note_values(made: Draft) -> None:
    """Say of which variables rules read values, and which values of their templates are in their texts for good."""
    for rule in made.rules.values():
        model = rule.model
        if model is None:
            continue
        if rule.variables:
            shown = ", ".join(f"${one}" for one in sorted(rule.variables))
            rule.notes.append(f"values of var() are read from {shown} of rules.toml")
        read = sum(one.name in rule.variables for one in model.values)
        words = ", ".join(one for one in model.frozen if one != VARIABLE or read < model.asked)
        if words:
            rule.risks.append(f"its template used {words}: the value that it had when it was compiled is in the text")


def _fill(rule: DraftRule, written: Rewritten) -> None:
    rule.body, rule.reads, rule.clocks = written.text, written.reads, written.clocks
    rule.variables, rule.frozen = written.variables, ""
    rule.volatile = written.chance
    rule.notes += written.notes
    rule.risks += written.risks


def _check(test: Test, reading: Reading) -> DraftCheck:
    try:
        written = rewrite(test.sql, reading, rows_only=_is_bare(test))
    except CannotReadError as error:
        return DraftCheck(test=test, body=test.sql, broken=str(error))
    return DraftCheck(
        test=test,
        body=written.text,
        reads=written.reads,
        volatile=written.chance,
        clocks=written.clocks,
        notes=written.notes,
    )


def _given(sql: str, reading: Reading) -> DraftAside:
    """Return the query of some rows of a unit test, which reads nothing."""
    try:
        written = rewrite(sql, reading)
    except CannotReadError as error:
        return DraftAside(body=sql, broken=str(error))
    broken = f"it reads {', '.join(written.reads)}" if written.reads else ""
    return DraftAside(body=written.text, reads=written.reads, clocks=written.clocks, broken=broken)


def _is_bare(test: Test) -> bool:
    """Whether only the number of a test's rows counts: `fail_calc` may name its columns."""
    return test.fail_calc == COUNTED


def _seed(made: Draft, seed: Seed) -> None:
    name = made.names.by_id[seed.id]
    file = seed_file(seed, made.origin.dialect)
    options: dict[str, Any] = {"columns": dict(file.types)}
    if seed.delimiter != ",":
        options["delimiter"] = seed.delimiter
    if file.nulls != ("",):
        options["nulls"] = list(file.nulls)
    made.sources[name] = DraftSource(
        name=name,
        path=f"seeds/{name}.csv",
        origin=seed.path,
        options=options,
        data=file.data,
        description=seed.description,
        notes=["the file is a copy; types: as declared, else as they are inferred", *file.notes],
        risks=file.risks,
    )


def _table_source(name: str, origin: str, relation: Relation) -> DraftSource:
    return DraftSource(name=name, path=f"data/{name}.parquet", origin=origin, relation=relation)


class _Files:
    """Sources of tables and files; those that only the text of a query names are found while it is read."""

    def __init__(self, made: Draft, into: Path) -> None:
        self.made, self.into = made, into
        self.by_location: dict[tuple[str, ...], str] = {}

    def add(self, table: Outside) -> None:
        """Make a source of a table that something else fills."""
        name = self.made.names.by_id[table.id]
        location = located(table.location) if table.location else None
        if location is not None:
            self.by_location[location.key] = name
            source = self._add_files(name, table.path, location)
        else:
            source = self.made.sources[name] = _table_source(name, table.path, table.relation)
        source.description = table.description
        if table.kept:
            source.notes.append(table.kept)
            source.risks.append("its rows stay those of the import until its file is replaced")
        if name != table.relation.name:
            source.notes.append(f"{table.relation} is called {name}")

    def source_of(self, text: str) -> str | None:
        """Return the source of files as SQL names them; a new one where no source has them."""
        location = located(text)
        if location is None:
            return None
        if location.key not in self.by_location:
            name = self._free(plain_name(Path(location.path.replace("*", "")).stem or "files"))
            self.by_location[location.key] = name
            self._add_files(name, "a query", location)
        return self.by_location[location.key]

    def unknown(self, parts: tuple[str, ...]) -> str | None:
        """Return the source of a relation that only the text of a query names."""
        relation = Relation(*("", "", *parts)[-3:])
        if relation.schema.lower() in ("information_schema", "pg_catalog"):
            return None
        known = next((one for one in self.made.sources.values() if one.relation == relation), None)
        if known is not None:
            return known.name
        name = self._free(plain_name(relation.name))
        self.made.sources[name] = source = _table_source(name, "a query", relation)
        source.notes.append(f"{relation} is named by a query alone, so nothing else is known of it")
        return name

    def _free(self, name: str) -> str:
        taken = {*self.made.names.by_id.values(), *self.made.sources}
        number = 2
        chosen = name
        while chosen in taken:
            chosen, number = f"{name}_{number}", number + 1
        return chosen

    def _add_files(self, name: str, origin: str, location: Location) -> DraftSource:
        """Declare files where they are. A rule of the source's name lowers names of columns that have capitals."""
        path = location.path
        if "://" not in path:
            path = location.relative_to(self.made.origin.root, self.into)
        dialect = self.made.origin.dialect
        options = dict(location.options)
        types = {column: declared_type(kind, dialect) for column, kind in location.types.items()}
        if types:
            options["columns"] = {column: kind for column, kind in types.items() if kind}
        columns = location.columns(self.made.origin.root)
        capital = [one for one in columns if one != one.lower()]
        source = DraftSource(name=name, path=path, origin=origin, options=options)
        source.notes = [f"the files stay where they are: {path}", *location.notes]
        if capital and dialect not in SENSITIVE:
            source.name = f"{name}_files"
            items = ", ".join(f'"{one}" AS "{one.lower()}"' if one in capital else f'"{one}"' for one in columns)
            self.made.rules[name] = DraftRule(
                name=name,
                model=None,
                path=f"rules/sources/{name}.sql",
                body=f"SELECT {items}\nFROM {source.name}",
                reads=(source.name,),
                notes=["names of columns are in lower case: " + ", ".join(capital)],
            )
        self.made.sources[source.name] = source
        return source


def reachable(made: Draft, names: Iterable[str]) -> set[str]:
    """Return everything that some tables are made of, themselves included."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += made.rules[name].reads if name in made.rules else ()
    return found
