"""Large queries under a limit of memory run in processes of their own, which end with what they have taken."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.beside import started
from support.memory import PEAK
from support.projects import SampleProject

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are forked there, and looked at as it shows them"),
]

ENDLESS = "SELECT SUM(t.a * b.v % 7) AS n FROM t AS t CROSS JOIN generate_series(1, 1000000000) AS b(v)"
GROUPS = """
import sys
from pathlib import Path
import msgspec
from rules.config.profiles import PROFILES
from rules.engine.local import LOCAL
from rules.engine.protocol import EngineInput, EngineQuery, Job
from rules.storage.types import to_schema
import pyarrow as pa

folder, times = Path(sys.argv[1]), int(sys.argv[2])
profile = msgspec.structs.replace(PROFILES["memory_tight"], memory_limit_mb=96)
LOCAL.require(profile)
schema = to_schema(pa.schema([("k", pa.int64()), ("v", pa.int64())]))
files = tuple(sorted(folder.glob("*.parquet")))
query = 'SELECT t.k, MAX(t.v) AS v FROM "input".t GROUP BY t.k'
for _ in range(times):
    query_of_files = EngineQuery(query, (EngineInput("t", files, schema, ("k", "v")),), profile)
    done = LOCAL.execute(Job(query_of_files, schema, folder / "out"))
    assert done.spilled > 10 << 20, done.spilled
LOCAL.settle()
print(peak() // 1024)
"""


def test_queries_that_merge_what_they_spilled_leave_nothing_behind(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    for number in range(5):
        table = pa.table({name: generator.integers(0, 1 << 62, 400_000) for name in "kv"})
        pq.write_table(table, tmp_path / f"{number}.parquet", row_group_size=200_000, use_dictionary=False)
    peaks = {}
    for times in (1, 4):
        words = [sys.executable, "-c", f"{PEAK}\n{GROUPS}", str(tmp_path), str(times)]
        peaks[times] = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert peaks[4] < peaks[1] + 20, peaks  # the engine kept some 30 MiB for each of a dozen threads


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = SampleProject(tmp_path / "project", sources=["t"])
    project.parquet("t", {"a": np.random.default_rng(3).integers(0, 1 << 62, 200_000)})
    project.sql("long", ENDLESS)
    return project


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(one) for task in tasks for one in (task / "children").read_text().split()]
    return []


@contextlib.contextmanager
def running(project: SampleProject) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """Build what never ends; yield the command, the process that forks, and its fork, which computes."""
    with started(project, "build", "--profile", "memory_tight") as command:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            for forker in children(command.pid):
                for fork in children(forker):
                    with contextlib.suppress(OSError):
                        spent = Path(f"/proc/{fork}/stat").read_text().rpartition(")")[2].split()[11]
                        if int(spent) > os.sysconf("SC_CLK_TCK") // 2:
                            yield command, forker, fork
                            return
            time.sleep(0.05)
        command.kill()
        pytest.fail(f"no fork computes: {command.communicate()}")


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[-1][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_fork_ends_with_the_command(project: SampleProject, how: signal.Signals) -> None:
    with running(project) as (command, forker, fork):
        command.send_signal(how)
        command.communicate(timeout=120)
    end = time.monotonic() + 10
    while (lives(forker) or lives(fork)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not lives(fork)
    assert not lives(forker)


@pytest.mark.parametrize("which", ["forker", "fork"])
def test_a_process_that_is_killed_fails_its_product_alone(project: SampleProject, which: str) -> None:
    project.sql("other", "SELECT COUNT(*) AS n FROM long AS l")
    with running(project) as (command, forker, fork):
        os.kill(forker if which == "forker" else fork, signal.SIGKILL)
        out, err = command.communicate(timeout=120)
        assert command.returncode == 1, err
    assert "the engine's process was killed; the system does so where memory runs out" in out + err
    assert "Traceback" not in out + err


def test_a_limit_of_time_ends_it(project: SampleProject) -> None:
    words = ("--profile", "memory_tight", "--product-timeout", "2s")
    ended = project.started("build", *words)
    assert ended.returncode == 1, ended.stderr
    assert "long was stopped: a product's limit of 2 s was reached" in ended.stdout + ended.stderr
    assert list((project.root / ".rules/tmp").iterdir()) == []
