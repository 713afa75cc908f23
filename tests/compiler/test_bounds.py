"""Compiling a rule costs about as much as the rule is long, and no rule that the engine can run is too deep for us."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable
from types import FrameType
from typing import Any

import pytest

from support.large import CASES, LargeCompiler, chained, nested

CEILING = 40.0
"""Seconds of CPU: twenty times what the slowest of these takes on a slow machine. It stands for "has not hung"."""
SMALL, LARGE = 0.06, 0.12
MOST_GROWTH = 2.6
"""Work for twice the size: 2 when it grows with it, 4 when with its square."""
NOT_COUNTED = {"200 parentheses", "2,000 columns by a star", "2,000 columns by stars of stars",
               "10,000 integers in IN", "10,000 integers in NOT IN", "10,000 floats in IN"}  # fmt: skip
"""Of no size, gone after parsing, or much like another."""
LARGEST = (
    "500 columns of a union",
    "50 CTEs of 50 columns",
    "200 branches of UNION",
    "10,000 mixed integers in IN",
    "10,000 strings in IN",
    "1,000 terms of OR, one column",
    "1,000 branches of CASE",
)
DEEPEST = {
    "AND": chained(1400, "AND", "id <> {n}"),
    "OR": chained(1400, "OR", "id = {n}"),
    "+": f"SELECT {' + '.join(f'id * {number}' for number in range(700))} AS s FROM t",
    "||": f"SELECT {' || '.join(['k'] * 1400)} AS s FROM t",
    "queries": nested(150),
}


def calls(name: str, factor: float) -> int:
    """Count the calls that compiling makes, which no load of the machine changes."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sql = CASES[name](factor)
    compiler = LargeCompiler(planned=False)
    threading.setprofile(note)  # for the thread with the large stack
    try:
        assert compiler.outcome(sql) == ""
    finally:
        threading.setprofile(None)  # type: ignore[arg-type]
    return count


def _some(values: Iterable[str], every: int) -> list[Any]:
    """One value in so many for the suite, the others for the soak."""
    return [pytest.param(value, marks=[pytest.mark.soak] * (number % every > 0)) for number, value in enumerate(values)]


@pytest.mark.slow
@pytest.mark.parametrize("name", _some([name for name in CASES if name not in NOT_COUNTED], 10))
def test_work_grows_with_the_rule_and_not_with_its_square(name: str) -> None:
    assert calls(name, LARGE) < MOST_GROWTH * calls(name, SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("name", _some(LARGEST, 4))
def test_a_rule_far_larger_than_anybody_writes_compiles(name: str) -> None:
    start = time.process_time()
    assert LargeCompiler().outcome(CASES[name](1)) == ""
    assert time.process_time() - start < CEILING


@pytest.mark.slow
@pytest.mark.parametrize("name", _some(DEEPEST, 4))
def test_as_deep_as_the_engine_goes_the_compiler_goes(name: str) -> None:
    before = sys.getrecursionlimit()
    assert LargeCompiler(planned=False).outcome(DEEPEST[name]) == ""
    assert sys.getrecursionlimit() == before
