"""The Parquet files of an input as Spark is told to read them where they are: just these, with the values they have.

Spark takes a path for a pattern, and leaves out files whose names begin as those of its own notes do, without a word.
In files that say that an old Spark has written them it moves the days of before 1582, and the moments, to another
calendar. (`DataSource.checkAndGlobPathIfNecessary`, `HadoopFSUtils.shouldFilterOutPathName` and
`DataSourceUtils.datetimeRebaseSpec` in Spark's source.)
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from compiler.spark.translation import view_columns
from compiler.spark.types import MOMENTS
from rules.engine.protocol import UndecidedError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from rules.engine.protocol import EngineInput

_SIGNS = re.compile(r"[\\*?\[\]{}]")
_VERSION, _LEGACY = b"org.apache.spark.version", b"org.apache.spark.legacyDateTime"
_FIRST_OF_THIS_CALENDAR = b"3.0.0"
"""As in Spark, versions are compared as texts."""


def frame_of(session: SparkSession, entry: EngineInput) -> DataFrame:
    """Return the rows of an input.

    Raises `UndecidedError` where Spark would read other files than those of the input, or other values.
    """
    files = [path.resolve() for path in entry.files]
    kinds = {column.name: column.type for column in entry.schema.columns}
    if any(kinds[name] in {"date32", *MOMENTS} for name in entry.columns) and any(map(_is_of_old_calendar, files)):
        raise UndecidedError("Spark would move the days of before 1582 in a file that an old Spark has written")
    # A colon makes a name an address, or part of one, at some places of Hadoop, and at others not.
    if any(":" in str(path) for path in files):
        raise UndecidedError("Spark reads no file with a colon in its path")
    frame = session.read.schema(view_columns(entry.schema, entry.columns)).parquet(*map(literal, files))
    if _paths(frame.inputFiles()) != {str(path) for path in files}:
        raise UndecidedError("Spark leaves out a file because of its name")
    return frame


def literal(path: Path) -> str:
    """Return how Spark is told of a path, none of whose characters is part of a pattern."""
    return _SIGNS.sub(r"\\\g<0>", str(path))


def _paths(addresses: Iterable[str]) -> set[str]:
    return {urllib.parse.unquote(urllib.parse.urlsplit(one).path) for one in addresses}


def _is_of_old_calendar(file: Path) -> bool:
    """Whether a file says of itself that days and moments of before 1582 are of the calendar that was in use then."""
    notes = pq.read_metadata(file).metadata or {}
    version = notes.get(_VERSION)
    return version is not None and (version < _FIRST_OF_THIS_CALENDAR or _LEGACY in notes)
