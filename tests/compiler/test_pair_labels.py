"""Prove by execution that the labels of the SQL pairs hold, as the canonical form is judged by these pairs."""

import math
from functools import cache
from itertools import count

import pyarrow as pa
import pytest
from datafusion import SessionContext

from support.databases import open_database, random_database, run, same_table
from support.pairs import Pair, is_ordered, load_pairs

pytestmark = pytest.mark.slow  # labels are data, which only an edit of the pairs or another engine can make wrong

EQUAL = load_pairs("equal")
UNEQUAL = load_pairs("unequal")

_SIZES = (6, 12, 0, 3, 20, 40, 1, 25, 9, 2)
_EQUAL_RUNS = 8
_SOAK_RUNS = 100
_MOST_FAILURES = 8  # both sides may overflow or divide by zero on a wild database
_UNEQUAL_TRIES = 400


@cache
def database(seed: int) -> SessionContext:
    """The database of a seed, opened once and read by every pair."""
    return open_database(random_database(seed, _SIZES[seed % len(_SIZES)]))


def outcome(context: SessionContext, sql: str) -> pa.Table | str:
    """The table, or the message of a failure in execution; a failure in planning is a mistake in the pair."""
    try:
        return run(context, sql)
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001 the engine raises the bare class in execution
        return str(error)


@pytest.mark.parametrize("pair", EQUAL, ids=lambda pair: f"{pair.theme}-{pair.name}")
def test_equal_pair_gives_one_table_on_every_database(pair: Pair) -> None:
    require_equal(pair, _EQUAL_RUNS)


@pytest.mark.soak
@pytest.mark.parametrize("pair", EQUAL, ids=lambda pair: f"{pair.theme}-{pair.name}")
def test_equal_pair_gives_one_table_on_very_many_databases(pair: Pair) -> None:
    require_equal(pair, _SOAK_RUNS)


def require_equal(pair: Pair, runs: int) -> None:
    ordered = is_ordered(pair.first)
    assert ordered == is_ordered(pair.second), f"{pair.name}: only one side orders its rows"
    proofs = 0
    for seed in count():
        first, second = outcome(database(seed), pair.first), outcome(database(seed), pair.second)
        if isinstance(first, str) or isinstance(second, str):
            assert isinstance(first, str), f"{pair.name}: only the second side fails on seed {seed}: {second}"
            assert isinstance(second, str), f"{pair.name}: only the first side fails on seed {seed}: {first}"
        else:
            proofs += 1
            assert same_table(first, second, ordered=ordered), f"{pair.name}: differs on seed {seed}"
        if proofs == runs:
            break
        assert seed - proofs < max(_MOST_FAILURES, proofs), f"{pair.name}: both sides fail too often: {first}"


@pytest.mark.parametrize("pair", UNEQUAL, ids=lambda pair: f"{pair.theme}-{pair.name}")
def test_unequal_pair_differs_on_some_database(pair: Pair) -> None:
    assert pair.why, f"{pair.name}: an unequal pair says what differs"
    ordered = is_ordered(pair.first) or is_ordered(pair.second)
    for seed in range(_UNEQUAL_TRIES):
        first, second = outcome(database(seed), pair.first), outcome(database(seed), pair.second)
        if isinstance(first, str) and isinstance(second, str):
            continue
        # A volatile query differs from itself, which would prove nothing: each side must repeat what it gave.
        if isinstance(first, str) or isinstance(second, str):
            again = (outcome(database(seed), sql) for sql in (pair.first, pair.second))
            kinds = [isinstance(side, str) for side in (first, second)]
            assert [isinstance(side, str) for side in again] == kinds, f"{pair.name}: a side fails now and then"
            return
        if not same_table(first, second, ordered=ordered):
            for sql, table in ((pair.first, first), (pair.second, second)):
                again_table = run(database(seed), sql)
                assert same_table(table, again_table, ordered=ordered), f"{pair.name}: a side is not repeatable"
            return
    pytest.fail(f"{pair.name}: no difference on {_UNEQUAL_TRIES} databases")


def test_no_pair_stands_under_both_labels() -> None:
    def texts(pairs: list[Pair]) -> set[frozenset[str]]:
        return {frozenset(" ".join(sql.split()) for sql in (pair.first, pair.second)) for pair in pairs}

    assert texts(EQUAL).isdisjoint(texts(UNEQUAL))


def test_enough_pairs_to_judge_by() -> None:
    assert len(EQUAL) >= 220
    assert len(UNEQUAL) >= 220


@pytest.mark.parametrize(
    ("a", "b", "bag", "in_order"),
    [
        ({"x": [1, 2, 2]}, {"x": [2, 1, 2]}, True, False),
        ({"x": [1, 2, 2]}, {"x": [1, 1, 2]}, False, False),
        ({"x": [0.0]}, {"x": [-0.0]}, False, False),
        ({"x": [math.nan]}, {"x": [math.nan]}, True, True),
        ({"x": [math.nan]}, {"x": [None]}, False, False),
        ({"x": [[0.0]]}, {"x": [[-0.0]]}, False, False),
        ({"x": [1]}, {"y": [1]}, False, False),
        ({"x": [1]}, {"x": [1.0]}, False, False),
        ({"x": [1], "y": [2]}, {"y": [2], "x": [1]}, False, False),
    ],
)
def test_tables_are_compared_by_names_types_and_bits(a: dict, b: dict, bag: bool, in_order: bool) -> None:
    assert same_table(pa.table(a), pa.table(b), ordered=False) is bag
    assert same_table(pa.table(a), pa.table(b), ordered=True) is in_order


def test_a_tolerance_forgives_rounding_and_nothing_else() -> None:
    sums = pa.table({"k": ["a", "b"], "x": [0.1 + 0.2, None]})
    assert same_table(sums, pa.table({"k": ["b", "a"], "x": [None, 0.3]}), ordered=False, float_tolerance=1e-9)
    assert not same_table(sums, pa.table({"k": ["a", "b"], "x": [0.31, None]}), ordered=False, float_tolerance=1e-9)
    assert not same_table(sums, pa.table({"k": ["a", "c"], "x": [0.3, None]}), ordered=False, float_tolerance=1e-9)


def test_a_seed_gives_one_database() -> None:
    for name, table in random_database(7, 20).items():
        assert same_table(table, random_database(7, 20)[name], ordered=True), name


@pytest.mark.parametrize(
    ("sql", "ordered"),
    [
        ("SELECT a FROM t ORDER BY a", True),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a) AS s", False),
        ("SELECT RANK() OVER (ORDER BY a) AS r FROM t", False),
        ("SELECT ') ORDER BY' AS a FROM t -- order by a", False),
        ("(SELECT a FROM t ORDER BY a) UNION ALL SELECT a FROM t order\n by 1", True),
    ],
)
def test_only_an_outermost_order_by_orders(sql: str, ordered: bool) -> None:
    assert is_ordered(sql) is ordered
