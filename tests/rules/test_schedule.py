"""In what order products are settled, also when one that was settled has to be made again."""

from __future__ import annotations

from graph.schedule import Schedule

CHAIN = {"lone": [], "a": ["source"], "b": ["a"], "c": ["b"], "d": ["a"]}


def drained(schedule: Schedule) -> list[str]:
    order = []
    while (name := schedule.take()) is not None:
        order.append(name)
        schedule.settle(name)
    return order


def test_what_most_others_wait_for_comes_first() -> None:
    assert drained(Schedule(CHAIN, CHAIN)) == ["a", "b", "lone", "c", "d"]


def test_the_longest_way_to_the_end_comes_first() -> None:
    seconds = {"lone": 5.0, "a": 0.5, "b": 1.0, "c": 1.0, "d": 2.5}
    assert drained(Schedule(CHAIN, CHAIN, seconds)) == ["lone", "a", "d", "b", "c"]
    assert drained(Schedule(CHAIN, CHAIN, seconds | {"c": 4.0})) == ["a", "b", "lone", "c", "d"]


def test_of_ways_of_equal_length_that_of_more_products_comes_first() -> None:
    assert drained(Schedule(CHAIN, CHAIN, dict.fromkeys(CHAIN, 0.0))) == ["a", "b", "lone", "c", "d"]


def test_a_reader_waits_for_all_that_it_reads() -> None:
    schedule = Schedule(["a", "b", "c"], {"a": [], "b": [], "c": ["a", "b", "a"]})
    assert [schedule.take(), schedule.take(), schedule.take()] == ["a", "b", None]
    schedule.settle("a")
    assert schedule.take() is None
    schedule.settle("b")
    assert schedule.take() == "c"


def test_readers_of_a_reopened_product_wait_again() -> None:
    schedule = Schedule(CHAIN, CHAIN)
    assert schedule.take() == "a"
    schedule.settle("a")
    assert schedule.take() == "b"
    schedule.reopen("a")
    schedule.put_back("b")
    assert drained(schedule) == ["a", "b", "lone", "c", "d"]


def test_a_reader_that_is_done_is_not_made_again() -> None:
    schedule = Schedule(CHAIN, CHAIN)
    for name in ("a", "b"):
        assert schedule.take() == name
        schedule.settle(name)
    schedule.reopen("a")
    assert drained(schedule) == ["a", "lone", "c", "d"]


def test_what_was_settled_before_the_run_can_be_reopened() -> None:
    schedule = Schedule(["b", "c"], CHAIN)
    assert schedule.take() == "b"
    schedule.reopen("a")
    schedule.put_back("b")
    assert drained(schedule) == ["a", "b", "c"]
