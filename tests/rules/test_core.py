"""The core of a process: what its runs share and what they redo, and what a bug of ours costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rules.core import Core
from rules.lint import project as linting
from rules.loading import rules as loading
from rules.lsp.workbench import Workbench
from rules.planning.prepared import Request
from support.observers import Silent
from support.projects import SampleProject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def sample(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["orders"])
    sample.parquet("orders", {"id": [1, 2, 3], "amount": [10.5, 20.0, 30.0]})
    sample.sql("large", "SELECT o.id, o.amount FROM orders AS o WHERE o.amount > 10")
    for number in range(5):
        sample.sql(f"reader_{number}", f"SELECT l.id, l.amount + {number} AS amount FROM large AS l")
    return sample


def calls(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[str]:
    """Note the paths or names of the rules that a function is called with."""
    real: Callable[..., Any] = getattr(module, name)
    seen: list[str] = []

    def noted(*arguments: Any, **more: Any) -> Any:
        seen.append(next(str(getattr(one, "name", one)) for one in arguments[1:]))
        return real(*arguments, **more)

    monkeypatch.setattr(module, name, noted)
    return seen


def test_an_edit_is_all_that_is_read_and_looked_at_again(
    sample: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = Core(sample.root)
    core.build(Request(), Silent())
    core.check(Silent().say)
    parsed, looked = calls(monkeypatch, loading, "_parse"), calls(monkeypatch, linting, "_looked_at")
    found = calls(monkeypatch, linting, "_look")
    sample.edit("rules/large.sql", "FROM", "-- a word\nFROM")
    before = core.plan(Request(), Silent())
    assert parsed == ["rules/large.sql"]
    assert {one.verdict for one in before.judgements.values()} == {"clean"}
    after = core.plan(Request(), Silent())
    assert parsed == ["rules/large.sql"]
    assert all(one is before.judgements[name] for name, one in after.judgements.items())
    core.check(Silent().say)
    assert len(looked) == 6
    assert found == ["large"]
    draft = {"rules/large.sql": "SELECT o.id, o.amount FROM orders AS o WHERE o.amount > 20"}
    core.check(Silent().say, draft)
    assert found == ["large", "large"]  # its columns are the same, so its readers are not looked at


def test_a_bug_costs_one_finding(sample: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    real = linting.check_rule

    def check_rule(text: str, *arguments: Any, **more: Any) -> Any:
        if "crash" in text:
            raise AssertionError("an invariant")
        return real(text, *arguments, **more)

    monkeypatch.setattr(linting, "check_rule", check_rule)
    bench = Workbench(sample.root, runs_python=False)
    assert not bench.check(Silent().say).findings
    bench.open("rules/large.sql", "SELECT o.id, o.amount FROM orders AS o -- crash")
    known = bench.check(Silent().say)
    ((path, (one,)),) = known.findings.items()
    assert path == "rules/large.sql"
    assert "internal error: AssertionError: an invariant" in one.found.message
    bench.open("rules/large.sql", sample.read("rules/large.sql"))
    assert not bench.check(Silent().say).findings


def test_very_large_texts_are_not_outlined(sample: SampleProject) -> None:
    bench = Workbench(sample.root, runs_python=False)
    bench.check(Silent().say)
    bench.open("rules/large.sql", f"SELECT o.id FROM orders AS o WHERE o.id IN ({', '.join(['1'] * 400_000)})")
    assert bench.outline("rules/large.sql") is None
    assert bench.outline("rules/reader_1.sql") is not None
