"""SQL cases of `rules check`, and the tables that they read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compiler.lint.check import World, check_rule
from compiler.lint.codes import ALL
from compiler.lint.comments import suppressions
from compiler.lint.edits import fixed
from compiler.lint.findings import Finding, Lines
from compiler.names.qualify import InputSchemas
from compiler.schema import Column, Schema
from rules.config.front_matter import read_options
from rules.config.policy import Reporting, reported
from rules.config.project import Policy
from support.projects import FIXTURES

CASES = FIXTURES / "sql" / "checks"
TABLES = {
    "orders": {
        "id": "int64", "customer": "int64", "day": "date32", "amount": "int64", "total": "float64",
        "discount": "float64", "open": "bool",
    },
    "customers": {"id": "int64", "name": "string"},
    "people": {"id": "int64", "Full name": "string"},
    "keyed": {"id": "int64", "amount": "int64"},
}  # fmt: skip


def world(dialect: str | None = None) -> World:
    """Return the tables of the cases; the rule `keyed` has id for its key. dialect: the one that they come from."""
    schemas = InputSchemas()
    for name, columns in TABLES.items():
        schemas.add(name, Schema(tuple(Column(*column) for column in columns.items()), b""))
    known = {name: name for name in TABLES}
    return World(schemas, known.get, tuple(TABLES), {"least": 3}, {"keyed": ("id",)}, dialect=dialect)


def findings(text: str, against: World | None = None, policy: Policy | None = None) -> list[Finding]:
    """Return what is reported for a rule, all codes being enabled unless the policy says otherwise."""
    lines = Lines(text)
    options = read_options(text, "rule.sql")
    found = check_rule(text, against or world(), volatile=options.volatile).found
    record = {
        "found": [lines.finding("rule.sql", one).to_record() for one in found],
        "marks": [mark.to_record() for mark in suppressions(text)],
    }
    return reported({"rule.sql": record}, Reporting(policy or Policy(select=(ALL,))), lambda _path: text)


def fix(text: str, code: str, against: World | None = None) -> str:
    """Return the text with the fixes of one code, as often as there are any."""
    for _ in range(10):
        found = [one.found for one in findings(text, against) if one.code == code]
        after, _ = fixed(text, found, against or world())
        if after == text:
            return text
        text = after
    raise AssertionError(text)


@dataclass(frozen=True)
class Case:
    """A case: `bad`, `kept`, `good` or `suppressed`, the places of findings, the text, and the text when fixed."""

    code: str
    number: int
    kind: str
    places: tuple[tuple[int, int], ...]
    text: str
    fixed: str | None
    dialect: str | None = None

    @property
    def world(self) -> World:
        """What it is checked against."""
        return world(self.dialect)


def read_cases(path: Path) -> Iterator[Case]:
    """Yield the cases of a file: `-- === bad 1:8 2:3` begins a text with findings there, `fixed` what becomes of it.

    `-- === bad 1:8 duckdb`: the same in a project that comes from DuckDB.
    """
    blocks = path.read_text(encoding="utf-8").split("-- === ")[1:]
    parsed = [(*block.partition("\n")[0].split(" "), block.partition("\n")[2]) for block in blocks]
    for number, (kind, *places, text) in enumerate(parsed):
        if kind == "fixed":
            continue
        after = parsed[number + 1] if number + 1 < len(parsed) else ("",)
        spots = tuple((int(place.split(":")[0]), int(place.split(":")[1])) for place in places if ":" in place)
        dialect = next((place for place in places if ":" not in place), None)
        yield Case(path.stem, number, kind, spots, text, after[-1] if after[0] == "fixed" else None, dialect)


def all_cases() -> list[Case]:
    """Return the cases of all files."""
    return [case for path in sorted(CASES.glob("*.sql")) for case in read_cases(path)]
