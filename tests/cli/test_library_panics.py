"""A panic of a library written in Rust, which is no `Exception`, ends a command with one message and no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from rules.commands import ls
from support import inprocess
from support.projects import SampleProject


def test_a_panic_of_a_library_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})

    def run(*_: object) -> int:
        raise panic("called `Result::unwrap()` on an `Err` value")

    monkeypatch.setattr(ls, "run", run)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ran = inprocess.run(SampleProject(tmp_path / "a"), "ls", expect=3)
    assert ran.stderr.startswith("error: internal error: PanicException: called")
    assert "Traceback" not in ran.stderr
