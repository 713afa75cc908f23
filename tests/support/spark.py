"""A cluster of Spark on loopback that the tests of a session share, by the command that users have."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from rules.engine.spark.installation import spark_home
from rules.errors import UserError
from support import inprocess
from support.projects import RULES, SampleProject

ROOT = Path(__file__).resolve().parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class SharedCluster:
    """A cluster that the workers of a test session share. root: of the project whose command has started it."""

    root: Path

    @contextlib.contextmanager
    def used(self, *, alone: bool = False) -> Iterator[str]:
        """Let a test use it; yields its address. alone: nobody else does meanwhile, as the test breaks it."""
        project = SampleProject.at(self.root)
        with (self.root / "users").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield inprocess.run(project, "engine", "up", "spark", "--json").document["remote"]

    def pids(self) -> list[int]:
        """Return the processes that were started: the server, the workers, the master."""
        state = json.loads((self.root / ".rules" / "engines" / "spark" / "state.json").read_text())
        return [int(one) for one in state["pids"]]

    def executors(self) -> list[int]:
        """Return the executors that run now."""
        workers = set(self.pids()[1:-1])
        found = []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent in workers and b"CoarseGrainedExecutorBackend" in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
        return found

    def busy_seconds(self) -> float:
        """Return the processor seconds that the executors which run now have taken."""
        found = 0.0
        for pid in self.executors():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                found += (int(fields[11]) + int(fields[12])) / _TICKS
        return found

    def wait_until_idle(self) -> None:
        """Wait until the executors compute nothing; the limit of the test ends it otherwise."""
        before = self.busy_seconds()
        while True:
            time.sleep(2)
            now = self.busy_seconds()
            if now - before < 0.2:
                return
            before = now

    def wait_until_busy(self, seconds: float = 3) -> None:
        """Wait until the executors have computed for some seconds more."""
        before = self.busy_seconds()
        while self.busy_seconds() < before + seconds:
            time.sleep(0.2)


@contextlib.contextmanager
def shared_cluster(base: Path) -> Iterator[SharedCluster]:
    """Yield a cluster that is started by its first user; the last of those who are here ends it.

    Skips the test where there can be none.
    """
    require_spark()
    cluster = SharedCluster(base / "spark-cluster")
    here = base / "spark-users" / str(os.getpid())
    here.parent.mkdir(exist_ok=True)
    SampleProject(cluster.root)
    here.touch()
    try:
        yield cluster
    finally:
        here.unlink()
        if not list(here.parent.iterdir()):
            inprocess.run(SampleProject.at(cluster.root), "engine", "down", "spark")


@dataclass(frozen=True)
class DistantCluster:
    """A cluster on a disk of its own, as if it were on other machines. root: of the project it was started for."""

    root: Path
    remote: str

    def sees(self, path: Path) -> bool:
        """Whether a file is on the disk that the cluster has."""
        pids = json.loads((self._folder / "state.json").read_text())["pids"]
        return any(Path(f"/proc/{pid}/root", *path.parts[1:]).exists() for pid in pids)

    def said(self) -> str:
        """Return the logs of all its processes."""
        logs = [one for one in self._folder.rglob("*") if one.name == "stderr" or one.suffix == ".log"]
        return "".join(one.read_text(errors="replace") for one in logs)

    @property
    def _folder(self) -> Path:
        return self.root / ".rules" / "engines" / "spark"


@contextlib.contextmanager
def distant_cluster(hidden: Path, environment: Mapping[str, str]) -> Iterator[DistantCluster]:
    """Start a cluster that sees an empty folder in place of one that is here. environment: further variables for it."""
    require_spark()
    unshare = shutil.which("unshare")
    words = [unshare or "", "--user", "--map-root-user", "--mount"]
    if unshare is None or subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("unshare cannot give processes mounts of their own here")
    root = Path(tempfile.mkdtemp(prefix="rules-spark-"))
    project = SampleProject(root / "project")
    words += ["sh", "-c", 'mount -t tmpfs none "$1" && shift && exec "$@"', "sh", str(hidden)]
    words += [str(RULES), "-C", str(project.root), "engine", "up", "spark", "--json"]
    given = {**os.environ, **environment}
    try:
        done = subprocess.run(words, cwd=root, env=given, check=True, stdout=subprocess.PIPE, text=True)
        yield DistantCluster(project.root, json.loads(done.stdout)["remote"])
    finally:
        inprocess.run(project, "engine", "down", "spark")
        shutil.rmtree(root)


def require_spark() -> None:
    """Skip the test where there can be no cluster."""
    if importlib.util.find_spec("grpc") is None or importlib.util.find_spec("pyspark") is None:
        pytest.skip("the client of Spark Connect is not installed: pip install pyspark-client")
    installed = Path(os.environ.get("RULES_ENV_DIR") or ROOT).resolve() / ".venv-spark"
    for found in installed.glob("lib/python3.*/site-packages/pyspark"):
        os.environ.setdefault("SPARK_HOME", str(found))
    try:
        spark_home()
    except UserError as error:
        pytest.skip(f"{error.message}: {error.hint}")


def profile(remote: str) -> str:
    """Return the lines of rules.toml that have a profile called `cluster`."""
    return f'\n[profiles.cluster]\nengine = "spark"\nremote = "{remote}"\n'


def assert_same_bag(here: SampleProject, there: SampleProject, name: str) -> None:
    """Compare types exactly, and rows as a bag, floats by their bits."""
    mine, others = here.product(name), there.product(name)
    assert mine.schema.equals(others.schema), name
    for column in mine.column_names:
        found, expected = (sorted(map(repr, bits(table[column]))) for table in (others, mine))
        assert found == expected, (name, column)
    rows = [
        sorted(map(repr, zip(*(bits(table[one]) for one in table.column_names), strict=True)))
        for table in (mine, others)
    ]
    assert rows[0] == rows[1], name


def bits(values: pa.ChunkedArray) -> list[object]:
    """Return values, floats by their bits, dates and timestamps as numbers, as Python has none after the year 9999."""
    if pa.types.is_floating(values.type):
        return [None if one is None else f"{struct.pack('<d', one).hex()} {one}" for one in values.to_pylist()]
    if pa.types.is_timestamp(values.type):
        return list(values.cast(pa.int64()).to_pylist())
    return list((values.cast(pa.int32()) if pa.types.is_date32(values.type) else values).to_pylist())


def kill(pid: int) -> None:
    """End a process at once, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
