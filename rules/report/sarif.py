"""Findings → a SARIF 2.1.0 log, as code hosts and editors read it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from compiler.lint.codes import BY_CODE, CODES
from rules.report.findings import severity

if TYPE_CHECKING:
    from compiler.lint.findings import Finding

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(findings: Iterable[Finding], shown: Callable[[str], str]) -> dict[str, Any]:
    """Return the log of one run; `shown` gives a path relative to the repository."""
    described = [
        {
            "id": one.code,
            "name": "".join(word.capitalize() for word in one.name.split("-")),
            "shortDescription": {"text": f"{one.summary[0].upper()}{one.summary[1:]}."},
            "defaultConfiguration": {"enabled": one.on, "level": "error" if one.always else "warning"},
        }
        for one in CODES
    ]
    driver = {"name": "rules", "version": version("leastwork-rules"), "rules": described}
    positions = {code: number for number, code in enumerate(BY_CODE)}
    results = [_result(one, positions[one.code], shown) for one in findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(one: Finding, position: int, shown: Callable[[str], str]) -> dict[str, Any]:
    place = one.place
    region = {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    }
    location = {"artifactLocation": {"uri": quote(shown(one.path))}, "region": region}
    hint = f"; {one.found.hint}" if one.found.hint else ""
    return {
        "ruleId": one.code,
        "ruleIndex": position,
        "level": severity(one),
        "message": {"text": f"{one.found.message}{hint}"},
        "locations": [{"physicalLocation": location}],
    }
