"""docs/stack.md: its statements are numbered, each is fulfilled or says why not, and the tests that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
STATEMENTS = 77


def rows() -> list[tuple[str, str, str, str]]:
    return ROW.findall((ROOT / "docs/stack.md").read_text(encoding="utf-8"))


def absent(named: str) -> str | None:
    """What a test's name lacks: its file, or the function in it."""
    path, _, function = named.partition("::")
    file = ROOT / path
    if not file.is_file():
        return f"no file {path}"
    text = file.read_text(encoding="utf-8")
    wanted = function or "test_[a-z0-9_]+"  # a file stands for all tests in it
    if not re.search(rf"^(?:async )?def {wanted}\(", text, re.MULTILINE):
        return f"no test {function} in {path}"
    return None


def test_every_statement_is_there_once() -> None:
    assert [int(number) for number, *_ in rows()] == list(range(1, STATEMENTS + 1))
    assert len({statement for _, statement, *_ in rows()}) == STATEMENTS


def test_each_is_fulfilled_and_held_or_says_why_not() -> None:
    for number, statement, how, held in rows():
        fulfilled = not how.startswith("Not fulfilled: ")
        assert fulfilled == (re.fullmatch(r"`tests/[\w/]+\.py(::test_\w+)?`", held) is not None), (number, statement)
        assert fulfilled or held == "—"


def test_the_tests_named_exist() -> None:
    named = [held.strip("`") for *_, held in rows() if held != "—"]
    assert [wrong for one in named if (wrong := absent(one)) is not None] == []


def test_a_test_that_does_not_exist_is_noticed() -> None:
    assert absent("tests/test_stack.py::test_every_statement_is_there_once") is None
    assert absent("tests/test_stack.py::test_every_statement") == "no test test_every_statement in tests/test_stack.py"
    assert absent("tests/nowhere.py::test_x") == "no file tests/nowhere.py"
