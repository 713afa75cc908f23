"""Headless Neovim on a project, driven by scripts in Lua (fixtures/neovim)."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from support.projects import FIXTURES, RULES

if TYPE_CHECKING:
    from support.projects import SampleProject

NVIM = shutil.which("nvim")
SCRIPTS = FIXTURES / "neovim"
MARK = "<!-- made by fixtures/make_editor_recording.py -->\n"
"""Before the recording in docs/editors.md."""


def edited(project: SampleProject, steps: str) -> Any:
    """Run steps in Neovim; return what they found."""
    assert NVIM is not None
    result, script = project.root.parent / "result.json", project.root.parent / "session.lua"
    prelude = (SCRIPTS / "prelude.lua").read_text().replace("RESULT", str(result)).replace("COMMAND", str(RULES))
    guarded = (
        f"local ok, problem = pcall(function()\n{steps}\nend)\nif not ok then found.problem = tostring(problem) end\n"
    )
    script.write_text(f"{prelude}\n{guarded}finish()\n")
    arguments = [NVIM, "--headless", "-u", "NONE", "-i", "NONE", "-n", "-S", str(script)]
    done = subprocess.run(arguments, cwd=project.root, capture_output=True, text=True, timeout=280, check=False)
    assert result.exists(), done.stderr
    found = json.loads(result.read_text())
    assert "problem" not in found, found
    return found


def sessions(project: SampleProject) -> dict[str, dict[str, Any]]:
    """Run the sessions of fixtures/neovim in one Neovim; return facts and recorded lines of each, by name."""
    found = edited(project, (SCRIPTS / "sessions.lua").read_text())
    return {one["name"]: one for one in found}


def recording(found: dict[str, dict[str, Any]]) -> str:
    """Return what was done and seen in sessions, as docs/editors.md has it."""
    lines = [line.rstrip() for name, one in found.items() for line in (f"# {name}", *one["lines"], "")]
    return "\n".join(["```text", *lines[:-1], "```", ""])
