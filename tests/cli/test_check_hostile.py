"""Files that nobody should have written: each command says what is wrong, and where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.counting import work_of
from support.inprocess import run
from support.projects import SampleProject

FILES = {
    "binary": (bytes(range(1, 256)) * 40, "2:118"),
    "UTF-16": ("SELECT o.id FROM orders AS o".encode("utf-16-le"), "1:2"),
    "not UTF-8 at the end": (b"SELECT o.id FROM orders AS o -- \xff", "1:33"),
    "a NUL": (b"SELECT o.id\nFROM\0 orders AS o", "2:5"),
    "an unterminated string": (b"SELECT o.id,\r\n'abc FROM orders AS o", "2:1"),
    "an unterminated comment": (b"SELECT o.id /* FROM orders AS o", "1:13"),
    "an unterminated name behind a BOM": (b'\xef\xbb\xbfSELECT o."id FROM orders AS o', "1:10"),
    "nothing": (b"", "1:1"),
    "only comments": (b"-- nothing\n/* at all */\n", "1:1"),
    "100,000 parentheses": (b"SELECT " + b"(" * 100_000, "1:100007"),
}
NO_TEXT = {"binary", "UTF-16", "not UTF-8 at the end", "a NUL"}
MOST_GROWTH = 2.6
"""Work for twice the size: 2 when it grows with it, 4 when with its square."""


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "sample", sources=["orders"])
    sample.parquet("orders", {"id": [1, 2], "amount": [10, 20]})
    sample.sql("one", "SELECT o.id FROM orders AS o")
    return sample


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("words", [("check",), ("check", "--fix"), ("check", "--diff"), ("build",)], ids=" ".join)
def test_a_file_that_is_no_rule_is_told_with_its_place(
    project: SampleProject, name: str, words: tuple[str, ...]
) -> None:
    content, place = FILES[name]
    path = project.root / "rules" / "one.sql"
    path.write_bytes(content)
    unreadable = words == ("build",) and name in NO_TEXT
    ran = run(project, *words, expect=2 if unreadable else 0 if "--diff" in words else 1)
    said = ran.stdout + ran.stderr
    assert "Traceback" not in said
    if "--diff" not in words:
        assert f"rules/one.sql:{place}" in said
    assert path.read_bytes() == content


@pytest.mark.slow
@pytest.mark.parametrize(
    "form",
    [
        pytest.param(
            lambda n: f"SELECT {', '.join(f'amount AS c{i}' for i in range(n))} FROM orders AS o", id="columns"
        ),
        pytest.param(lambda n: f"SELECT id FROM orders AS o WHERE id IN ({', '.join(map(str, range(n)))})", id="IN"),
    ],
)
def test_fixing_grows_with_the_rule_and_not_with_its_square(project: SampleProject, form: Callable[[int], str]) -> None:
    def work(size: int) -> int:
        project.sql("one", form(size))
        return sum(work_of(lambda: run(project, "check", "--fix")).values())

    work(10)  # what only the first run does
    assert work(240) < MOST_GROWTH * work(120)


@pytest.mark.slow
def test_a_very_large_rule_is_checked_and_not_fixed(project: SampleProject) -> None:
    text = f"SELECT o.id FROM orders AS o WHERE id IN ({', '.join(map(str, range(60_000)))})"
    project.sql("one", text)
    ran = run(project, "check", "--fix", expect=1)
    assert "rules/one.sql:1:36: R001" in ran.stdout
    assert "can be fixed" not in ran.stdout
    assert text in project.read("rules/one.sql")
