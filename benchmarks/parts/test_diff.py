"""Comparing two versions of a rule: in sentences, and by the columns that the edit reaches."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.generated import queries
from compiler.canonical.form import named_tree
from compiler.diff.describe import describe
from support.compiling import TestCompiler, edit_between

RULES = queries(200)
JOIN = max(RULES.values(), key=len)
EDITS = {
    "literal": ("% 1000003", "% 1000033"),
    "column": ("m.id, m.grp", "m.id, m.id + 1 AS next_id, m.grp"),
    "window": ("ORDER BY m.val)", "ORDER BY m.val DESC)"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_describe(benchmark: Any, compiler: TestCompiler, edit: str) -> None:
    """Say what was edited."""
    before, after = compiler.compile(JOIN), compiler.compile(JOIN.replace(*EDITS[edit]))
    trees = [named_tree(one.canonical, one.inputs) for one in (before, after)]
    assert benchmark(describe, *trees)


@pytest.mark.parametrize("edit", EDITS)
def test_classify(benchmark: Any, compiler: TestCompiler, edit: str) -> None:
    """Say what the edit reaches, from the edit script and the digests."""
    before, after = compiler.compile(JOIN), compiler.compile(JOIN.replace(*EDITS[edit]))
    assert benchmark(edit_between, before, after).reaches != "cosmetic"
