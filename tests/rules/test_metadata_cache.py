"""The footer of a Parquet file is read once for all products of a build, as far as the profile's cache has room.

Reads are counted by the system: the footer of a wide file is far larger than all else that is read.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.inprocess import build
from support.projects import SampleProject

COUNTER = Path("/proc/self/io")
COLUMNS, ROWS, RULES = 2000, 40, 8

pytestmark = pytest.mark.skipif(not COUNTER.exists(), reason="the system does not count what a process reads")


def write(path: Path, first: int) -> int:
    """Write a file of many columns in small row groups; return the bytes of its footer."""
    path.parent.mkdir(exist_ok=True)
    table = pa.table({f"c{number}": np.arange(first, first + ROWS) for number in range(COLUMNS)})
    pq.write_table(table, path, row_group_size=ROWS // 4)
    return int(pq.read_metadata(path).serialized_size)


def read_by(project: SampleProject, *words: str) -> int:
    """The bytes that are read by executing all products again."""

    def counted() -> int:
        return int(COUNTER.read_text().split()[1])

    found = []
    for _ in range(3):  # the least: what else runs in this process may read, too
        before = counted()
        assert len(build(project, "--force", "*", *words).executed) == RULES
        found.append(counted() - before)
    return min(found)


@pytest.fixture(params=["one file", "several files"])
def wide(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[SampleProject, int]:
    """A project whose products all read one source, and the bytes of the source's footers."""
    project = SampleProject(tmp_path, toml='\n[sources.t]\npath = "data/*.parquet"\n')
    files = range(1 if request.param == "one file" else 3)
    footers = sum(write(tmp_path / "data" / f"{number}.parquet", number * ROWS) for number in files)
    for number in range(RULES):
        project.sql(f"p{number}", f"SELECT t.c{number} AS k, COUNT(*) AS n FROM t WHERE t.c{number + 1} > 3 GROUP BY k")
    build(project)
    return project, footers


@pytest.mark.slow
def test_a_footer_is_read_once_in_a_build(wide: tuple[SampleProject, int]) -> None:
    project, footers = wide
    # Products that run at once may read a footer each before the first of them has put it into the cache.
    read = read_by(project, "-j", "1") / footers
    assert 1 <= read < 3, f"{read:.1f} times"


@pytest.mark.slow
def test_a_cache_without_room_holds_nothing(wide: tuple[SampleProject, int]) -> None:
    project, footers = wide
    read = read_by(project, "-j", "1", "--set", "metadata_cache_mb=1") / footers
    assert read > RULES - 1, f"{read:.1f} times"


def test_the_next_build_reads_it_again(tmp_path: Path) -> None:
    """What replaces a file between two builds is not taken for it, though it has the same size and time."""
    project = SampleProject(tmp_path, sources=["t"])
    path = tmp_path / "data" / "t.parquet"
    project.sql("p", "SELECT MAX(t.c0) AS most, SUM(t.c1) AS total FROM t WHERE t.c0 > 0")
    found: list[list[dict[str, int]]] = []
    for first in (0, 100):
        path.parent.mkdir(exist_ok=True)
        values = [first + number for number in range(ROWS)]
        table = pa.table({"c0": pa.array(values, pa.int64()), "c1": pa.array(values, pa.int64())})
        pq.write_table(table, path.with_suffix(".new"), compression="none", use_dictionary=False)
        size = path.with_suffix(".new").stat().st_size
        if found:
            taken = path.stat()
            assert taken.st_size == size
            os.utime(path.with_suffix(".new"), ns=(taken.st_atime_ns, taken.st_mtime_ns))
        path.with_suffix(".new").rename(path)
        build(project)
        found.append(project.product("p").to_pylist())
    assert found == [[{"most": 39, "total": 780}], [{"most": 139, "total": 4780}]]
