"""The workflow in docs/ci.md: its commands, run one after the other in a clone as a pull request's job would."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from support.projects import RULES, SampleProject

DOCS = Path(__file__).resolve().parents[2] / "docs" / "ci.md"


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.slow
def test_the_commands_of_the_workflow_build_and_write_the_comment(tmp_path: Path) -> None:
    block = re.search("```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert block is not None
    workflow = yaml.safe_load(block[1])
    runs = [step["run"] for step in workflow["jobs"]["build"]["steps"] if "run" in step]
    ours = [run for run in runs if not run.startswith(("pip ", "gh "))]
    assert len(ours) == 5, runs
    project = SampleProject(tmp_path / "origin", sources=["orders"])
    project.parquet("orders", {"id": [1, 2, 3], "amount": [1, 2, 3]})
    project.sql("large", "SELECT o.id FROM orders AS o WHERE o.amount > 1")
    project.write(".gitignore", ".rules\n")
    git(project.root, "init", "-q", "-b", "main")
    git(project.root, "add", "-A")
    git(project.root, "commit", "-q", "-m", "base")
    git(tmp_path, "clone", "-q", str(project.root), "clone")
    clone = tmp_path / "clone"
    environment = {
        **os.environ,
        "PATH": f"{Path(RULES).parent}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_BASE_REF": "main",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "RULES_STORE": "",
    }
    subprocess.run([RULES, "build", "-q"], cwd=clone, check=True)  # as the base branch's job did
    (clone / "rules" / "large.sql").write_text("SELECT o.id FROM orders AS o WHERE o.amount > 2\n")
    for run in ours:
        done = subprocess.run(
            ["bash", "-e", "-c", run], cwd=clone, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (run, done.stdout, done.stderr)
    text = (tmp_path / "summary.md").read_text()
    assert text == (clone / "diff.md").read_text()
    assert text.startswith("### 1 rule differs from origin/main\n")
    assert "<b>large</b>: 2 → 1 rows: 0 added, 1 removed</summary>" in text
