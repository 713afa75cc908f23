"""Evidence of one build: what ran for its products, kept in the store so that a person can read it or run it again.

    evidence/BUILD/products.jsonl    a line for each execution: the SQL, the plan that ran, what each operator did
    evidence/BUILD/PRODUCT/          of what failed: SQL, settings, error; with full evidence, of all: see `_files`
    evidence/BUILD/manifest.json     what the build did, see `rules.running.manifest`

A line is one write to a file that is only appended to, so threads need no lock, and a killed build leaves at most one
line that is not whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from cache.own_names import is_build
from cache.ownership import make_below
from cache.removal import remove_evidence
from compiler.fingerprint import digest_of
from rules.config.profiles import Profile
from rules.engine.protocol import EngineInput, Executed, Observation, Operator
from rules.printable import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

LINES = "products.jsonl"
_LONGEST = 200
"""The most bytes of a product's name in a folder's name. File systems allow 255."""
_LONGEST_SQL = 1 << 15
_LONGEST_TEXT = 1 << 20
"""The most characters that are kept of one text: in a line, and in a file of its own."""
_MOST_OPERATORS = 200
KEPT_BUILDS = 50
"""Builds whose evidence is kept, the newest."""
_KEPT_BYTES = 256 << 20
"""The bytes of evidence that are kept; the newest build's is, whatever its size."""


class Line(msgspec.Struct, omit_defaults=True):
    """What is kept of one execution. seconds: from the query's text to the last byte written; planned: of these.

    settings: those that differ from the manifest's. left_out: operators of a plan that is too large to be kept whole.
    fallback: how it was run for lack of memory, and with which settings. partitions: of the engine, if it was spread.
    """

    name: str
    sql: str
    seconds: float
    rows: int
    planned: float | None = None
    operators: list[Operator] | None = None
    """None for a rule that no engine runs."""
    left_out: int = 0
    settings: dict[str, str | None] = {}
    fallback: dict[str, Any] = {}
    partitions: int | None = None


@dataclass(frozen=True)
class Run:
    """A query that was run for a product or check.

    authored, canonical: make the rule as written, and its canonical form as SQL; called for full evidence only.
    """

    name: str
    sql: str
    profile: Profile
    inputs: Sequence[EngineInput]
    authored: Callable[[], str]
    canonical: Callable[[], str]


@dataclass
class Evidence:
    """Keeps the evidence of one build. Worker threads share it. root: of the store."""

    root: Path
    build: str
    settings: Mapping[str, str | None] = field(default_factory=dict)
    """The settings of the first execution that was observed."""
    versions: Mapping[str, str] = field(default_factory=dict)
    observed: dict[str, Observation] = field(default_factory=dict)
    """The observations of this build, by product or check."""

    @property
    def folder(self) -> Path:
        """The place of all of it."""
        return self.root / "evidence" / self.build

    def succeeded(self, run: Run, executed: Executed) -> None:
        """Keep what the run's profile asks for, and all of a run that was not as its profile says. Raises OSError."""
        seen, fallback = executed.observed, executed.fallback
        if fallback is not None:
            run = dataclasses.replace(run, profile=fallback.profile)
        elif run.profile.evidence == "none":
            return
        line = Line(run.name, _cut(run.sql, _LONGEST_SQL), executed.seconds, executed.digest.rows)
        if seen is not None:
            if not self.settings:
                self.settings, self.versions = seen.settings, seen.versions
            self.observed[run.name] = seen
            line.planned = seen.planned
            line.operators = [_without_secrets(one) for one in seen.operators[:_MOST_OPERATORS]]
            line.left_out = max(len(seen.operators) - _MOST_OPERATORS, 0)
            line.settings = _differing(seen.settings, self.settings)
        line.partitions = executed.partitions
        if fallback is not None:
            line.fallback = {"name": fallback.name, **msgspec.to_builtins(fallback.settings)}
        make_below(self.root, self.folder)
        descriptor = os.open(self.folder / LINES, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            os.write(descriptor, msgspec.json.encode(line) + b"\n")
        finally:
            os.close(descriptor)
        if run.profile.evidence == "full" or fallback is not None:
            self._write(run, seen)

    def failed(self, run: Run, error: str) -> str:
        """Keep the query of a failed run, with the engine's error; return the path of the query. Raises OSError."""
        folder = self._write(run, None)
        _write_text(folder / "error.txt", error)
        return str(folder / "query.sql")

    def keep_difference(self, name: str, facts: Mapping[str, Any], texts: Mapping[str, str] | None = None) -> Path:
        """Keep how a product or check differs that ran again; return the folder. Raises OSError.

        facts: what `difference.json` says; texts: further files, by name.
        """
        folder = self.folder / folder_of(name)
        make_below(self.root, folder)
        for file, text in {"difference.json": json.dumps(facts, indent=2), **(texts or {})}.items():
            _write_text(folder / file, text)
        return folder

    def _write(self, run: Run, seen: Observation | None) -> Path:
        """Write the folder of a run; of one that failed, only what does not depend on the engine."""
        folder = self.folder / folder_of(run.name)
        make_below(self.root, folder)
        _write_text(folder / "query.sql", run.sql)
        _write_text(folder / "settings.json", json.dumps(_facts(run, seen), indent=2))
        if run.profile.evidence == "full":
            _write_text(folder / "authored.txt", run.authored())
            _write_text(folder / "canonical.sql", run.canonical())
        if seen is not None:
            for name, text in seen.texts.items():
                _write_text(folder / name, text)
            if _has_secrets(seen.substrait):
                _write_text(folder / "substrait.txt", "not kept: the plan holds a URL with a password or a query")
            elif seen.substrait:
                (folder / "plan.substrait").write_bytes(seen.substrait)
        return folder


def folder_of(name: str) -> str:
    """Return a folder's name for a product or a check. A check is named after a column, whose name can be anything."""
    quoted = quote(name, safe="")
    return quoted if len(quoted) <= _LONGEST else f"{quoted[:_LONGEST]}~{digest_of(name.encode())}"


def prune(root: Path, last: Path) -> None:
    """Remove the evidence of old builds, so that what is kept is bounded. root: of the store; last: the latest folder.

    Bytes are counted only when the latest build kept folders of products: lines are small, and counting takes time.
    """
    with contextlib.suppress(OSError):  # of another user, or removed meanwhile; the next build tries again
        counted = any(entry.is_dir() for entry in last.iterdir())
        folders = [path for path in (root / "evidence").iterdir() if is_build(path.name)]
        total = 0
        for number, folder in enumerate(sorted(folders, key=_age, reverse=True)):
            total += _size(folder) if counted else 0
            if number >= KEPT_BUILDS or (number and total > _KEPT_BYTES):
                remove_evidence(folder)


def _age(folder: Path) -> tuple[str, int]:
    """Return what orders builds by age: their names hold the second in which they began."""
    return folder.name.partition("-")[0], folder.lstat().st_mtime_ns


def _size(folder: Path) -> int:
    return sum((Path(inside) / name).lstat().st_size for inside, _, names in os.walk(folder) for name in names)


def _has_secrets(data: bytes) -> bool:
    text = data.decode("latin-1")
    return without_secrets(text) != text


def _facts(run: Run, seen: Observation | None) -> dict[str, Any]:
    return {
        "profile": msgspec.to_builtins(run.profile),
        "inputs": {
            entry.name: {"files": [str(file) for file in entry.files], "columns": entry.columns} for entry in run.inputs
        },
        **({"settings": seen.settings, "versions": seen.versions} if seen is not None else {}),
    }


def _differing(settings: Mapping[str, str | None], usual: Mapping[str, str | None]) -> dict[str, str | None]:
    if settings is usual:
        return {}
    return {name: value for name, value in settings.items() if usual.get(name, "") != value}


def _without_secrets(one: Operator) -> Operator:
    if "://" not in one.detail:
        return one
    return dataclasses.replace(one, detail=without_secrets(one.detail))


def _write_text(path: Path, text: str) -> None:
    path.write_text(_cut(text, _LONGEST_TEXT).rstrip("\n") + "\n", encoding="utf-8", errors="backslashreplace")


def _cut(text: str, longest: int) -> str:
    """Return a text that may be kept: without secrets, and not longer than `longest`, which its end then says."""
    text = without_secrets(text)
    if len(text) <= longest:
        return text
    return f"{text[:longest]}\n-- and {len(text) - longest:,} more characters, which are not kept"
