"""Output formats by name: of rows, of lineage, of findings. The choices of --format and their help are made from these.

The first of each is the default. None is what the command prints by itself: its text, or its JSON document. A
writer loads what it needs when it is called, so that a command line can be parsed without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from compiler.lint.findings import Finding
    from graph.lineage import Lineage, Name
    from rules.formats.cells import Rows

W = TypeVar("W")


@dataclass(frozen=True)
class OutputFormat(Generic[W]):
    """A format with its writer. unfit: for one that is not for terminals, a message and a hint that say so."""

    write: W
    unfit: tuple[str, str] | None = None


Formats: TypeAlias = Mapping[str, OutputFormat[W] | None]


def write_csv(rows: Rows, out: BinaryIO) -> None:
    """Write CSV with a header."""
    from rules.report import rows as writers

    writers.write_csv(rows, out)


def write_json(rows: Rows, out: BinaryIO) -> None:
    """Write one JSON object a line."""
    from rules.report import rows as writers

    writers.write_json(rows, out)


def write_arrow(rows: Rows, out: BinaryIO) -> None:
    """Write an Arrow IPC stream."""
    from rules.report import rows as writers

    writers.write_arrow(rows, out)


ROWS: Formats[Callable[[Rows, BinaryIO], None]] = {
    "table": None,
    "csv": OutputFormat(write_csv),
    "json": OutputFormat(write_json),
    "arrow": OutputFormat(write_arrow, ("arrow is binary, which is not for terminals", "redirect it: > rows.arrow")),
}


@dataclass(frozen=True)
class LineageView:
    """What a drawing of lineage shows: `names` and the edges between them.

    focus: the table or "table.column" that was asked for, or "".
    """

    lineage: Lineage
    names: Iterable[Name]
    title: str
    focus: str


def draw_mermaid(view: LineageView) -> str:
    """Return a Mermaid flowchart."""
    from rules.report.drawing import draw, mermaid

    return "\n".join(mermaid(draw(view.lineage, view.names)))


def draw_dot(view: LineageView) -> str:
    """Return a graph for Graphviz."""
    from rules.report.drawing import dot, draw

    return "\n".join(dot(draw(view.lineage, view.names)))


def draw_page(view: LineageView) -> str:
    """Return an HTML page. Raises `UserError` without Graphviz."""
    from rules.report.lineage_page import page

    return page(view.lineage, view.names, f"Lineage of {view.title}", view.focus).rstrip("\n")


LINEAGE: Formats[Callable[[LineageView], str]] = {
    "text": None,
    "json": None,
    "mermaid": OutputFormat(draw_mermaid),
    "dot": OutputFormat(draw_dot),
    "html": OutputFormat(draw_page, ("a page is not for terminals", "redirect it: > lineage.html")),
}

Annotations: TypeAlias = tuple[tuple[str, dict[str, str], str], ...]
"""Workflow commands of GitHub: command, properties and text of each."""


@dataclass(frozen=True)
class FindingsView:
    """What is reported. line: returns a line of a file; shown: the path by which a code host knows a file."""

    findings: list[Finding]
    line: Callable[[str, int], str]
    shown: Callable[[str], str]


def findings_text(view: FindingsView) -> list[str]:
    """Return each finding with the line that it is about."""
    from rules.report.findings import text_lines

    return text_lines(view.findings, view.line)


def findings_concise(view: FindingsView) -> list[str]:
    """Return a line for each finding."""
    from rules.report.findings import concise_lines

    return concise_lines(view.findings)


def findings_github(view: FindingsView) -> Annotations:
    """Return annotations of files."""
    from rules.report.findings import github_annotations

    return tuple(github_annotations(view.findings, view.shown))


def findings_sarif(view: FindingsView) -> dict[str, Any]:
    """Return a SARIF log."""
    from rules.report.sarif import sarif

    return sarif(view.findings, view.shown)


FINDINGS: Formats[Callable[[FindingsView], list[str] | Annotations | dict[str, Any]]] = {
    "text": OutputFormat(findings_text),
    "concise": OutputFormat(findings_concise),
    "json": None,
    "github": OutputFormat(findings_github),
    "sarif": OutputFormat(findings_sarif),
}
"""A list of lines, annotations, or a document."""


DIFF = ("text", "markdown")
"""Of comparisons."""
