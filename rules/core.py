"""The core of a process that works on one project for long: what it keeps between its runs, and the runs themselves.

`rules watch`, the language server and notebooks keep theirs (a command that builds once calls the driver itself), so
that a run pays for what has changed since the one before. What is kept is in the core's memory (`rules.storage.memory`)
and compared with the files and the store in every run, so a run says what a new process would say.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

from rules.config.project import load_project
from rules.errors import UserError
from rules.storage.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rules.config.project import Project
    from rules.lint.checking import Checking
    from rules.planning.prepared import Prepared, Request
    from rules.running.results import BuildReport, Observer


class Core:
    """One project, whose runs share a memory. Runs of several threads take turns."""

    def __init__(self, root: Path, given: Sequence[str] = (), settings: Sequence[str] = ()) -> None:
        """root: of the project. given: values of variables, NAME=VALUE, in place of those that rules.toml declares.

        settings: changes of the profile, as `--set` makes them.
        """
        self.root = root
        self._given, self._settings = tuple(given), tuple(settings)
        self._memory = Memory()
        self._turn = threading.RLock()
        weakref.finalize(self, self._memory.index.close)

    def close(self) -> None:
        """Close the index, which otherwise stays open until this object is deleted. A later run opens it again."""
        with self._turn:
            self._memory.index.close()

    def project(self) -> Project:
        """Return the project as rules.toml has it now. Raises `UserError`."""
        return load_project(self.root, self._given, self._settings)

    def plan(self, request: Request, observer: Observer) -> Prepared:
        """Plan, and execute nothing. Raises as `rules.build.plan` does."""
        from rules.build import plan

        with self._turn:
            return plan(self.project(), request, observer, self._memory)

    def build(
        self, request: Request, observer: Observer, wanted: Callable[[Prepared], bool] | None = None
    ) -> BuildReport:
        """Bring products up to date. wanted: see `rules.build.build`. Raises as that does."""
        from rules.build import build

        with self._turn:
            return build(self.project(), request, observer, self._memory, wanted)

    def tidy(self, say: Callable[[str], None]) -> None:
        """Collect garbage for a moment, if the store has grown: after a build that has reported."""
        from rules.build import keep_small

        with self._turn, contextlib.suppress(UserError):  # of rules.toml, which the next run says
            keep_small(self.project(), say)

    def check(
        self, say: Callable[[str], None], unsaved: Mapping[str, str] | None = None, *, runs_python: bool = True
    ) -> Checking:
        """Check every rule file and rules.toml. Raises `UserError` if rules.toml has an error.

        unsaved: texts that count in place of rule files, by path; what they come to is kept in this process alone.
        runs_python: whether the project's Python may be run. A rule on which the compiler crashes has that as a
        finding.
        """
        from rules.lint.project import check_project
        from rules.storage.store import open_store

        with self._turn, contextlib.ExitStack() as held:
            project = replace(self.project(), unsaved=unsaved or {}, runs_python=runs_python)
            store = held.enter_context(open_store(self.root, say, building=False, memory=self._memory))
            store.index.forgets = bool(unsaved)
            return check_project(project, store, say, tolerant=True)
