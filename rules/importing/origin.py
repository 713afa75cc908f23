"""What a project of another tool consists of, whichever tool it is: plain data between the readers and the rest."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

COUNTED = "count(*)"
ANY = "!= 0"


class Relation(NamedTuple):
    """A table as its warehouse calls it; what is not known is empty."""

    database: str
    schema: str
    name: str

    def __str__(self) -> str:
        return ".".join(part for part in self if part)


class VariableValue(NamedTuple):
    """The value of a variable at a place of a text; of a string the quotes are part of the place."""

    start: int
    end: int
    name: str
    value: int | str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the project. id: the tool's own; path: of its file; columns: their descriptions."""

    id: str
    relation: Relation
    path: str = ""
    description: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Model(Table):
    """A table that is computed. sql: in the dialect of the project, None where there is none, which `why` explains.

    kind: how the tool keeps it, such as "incremental". folder: below the folder of models. frozen: what its text was
    made with that is another thing each time. types: declared by the tool and enforced. has_table: whether the
    warehouse has a table of it. values: in `sql`, of variables; asked: how often its template asks for a variable.
    """

    sql: str | None
    why: str = ""
    kind: str = "table"
    folder: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    values: tuple[VariableValue, ...] = ()
    asked: int = 0
    types: Mapping[str, str] = field(default_factory=dict)
    has_table: bool = True
    code: str = ""
    notes: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Seed(Table):
    """A CSV file of the project. types: those that are declared, in the project's dialect. quoted: names keep case.

    text: the file as the tool reads it, where that is not what it says; None: the file itself is. null: the text that
    is NULL; None: as in dbt.
    """

    file: Path
    delimiter: str = ","
    types: Mapping[str, str] = field(default_factory=dict)
    quoted: bool = False
    text: str | None = None
    null: str | None = None


@dataclass(frozen=True, kw_only=True)
class Outside(Table):
    """A table that something else fills. group: what the tool calls its source; location: files, as SQL names them.

    kept: why it is kept as a table though the tool computes it, such as a snapshot; empty for others.
    """

    group: str = ""
    location: str = ""
    kept: str = ""


@dataclass(frozen=True, kw_only=True)
class Test:
    """A query of rows that should not be.

    kind: of the tool's own tests "unique", "not_null", "accepted_values" or "relationships", else the test's name.
    table: the id of what it is declared at. bare: nothing narrows it, and any row is a failure, so that a promise of
    the table says the same. It fails where `fail_calc` of the first `limit` rows is `error_if`, and warns where it is
    `warn_if`.
    """

    id: str
    kind: str
    name: str
    sql: str
    path: str = ""
    table: str = ""
    column: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    severity: Literal["error", "warn"] = "error"
    fail_calc: str = COUNTED
    error_if: str = ANY
    warn_if: str = ANY
    limit: int | None = None
    bare: bool = False
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class GivenRows:
    """Rows of a unit test: values by column, None being NULL; or a query of them in the project's dialect."""

    values: tuple[Mapping[str, Any], ...] = ()
    sql: str = ""


@dataclass(frozen=True, kw_only=True)
class UnitTest:
    """Rows of what a model reads, and the rows that it yields of them. table: the model's id; given: by id of a table.

    variables: values that it is tested with. moment: what its clock is set to, as text. why: it is not carried over.
    doubt: why it is not if it fails here, since what it tests is another query than the rule's.
    """

    id: str
    name: str
    table: str
    path: str = ""
    description: str = ""
    given: Mapping[str, GivenRows] = field(default_factory=dict)
    expect: GivenRows = field(default_factory=GivenRows)
    variables: Mapping[str, Any] = field(default_factory=dict)
    moment: str = ""
    why: str = ""
    doubt: str = ""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A whole project. dialect: by SQLGlot's name. moment: when its SQL was made. left_out: names by kind.

    inlined: names that queries use for a model that they hold as a CTE, with the model's id. notes: to the reader.
    aliases: what is declared as a source and is a table of the project: its id, with the id of that table.
    """

    tool: str
    name: str
    root: Path
    dialect: str
    moment: datetime.datetime
    models: tuple[Model, ...]
    seeds: tuple[Seed, ...] = ()
    outside: tuple[Outside, ...] = ()
    tests: tuple[Test, ...] = ()
    unit_tests: tuple[UnitTest, ...] = ()
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inlined: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables."""
        return (*self.models, *self.seeds, *self.outside)
