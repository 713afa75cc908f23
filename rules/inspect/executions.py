"""The last execution of a product, from the evidence that was kept of it. Nothing is planned or run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cache.untrusted import decode, parsed
from rules.compiling.load_session import load
from rules.errors import FAILED, UserError, unknown_product
from rules.running.evidence import KEPT_BUILDS, LINES, Line, folder_of
from rules.running.manifest import NAME

if TYPE_CHECKING:
    from rules.config.project import Project
    from rules.storage.store import Store


_EXECUTIONS = msgspec.json.Decoder(Line)


@dataclass(frozen=True)
class Execution:
    """An execution as it was kept. folder: of its build's evidence; files: that full evidence has of it, by name.

    manifest: of the build; empty where it ended before one was written.
    """

    build: str
    folder: Path
    line: Line
    files: dict[str, Path]
    manifest: dict[str, Any]

    def text(self, name: str) -> str | None:
        """Return the text of one of the files, None where there is none."""
        try:
            return self.files[name].read_text(encoding="utf-8") if name in self.files else None
        except OSError:
            return None

    @property
    def product(self) -> dict[str, Any]:
        """The product in the manifest."""
        found = (one for one in self.manifest.get("products", ()) if one["name"] == self.line.name)
        return next(found, {})


def last_execution(project: Project, name: str, profile: str, store: Store) -> Execution:
    """Return the last execution of a product that succeeded. Raises `UserError` where nothing was kept of it."""
    build = next((build for build, status, *_ in store.index.history(name) if status == "executed"), None)
    if build is None:
        build = _failed_by_a_check(store, name)
    if build is None:
        known = load(project, profile, store).rules
        if name not in known:
            raise unknown_product(name, known)
        message = f"{name} was never executed in this project"
        raise UserError(message, code="no-evidence", hint=f"rules build --force {name} does", exit_code=FAILED)
    folder = store.objects.root / "evidence" / build
    line = _line(folder, name)
    if line is None:
        message = f"nothing is kept of the last execution of {name}, in build {build}"
        hint = f"evidence of the last {KEPT_BUILDS} builds is kept, unless --evidence none; rules build --force {name}"
        raise UserError(message, code="no-evidence", hint=hint, exit_code=FAILED)
    inside = folder / folder_of(name)
    files = {path.name: path for path in sorted(inside.iterdir())} if inside.is_dir() else {}
    return Execution(build, folder, line, files, _manifest(folder))


def _failed_by_a_check(store: Store, name: str) -> str | None:
    """Return the last build in which a product was executed, and then failed by a check."""
    failed = (build for build, status, *_ in store.index.history(name) if status == "failed")
    return next((build for build in failed if _line(store.objects.root / "evidence" / build, name)), None)


def _line(folder: Path, name: str) -> Line | None:
    """Return what was kept last of a product in a build. A line that a killed build left unfinished is passed over."""
    start = b'{"name":' + msgspec.json.encode(name) + b","
    found = None
    try:
        with (folder / LINES).open("rb") as file:
            for text in file:
                if text.startswith(start):
                    found = text
        return decode(_EXECUTIONS, found) if found is not None else None
    except (OSError, ValueError):
        return None


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found = parsed((folder / NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
