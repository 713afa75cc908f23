"""What a build yields is what PostgreSQL answers, which shares no code with the engine; see properties.second_judge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from properties.disagreements import POSTGRESQL, Legal
from properties.judged_pairs import pair_queries
from properties.judging import (
    check_builds,
    check_pairs,
    check_random,
    faults_that_show,
    legal_differences,
    legal_values,
    pair_judge,
)
from properties.outside_judges import PostgresqlJudge
from properties.second_judge import EQUAL, SecondJudge, Tally

pytestmark = pytest.mark.service
QUERIES = 100
SOAK_QUERIES = 100_000
CHUNK = 1_000
PAIRS = 16
"""One pair in so many is for each run, the others for the soak."""


def _parts(count: int) -> list[Any]:
    return [pytest.param(part, marks=[pytest.mark.soak] * (part > 0)) for part in range(count)]


@pytest.fixture(scope="module")
def judge(postgresql_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondJudge]:
    server = PostgresqlJudge(postgresql_address)
    yield SecondJudge(server, tmp_path_factory.mktemp("judged") / "databases")
    server.close()


@pytest.fixture
def pairs(postgresql_address: str, tmp_path: Path) -> Iterator[SecondJudge]:
    server = PostgresqlJudge(postgresql_address, "pairs")
    yield pair_judge(server, tmp_path / "pairs")
    server.close()


@pytest.fixture(scope="module")
def total() -> Iterator[Tally]:
    """What all chunks of a soak found; shown with -s."""
    tally = Tally(POSTGRESQL)
    yield tally
    print(f"\n{tally}")  # noqa: T201


def test_random_queries(judge: SecondJudge) -> None:
    tally = check_random(judge, range(QUERIES))
    assert tally.share(EQUAL) > 0.6, str(tally)


def test_builds(judge: SecondJudge, tmp_path: Path) -> None:
    assert check_builds(judge, tmp_path, range(5_000, 5_024)) > 10


@pytest.mark.parametrize("part", _parts(PAIRS))
def test_pair_queries(pairs: SecondJudge, part: int) -> None:
    names = [query.name for query in pair_queries()][part::PAIRS]
    found = check_pairs(pairs, names)
    assert found[EQUAL] > len(names) * 0.7, found


def test_listed_faults_still_show(judge: SecondJudge) -> None:
    gone = [name for name, shows in faults_that_show(judge).items() if not shows]
    assert not gone, "take them out of KNOWN_FAULTS or LEGAL_CLASSES"


@pytest.mark.parametrize("legal", legal_differences(POSTGRESQL), ids=lambda legal: legal.name)
def test_legal_differences_still_show(judge: SecondJudge, legal: Legal) -> None:
    ours, theirs = legal_values(judge, legal)
    assert (ours, str(theirs)) == (legal.ours, str(legal.theirs))
    assert repr(legal.ours) != repr(legal.theirs)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("start", range(10_000, 10_000 + SOAK_QUERIES, CHUNK))
def test_many_random_queries(judge: SecondJudge, total: Tally, start: int) -> None:
    tally = judge.run(range(start, start + CHUNK))
    total.merge(tally)
    assert not tally.unexplained, str(tally)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("start", range(20_000, 22_000, 100))
def test_many_builds(judge: SecondJudge, tmp_path: Path, start: int) -> None:
    assert check_builds(judge, tmp_path, range(start, start + 100)) > 50
