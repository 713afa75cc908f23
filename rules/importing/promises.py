"""Tests → what tables promise: keys, columns, and checks with the test's own query.

A promise of a column is written only where its type is known to take it. Everything else is a check of the table that
the test is declared at, or of the last table that it reads where that one would make a circle.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from rules.config.contract import spelled
from rules.formats.declared_types import spelled_as_declared
from rules.importing.column_types import declared_type
from rules.importing.drafts import Draft, DraftCheck, DraftRule, DraftTable, reachable
from rules.importing.naming import SENSITIVE
from rules.importing.origin import ANY, COUNTED, Test
from rules.importing.settling import Settled


@dataclass
class Promised:
    """What became of the tests: what each is now, by its id. lost: why one is nowhere."""

    became: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)


def promise(made: Draft, settled: Settled) -> Promised:
    """Write the tests of a project into the contracts of its rules and sources, in `made`."""
    return _Promising(made, settled).all()


class _Promising:
    def __init__(self, made: Draft, settled: Settled) -> None:
        self.made, self.settled = made, settled
        self.promised = Promised()
        self.order = {name: len(reachable(made, [name])) for name in made.rules}
        self.after = {name: set(rule.reads) for name, rule in made.rules.items()}
        self.column_names: dict[str, dict[str, str]] = {
            name: {column.lower(): column for column in columns} for name, columns in settled.columns.items()
        }

    def all(self) -> Promised:
        tests = [check.test for check in self.made.checks.values()]
        by_table: dict[str, list[Test]] = {}
        for test in tests:
            name = self.made.names.by_id.get(test.table)
            if test.bare and name is not None:
                by_table.setdefault(name, []).append(test)
        for name in [*self.made.rules, *self.made.sources]:
            self._columns(name, by_table.get(name, []))
        for test in tests:
            if test.id not in self.promised.became:
                self._check(self.made.checks[test.id])
        return self.promised

    def _column(self, table: str, written: str) -> str | None:
        """Return a column as the table has it; None for an expression, or one that is not known."""
        bare = written[1:-1] if written[:1] == written[-1:] == '"' else written
        known = self.column_names.get(table)
        if known is None:  # nobody knows its columns yet; the tool has found this one
            return bare.lower() if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", bare) else None
        if self.made.origin.dialect in SENSITIVE and bare != written:
            return bare if bare in known.values() else None
        return known.get(bare.lower())

    def _columns(self, name: str, tests: Iterable[Test]) -> None:
        """Write descriptions, types and the promises of columns."""
        table = self.made.table(name)
        columns: dict[str, dict[str, Any]] = {}
        severity: dict[str, str] = {}
        unique: dict[str, Test] = {}
        model = table.model if isinstance(table, DraftRule) else None
        for test in tests:
            column = self._column(name, test.column)
            if column is None:
                continue
            if test.kind == "unique":
                unique[column] = test
                continue
            promise = self._promise(name, column, test)
            if promise is None or severity.setdefault(column, test.severity) != test.severity:
                continue
            if promise.keys() & columns.get(column, {}).keys():
                continue
            columns.setdefault(column, {}).update(promise)
            self.promised.became[test.id] = f"{name}.{next(iter(promise))}.{column}"
        self._key(table, columns, severity, unique)
        described = model.columns if model is not None else {}
        for written, text in described.items():
            column = self._column(name, written)
            if column is not None and text:
                columns.setdefault(column, {})["description"] = text
        for written, kind in (model.types if model is not None else {}).items():
            self._type(name, columns, written, kind)
        if columns:
            table.contract["columns"] = columns

    def _key(
        self,
        table: DraftTable,
        columns: dict[str, dict[str, Any]],
        severity: dict[str, str],
        unique: Mapping[str, Test],
    ) -> None:
        """Make a key of unique and not_null of one column. A table has one; any other stays a check."""
        for column, test in unique.items():
            own = columns.get(column, {})
            if own.get("not_null") and severity.get(column) == test.severity:
                del own["not_null"]
                table.contract["key"] = [column]
                if test.severity == "warn":
                    table.contract["severity"] = "warn"
                    for other, level in severity.items():
                        if columns.get(other):
                            columns[other].setdefault("severity", level)
                both = f"{table.name}.not_null.{column}"
                null_test = next(one for one, what in self.promised.became.items() if what == both)
                self.promised.became[test.id] = self.promised.became[null_test] = f"{table.name}.key"
                break
        warned = table.contract.get("severity") == "warn"
        for column, level in severity.items():
            if level == "warn" and not warned and set(columns.get(column, {})) - {"description"}:
                columns[column]["severity"] = "warn"

    def _promise(self, name: str, column: str, test: Test) -> dict[str, Any] | None:
        if test.kind == "not_null":
            return {"not_null": True}
        if test.kind == "accepted_values":
            values = self._accepted(name, column, test)
            return {"accepted": values} if values else None
        if test.kind == "relationships":
            return self._reference(name, column, test)
        return None

    def _accepted(self, name: str, column: str, test: Test) -> list[Any] | None:
        """Return values of the column's type; None where one cannot be such a value."""
        kind = self.settled.columns.get(name, {}).get(column, "")
        found: list[Any] = []
        quoted = test.arguments.get("quote", True)
        for value in test.arguments.get("values", []):
            text = str(value)
            if kind in ("string", "large_string", "utf8", "string_view"):
                if not quoted:
                    return None
                found.append(text)
            elif kind.startswith(("int", "uint")) and re.fullmatch(r"-?\d+", text):
                found.append(int(text))
            elif kind.startswith(("float", "double", "decimal")) and _number(text) is not None:
                found.append(int(text) if re.fullmatch(r"-?\d+", text) else float(text))
            elif kind == "bool" and text.lower() in ("true", "false"):
                found.append(text.lower() == "true")
            else:
                return None
        return found

    def _reference(self, name: str, column: str, test: Test) -> dict[str, Any] | None:
        """Return the reference, unless it would make a circle or names what is no column."""
        reads = [one for one in self.made.checks[test.id].reads if one != name]
        if len(reads) != 1:
            return None
        other = reads[0]
        field_name = self._column(other, str(test.arguments.get("field", "")))
        if field_name is None or not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", field_name):
            return None
        if not self._fits(name, [other]):
            return None
        kinds = [self.settled.columns.get(table, {}).get(one) for table, one in ((name, column), (other, field_name))]
        if kinds[0] is None or kinds[1] is None or _family(kinds[0]) != _family(kinds[1]):
            return None
        self._settle(name, [other])
        return {"references": f"{other}.{field_name}"}

    def _fits(self, owner: str, reads: Iterable[str]) -> bool:
        """Whether a table can be made after all that a check of it reads: none of that is made after the table."""
        todo, seen = [one for one in reads if one != owner], set[str]()
        while todo:
            name = todo.pop()
            if name == owner:
                return False
            if name not in seen:
                seen.add(name)
                todo += self.after.get(name, ())
        return True

    def _settle(self, owner: str, reads: Iterable[str]) -> None:
        """Note that a table is made after what a check of it reads."""
        self.after.setdefault(owner, set()).update(one for one in reads if one != owner)

    def _type(self, name: str, columns: dict[str, dict[str, Any]], written: str, kind: str) -> None:
        """Write a type that the tool enforces, where the rule yields that type."""
        column = self._column(name, written)
        declared = declared_type(kind, self.made.origin.dialect)
        if column is None or declared is None:
            return
        if name not in self.settled.columns:
            return
        yields = spelled_as_declared(self.settled.columns[name][column])
        if spelled_as_declared(declared) == yields or spelled(declared) == spelled(yields):
            columns.setdefault(column, {})["type"] = declared
            return
        note = f"{column} is {yields} here; it was declared as {kind}"
        self.promised.notes.setdefault(name, []).append(note)

    def _check(self, check: DraftCheck) -> None:
        test = check.test
        if check.broken:
            self.promised.lost[test.id] = check.broken
            return
        owner = self._owner(check)
        if owner is None:
            self.promised.lost[test.id] = "it reads no table"
            return
        contract = self.made.table(owner).contract
        declared = self.made.names.by_id.get(test.table)
        for ending, severity, sql in _queries(test, check.body):
            known = {one["name"] for one in contract.get("checks", [])}
            title = _free(_title(test) + ending, {*known, "key"})
            entry: dict[str, Any] = {"name": title, "sql": sql}
            if severity != contract.get("severity", "error"):
                entry["severity"] = severity
            if check.volatile:
                entry["volatile"] = True
            if test.description or test.name != title:
                entry["description"] = test.description or test.name
            contract.setdefault("checks", []).append(entry)
            became = f"{owner}.{title}"
            self.promised.became[test.id] = became
            if declared is not None and declared != owner:
                note = f"the test {test.name}, of {declared}, is the check {became}: {declared} is made before {owner}"
                self.promised.notes.setdefault(owner, []).append(note)

    def _owner(self, check: DraftCheck) -> str | None:
        """Return the table whose check it can be: one of which none of the others that it reads is made."""
        reads = [one for one in check.reads if one in self.made.rules or one in self.made.sources]
        declared = self.made.names.by_id.get(check.test.table)
        first = [declared] if declared is not None else []
        rules = sorted((one for one in reads if one in self.made.rules), key=lambda one: -self.order[one])
        sources = [one for one in reads if one in self.made.sources]
        for owner in [*first, *rules, *sources]:
            if self._fits(owner, reads):
                self._settle(owner, reads)
                return owner
        return None


def _queries(test: Test, sql: str) -> Iterable[tuple[str, str, str]]:
    """Yield the checks of a test: what their names end in, severity, query of rows that break it.

    dbt fails a test of severity error where `fail_calc error_if` holds, and warns where `fail_calc warn_if` does.
    """
    levels = [("", "error", test.error_if), ("_warn", "warn", test.warn_if)]
    if test.severity == "warn":
        levels = [("", "warn", test.warn_if)]
    elif _same(test.error_if, test.warn_if):
        levels = levels[:1]
    for ending, severity, condition in levels:
        if _same(test.fail_calc, COUNTED) and _is_any(condition) and test.limit != 0:
            yield ending, severity, sql
            continue
        limit = f"\nLIMIT {test.limit}" if test.limit is not None else ""
        counted = f"SELECT {test.fail_calc} AS failures\nFROM (\n{sql}{limit}\n) AS failing"
        yield ending, severity, f"SELECT q.failures\nFROM (\n{counted}\n) AS q\nWHERE q.failures {condition}"


def _same(first: str, second: str) -> bool:
    return re.sub(r"\s", "", first.lower()) == re.sub(r"\s", "", second.lower())


def _is_any(condition: str) -> bool:
    return re.sub(r"\s", "", condition) in (re.sub(r"\s", "", ANY), "<>0", ">0", ">=1")


def _title(test: Test) -> str:
    """Return a short name for a check: that of a generic test and its column, else the test's own."""
    generic = test.kind != test.name
    text = "_".join([test.kind.rpartition(".")[2], test.column]).strip("_") if generic else test.name
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or "test"
    return f"_{name}" if name[0].isdigit() else name


def _free(name: str, taken: set[str]) -> str:
    chosen, number = name, 2
    while chosen in taken:
        chosen, number = f"{name}_{number}", number + 1
    return chosen


def _family(kind: str) -> str:
    if re.match("u?int|float|double|decimal", kind):
        return "number"
    if re.match("date|timestamp", kind):
        return "moment"
    return re.sub("^large_|_view$", "", kind)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def kinds(promised: Promised) -> Mapping[str, int]:
    """Return how many tests became what: key, not_null, accepted, references, check."""
    counted: Counter[str] = Counter()
    for became in promised.became.values():
        part = became.split(".")[1]
        counted[part if part in ("key", "not_null", "accepted", "references") else "check"] += 1
    return dict(counted)
