"""A commit's rules beside the work tree: rules.toml and rule files as git has them, in a temporary folder.

Blobs are read as they were committed, without the filters, attributes and line endings of a checkout; the work tree,
git's index and its settings are left alone.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rules.config.project import Project, load_project
from rules.errors import UserError, UserErrors
from rules.files.project_paths import FILE

_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""Set while git runs a hook, for the hook's own folder."""
_LINK, _FILES = "120000", ("100644", "100755")


@dataclass(frozen=True)
class Revision:
    """A project as a commit has it. project: with its root in a temporary folder; commit: in full."""

    ref: str
    commit: str
    project: Project


@contextlib.contextmanager
def checked_out(root: Path, ref: str) -> Iterator[Revision]:
    """Hand over the project at `root` as the commit `ref` has it. Raises `UserError`."""
    git = _Git(root)
    commit, prefix = git.commit(ref), git.prefix()
    with tempfile.TemporaryDirectory(prefix="rules-") as folder, at_ref(ref):
        top = Path(folder).resolve()
        inside = top / prefix
        configuration = git.blob(f"{commit}:{prefix}{FILE}")
        if configuration is None:
            message = f"{ref} has no {prefix}{FILE}"
            raise UserError(message, code="no-project-there", hint="it was committed later, or the project was moved")
        inside.mkdir(parents=True, exist_ok=True)
        (inside / FILE).write_bytes(configuration)
        project = load_project(inside, data=root)
        folders = [posixpath.normpath(posixpath.join(prefix, rules)) for rules in project.rule_folders]
        # Rule files in Python import others, from anywhere in the project.
        git.write(commit, folders, posixpath.normpath(prefix), top)
        for rules in project.rule_folders:
            if (inside / rules).resolve().is_relative_to(top):
                (inside / rules).mkdir(parents=True, exist_ok=True)  # git keeps no empty folders
        yield Revision(ref, commit, project)


@contextlib.contextmanager
def at_ref(ref: str) -> Iterator[None]:
    """Say of errors raised inside that they are about `ref` and not about the work tree."""
    try:
        yield
    except UserError as error:
        error.facts.setdefault("commit", ref)
        raise
    except UserErrors as several:
        for one in several.errors:
            one.facts.setdefault("commit", ref)
        raise


class _Git:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._environment = {name: value for name, value in os.environ.items() if name not in _HOOK}

    def commit(self, ref: str) -> str:
        """Return the full name of a commit. Raises `UserError`."""
        found = self._run("rev-parse", "--git-dir")
        if found.returncode:
            facts = {"git": _text(found.stderr)}
            hint = "--against needs a project that git knows"
            raise UserError(f"{self._root} is not in a git repository", code="no-git", facts=facts, hint=hint)
        named = self._run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        if named.returncode or ref.startswith("-"):
            hint = "name a commit, branch or tag, such as HEAD, HEAD~3, main"
            raise UserError(f"git knows no commit '{ref}'", code="unknown-ref", hint=hint)
        return _text(named.stdout)

    def prefix(self) -> str:
        """Return the project's folder in the repository, "" or ending in "/"."""
        return os.fsdecode(self._checked("rev-parse", "--show-prefix")).removesuffix("\n")

    def blob(self, name: str) -> bytes | None:
        """Return a committed file, None if there is none."""
        found = self._run("cat-file", "blob", name)
        return found.stdout if found.returncode == 0 else None

    def write(self, commit: str, paths: Iterable[str], project: str, target: Path) -> None:
        """Write the rule files below some paths of a commit, and the Python files of the project, into a folder."""
        rules = [path for path in paths if not path.startswith(("../", "/"))]
        inside = [*rules, project]
        if not inside:
            return
        listed = self._checked(
            "ls-tree", "-r", "-z", "--full-tree", commit, "--", *(inside if "." not in inside else ())
        )
        wanted: list[tuple[str, str]] = []
        for entry in filter(None, listed.split(b"\0")):
            facts, _, name = entry.partition(b"\t")
            mode, _, blob = os.fsdecode(facts).split(" ")
            path = os.fsdecode(name)
            wanted_text = path.endswith(".sql") and any(folder == "." or _is_below(path, folder) for folder in rules)
            if mode == _LINK or (mode in _FILES and (wanted_text or path.endswith(".py"))):
                wanted.append((path, blob if mode in _FILES else f"link {blob}"))
        for (path, blob), data in zip(wanted, self._blobs([blob.split(" ")[-1] for _, blob in wanted]), strict=True):
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if not blob.startswith("link "):
                file.write_bytes(data)
            elif _stays_inside(path, os.fsdecode(data)):
                file.symlink_to(os.fsdecode(data))

    def _blobs(self, names: list[str]) -> Iterator[bytes]:
        """Yield the content of blobs, in order, from one process."""
        data = self._checked("cat-file", "--batch", standard_input="".join(f"{name}\n" for name in names).encode())
        position = 0
        for _ in names:
            end = data.index(b"\n", position)
            size = int(data[position:end].split(b" ")[2])
            yield data[end + 1 : end + 1 + size]
            position = end + 1 + size + 1

    def _checked(self, *words: str, standard_input: bytes = b"") -> bytes:
        done = self._run(*words, standard_input=standard_input)
        if done.returncode:
            raise UserError(f"git {words[0]} failed", code="git", facts={"git": _text(done.stderr)})
        return done.stdout

    def _run(self, *words: str, standard_input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603 — no shell, and a ref is taken as a ref only
                ["git", *words],  # noqa: S607 — the user's own git
                cwd=self._root,
                env=self._environment,
                input=standard_input,
                capture_output=True,
                check=False,
            )
        except OSError as error:
            raise UserError(f"git cannot be run: {error.strerror}", code="no-git", hint="install git") from error


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")


def _stays_inside(path: str, link: str) -> bool:
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    return not posixpath.isabs(link) and not target.startswith("..")


def _text(data: bytes) -> str:
    return data.decode(errors="replace").strip()
