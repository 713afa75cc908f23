"""Helper processes that get jobs: each answer comes to who asked for it, and none is waited for in vain."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rules.compiling.compile_pool import Setting
from rules.compiling.helpers import Helpers
from rules.engine.local import LOCAL
from support.helper_tasks import Die, Echo

pytestmark = pytest.mark.slow  # each starts two processes


@pytest.fixture
def helpers() -> Iterator[Helpers]:
    made = Helpers(2, LOCAL, Setting)
    yield made
    made.close()


def test_answers_come_to_who_asked(helpers: Helpers) -> None:
    asked = [helpers.run(Echo(number)) for number in range(50)]
    assert [one.result(60) for one in asked] == list(range(50))


def test_jobs_and_answers_that_fill_the_pipes_do_not_wait_for_each_other(helpers: Helpers) -> None:
    for _ in range(20):  # it depends on who is first
        asked = [helpers.run(Echo(bytes([number]) * 1_000_000)) for number in range(12)]
        assert [one.result(60)[0] for one in asked] == list(range(12))


def test_a_job_that_cannot_be_sent_is_an_error_and_costs_no_other(helpers: Helpers) -> None:
    first = helpers.run(Echo(1))
    with pytest.raises((AttributeError, TypeError)):
        helpers.run(Echo(lambda: None))
    assert [first.result(60), helpers.run(Echo(2)).result(60)] == [1, 2]


def test_the_jobs_of_a_dead_helper_have_no_result_and_others_go_on(helpers: Helpers) -> None:
    asked = [helpers.run(Die()), *(helpers.run(Echo(number)) for number in range(20))]
    found = [one.result(60) for one in asked]
    assert found[0] is None
    lost = [number for number, one in enumerate(found[1:]) if one is None]
    assert len(lost) <= 1
    assert [one for one in found[1:] if one is not None] == [number for number in range(20) if number not in lost]


def test_without_living_helpers_nothing_is_waited_for(helpers: Helpers) -> None:
    asked = [helpers.run(Die()) for _ in range(6)]
    assert [one.result(60) for one in asked] == [None] * 6
    assert helpers.run(Echo(1)).result(60) is None
    helpers.close()
    assert helpers.run(Echo(2)).result(60) == 2
