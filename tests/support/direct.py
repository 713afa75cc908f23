"""The command line run inside the test's own process: the same code without the time that starting Python takes."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING, Any

from rules.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def run(root: Path, *arguments: str, expect: int = 0) -> dict[str, Any]:
    """Run a command with --json in the project at `root`; return its document. The exit code must be `expect`."""
    output, messages = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(messages):
        code = main([*arguments, "--json", "-C", str(root)])
    assert code == expect, f"exit {code}\n{output.getvalue()}\n{messages.getvalue()}"
    document: dict[str, Any] = json.loads(output.getvalue())
    return document


def build(root: Path, *arguments: str, expect: int = 0) -> dict[str, Any]:
    """Run `rules build --json`."""
    return run(root, "build", *arguments, expect=expect)


def executed(document: dict[str, Any]) -> set[str]:
    """Return the products that a build executed."""
    return {product["name"] for product in document["products"] if product["status"] == "executed"}
