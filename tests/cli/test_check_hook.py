"""The hooks of .pre-commit-hooks.yaml, run by the real pre-commit in a git repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.projects import RULES, SampleProject

MANIFEST = Path(__file__).parents[2] / ".pre-commit-hooks.yaml"


class Repository:
    """A project in a git repository whose commits run a hook of ours, by the `rules` that is installed here."""

    def __init__(self, project: SampleProject, home: Path, hook: str) -> None:
        self.project = project
        self._environment = {
            **os.environ,
            "PRE_COMMIT_HOME": str(home),
            "PATH": f"{RULES.parent}{os.pathsep}{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
        }  # fmt: skip
        project.write(".pre-commit-config.yaml", _config(hook))
        self.git("init", "-q")
        self.git("add", ".")
        self.git("commit", "-qm", "first")
        self.run(sys.executable, "-m", "pre_commit", "install")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.project.root,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    def git(self, *words: str, expect: int = 0) -> str:
        done = self.run("git", *words)
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr


def _config(hook: str) -> str:
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


def test_a_commit_with_unqualified_sql_is_rejected_and_the_fixed_one_passes(
    project: SampleProject, tmp_path: Path
) -> None:
    repository = Repository(project, tmp_path / "home", "rules-check")
    project.sql("total", "SELECT SUM(amount) AS total\nFROM large AS l")
    repository.git("add", ".")
    assert "rules/total.sql:1:12: R001" in repository.git("commit", "-m", "total", expect=1)
    project.sql("total", "SELECT SUM(l.amount) AS total\nFROM large AS l")
    repository.git("add", ".")
    repository.git("commit", "-m", "total")


def test_what_is_staged_is_checked(project: SampleProject, tmp_path: Path) -> None:
    """What breaks a rule may stand in another file; what is not staged does not count, for better or worse."""
    project.sql("total", "SELECT SUM(l.amount) AS total FROM large AS l")
    repository = Repository(project, tmp_path / "home", "rules-check")
    project.sql("large", "SELECT o.id, o.amount AS amt FROM orders AS o")
    repository.git("add", ".")
    project.sql("large", "SELECT o.id, o.amount FROM orders AS o  -- good, but not staged")
    assert "rules/total.sql:1:14: R003" in repository.git("commit", "-m", "renamed", expect=1)
    repository.git("add", ".")
    project.sql("large", "SELECT id FROM orders AS o  -- bad, but not staged")
    repository.git("commit", "-m", "good")
    assert "not staged" in project.read("rules/large.sql")


def test_the_fixing_hook_fixes_and_asks_to_look(project: SampleProject, tmp_path: Path) -> None:
    repository = Repository(project, tmp_path / "home", "rules-check-fix")
    project.sql("total", "SELECT SUM(amount) AS total FROM large AS l")
    repository.git("add", ".")
    assert "files were modified by this hook" in repository.git("commit", "-m", "total", expect=1)
    assert project.read("rules/total.sql") == "SELECT SUM(l.amount) AS total FROM large AS l\n"
    repository.git("add", ".")
    repository.git("commit", "-m", "total")
