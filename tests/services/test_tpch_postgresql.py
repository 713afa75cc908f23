"""The TPC-H products are what PostgreSQL answers on the same data, under every built-in profile, decimals exactly."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from benchmarks.tpch.data import make_standard_project
from support.projects import SampleProject
from support.tpch import make_project
from support.tpch_answers import SETTINGS, SOME_SETTINGS, Answers, built_under, differences, postgresql_answers

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, postgresql_address: str) -> tuple[SampleProject, Answers]:
    project = SampleProject.at(make_project(tmp_path_factory.mktemp("tpch")))
    return project, postgresql_answers(postgresql_address, project.root)


@pytest.fixture(scope="module")
def standard(
    tmp_path_factory: pytest.TempPathFactory, postgresql_address: str
) -> Iterator[tuple[SampleProject, Answers]]:
    root = make_standard_project(tmp_path_factory.mktemp("tpch-1"), scale=1)
    yield SampleProject.at(root), postgresql_answers(postgresql_address, root)
    shutil.rmtree(root)  # half a gigabyte, which pytest would keep


@pytest.mark.parametrize(("profile", "filters", "partitions"), SOME_SETTINGS)
def test_products_are_the_answers(
    small: tuple[SampleProject, Answers], profile: str, filters: bool, partitions: int
) -> None:
    project, answers = small
    assert all(answers.values()), "a query without rows proves nothing"
    assert differences(project.root, built_under(project, profile, partitions, filters=filters), answers) == []


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("profile", "filters", "partitions"), SETTINGS)
def test_products_of_scale_1_are_the_answers(
    standard: tuple[SampleProject, Answers], profile: str, filters: bool, partitions: int
) -> None:
    project, answers = standard
    assert all(answers.values()), "a query without rows proves nothing"
    assert differences(project.root, built_under(project, profile, partitions, filters=filters), answers) == []
