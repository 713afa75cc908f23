"""What an editor and `rules watch` show, after any edits, is what a new `rules check` and `rules plan` say.

One server and one watching process live through all edits; their memory must not grow. The long form is a soak:
RULES_SOAK_STEPS edits (default 600, some 20 minutes) from the seed RULES_SOAK_SEED.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from properties.test_core import DRAFTS, Trouble
from properties.world import World
from support.inprocess import run
from support.language_client import Editor
from support.projects import SampleProject
from support.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Callable

    from lsprotocol import types as lsp

_GROWTH_MIB = 60
"""That a process may grow from a fifth of the steps to the end: allocators keep what they had."""

ANY = (0, 1, 2)
"""Exit codes: edits break rules.toml, too."""
Findings = dict[str, list[tuple[int, int, str, str]]]


class Session:
    """A project that is edited, with an editor open on it and a process that watches it."""

    def __init__(self, root: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World(root / "project", self.random)
        self.world.delete_object = lambda: None  # type: ignore[method-assign]  # of the store, which nobody watches
        self.world.write()
        self.trouble = Trouble(self.world)
        self.project, self.copy = self.world.project, root / "saved"
        self.editor = Editor(self.project)
        self.watching = Watching(self.project, "--plan", "--json")
        self.planned: dict[str, Any] = {}
        self.branches: list[Path] = []
        self.drafts: dict[str, str] = {}

    def change(self) -> str:
        """Change files as people, tools and branches do; say what."""
        trouble = self.trouble
        steps: list[Callable[[], Any]] = [self.world.edit] * 6
        steps += [trouble.breaks, trouble.heals, trouble.heals, trouble.contract, trouble.python, trouble.variable]
        steps += [trouble.comment, trouble.twin, self.branch, self.checkout]
        step = self.random.choice(steps)
        return f"{step.__name__} {step() or ''}"

    def build(self) -> None:
        """Build in another terminal, and save a file, without which nobody would look again."""
        run(self.project, "build", "-k", expect=ANY)
        path = self.project.root / "rules.toml"
        path.write_text(path.read_text() + "# saved\n")

    def branch(self) -> None:
        """Keep all files, as a commit does."""
        kept = self.copy.parent / f"branch{len(self.branches)}"
        shutil.copytree(self.project.root, kept, ignore=shutil.ignore_patterns(".rules"))
        self.branches.append(kept)

    def checkout(self) -> None:
        """Put the files of another commit there, all at once."""
        if not self.branches:
            return
        there = self.random.choice(self.branches)
        for folder in ("rules", "more"):
            shutil.rmtree(self.project.root / folder, ignore_errors=True)
            shutil.copytree(there / folder, self.project.root / folder)
        shutil.copyfile(there / "rules.toml", self.project.root / "rules.toml")

    def type(self) -> None:
        """Let the editor have texts that are not saved, or none."""
        for path in list(self.drafts):
            self.editor.close(path)
        self.drafts = {}
        names = sorted(one.stem for one in (self.project.root / "rules").glob("*.sql"))
        for name in self.random.sample(names, self.random.choice([0, 1, 2])):
            path = f"rules/{name}.sql"
            self.drafts[path] = self.random.choice(DRAFTS)
            self.editor.open(path)
            self.editor.type(path, self.drafts[path])

    def checked(self) -> Findings:
        """Return what a new `rules check` says of the files, with the texts that are not saved as if they were."""
        shutil.rmtree(self.copy, ignore_errors=True)
        saved = SampleProject.copy_of(self.project.root, self.copy)
        for path, text in self.drafts.items():
            saved.write(path, text)
        document = run(saved, "check", "--json", expect=ANY).document
        if "findings" not in document:
            error = document["error"]
            path, line, column = (*str(error["where"] or "rules.toml").split(":"), "1", "1")[:3]
            return {path: [(int(line), int(column), "", said(error))]}
        found: Findings = {}
        for one in document["findings"]:
            found.setdefault(one["path"], []).append((one["line"], one["column"], one["code"], said(one)))
        return {path: sorted(some) for path, some in found.items()}

    async def shows(self, wanted: Findings) -> None:
        """Wait until the editor shows some findings, and no others."""
        await self.editor.until(lambda found: shown(found) == wanted)

    def plans(self, what: str) -> None:
        """Wait until the watching process has said what a new `rules plan` says."""
        document = run(self.project, "plan", "--json", "-k", expect=ANY).document
        while planned(self.planned) != planned(document):
            try:
                self.planned = self.watching.document()
            except AssertionError as error:
                raise AssertionError(
                    f"{what}: {planned(self.planned)} is shown, and not {planned(document)}"
                ) from error

    def memory(self) -> list[float]:
        """Return the MiB that each process holds."""
        return [resident(pid) for pid in (self.watching.process.pid, self.editor.pid)]


def said(one: dict[str, Any]) -> str:
    return f"{one['message']}; {one['hint']}" if one["hint"] else str(one["message"])


def shown(found: dict[str, list[lsp.Diagnostic]]) -> Findings:
    every = {
        path: sorted(
            (one.range.start.line + 1, one.range.start.character + 1, str(one.code or ""), one.message) for one in some
        )
        for path, some in found.items()
    }
    return {path: some for path, some in every.items() if some}


def planned(document: dict[str, Any]) -> Any:
    """Return what a plan says that is not clean; the message of one that is none."""
    if "products" not in document:
        return document.get("error", {}).get("message")
    return sorted(
        (one["name"], one["verdict"], one["reason"]) for one in document["products"] if one["verdict"] != "clean"
    )


def resident(pid: int) -> float:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def walk(root: Path, seed: int, steps: int) -> None:
    session = Session(root, seed)
    editor, early = session.editor, list[float]()
    await editor.start(runsPython=True)
    try:
        what = "new project"
        for step in range(steps):
            told = f"seed {seed}, step {step}: {what}"
            wanted = session.checked()
            try:
                await session.shows(wanted)
            except AssertionError as error:
                raise AssertionError(f"{told}: {shown_now(editor)} is shown, and not {wanted}") from error
            session.plans(told)
            if step == max(steps // 5, 10):
                early = session.memory()
            if session.random.random() < 0.3:
                session.build()
            what = session.change()
            session.type()
            editor.files_changed()
        late = session.memory()
        assert all(now < before + _GROWTH_MIB for before, now in zip(early, late, strict=False)), (early, late)
    finally:
        session.watching.close()
        await editor.stop()


def shown_now(editor: Editor) -> Findings:
    prefix = editor.project.root.as_uri() + "/"
    return shown({uri.removeprefix(prefix): some for uri, some in editor.diagnostics.items()})


@pytest.mark.slow
def test_editors_show_what_commands_say(tmp_path: Path) -> None:
    asyncio.run(walk(tmp_path, 1, 6))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_many_edits(tmp_path: Path) -> None:
    seed, steps = os.environ.get("RULES_SOAK_SEED", "1"), os.environ.get("RULES_SOAK_STEPS", "600")
    asyncio.run(walk(tmp_path, int(seed), int(steps)))
