"""A cluster of Spark on loopback for the tests of a module, started and ended by the command that users have."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rules.engine.spark.installation import spark_home
from rules.errors import UserError
from support import inprocess
from support.projects import SampleProject


@contextlib.contextmanager
def cluster(root: Path, workers: int = 2) -> Iterator[str]:
    """Run a cluster for a project that is made at `root`; yields its address. Skips the test where it cannot be run.

    RULES_SPARK_REMOTE: the address of a cluster on this machine that is up already, to use instead.
    """
    if importlib.util.find_spec("grpc") is None or importlib.util.find_spec("pyspark") is None:
        pytest.skip("the client of Spark Connect is not installed: pip install pyspark-client")
    if os.environ.get("RULES_SPARK_REMOTE"):
        yield os.environ["RULES_SPARK_REMOTE"]
        return
    try:
        spark_home()
    except UserError as error:
        pytest.skip(f"{error.message}: {error.hint}")
    project = SampleProject(root)
    try:
        up = inprocess.run(project, "engine", "up", "spark", "--workers", str(workers), "--json")
        yield up.document["remote"]
    finally:
        inprocess.run(project, "engine", "down", "spark")


def profile(remote: str) -> str:
    """Return the lines of rules.toml that have a profile called `cluster`."""
    return f'\n[profiles.cluster]\nengine = "spark"\nremote = "{remote}"\n'
