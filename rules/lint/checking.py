"""A project while it is checked: what is known of its tables, and the records of what is found, by file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compiler.errors import SqlError
from compiler.lint.check import of_error
from compiler.lint.comments import suppressions
from compiler.lint.findings import Lines
from compiler.schema import Column, Schema
from rules.compiling.reach import BeyondReach
from rules.errors import UserError, is_refusal
from rules.files.project_paths import FILE
from rules.lint.check_memory import Kept, Same

if TYPE_CHECKING:
    from cache.index import Index
    from rules.config.project import Project
    from rules.files.file_digests import FileDigests
    from rules.lint.check_reach import CheckReach
    from rules.lint.planned_rules import Foresight, Table
    from rules.lint.rule_records import Record
    from rules.lint.worlds import Worlds
    from rules.loading.rule import Rule
    from rules.sources.column_schemas import KnownSchemas
    from rules.sources.contents import Sources
    from rules.storage.memory import Memory


@dataclass
class Checking:
    """A project while it is checked. records: by path; worlds: what each parsed rule was checked against.

    reach: what edits can reach, if nothing else is looked at.
    """

    project: Project
    index: Index
    files: FileDigests
    sources: Sources
    known: KnownSchemas
    foresight: Foresight
    memory: Memory
    tolerant: bool = False
    reach: CheckReach | None = None
    records: dict[str, Record] = field(default_factory=dict)
    worlds: Worlds = field(init=False)
    same: Same = field(init=False)
    """The rules that need not be looked at again."""
    fresh: dict[str, Any] = field(default_factory=dict)
    functions: frozenset[str] = frozenset()
    memos: dict[str, str] = field(default_factory=dict)
    """The keys under which the index has what is found in rules in SQL, by name."""
    looked: dict[str, Record] = field(default_factory=dict)
    """What was found in the rules in SQL that were looked at and call no function of the project."""
    understood: set[str] = field(default_factory=set)
    """The rules and checks of data that the compiler did cope with."""
    refused: bool = False
    """Whether something was found only because the system refused a call, so that it must not be remembered."""
    missed: int = 0
    """How many rules and checks were looked at here, because nothing was remembered of them."""

    def record_of(self, path: str) -> Record:
        """Return what is found in a file, to add to it. Raises `BeyondReach` for one that is not looked at alone."""
        if self.reach is not None and (path == FILE or path not in self.records):
            raise BeyondReach(path)
        return self.records[path]

    def add(self, path: str, record: Record) -> None:
        """Add what is found in a file to what is known of it already."""
        kept = self.records[path]
        self.records[path] = {"found": [*kept["found"], *record["found"]], "marks": record["marks"]}

    def record_error(self, error: UserError) -> None:
        """Record an error of a file as a finding in it."""
        assert error.where is not None
        self.refused |= is_refusal(error)
        path = error.where.path
        try:
            text = self.project.text(path)
        except UserError:  # not text, which is what the error says
            text = ""
        lines = Lines(text)
        line, column = error.where.line or 1, error.where.column or 1
        said = SqlError(error.message, line=line, column=column, hint=error.hint, code=error.code)
        record = lines.finding(path, of_error(said, lines)).to_record()
        if not text:
            record["place"] = [line, column, line, column + 1]
        kept = self.record_of(path)
        kept["found"].append(record)
        kept["marks"] = [mark.to_record() for mark in suppressions(text, toml=not path.endswith(".sql"))]

    def know(self, name: str, table: Table) -> None:
        """Let others read a rule whose columns the engine has determined."""
        self.foresight.tables[name] = table
        self.known.schemas.add(name, self.memory.part(Kept).schema(name, table))

    def know_found(self, rule: Rule, record: Record) -> None:
        """Let others read a rule in SQL, with as much as was found of its columns."""
        self.know_columns(rule.name, record)

    def know_columns(self, name: str, record: Record) -> None:
        """Let others read a rule in SQL, of which this was found, now or earlier."""
        if record["table"] is not None:
            self.know(name, record["table"])
        elif record["columns"] is not None:
            columns = tuple(Column(*column) for column in record["columns"])
            self.known.schemas.add(name, Schema(columns, b""))
