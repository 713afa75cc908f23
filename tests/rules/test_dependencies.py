"""What our packages import is what they declare: an environment without development tools has it."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("rules", "compiler", "cache", "graph")


def imported(package: str) -> set[str]:
    """Return the top names of all modules that are imported anywhere in a package, also late."""
    found: set[str] = set()
    for path in (ROOT / package).rglob("*.py"):
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                names |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.partition(".")[0])
        place = path.relative_to(ROOT).as_posix()
        found |= names - {
            name for where, brought in (EXTRAS | ELSEWHERE).items() if place.startswith(where) for name in brought
        }
    return found - set(PACKAGES) - sys.stdlib_module_names - {"_typeshed"}  # which type checkers alone know


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {
    "rules/python/series.py": {"pandas"},
    "cache/remote/obstore_bucket.py": {"obstore"},
    "cache/remote/obstore_errors.py": {"obstore"},
    "cache/remote/outside_store.py": {"obstore"},
    "cache/remote/signing.py": {"cryptography"},
    "rules/formats/delta_log.py": {"deltalake"},
    "rules/formats/iceberg_metadata.py": {"pyiceberg"},
    "rules/watching/changes.py": {"watchfiles"},
    "rules/lsp/": {"lsprotocol", "pygls"},
    "rules/importing/warehouse.py": {"duckdb"},
    "rules/engine/spark/": {"obstore", "pyspark"},
    "rules/openlineage/": {"openlineage"},
    "rules/publishing/delta_target.py": {"deltalake"},
    "rules/publishing/iceberg_tables.py": {"pyiceberg"},
    "rules/publishing/iceberg_target.py": {"pyiceberg"},
    "rules/publishing/postgresql.py": {"adbc_driver_manager", "adbc_driver_postgresql"},
}
"""The file or folder that imports what an extra brings; who calls it says so where that is missing."""
CALLED_OTHERWISE = {"openlineage": "openlineage-python", "pyspark": "pyspark-client"}
"""The distribution that brings a name, where it has another."""
CALLED_BY_OTHERS = {"pyroaring"}
"""Distributions of extras that another one of them calls, which does without."""
ELSEWHERE = {"rules/importing/sqlmesh_export.py": {"pandas", "sqlmesh"}}
"""What runs in the interpreter of another tool."""


def declared() -> set[str]:
    return {normal(re.split(r"[^\w.-]", one)[0]) for one in PROJECT["dependencies"]}


def locked() -> set[str]:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return {normal(name) for name in re.findall(r"(?m)^([\w.-]+)==", text)}


@pytest.mark.slow
def test_what_is_imported_is_declared() -> None:
    distributions = packages_distributions()
    names = {name for package in PACKAGES for name in imported(package)}
    assert {"datafusion", "ibis", "sqlglot"} <= names
    missing = {name for name in names if not {normal(one) for one in distributions.get(name, ())} & declared()}
    assert missing == set()


def test_extras_are_declared() -> None:
    brought = {
        normal(re.split(r"[^\w.-]", one)[0]) for extra in PROJECT["optional-dependencies"].values() for one in extra
    }
    called = {CALLED_OTHERWISE.get(name, normal(name)) for names in EXTRAS.values() for name in names}
    assert called | CALLED_BY_OTHERS == brought


def test_what_is_declared_is_locked() -> None:
    assert declared() <= locked()
