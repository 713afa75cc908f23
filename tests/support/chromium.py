"""Open a page in Chromium, without a window, and return what a script in it reports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--virtual-time-budget=20000",
)  # fmt: skip
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium")


def report_of(url: str, profile: Path, *, width: int = 1400) -> dict[str, Any]:
    """Return the JSON in `<pre id="report">` of a page once its scripts have run.

    profile: a folder for the browser's own files. width: of the window, in pixels.
    """
    assert CHROMIUM is not None
    command = [CHROMIUM, *_FLAGS, f"--window-size={width},900", f"--user-data-dir={profile}", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="report">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-2000:]
    report: dict[str, Any] = json.loads(unescape(found[1]))
    return report
