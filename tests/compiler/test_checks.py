"""The checks, code by code, on the cases in fixtures/sql/checks."""

from __future__ import annotations

import pytest

from compiler.lint.codes import ALWAYS, CODES
from compiler.lint.edits import _meaning
from support.checking import Case, all_cases, findings, fix, world

CASES = all_cases()
# Of rules.toml and of files: tests/cli/test_check.py; of functions: tests/cli/test_check_functions.py.
ELSEWHERE = {"R014", "R015", "R022", "R023", "R903"}


def _id(case: Case) -> str:
    return f"{case.code}-{case.number}-{case.kind}"


def _keeps_meaning(case: Case) -> bool:
    return case.fixed is not None and case.dialect is None and case.code != "R021"


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_a_code_is_found_where_it_should_be_and_nowhere_else(case: Case) -> None:
    places = [(one.place.line, one.place.column) for one in findings(case.text, case.world) if one.code == case.code]
    assert places == list(case.places)


@pytest.mark.parametrize("case", [case for case in CASES if case.fixed is not None], ids=_id)
def test_a_fix_changes_what_it_should_and_nothing_else(case: Case) -> None:
    assert fix(case.text, case.code, case.world) == case.fixed


@pytest.mark.parametrize("case", [case for case in CASES if _keeps_meaning(case)], ids=_id)
def test_a_fix_keeps_the_canonical_ast(case: Case) -> None:
    before = _meaning(case.text, world())
    assert before is not None
    assert _meaning(fix(case.text, case.code), world()) == before


@pytest.mark.parametrize("case", [case for case in CASES if case.kind == "suppressed"], ids=_id)
def test_what_is_suppressed_is_there_without_the_comment(case: Case) -> None:
    bare = case.text.replace("rules:", "rules -")
    if case.code != "R019":
        assert case.code in {one.code for one in findings(bare, case.world)}
    assert not [one for one in findings(case.text, case.world) if one.code in {case.code, "R019"}]


@pytest.mark.parametrize("code", [one for one in CODES if one.code not in ELSEWHERE], ids=lambda one: one.code)
def test_every_code_has_its_cases(code: tuple[str, ...]) -> None:
    own = [case for case in CASES if case.code == code[0]]
    kinds = {case.kind for case in own}
    assert {"bad", "good", "kept" if code[0] in ALWAYS else "suppressed"} <= kinds
    fixable = next(one.fixable for one in CODES if one.code == code[0])
    assert any(case.fixed is not None for case in own) == fixable


def test_an_alias_that_is_another_table_there_is_no_fix() -> None:
    """What it would write names the nearer table, so that no proof would let it be written."""
    inner = "SELECT 1 FROM keyed AS q WHERE name = 'x'"
    text = f"SELECT o.id FROM orders AS o JOIN customers AS q ON TRUE WHERE EXISTS ({inner})"
    (one,) = (each for each in findings(text) if each.code == "R001")
    assert one.found.fix is None
    assert one.found.hint == (
        "another table that is nearer is called q, too: give one of them another alias, and put that before"
    )
