"""The sample project fixtures/flights as a build leaves it: built once for all tests of a run, and copied."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

from support.projects import FIXTURES, SampleProject

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def built_flights(temporary: pytest.TempPathFactory, root: Path) -> tuple[SampleProject, dict[str, Any]]:
    """Make the project in `root`, store and all; return it and the document of the build."""
    folder = temporary.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # where all workers find it
    built, document = folder / "built_flights", folder / "built_flights.json"
    with (folder / "built_flights.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not document.exists():
            shutil.rmtree(built, ignore_errors=True)
            project = SampleProject.copy_of(FIXTURES / "flights", built)
            document.write_text(json.dumps(project.build()))
    shutil.copytree(built, root, symlinks=True)
    copied = SampleProject.__new__(SampleProject)
    copied.root = root
    return copied, json.loads(document.read_text())
