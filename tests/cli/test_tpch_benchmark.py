"""The comparison of TPC-H rules that run alone, in its short form: every engine answers, with a line for each query."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.service
@pytest.mark.timeout(300)
def test_rules_alone_are_compared(tmp_path: Path) -> None:
    words = ["q01", "q06", "--scale", "0.1", "--runs", "1"]
    command = [sys.executable, "-m", "benchmarks.tpch.alone", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for query in ("q01", "q06"):
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(query)]
        figures = [float(word) for word in re.findall(r"\d+\.\d+", line)]
        assert len(figures) == 9
        assert all(one > 0 for one in figures)
