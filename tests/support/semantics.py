"""The cases of fixtures/sql/semantics: where a rule means something else than the bare engine makes of it.

`PYTHONPATH=tests python -m support.semantics` writes the lists of docs/semantics.md anew.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from datafusion import SessionContext

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "fixtures" / "sql" / "semantics"
DOCUMENT = ROOT / "docs" / "semantics.md"
LISTS = ("rewritten", "refused", "deviating", "relative")
_FIELDS = {"case", "list", "engine", "here", "rows", "error", "engine rows", "engine error"}


@dataclass(frozen=True)
class SemanticsCase:
    """One case; `facts` are its header lines by name, `tables` the VALUES of each table by name."""

    file: str
    facts: dict[str, str]
    tables: dict[str, str]
    sql: str

    @property
    def name(self) -> str:
        """The case as the document shows it."""
        return self.facts["case"]

    @property
    def is_ordered(self) -> bool:
        """Whether the order of the product's rows counts."""
        return re.search(r"ORDER BY[^()]*$", self.sql, re.IGNORECASE) is not None

    def arrow_tables(self) -> dict[str, pa.Table]:
        """The tables that the query reads."""
        session = SessionContext()
        found = {}
        for name, values in self.tables.items():
            rows, _, columns = values.rpartition(" AS ")
            query = f"SELECT * FROM (VALUES {rows}) AS {columns}"
            found[name] = session.sql(query).to_arrow_table()
        return found

    def rows(self, fact: str) -> list[list[Any]]:
        """The rows that a fact gives, in a comparable order."""
        found: list[list[Any]] = json.loads(self.facts[fact])
        return found if self.is_ordered else sorted(found, key=repr)

    def rows_of(self, table: pa.Table) -> list[list[Any]]:
        """The rows of a table as a fact would give them."""
        columns = [[_plain(value) for value in column.to_pylist()] for column in table.columns]
        rows = [list(row) for row in zip(*columns, strict=True)]
        return rows if self.is_ordered else sorted(rows, key=repr)


def semantics_cases() -> list[SemanticsCase]:
    """All cases, in the order of their files."""
    return [case for file in sorted(FOLDER.glob("*.sql")) for case in _cases(file)]


def with_tables(document: str) -> str:
    """Return the document with each list of cases in its place."""
    for which in LISTS[:-1]:  # no relatives
        rows = [case.facts for case in semantics_cases() if case.facts["list"] == which]
        lines = ["| SQL | the engine (DataFusion 55) | here |", "|---|---|---|"]
        cells = [[facts[key].replace("|", "\\|") for key in ("case", "engine", "here")] for facts in rows]
        table = "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells)])
        opening, closing = f"<!-- {which} -->", f"<!-- /{which} -->"
        before, found, rest = document.partition(opening)
        document = f"{before}{opening}\n\n{table}\n\n{closing}{rest.partition(closing)[2]}" if found else document
    return document


def _cases(file: Path) -> list[SemanticsCase]:
    parts = re.split(r"(?m)^(?=-- case: )", file.read_text(encoding="utf-8"))
    return [_case(file, part) for part in parts if part.startswith("-- case: ")]


def _case(file: Path, text: str) -> SemanticsCase:
    facts: dict[str, str] = {}
    tables: dict[str, str] = {}
    sql: list[str] = []
    for line in text.splitlines():
        found = re.match(r"-- ([a-z ]+?)(?: (\w+))?: (.*)", line)
        if found and found[1] == "table":
            tables[found[2]] = found[3].strip()
        elif found:
            name = " ".join(word for word in found.groups()[:2] if word)
            assert name in _FIELDS, f"{file.name}: unknown line '{name}'"
            facts[name] = found[3].strip()
        else:
            sql.append(line)
    assert facts["list"] in LISTS, f"{file.name}: {facts['case']}: list is none of {LISTS}"
    assert ("rows" in facts) != ("error" in facts), f"{file.name}: {facts['case']}: rows or error"
    return SemanticsCase(file.stem, facts, tables, "\n".join(sql).strip().rstrip(";"))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and (not math.isfinite(value) or (value == 0 and math.copysign(1, value) < 0)):
        return "NaN" if math.isnan(value) else str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value)


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
