"""The hooks of .pre-commit-hooks.yaml, run by the real pre-commit in a git repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.projects import RULES, SampleProject

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / ".pre-commit-hooks.yaml"


class Repository:
    """A git repository. tools: a folder of programs that its hooks find first; home: where pre-commit keeps its own."""

    def __init__(self, root: Path, *, home: Path, tools: Path | None = None) -> None:
        self.root = root
        path = [str(tools)] if tools is not None else []
        path += [one for one in os.environ["PATH"].split(os.pathsep) if Path(one) != RULES.parent]
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
            "PRE_COMMIT_HOME": str(home),
            "PATH": os.pathsep.join(path),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
        }  # fmt: skip
        self.git("init", "-q")
        self.git("add", ".")
        self.git("commit", "-qm", "first")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=self.root, env=self._environment, capture_output=True, text=True, check=False, timeout=900
        )

    def git(self, *words: str, expect: int = 0) -> str:
        done = self.run("git", *words)
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr


def _hooked(project: SampleProject, home: Path, hook: str) -> Repository:
    """Return a project's repository whose commits run a hook of ours, by the `rules` that is installed here."""
    project.write(".pre-commit-config.yaml", _local(hook))
    repository = Repository(project.root, home=home, tools=RULES.parent)
    repository.run(sys.executable, "-m", "pre_commit", "install")
    return repository


def _local(hook: str) -> str:
    """Return a configuration with a hook of the manifest that takes the installed `rules`, which needs no network."""
    (block,) = re.findall(rf"^- id: {hook}\n(?:  .*\n)+", MANIFEST.read_text(), flags=re.MULTILINE)
    assert "language: python" in block
    hooks = "".join(f"    {line}\n" for line in block.replace("language: python", "language: system").splitlines())
    return f"repos:\n- repo: local\n  hooks:\n{hooks}"


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["orders"])
    sample.parquet("orders", {"id": [1, 2], "amount": [10, 20]})
    sample.sql("large", "SELECT o.id, o.amount FROM orders AS o")
    sample.write(".gitignore", ".rules/\n")
    return sample


def test_the_manifest_is_valid() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-manifest", str(MANIFEST)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_a_commit_with_unqualified_sql_is_rejected_and_the_fixed_one_passes(
    project: SampleProject, tmp_path: Path
) -> None:
    repository = _hooked(project, tmp_path / "home", "rules-check")
    project.sql("total", "SELECT SUM(amount) AS total\nFROM large AS l")
    repository.git("add", ".")
    assert "rules/total.sql:1:12: R001" in repository.git("commit", "-m", "total", expect=1)
    project.sql("total", "SELECT SUM(l.amount) AS total\nFROM large AS l")
    repository.git("add", ".")
    repository.git("commit", "-m", "total")


@pytest.mark.slow
def test_what_is_staged_is_checked(project: SampleProject, tmp_path: Path) -> None:
    """What breaks a rule may stand in another file; what is not staged does not count, for better or worse."""
    project.sql("total", "SELECT SUM(l.amount) AS total FROM large AS l")
    repository = _hooked(project, tmp_path / "home", "rules-check")
    project.sql("large", "SELECT o.id, o.amount AS amt FROM orders AS o")
    repository.git("add", ".")
    project.sql("large", "SELECT o.id, o.amount FROM orders AS o  -- good, but not staged")
    assert "rules/total.sql:1:14: R003" in repository.git("commit", "-m", "renamed", expect=1)
    repository.git("add", ".")
    project.sql("large", "SELECT id FROM orders AS o  -- bad, but not staged")
    repository.git("commit", "-m", "good")
    assert "not staged" in project.read("rules/large.sql")


@pytest.mark.slow
def test_the_fixing_hook_fixes_and_asks_to_look(project: SampleProject, tmp_path: Path) -> None:
    repository = _hooked(project, tmp_path / "home", "rules-check-fix")
    project.sql("total", "SELECT SUM(amount) AS total FROM large AS l")
    repository.git("add", ".")
    assert "files were modified by this hook" in repository.git("commit", "-m", "total", expect=1)
    assert project.read("rules/total.sql") == "SELECT SUM(l.amount) AS total FROM large AS l\n"
    repository.git("add", ".")
    repository.git("commit", "-m", "total")


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_the_hooks_install_themselves_from_this_repository(project: SampleProject, tmp_path: Path) -> None:
    """As a user has it: pre-commit clones this repository and installs it from a registry into its own environment.

    The project is a folder of the user's repository.
    """
    home = tmp_path / "home"
    ours = Repository(_copy_of_this_repository(tmp_path / "ours"), home=home)
    users = Repository(_beside_other_folders(project, tmp_path / "users"), home=home)
    shown = {}
    for hook in ("rules-check", "rules-check-fix"):
        users.root.joinpath(".pre-commit-config.yaml").write_text(
            f"repos:\n- repo: {ours.root}\n  rev: {ours.git('rev-parse', 'HEAD').strip()}\n"
            f"  hooks:\n  - id: {hook}\n    args: [-C, data]\n"
        )
        users.run(sys.executable, "-m", "pre_commit", "install")
        users.root.joinpath("data/rules/total.sql").write_text("SELECT SUM(amount) AS total\nFROM large AS l\n")
        users.git("add", ".")
        shown[hook] = users.git("commit", "-m", "total", expect=1)
    assert "rules/total.sql:1:12: R001" in shown["rules-check"]
    assert "files were modified by this hook" in shown["rules-check-fix"]
    assert users.root.joinpath("data/rules/total.sql").read_text() == "SELECT SUM(l.amount) AS total\nFROM large AS l\n"
    users.git("add", ".")
    users.git("commit", "-m", "total")
    assert len(list(home.glob("repo*/py_env*/bin/rules"))) == 1


def _copy_of_this_repository(target: Path) -> Path:
    """Copy what a commit of the working tree would hold."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.split("\0"):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


def _beside_other_folders(project: SampleProject, target: Path) -> Path:
    target.mkdir()
    project.root.rename(target / "data")
    (target / "other.sql").write_text("not ours\n")
    return target
