"""A project while it is checked: what is known of its tables, and the records of what is found, by file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compiler.errors import SqlError
from compiler.lint.check import of_error
from compiler.lint.comments import suppressions
from compiler.lint.findings import Lines
from compiler.schema import Column, Schema
from rules.errors import UserError
from rules.lint.check_memory import Kept, Same

if TYPE_CHECKING:
    from cache.index import Index
    from rules.config.project import Project
    from rules.files.file_digests import FileDigests
    from rules.lint.planned_rules import Foresight, Table
    from rules.lint.rule_records import Record
    from rules.lint.worlds import Worlds
    from rules.loading.rule import Rule
    from rules.sources.column_schemas import KnownSchemas
    from rules.sources.contents import Sources
    from rules.storage.memory import Memory


@dataclass
class Checking:
    """A project while it is checked. records: by path; worlds: what each parsed rule was checked against."""

    project: Project
    index: Index
    files: FileDigests
    sources: Sources
    known: KnownSchemas
    foresight: Foresight
    memory: Memory
    tolerant: bool = False
    records: dict[str, Record] = field(default_factory=dict)
    worlds: Worlds = field(init=False)
    same: Same = field(init=False)
    """The rules that need not be looked at again."""
    fresh: dict[str, Any] = field(default_factory=dict)
    functions: frozenset[str] = frozenset()
    looked: dict[str, Record] = field(default_factory=dict)
    """What was found in the rules in SQL that were looked at and call no function of the project."""
    understood: set[str] = field(default_factory=set)
    """The rules and checks of data that the compiler did cope with."""
    missed: int = 0
    """How many rules and checks were looked at here, because nothing was remembered of them."""

    def add(self, path: str, record: Record) -> None:
        """Add what is found in a file to what is known of it already."""
        kept = self.records[path]
        self.records[path] = {"found": [*kept["found"], *record["found"]], "marks": record["marks"]}

    def record_error(self, error: UserError) -> None:
        """Record an error of a file as a finding in it."""
        assert error.where is not None
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
        self.records[path]["found"].append(record)
        self.records[path]["marks"] = [mark.to_record() for mark in suppressions(text, toml=not path.endswith(".sql"))]

    def know(self, rule: Rule, table: Table) -> None:
        """Let others read a rule whose columns the engine has determined."""
        self.foresight.tables[rule.name] = table
        self.known.schemas.add(rule.name, self.memory.part(Kept).schema(rule.name, table))

    def know_found(self, rule: Rule, record: Record) -> None:
        """Let others read a rule in SQL, with as much as was found of its columns."""
        if record["table"] is not None:
            self.know(rule, record["table"])
        elif record["columns"] is not None:
            columns = tuple(Column(*column) for column in record["columns"])
            self.known.schemas.add(rule.name, Schema(columns, b""))
