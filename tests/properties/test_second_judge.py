"""What a build yields is what SQLite answers, which shares no code with the engine; see properties.second_judge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from properties.disagreements import POSTGRESQL, SQLITE, Legal
from properties.judged_pairs import LEGAL_PAIRS, PAIR_FAULTS, pair_queries
from properties.judging import (
    REFUSED_AT_MOST,
    check_builds,
    check_pairs,
    check_random,
    faults_that_show,
    legal_differences,
    legal_values,
    pair_judge,
)
from properties.outside_judges import SqliteJudge
from properties.portable_queries import portable_query
from properties.reducing import reduced
from properties.second_judge import EQUAL, REFUSED, SecondJudge, Tally

SUITE_QUERIES = 80
SOAK_QUERIES = 100_000
CHUNK = 1_000
SUITE_PAIRS = 60
"""One pair in so many is for the suite, the others for the soak."""


def _parts(count: int) -> list[Any]:
    return [pytest.param(part, marks=[pytest.mark.soak] * (part > 0)) for part in range(count)]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> SecondJudge:
    return SecondJudge(SqliteJudge(), tmp_path_factory.mktemp("judged") / "databases")


@pytest.fixture(scope="module")
def total() -> Iterator[Tally]:
    """What all chunks of a soak found; shown with -s."""
    tally = Tally(SQLITE)
    yield tally
    print(f"\n{tally}")  # noqa: T201


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, SUITE_QUERIES, 40))
def test_random_queries(judge: SecondJudge, start: int) -> None:
    tally = check_random(judge, range(start, start + 40))
    assert tally.share(EQUAL) > 0.6, str(tally)


@pytest.mark.slow
def test_builds(judge: SecondJudge, tmp_path: Path) -> None:
    assert check_builds(judge, tmp_path, range(5_000, 5_012)) > 6


@pytest.mark.slow
@pytest.mark.parametrize("part", _parts(SUITE_PAIRS))
def test_pair_queries(tmp_path: Path, part: int) -> None:
    names = [query.name for query in pair_queries()][part::SUITE_PAIRS]
    found = check_pairs(pair_judge(SqliteJudge(), tmp_path / "pairs"), names)
    assert found[EQUAL] > len(names) * 0.7, found


def test_listed_pairs_are_there() -> None:
    names = {query.name for query in pair_queries()}
    assert names >= {*LEGAL_PAIRS[SQLITE], *LEGAL_PAIRS[POSTGRESQL], *PAIR_FAULTS}


def test_listed_faults_still_show(judge: SecondJudge) -> None:
    gone = [name for name, shows in faults_that_show(judge).items() if not shows]
    assert not gone, "take them out of KNOWN_FAULTS or LEGAL_CLASSES"


@pytest.mark.parametrize("legal", legal_differences(SQLITE), ids=lambda legal: legal.name)
def test_legal_differences_still_show(judge: SecondJudge, legal: Legal) -> None:
    assert legal_values(judge, legal) == (legal.ours, legal.theirs)
    assert repr(legal.ours) != repr(legal.theirs)


def test_queries_depend_on_their_seed_alone(judge: SecondJudge) -> None:
    features = judge.judge.features
    assert [portable_query(seed, features) for seed in range(40)] == [
        portable_query(seed, features) for seed in range(40)
    ]


def test_a_query_is_shrunk_to_what_matters() -> None:
    inner = "SELECT k, c + 1 AS d FROM w WHERE c > 2"
    sql = f"SELECT a.k AS x, 2 AS y FROM ({inner}) AS a JOIN u ON a.k = u.k WHERE a.d IN (1, 2)"
    assert reduced(sql, lambda text: "c > 2" in text) == "SELECT c AS d FROM w WHERE c > 2"


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("start", range(10_000, 10_000 + SOAK_QUERIES, CHUNK))
def test_many_random_queries(judge: SecondJudge, total: Tally, start: int) -> None:
    tally = judge.run(range(start, start + CHUNK))
    total.merge(tally)
    assert not tally.unexplained, str(tally)


@pytest.mark.soak
def test_few_correlated_queries_are_refused(judge: SecondJudge) -> None:
    tally = judge.run(range(1_000, 4_000))
    assert tally.share(REFUSED, "correlated ") <= REFUSED_AT_MOST, str(tally)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("start", range(20_000, 22_000, 100))
def test_many_builds(judge: SecondJudge, tmp_path: Path, start: int) -> None:
    assert check_builds(judge, tmp_path, range(start, start + 100)) > 50
