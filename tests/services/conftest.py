"""Servers that the tests of one session share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from support.spark import SharedCluster, shared_cluster


@pytest.fixture(scope="session")
def spark_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedCluster]:
    """Yield the cluster of Spark that all workers of the session have."""
    base = tmp_path_factory.getbasetemp()
    with shared_cluster(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as cluster:
        yield cluster


@pytest.fixture
def remote(spark_cluster: SharedCluster) -> Iterator[str]:
    """Yield the address of the cluster, which others may use meanwhile."""
    with spark_cluster.used() as address:
        yield address


@pytest.fixture
def own_remote(spark_cluster: SharedCluster) -> Iterator[str]:
    """Yield the address of the cluster, which this test breaks."""
    with spark_cluster.used(alone=True) as address:
        yield address
