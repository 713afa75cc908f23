"""What unit tests have come to, as text lines or a JSON document."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rules.report.runs import document, error_fields, error_lines
from rules.testing.comparing import cell, shown
from rules.wording import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.testing.comparing import RowDifference
    from rules.testing.generating import Generated
    from rules.testing.run_tests import Tested

_SHOWN = 10
"""Rows that differ, of one test, that are shown."""


def tests_document(tested: Sequence[Tested]) -> dict[str, Any]:
    """Return the document of `rules test`."""
    failed = any(one.status == "failed" for one in tested)
    return document("test", status="failed" if failed else "ok", tests=[_fields(one) for one in tested])


def tests_lines(tested: Tested) -> list[str]:
    """Return how a test ended: a line, and what differs."""
    test = tested.test
    where = f"{test.where.path}:{test.where.line}" if test.where.line else test.where.path
    lines = [f"{tested.status:<8}  {test.rule}: {test.name}  {where}"]
    if tested.error is not None:
        lines += [f"  {line}" for line in error_lines(tested.error)]
    lines += [line for one in tested.differences[:_SHOWN] for line in _difference(one)]
    rest = len(tested.differences) - _SHOWN
    return [*lines, f"  … and {plural(rest, 'more row')}"] if rest > 0 else lines


def tests_line(tested: Sequence[Tested]) -> str:
    """Return the outcome of all tests in a line."""
    if not tested:
        return "no unit tests: tests/NAME.toml has those of the rule NAME"
    counts = Counter(one.status for one in tested)
    if counts["clean"] == len(tested):
        return f"nothing to do ({plural(len(tested), 'test')} passed before)"
    said = [f"{counts[status]:,} {status}" for status in ("passed", "failed") if counts[status]]
    before = f", {counts['clean']:,} passed before" if counts["clean"] else ""
    return f"{plural(len(tested), 'test')}: {', '.join(said)}{before}"


def generated_document(made: Sequence[Generated]) -> dict[str, Any]:
    """Return the document of `rules test --generate`."""
    tests = [
        {
            "rule": one.rule,
            "file": one.path,
            "rows": dict(one.rows),
            "shown": [outcome.said for outcome in one.chosen.shown],
            "absent": [outcome.said for outcome in one.chosen.absent],
            "costly": [outcome.said for outcome in one.chosen.costly],
        }
        for one in made
    ]
    return document("test", status="ok", generated=tests)


def generated_lines(made: Sequence[Generated]) -> list[str]:
    """Return for each generated test where it is, and what it shows of its rule."""
    lines = []
    for one in made:
        rows = ", ".join(f"{plural(count, 'row')} of {name}" for name, count in one.rows.items())
        lines.append(f"wrote     {one.path}: {rows or 'no rows'}; {plural(len(one.chosen.shown), 'outcome')} shown")
        lines += [f"  not in the data: {outcome.said}" for outcome in one.chosen.absent]
        lines += [f"  not in few rows: {outcome.said}" for outcome in one.chosen.costly]
    return [*lines, "Read what is expected: it is what the rules yield today."]


def _difference(one: RowDifference) -> list[str]:
    place = f"row {one.number}: " if one.number is not None else ""
    if one.expected is None:
        assert one.found is not None
        return [f"  {place}unexpected: {shown(one.found)}"]
    if one.found is None:
        return [f"  {place}missing: {shown(one.expected)}"]
    differing = one.cells
    same = [name for name in one.expected if name not in differing]
    beside = f"  where {shown(one.expected, same)}" if same else ""
    return [
        f"  {place}{name} is {cell(one.found[name])} instead of {cell(one.expected[name])}{beside}"
        for name in differing
    ]


def _fields(one: Tested) -> dict[str, Any]:
    test = one.test
    where = {"path": test.where.path, "line": test.where.line, "column": test.where.column}
    fields: dict[str, Any] = {"name": test.name, "rule": test.rule, "status": one.status, "where": where}
    if one.status != "clean":
        fields["seconds"] = round(one.seconds, 6)
    if one.error is not None:
        fields["error"] = error_fields(one.error)
    if one.differences:
        fields["differences"] = [_row_fields(each) for each in one.differences]
    return fields


def _row_fields(one: RowDifference) -> dict[str, Any]:
    expected, found = one.expected, one.found
    return {
        "row": one.number,
        "columns": one.cells,
        "expected": None if expected is None else {name: _plain(value) for name, value in expected.items()},
        "found": None if found is None else {name: _plain(value) for name, value in found.items()},
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | bool | None) else str(value)
