"""What `rules check` reports of what it finds: [policy], the command line's codes, suppression comments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from compiler.lint.codes import ALL, ALWAYS, BY_CODE, expand, lookup
from compiler.lint.comments import Suppression, suppressed, unused
from compiler.lint.findings import Finding, Lines
from rules.config.project import Policy


@dataclass(frozen=True)
class Reporting:
    """Which findings are reported: those of a policy, of which the command line may choose others."""

    policy: Policy
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def enabled(self, path: str) -> frozenset[str]:
        """Return the codes that are reported for a file."""
        name = path.rsplit("/", 1)[-1]
        ignored = [*self.policy.ignore, *self.ignore]
        for pattern, codes in self.policy.per_file_ignores.items():
            if fnmatchcase(path, pattern) or fnmatchcase(name, pattern):
                ignored += codes
        return (expand(self.select or self.policy.select) - expand(ignored)) | ALWAYS

    def fails(self, finding: Finding) -> bool:
        """Whether a finding fails the check: advice does only where it is selected by name, or is a dialect's habit."""
        named = {lookup(word) or word.upper() for word in (*self.policy.select, *self.select)}
        chosen = finding.code in named or ALL in named or self.policy.from_dialect is not None
        return chosen or not BY_CODE[finding.code].advice

    def allows(self, finding: Finding) -> bool:
        """Whether the policy lets a finding be, whose code is enabled."""
        joins_only = finding.code == "R001" and finding.found.case == "single" and self.policy.qualify == "joins"
        return joins_only or (finding.code == "R005" and finding.found.case == "local" and self.policy.star == "local")


def reported(
    records: Mapping[str, Mapping[str, Any]], reporting: Reporting, read: Callable[[str], str]
) -> list[Finding]:
    """Return the findings to report, by path and place; `read` gives the text of a file that has suppressions."""
    findings: list[Finding] = []
    for path, record in records.items():
        if record["found"] or record["marks"]:
            findings += _reported(path, record, reporting, read)
    return sorted(findings, key=lambda one: (one.path, one.place, one.code, one.found.message))


def _reported(
    path: str, record: Mapping[str, Any], reporting: Reporting, read: Callable[[str], str]
) -> Iterable[Finding]:
    enabled = reporting.enabled(path)
    every = [Finding.from_record(path, one) for one in record["found"]]
    every = [one for one in every if one.code in enabled and not reporting.allows(one)]
    marks = [Suppression.from_record(mark) for mark in record["marks"]]
    kept, used = suppressed(every, marks)
    if marks and "R019" in enabled:
        text = read(path)
        lines = Lines(text)
        idle = [lines.finding(path, one) for mark in marks for one in unused(text, mark, used, enabled)]
        kept += suppressed(idle, [mark for mark in marks if "R019" in mark.codes])[0]
    return kept
