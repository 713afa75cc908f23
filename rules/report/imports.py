"""What `rules import` has done, as text lines, as the report that it leaves in the project, or as a JSON document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rules.importing.drafts import DraftRule, DraftSource
from rules.importing.promises import kinds
from rules.report.runs import document
from rules.report.unit_tests import tests_lines
from rules.wording import plural

if TYPE_CHECKING:
    from rules.importing.drafts import DraftTable
    from rules.importing.import_project import Imported
    from rules.importing.verifying import Comparison


_BECAME = {
    "key": "in keys", "not_null": "not_null", "accepted": "accepted", "references": "references", "check": "in checks",
}  # fmt: skip


def import_report(found: Imported) -> str:
    """Return the report, in Markdown: file by file what was changed, why, and what could change a meaning."""
    made = found.made
    lines = [f"# Import of {made.origin.name} from {made.origin.tool}", "", *summary_lines(found), ""]
    lines += [*made.origin.notes, ""] if made.origin.notes else []
    risky = [one for one in made.tables if one.risks]
    if risky:
        lines += ["## What could change a meaning", ""]
        lines += [f"* `{one.name}`: {risk}" for one in risky for risk in one.risks]
        lines.append("")
    if found.missing:
        lines += ["## Rows that have to be put there", ""]
        lines += [
            f"* `{made.sources[name].path}`: the rows of {relation}, as Parquet"
            for name, relation in found.missing.items()
        ]
        lines.append("")
    lines += ["## Rules", "", *_tables(made.rules.values()), "## Sources", "", *_tables(made.sources.values())]
    lines += ["## Tests", "", *_tests(found)]
    lines += ["## Unit tests", "", *_unit_tests(found)] if found.carried.paths else []
    lines += ["## Not carried over", "", *_left_out(found)]
    return "\n".join(lines).rstrip() + "\n"


def _origin(table: DraftTable) -> str:
    if isinstance(table, DraftSource):
        return table.origin
    return table.model.path if isinstance(table, DraftRule) and table.model is not None else "a source"


def _tables(tables: Iterable[DraftTable]) -> Iterator[str]:
    for one in tables:
        yield f"### {one.path}"
        yield ""
        yield f"From {_origin(one)}."
        yield ""
        yield from (f"* {note}" for note in one.notes)
        yield from (f"* **could change a meaning:** {risk}" for risk in one.risks)
        if one.notes or one.risks:
            yield ""
        if isinstance(one, DraftRule) and one.edits:
            yield from ("```diff", *one.edits, "```", "")


def _tests(found: Imported) -> Iterator[str]:
    checks = found.made.checks
    if checks:
        yield "| test | is now |"
        yield "|---|---|"
        for test, became in found.promised.became.items():
            fixes = "".join(f"; {note}" for note in checks[test].notes)
            yield f"| {_cell(checks[test].test.name)} | `{became}`{_cell(fixes)} |"
        yield ""
    for notes in found.promised.notes.values():
        yield from (f"* {note}" for note in notes)
    if found.promised.notes:
        yield ""


def _unit_tests(found: Imported) -> Iterator[str]:
    carried = found.carried
    yield "| unit test | is now in | here |"
    yield "|---|---|---|"
    for one, path in carried.paths.items():
        tested = carried.outcomes.get(one)
        ended = "not run: rows of a source are not there" if tested is None else tested.status
        yield f"| {_cell(found.made.unit_tests[one].test.name)} | `{path}` | {ended} |"
    yield ""
    for one, tested in carried.failed.items():
        yield f"{found.made.unit_tests[one].test.name} fails here:"
        yield ""
        yield from ("```", *tests_lines(tested), "```", "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _left_out(found: Imported) -> Iterator[str]:
    for kind, names in found.made.origin.left_out.items():
        yield f"* {kind} ({len(names)}): {', '.join(names)}"
    for test, why in found.promised.lost.items():
        yield f"* the test {found.made.checks[test].test.name}: {why}"
    for test, why in found.carried.lost.items():
        yield f"* the unit test {found.made.unit_tests[test].test.name}: {why}"
    for rule in found.made.rules.values():
        if rule.stub:
            yield f"* the query of `{rule.name}`, kept in not_imported: {rule.stub}"


def summary_lines(found: Imported) -> list[str]:
    """Return what was imported, in some lines."""
    made = found.made
    stubs = sum(bool(rule.stub) for rule in made.rules.values())
    lines = [
        f"{plural(len(made.rules), 'rule')}, {plural(len(made.sources), 'source')}"
        + (f"; {plural(stubs, 'rule')} read{'s' if stubs == 1 else ''} the last table of a model" if stubs else "")
    ]
    if made.checks:
        counted = kinds(found.promised)
        parts = [f"{number:,} {_BECAME[kind]}" for kind, number in counted.items()]
        lost = f"; {len(found.promised.lost)} not carried over" if found.promised.lost else ""
        lines.append(f"{plural(len(made.checks), 'test')}: {', '.join(parts)}{lost}")
    if made.unit_tests:
        lines.append(_unit_tests_line(found))
    if made.origin.left_out:
        counts = (f"{kind} {len(names)}" for kind, names in made.origin.left_out.items())
        lines.append(f"not carried over: {', '.join(counts)}")
    if found.missing:
        lines.append(f"{plural(len(found.missing), 'source')} without rows: {', '.join(found.missing)}")
    return lines


def _unit_tests_line(found: Imported) -> str:
    carried = found.carried
    ended: Counter[str] = Counter(tested.status for tested in carried.outcomes.values())
    parts = [
        f"{ended[status]:,} {said}" for status, said in (("passed", "pass"), ("failed", "fail here")) if ended[status]
    ]
    unrun = len(carried.paths) - len(carried.outcomes)
    parts += [f"{unrun:,} not run"] if unrun else []
    parts += [f"{len(carried.lost):,} not carried over"] if carried.lost else []
    return f"{plural(len(found.made.unit_tests), 'unit test')}: {', '.join(parts)}"


def comparison_lines(compared: Comparison, *, verbose: bool) -> list[str]:
    """Return the outcome: same 58, different 4, with the first differing column and rows."""
    lines: list[str] = []
    for one in compared.verified:
        if one.different is None:
            lines += [f"same      {one.name}"] if verbose else []
            continue
        lines.append(f"different {one.name}: {one.different.sentence}")
        lines += [f"    {row}" for row in one.different.rows]
        lines += [f"    reason: {reason}" for reason in one.reasons]
    lines += [f"not compared: {name}: {why}" for name, why in compared.uncompared.items()]
    rest = f", not compared {len(compared.uncompared)}" if compared.uncompared else ""
    return [*lines, f"same {len(compared.same)}, different {len(compared.different)}{rest}"]


def import_document(found: Imported, compared: Comparison | None) -> dict[str, Any]:
    """Return the document of `rules import`."""
    made = found.made
    more: dict[str, Any] = {}
    if compared is not None:
        more["verify"] = {
            "same": [one.name for one in compared.same],
            "different": [
                {
                    "name": one.name,
                    "relation": one.relation,
                    "difference": one.different.sentence,
                    "column": one.different.column or None,
                    "rows": list(one.different.rows),
                    "reasons": list(one.reasons),
                }
                for one in compared.different
                if one.different is not None
            ],
            "not_compared": dict(compared.uncompared),
            "failing_checks": list(compared.failing),
        }
    return document(
        "import",
        status="ok" if compared is None or not compared.unexplained else "failed",
        tool=made.origin.tool,
        root=str(found.root),
        files=list(found.files),
        rules=[
            {"name": one.name, "path": one.path, "changes": one.notes, "risks": one.risks, "stub": one.stub or None}
            for one in made.rules.values()
        ],
        sources=[
            {"name": one.name, "path": one.path, "changes": one.notes, "risks": one.risks}
            for one in made.sources.values()
        ],
        tests=[
            {
                "name": check.test.name,
                "became": found.promised.became.get(test),
                "lost": found.promised.lost.get(test),
            }
            for test, check in made.checks.items()
        ],
        unit_tests=[_unit_test_fields(found, one) for one in made.unit_tests],
        left_out={kind: list(names) for kind, names in made.origin.left_out.items()},
        missing=dict(found.missing),
        **more,
    )


def _unit_test_fields(found: Imported, one: str) -> dict[str, Any]:
    tested = found.carried.outcomes.get(one)
    test = found.made.unit_tests[one].test
    return {
        "name": test.name,
        "rule": found.made.names.by_id.get(test.table),
        "file": found.carried.paths.get(one),
        "status": tested.status if tested is not None else None,
        "lost": found.carried.lost.get(one),
    }
