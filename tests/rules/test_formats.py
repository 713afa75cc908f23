"""docs/formats.md lists the version of every format on disk, with its value."""

from __future__ import annotations

import ast
import importlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(
    r"^\|[^|]+\|[^|]+\| `(?P<module>[\w.]+)\.(?P<name>\w+)` \| (?P<value>[^|]+) \|[^|]*\w[^|]*\|$", re.MULTILINE
)
LISTED = {(row["module"], row["name"]): row["value"] for row in ROW.finditer((ROOT / "docs/formats.md").read_text())}
VERSIONED = re.compile(r"_?([A-Z]+_)*(FORMAT|VERSION|EXECUTION|READING|OLDEST)")


def constants() -> dict[tuple[str, str], object]:
    """Return what looks like the version of a format: a number, or numbers by name, in a constant at module level."""
    found: dict[tuple[str, str], object] = {}
    for package in ("cache", "compiler", "graph", "rules"):
        for path in (ROOT / package).rglob("*.py"):
            for statement in ast.parse(path.read_text()).body:
                if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
                    continue
                names = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                for name in names:
                    if isinstance(name, ast.Name) and VERSIONED.fullmatch(name.id):
                        found[module, name.id] = ast.literal_eval(statement.value)
    return found


@pytest.mark.slow
def test_every_version_in_the_code_is_listed() -> None:
    assert LISTED.keys() == constants().keys()


@pytest.mark.parametrize(("module", "name"), LISTED)
def test_a_version_has_the_value_that_is_listed(module: str, name: str) -> None:
    assert getattr(importlib.import_module(module), name) == json.loads(LISTED[module, name])
