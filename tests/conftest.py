"""Refuse to test the code of another clone, and let no clock decide a test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Many tests run `rules` in processes of their own, which import what is installed, not what stands here."""
    if hasattr(session.config, "workerinput"):
        return
    code = "import importlib.util; print(importlib.util.find_spec('rules').origin)"
    found = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, cwd="/")
    installed = found.stdout.strip()
    if Path(installed).parent != ROOT / "rules":
        raise pytest.UsageError(
            f"{sys.executable} has {installed or 'no rules'} installed, not {ROOT / 'rules'}\n"
            "hint: run the tests by python3 tasks.py test, which installs this clone in an environment of its own"
        )


@pytest.fixture(scope="session", autouse=True)
def _state_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what the tests' processes keep for their user out of the home of who runs them."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
