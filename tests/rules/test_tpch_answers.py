"""The TPC-H products are what SQLite answers on the same data, under every built-in profile.

PostgreSQL, which computes decimals exactly, is asked in tests/services, at scale 1 under all combinations of settings.
"""

from __future__ import annotations

import pyarrow as pa
import pytest

from support.projects import SampleProject
from support.tpch import make_project
from support.tpch_answers import SOME_SETTINGS, Answers, built_under, differences, sqlite_answers


@pytest.fixture(scope="module")
def tpch(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    return SampleProject.at(make_project(tmp_path_factory.mktemp("tpch")))


@pytest.fixture(scope="module")
def answers(tpch: SampleProject) -> Answers:
    found = sqlite_answers(tpch.root)
    assert all(found.values()), "a query without rows proves nothing"
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "filters", "partitions"), SOME_SETTINGS)
def test_products_are_the_answers(
    tpch: SampleProject, answers: Answers, profile: str, filters: bool, partitions: int
) -> None:
    assert differences(tpch.root, built_under(tpch, profile, partitions, filters=filters), answers) == []


@pytest.mark.slow
def test_a_difference_is_seen(tpch: SampleProject, answers: Answers) -> None:
    products = built_under(tpch, "prod_fast", 1, filters=True)
    price = products["q03"]["revenue"]
    more = pa.array([value + 1 for value in price.to_pylist()], price.type)
    place = products["q03"].schema.get_field_index("revenue")
    changed = {
        "q03": products["q03"].set_column(place, "revenue", more),
        "q01": products["q01"].slice(1),
        "q22": products["q22"].take([1, 0, *range(2, products["q22"].num_rows)]),
    }
    found = differences(tpch.root, products | changed, answers)
    assert {sentence.partition(":")[0] for sentence in found} == set(changed)
