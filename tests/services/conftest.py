"""Servers that the tests of one session share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from support.postgresql import binaries, postgresql
from support.s3 import s3_server
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


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """Yield the port of a server of S3 with an empty bucket, for the tests of a file."""
    with s3_server() as port:
        yield port


@pytest.fixture(scope="module")
def postgresql_address() -> Iterator[str]:
    """Yield how to connect to an empty PostgreSQL server, for the tests of a file; they are skipped without one."""
    if binaries() is None:
        pytest.skip("no PostgreSQL server is installed: apt-get install postgresql")
    with postgresql() as address:
        yield address
