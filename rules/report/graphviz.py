"""Runs Graphviz, a program that lays graphs out in layers."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

from rules.errors import FAILED, UserError

_PROGRAM = "graphviz-pure"


def run_graphviz(source: str, form: str, hint: str = "") -> str:
    """Return a digraph laid out, as "svg" or "plain". hint: what to do without it. Raises `UserError` without it."""
    installed = Path(sysconfig.get_path("scripts"), _PROGRAM)
    program = str(installed) if installed.is_file() else shutil.which(_PROGRAM)
    if program is None:
        message = f"the page needs {_PROGRAM} for its layout, which is not installed"
        hint = f"python -m pip install {_PROGRAM}{hint}"
        raise UserError(message, code="no-layout", hint=hint, exit_code=FAILED)
    ran = subprocess.run([program, f"-T{form}"], input=source.encode(), capture_output=True, check=True)  # noqa: S603
    return ran.stdout.decode()
