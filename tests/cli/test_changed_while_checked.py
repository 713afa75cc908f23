"""A file that changes while `rules check` runs: what is told is of the file as it was read, and is not remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import rules.lint.project as linting
from support.inprocess import run
from support.projects import SampleProject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUERY = "SELECT * FROM large WHERE amount > 5"
CHECK = f'\n[[contracts.large.checks]]\nname = "few"\nsql = "{QUERY}"\n'
IN_RULE = f'-- /// rule\n-- [[checks]]\n-- name = "few"\n-- sql = "{QUERY}"\n-- ///\n'
LARGE = "SELECT o.id, o.amount FROM orders AS o"


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["orders"], toml="\n[vars]\nidle = 1\n")
    sample.parquet("orders", {"id": [1, 2, 3], "amount": [10, 20, 20]})
    sample.sql("large", LARGE)
    return sample


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Do something once the rules have been loaded, the next time that they are."""

    def arrange(change: Callable[[], Any]) -> None:
        load, pending = linting.load_rules, [change]

        def then(*arguments: Any, **options: Any) -> Any:
            loaded = load(*arguments, **options)
            if pending:
                pending.pop()()
            return loaded

        monkeypatch.setattr(linting, "load_rules", then)

    return arrange


def test_a_check_of_rules_toml_that_is_gone(
    project: SampleProject, meanwhile: Callable[[Callable[[], Any]], None]
) -> None:
    before = project.read("rules.toml")
    project.write("rules.toml", before + CHECK)
    told = run(project, "check", expect=1).stdout
    assert "rules.toml:12:15" in told, told
    project.write("rules.toml", before + "\n" + CHECK)
    meanwhile(lambda: project.write("rules.toml", "= no TOML"))
    assert "rules.toml:13:15" in run(project, "check", expect=1).stdout, "the file as it was read"


def test_a_check_of_a_rule_that_is_gone(project: SampleProject, meanwhile: Callable[[Callable[[], Any]], None]) -> None:
    project.sql("large", IN_RULE + LARGE)
    meanwhile(lambda: project.sql("large", LARGE))
    assert "rules/large.sql changed while it was read" in run(project, "check", expect=1).stderr
    assert "few" not in run(project, "check", expect=None).stdout


def test_what_was_found_before_is_not_said_again(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "R014" in run(project, "check", expect=1).stdout
    changed = project.read("rules.toml").replace("idle = 1\n", "idle = 1\nmore = 2\n")
    real = linting.check_project

    def then(*arguments: Any, **options: Any) -> Any:
        project.write("rules.toml", changed)  # which was read already
        return real(*arguments, **options)

    project.write("rules.toml", project.read("rules.toml") + "\n")
    with monkeypatch.context() as patch:
        patch.setattr(linting, "check_project", then)
        run(project, "check", expect=1)
    assert run(project, "check", expect=1).stdout.count("R014") == 2
