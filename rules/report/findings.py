"""Findings → text with an excerpt, one line each, a JSON document, or workflow commands of GitHub. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from compiler.lint.codes import ALWAYS, BY_CODE
from rules.formats.delimiters import delimiter_hint, likely_delimiter
from rules.printable import printable
from rules.report.runs import document
from rules.wording import cell_width, plural

if TYPE_CHECKING:
    from compiler.lint.findings import Finding

_SOURCES = 3
_COLUMNS = 20
"""Columns of a source that a line lists."""
_WINDOW = 100
_TAB = "    "


def check_document(findings: Iterable[Finding], *, checked: int, **more: Any) -> dict[str, Any]:
    """Return the document of `rules check`."""
    described = [finding_fields(one) for one in findings]
    status = "failed" if described else "ok"
    return document("check", status=status, checked=checked, findings=described, **more)


def concise_lines(findings: Iterable[Finding]) -> list[str]:
    """Return a line for each finding: path:line:column: code message."""
    return [f"{_where(one)}: {one.code} {printable(one.found.message)}" for one in findings]


def text_lines(findings: Iterable[Finding], source_line: Callable[[str, int], str]) -> list[str]:
    """Return each finding with the line it is in and a mark below it; `source_line` gives a line of a file."""
    lines: list[str] = []
    for one in findings:
        lines.append(f"{_where(one)}: {one.code} {printable(one.found.message)}")
        lines += _excerpt(one, source_line(one.path, one.place.line))
        lines.append("")
    return lines


def summary_line(findings: list[Finding], checked: int) -> str:
    """Return the closing line: how many findings, and how many of them can be fixed."""
    if not findings:
        return f"no findings ({plural(checked, 'file')} checked)"
    fixable = sum(one.found.fix is not None for one in findings)
    files = len({one.path for one in findings})
    line = f"{plural(len(findings), 'finding')} in {plural(files, 'file')}"
    return f"{line}; {fixable:,} can be fixed: rules check --fix" if fixable else line


def statistics_lines(findings: Iterable[Finding]) -> list[str]:
    """Return how often each code was found."""
    counts = Counter(one.code for one in findings)
    return [f"{count:>6,}  {code}  {BY_CODE[code].name}" for code, count in counts.most_common()]


def github_annotations(
    findings: Iterable[Finding], shown: Callable[[str], str]
) -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield commands, properties and texts that GitHub annotates files by.

    `shown` gives a path relative to the repository.
    """
    for one in findings:
        place = one.place
        facts = {"title": f"rules {one.code} {BY_CODE[one.code].name}", "file": shown(one.path)}
        facts |= {"line": str(place.line), "endLine": str(place.end_line)}
        if place.end_line == place.line:  # GitHub takes columns for spans of one line only
            facts |= {"col": str(place.column), "endColumn": str(max(place.end_column - 1, place.column))}
        yield severity(one), facts, one.found.message + (f" ({one.found.hint})" if one.found.hint else "")


def inferred_lines(sources: list[dict[str, Any]], *, verbose: bool) -> list[str]:
    """Return lines that say which types the columns of text sources were found to have: of many, one for them all."""
    if len(sources) <= _SOURCES or verbose:
        return [_inferred_line(source) for source in sources]
    count = sum(len(source["columns"]) for source in sources)
    return [f"note: types of {count:,} columns of {len(sources):,} text sources are inferred; -v lists them"]


def _inferred_line(source: dict[str, Any]) -> str:
    columns = [f"{printable(one['name'])} {one['type']}" for one in source["columns"]]
    more = f" and {len(columns) - _COLUMNS:,} more (--json has all)" if len(columns) > _COLUMNS else ""
    said = ", ".join(columns[:_COLUMNS])
    mark = likely_delimiter([one["name"] for one in source["columns"]])
    asked = f"; {delimiter_hint(mark)}" if mark is not None else ""
    return f"note: types of {source['source']} ({printable(source['path'])}) are inferred: {said}{more}{asked}"


def severity(finding: Finding) -> str:
    """Return "error" for what cannot be built, else "warning"."""
    return "error" if finding.code in ALWAYS else "warning"


def finding_fields(one: Finding) -> dict[str, Any]:
    """Return a finding as plain data."""
    place = one.place
    return {
        "code": one.code,
        "rule": BY_CODE[one.code].name,
        "path": one.path,
        "line": place.line,
        "column": place.column,
        "end_line": place.end_line,
        "end_column": place.end_column,
        "severity": severity(one),
        "message": one.found.message,
        "hint": one.found.hint,
        "fix": one.found.fix.message if one.found.fix is not None else None,
    }


def _where(one: Finding) -> str:
    return f"{printable(one.path)}:{one.place.line}:{one.place.column}"


def _excerpt(one: Finding, line: str) -> list[str]:
    place = one.place
    start = place.column - 1
    end = place.end_column - 1 if place.end_line == place.line else len(line)
    end = max(min(end, len(line)), start + 1)
    first = max(0, start - _WINDOW // 2) if len(line) > _WINDOW else 0
    last = min(len(line), first + _WINDOW)
    before, marked, after = line[first:start], line[start : min(end, last)], line[min(end, last) : last]
    before, marked, after = (printable(part.replace("\t", _TAB)) for part in (before, marked, after))
    head, tail = "…" if first else "", "…" if last < len(line) else ""
    number = str(place.line)
    margin = " " * len(number)
    lines = [f"  {number} | {head}{before}{marked}{after}{tail}"] if line.strip() else []
    if lines:
        pad = " " * cell_width(head + before)
        lines.append(f"  {margin} | {pad}{'^' * max(1, cell_width(marked))}")
    word = "fix" if one.found.fix is not None else "hint"
    said = one.found.fix.message if one.found.fix is not None else one.found.hint
    return [*lines, f"  {margin} = {word}: {printable(said)}"] if said else lines
