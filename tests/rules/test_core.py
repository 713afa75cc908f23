"""The core of a process: what its runs share and what they redo, and what a bug of ours costs."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from cache.errors import StoreError
from cache.objects import Objects
from compiler.diff import describe, edit_script
from rules.config.profiles import Profile
from rules.core import Core
from rules.errors import UserError
from rules.lint import project as linting
from rules.lint import rule_checks, rule_records
from rules.loading import load_rules as loading
from rules.lsp.workbench import Workbench
from rules.planning.prepared import Request
from rules.running.evidence import Evidence, Run
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


def test_an_edit_that_no_build_has_seen_is_compared_once(
    sample: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = Core(sample.root)
    core.build(Request(), Silent())
    compared = list[str]()

    def noted(module: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(module, name)

        def compare(*trees: Any) -> Any:
            compared.append(name)
            return real(*trees)

        monkeypatch.setattr(module, name, compare)

    noted(edit_script, "edit_script")
    noted(describe, "describe")
    for number in range(3):
        sample.sql(f"reader_{number}", f"SELECT l.id, l.amount * {number + 2} AS amount FROM large AS l")
    first = core.plan(Request(), Silent()).plan.judgements
    assert sorted(compared) == ["describe"] * 3 + ["edit_script"] * 3
    compared.clear()
    sample.sql("reader_4", "SELECT l.id, l.amount - 4 AS amount FROM large AS l")
    again = core.plan(Request(), Silent()).plan.judgements
    assert sorted(compared) == ["describe", "edit_script"]
    for name in ("reader_0", "reader_1", "reader_2"):
        assert (again[name].reason, again[name].edit) == (first[name].reason, first[name].edit)
    sample.sql("reader_0", "SELECT l.id, l.amount * 9 AS amount FROM large AS l")
    assert "* 9" in core.plan(Request(), Silent()).plan.judgements["reader_0"].reason


def test_an_edit_is_all_that_is_read_and_looked_at_again(
    sample: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = Core(sample.root)
    core.build(Request(), Silent())
    core.check(Silent().say)
    parsed, looked = calls(monkeypatch, loading, "parse_text"), calls(monkeypatch, rule_checks, "_looked_at")
    found = calls(monkeypatch, rule_checks, "look")
    sample.edit("rules/large.sql", "FROM", "-- a word\nFROM")
    before = core.plan(Request(), Silent())
    assert parsed == ["rules/large.sql"]
    assert {one.verdict for one in before.judgements.values()} == {"clean"}
    after = core.plan(Request(), Silent())
    assert parsed == ["rules/large.sql"]
    assert all(one is before.judgements[name] for name, one in after.judgements.items())
    core.check(Silent().say)
    assert looked == ["large"]
    assert found == ["rules/large.sql"]
    draft = {"rules/large.sql": "SELECT o.id, o.amount FROM orders AS o WHERE o.amount > 20"}
    core.check(Silent().say, draft)
    assert found == ["rules/large.sql"] * 2  # its columns are the same, so its readers are not looked at


@pytest.mark.slow
def test_a_project_that_nobody_has_checked_is_checked_side_by_side(
    sample: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(80):
        sample.sql(f"wide_{number}", f"SELECT r.id, r.amount * {number} AS total FROM reader_{number % 5} AS r")
    sample.sql("z_typo", "SELECT w.id, w.totl FROM wide_1 AS w")
    sample.sql("z_unplannable", "SELECT SUBSTR(w.id, w.total) AS x, LEFT(w.total) AS y FROM wide_2 AS w")
    sample.sql("z_reads_typo", "SELECT t.id, id FROM z_typo AS t")
    sample.sql("z_lost", "SELECT n.id FROM nowhere AS n")
    sample.sql("z_broken", "SELECT FROM")
    looked = calls(monkeypatch, rule_checks, "look")
    aside = Core(sample.root).check(Silent().say)
    assert len(looked) == linting.MISSED
    known = calls(monkeypatch, rule_checks, "look")
    again = Core(sample.root).check(Silent().say)  # by what the helpers found, which is remembered
    assert not known
    alone = SampleProject.copy_of(sample.root, sample.root.parent / "alone")
    alone.write("rules.toml", alone.read("rules.toml") + "\n[profiles.default]\njobs = 1\n")
    alone_found = Core(alone.root).check(Silent().say)
    rules = [
        {path: one for path, one in run.records.items() if path != "rules.toml"} for run in (aside, again, alone_found)
    ]
    assert rules[0] == rules[1] == rules[2]
    assert {path for path, one in rules[0].items() if one["found"]} == {
        f"rules/z_{name}.sql" for name in ("typo", "unplannable", "reads_typo", "lost", "broken")
    }
    assert aside.known.schemas.known == alone_found.known.schemas.known


def test_a_text_source_changes_while_a_draft_is_open(tmp_path: Path) -> None:
    declared = '\n[sources.text]\npath = "data/text.csv"\ncolumns = { k = "int64" }\n'
    sample = SampleProject(tmp_path / "project", toml=declared)
    sample.sql("first", "SELECT t.k FROM text AS t")
    sample.write("data/text.csv", "k\n1\n")
    core, draft = Core(sample.root), {"rules/first.sql": "SELECT t.k + 1 AS k FROM text AS t"}
    assert not core.check(Silent().say).records["rules/first.sql"]["found"]
    sample.write("data/text.csv", "k\n1\n2\n")
    assert not core.check(Silent().say, draft).records["rules/first.sql"]["found"]
    core.build(Request(), Silent())
    assert sample.product("first").to_pydict() == {"k": [1, 2]}


def test_a_bug_costs_one_finding(sample: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    real = rule_records.check_rule

    def check_rule(text: str, *arguments: Any, **more: Any) -> Any:
        if "crash" in text:
            raise AssertionError("an invariant")
        return real(text, *arguments, **more)

    monkeypatch.setattr(rule_records, "check_rule", check_rule)
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


@pytest.mark.slow
def test_what_a_comment_costs_hardly_grows_with_the_project(tmp_path: Path) -> None:
    """Called functions for each rule more: what is looked at for each is done in loops, and nothing is read again."""

    def calls_of_a_plan(number: int) -> int:
        sample = SampleProject(tmp_path / str(number), sources=["orders"])
        sample.parquet("orders", {"id": [1, 2, 3], "amount": [10.5, 20.0, 30.0]})
        for one in range(number):
            sample.sql(f"rule_{one}", f"SELECT o.id, o.amount + {one} AS amount FROM orders AS o")
        core, counted = Core(sample.root), 0
        core.build(Request(), Silent())

        def count(_: object, event: str, __: object) -> None:
            nonlocal counted
            counted += event == "call"

        for run in range(3):  # the first one still learns
            sample.edit("rules/rule_1.sql", "FROM", f"-- {run}\nFROM")
            counted = 0
            sys.setprofile(count)
            try:
                plan = core.plan(Request(), Silent())
            finally:
                sys.setprofile(None)
            assert {one.verdict for one in plan.judgements.values()} == {"clean"}
        return counted

    few, many = calls_of_a_plan(10), calls_of_a_plan(50)
    assert (many - few) / 40 < 20


def test_the_index_may_be_replaced_while_a_process_keeps_it(sample: SampleProject) -> None:
    core, index = Core(sample.root), sample.root / ".rules" / "index.sqlite"
    core.build(Request(), Silent())
    kept = index.read_bytes()
    sample.edit("rules/large.sql", "> 10", "> 20")
    core.build(Request(), Silent())
    other = Core(sample.root)
    assert {one.verdict for one in other.plan(Request(), Silent()).judgements.values()} == {"clean"}
    del other
    for path in index.parent.glob("index.sqlite*"):
        path.unlink()
    index.write_bytes(kept)  # a former one, as from a backup
    again, fresh = core.plan(Request(), Silent()), Core(sample.root).plan(Request(), Silent())
    assert again.summary == fresh.summary
    assert {name: one.reason for name, one in again.judgements.items()} == {
        name: one.reason for name, one in fresh.judgements.items()
    }


def test_a_project_that_was_moved_away_does_not_come_back(sample: SampleProject, tmp_path: Path) -> None:
    """An editor or a watching process that looks at it meanwhile leaves no folder in which it would be put."""
    core = Core(sample.root)
    core.check(Silent().say)
    sample.root.rename(tmp_path / "away")
    with pytest.raises(UserError, match=r"rules\.toml"):
        core.check(Silent().say)
    with pytest.raises(StoreError, match="cannot write the store"):
        Objects(sample.root / ".rules").create()
    assert not sample.root.exists()
    Objects(tmp_path / "no" / "such" / "folder").create(above=True)


def test_a_store_that_goes_while_it_is_used_does_not_come_back(tmp_path: Path) -> None:
    objects = Objects(tmp_path / "store")
    objects.create()
    evidence = Evidence(objects.root, "build")
    shutil.rmtree(objects.root)
    run = Run("product", "SELECT 1", Profile("own"), (), lambda: "", lambda: "")
    with pytest.raises(FileNotFoundError):
        evidence.failed(run, "an error")
    with pytest.raises(FileNotFoundError):
        objects.temporary()
    assert not objects.root.exists()
