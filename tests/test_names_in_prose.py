"""Every file, module, function and test that a comment, a docstring or a document names exists."""

from __future__ import annotations

import ast
import importlib
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = "rules|compiler|cache|graph"
PATH = re.compile(
    rf"(?<![\w./-])((?:(?:{OURS})/[\w./-]+\.py|(?:tests|fixtures|docs|benchmarks)/[\w./-]+\.(?:py|md|sql|json|txt|toml)))\b"
)
MODULE = re.compile(rf"`((?:{OURS})(?!\.(?:py|toml)`)(?:\.\w+)+)(?:\(\))?`")
TEST = re.compile(r"\b(test_\w+)\.py\b")
DOCUMENT = re.compile(r"\b([A-Z]{4,}\.md)\b")
ELSEWHERE = {
    "rules/sales.py", "rules/helpers.py", "tests/daily.toml", "tests/daily.sql", "benchmarks/results/results.json",
    "rules.preview", "rules.vsix", "rules.command", "rules.runsPython",
}  # fmt: skip
"""Files of an imagined project, in documents for users, what is written by a command, and what editors know."""
HISTORY = {"CHANGELOG.md"}
"""Names what was, too."""


@cache
def tracked() -> tuple[str, ...]:
    found = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(name for name in found.splitlines() if (ROOT / name).is_file())


@cache
def stems() -> frozenset[str]:
    return frozenset(Path(name).stem for name in tracked())


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the comments and docstrings of a module, or the lines of a document, each with its line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        for statement in getattr(node, "body", []) if isinstance(getattr(node, "body", None), list) else []:
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield from enumerate(value.value.splitlines(), value.lineno)


@cache
def exists(dotted: str) -> bool:
    """Whether a dotted name is one of a module, or of what a module has."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for name in parts[end:]:
            fields = getattr(found, "__annotations__", {})
            if not hasattr(found, name) and name not in fields:
                return False
            found = getattr(found, name, None)
        return True
    return False


def missing(line: str) -> Iterator[str]:
    for path in PATH.findall(line):
        if not (ROOT / path).exists() and path not in ELSEWHERE:
            yield path
    for name in MODULE.findall(line):
        if name not in ELSEWHERE and not exists(name):
            yield name
    yield from (name for name in DOCUMENT.findall(line) if not (ROOT / name).exists())
    for name in TEST.findall(line):
        if name not in stems():
            yield f"{name}.py"


@pytest.mark.slow
def test_every_name_exists() -> None:
    wrong = []
    for name in tracked():
        if not name.endswith((".py", ".md")) or name in HISTORY or name.startswith("fixtures/"):
            continue
        for number, line in prose(ROOT / name):
            wrong += [f"{name}:{number}: {one}" for one in missing(line)]
    assert not wrong, "\n".join(wrong)


def test_what_does_not_exist_is_found() -> None:
    line = "see `rules.build.prepare`, `compiler.nothing.here`, rules/build.py, rules/nowhere.py and test_nothing.py"
    assert list(missing(line)) == ["rules/nowhere.py", "compiler.nothing.here", "test_nothing.py"]


def test_architecture_shows_every_folder() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    section = {name: page.split(f"## The folders of `{name}`")[1].split("\n## ")[0] for name in ("rules", "compiler")}
    rooms = {
        (package, Path(name).relative_to(package))
        for package in section
        for name in tracked()
        if name.startswith(f"{package}/")
    }
    folders = {(package, path.parts[0]) for package, path in rooms if len(path.parts) > 1}
    assert ("rules", "planning") in folders
    assert sorted(one for one in folders if f"{one[1]}/`" not in section[one[0]]) == []


def test_names_in_the_table_of_architecture_exist() -> None:
    """The table of where to add something names constants and classes beside the file that has them."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    pairs = re.findall(r"`(\w+)`(?: and `\w+`)? (?:in|of) `([\w/]+\.py)`", page)
    assert len(pairs) > len({"COMMANDS", "Format", "CHECKS", "make_plan"})
    assert [(name, path) for name, path in pairs if not re.search(rf"\b{name}\b", (ROOT / path).read_text())] == []
