"""The engine as the steps see it: a value that plans, runs and identifies itself. Files, Arrow types and texts go in.

`rules.engine.local` has the one that runs in this process. An engine may be used from several threads at once. It is
handed to helper processes, so it can be pickled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from rules.files.lazy_paths import having

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from cache.digests import TableDigest
    from compiler.compiled import EngineIdentity
    from compiler.names.user_functions import Shape
    from compiler.schema import Schema, SchemaPlanner
    from rules.config.profiles import Profile
    from rules.engine.fallbacks import Fallback
    from rules.engine.stopping import Stop


class EngineError(Exception):
    """The engine refused or failed a query; the message is the engine's, on one line."""


class MemoryExhaustedError(EngineError):
    """A query needs more memory than its pool has, or more room for spilling than it is allowed."""

    def __init__(self, message: str, *, is_of_pool: bool) -> None:
        """is_of_pool: whether it is the pool that is too small."""
        super().__init__(message)
        self.is_of_pool = is_of_pool

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep what only has a name, when another process has raised it."""
        return _exhausted, (str(self), self.is_of_pool)


def _exhausted(message: str, is_of_pool: bool) -> MemoryExhaustedError:  # noqa: FBT001 — as pickle calls it
    return MemoryExhaustedError(message, is_of_pool=is_of_pool)


class UnorderedError(EngineError):
    """The rows of a query that ran on several partitions are more than are put in order afterwards."""


class UndecidedError(EngineError):
    """Only the local engine can say what the table is.

    It may depend on the order of rows, for instance which of several that tie a LIMIT keeps; or the other engine would
    read something else in the files of an input.
    """


@dataclass(frozen=True)
class EngineInput:
    """An input as the engine sees it: its Parquet files in row order, and the only columns that exist for it."""

    name: str
    files: tuple[Path, ...]
    schema: Schema
    columns: tuple[str, ...]
    constants: Mapping[str, pa.Array] = field(default_factory=dict)
    """Columns that are not in the files: for each, an array with one value for each file."""

    def __post_init__(self) -> None:
        """Let nothing but these columns come of files that are not here yet."""
        object.__setattr__(self, "files", tuple(having(file, self.columns) for file in self.files))

    @property
    def has_texts(self) -> bool:
        """Whether some of these columns are texts or bytes, or hold any."""
        kinds = [column.type for column in self.schema.columns if column.name in self.columns]
        return any("string" in kind or "binary" in kind for kind in kinds)


@dataclass(frozen=True)
class EngineFunction:
    """A function of the project as the engine calls it."""

    name: str
    shape: Shape
    inputs: tuple[pa.DataType, ...]
    output: pa.DataType
    volatility: str
    call: Callable[..., Any]
    """Of a scalar or window function: takes an array for each parameter, and returns an array of as many values. Of an
    aggregate: makes an accumulator."""
    state: tuple[pa.DataType, ...] = ()
    """The types of an accumulator's state."""


def planned_only(*_: Any) -> Any:
    """Replace a function in sessions that only plan."""
    raise AssertionError("planning calls no function")


@dataclass(frozen=True)
class EngineQuery:
    """A query, and all that exists for it: inputs, each with its columns alone, and functions of the project."""

    sql: str
    inputs: tuple[EngineInput, ...]
    profile: Profile
    """To run it under."""
    functions: tuple[EngineFunction, ...] = ()
    partitions: int | None = None
    """If not the profile's number of them. The pool of memory stays that of the profile."""


@dataclass(frozen=True)
class Job:
    """A query to execute. schema: that its result must have; target: the file to write it to.

    order: columns by which the rows are put in order if they are few, see `rules.engine.writing`. build: of which it is
    a part, as long as no file changes. What the engine learns of files may be shared by the jobs of one, and of no two;
    "" shares nothing.
    """

    query: EngineQuery
    schema: Schema
    target: Path
    build: str = ""
    order: tuple[str, ...] = ()

    def under(self, profile: Profile) -> Job:
        """Return the same under another profile."""
        return replace(self, query=replace(self.query, profile=profile))

    def spread(self, partitions: int) -> Job:
        """Return the same on so many partitions."""
        return replace(self, query=replace(self.query, partitions=partitions))


@dataclass(frozen=True)
class PartsRun:
    """How a rule was executed by the parts of an input: of how many, and how many of them had to run.

    partials: the artifacts of the partial results that the product was made of.
    """

    input: str
    total: int
    run: int
    partials: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operator:
    """An operator of a physical plan and what it did in one execution, all partitions together.

    depth: in the tree, whose operators are listed from the top, each before its inputs. rows: that it put out; None
    where the engine does not count. seconds: of computing, without its inputs'. spills: files that it wrote for lack of
    memory.
    """

    name: str
    detail: str
    depth: int
    rows: int | None = None
    seconds: float | None = None
    spills: int = 0
    spilled_bytes: int = 0


@dataclass(frozen=True)
class Observation:
    """What an engine can tell of one execution: the plan that ran and its metrics, as that very run left them.

    planned: the seconds from the query's text to its plan. settings: all of the session, by key. texts: what only full
    evidence has, by the name of its file. substrait: the plan that was optimised, where the engine can write it.
    """

    operators: tuple[Operator, ...]
    planned: float
    settings: Mapping[str, str | None]
    versions: Mapping[str, str]
    texts: Mapping[str, str] = field(default_factory=dict)
    substrait: bytes = b""


@dataclass(frozen=True)
class Executed:
    """The result of an execution: the digest of its table, name → (type, digest) of its columns, and its seconds.

    observed: None if no evidence is kept, and for what no engine runs.
    """

    digest: TableDigest
    columns: Mapping[str, tuple[str, str]]
    seconds: float
    parts: PartsRun | None = None
    """If it was executed by parts."""
    tables: tuple[str, ...] = ()
    """The artifacts of the parts of its table, if it has several; no file was written then."""
    spilled: int = 0
    """The bytes that did not fit into memory."""
    fallback: Fallback | None = None
    """How it was run, if not as the profile says."""
    partitions: int | None = None
    """On how many partitions, if on more than the profile says."""
    observed: Observation | None = None

    @classmethod
    def of(cls, digest: TableDigest, schema: Schema, started: float) -> Executed:
        """Return the result of an execution that has written a table of `schema`; started: by `time.perf_counter`."""
        types = {column.name: column.type for column in schema.columns}
        columns = {name: (types[name], value) for name, value in digest.columns.items()}
        return cls(digest, columns, time.perf_counter() - started)


class Engine(Protocol):
    """What the steps need of an engine."""

    lasting: ClassVar[bool] = False
    """Whether it is the one that commands use, so that what was built with it is up to date for them."""

    def stoppable(self, stop: Stop) -> Engine:
        """Return the same engine for one piece of work that `stop` may end: `execute` raises `StoppedError` then.

        How soon depends on the engine.
        """
        del stop
        return self

    def settle(self) -> None:
        """Let go of what only a build needs."""
        return

    def identity(self, profile: Profile) -> EngineIdentity:
        """Return the parts of fingerprints that identify the engine. Nothing large is loaded for it."""
        ...

    def load(self) -> None:
        """Load what planning needs, ahead of time."""
        ...

    def require(self, profile: Profile) -> None:
        """Raise `UserError` if the engine refuses a setting of a profile."""
        del profile

    def reach(self) -> None:
        """Raise `EngineError` if the engine cannot be reached, before it is asked for much."""
        return

    def planner(
        self, profile: Profile, remember: Callable[[str, Schema], None], functions: Iterable[EngineFunction]
    ) -> SchemaPlanner:
        """Return a planner for one thread. remember: takes every schema that was planned, with its memo key.

        functions: of the project, which planning never calls.
        """
        ...

    def execute(self, job: Job) -> Executed:
        """Run a query and write its result as `rules.engine.writing` does. Raises `EngineError` and OSError."""
        ...

    def stream(self, query: EngineQuery, schema: pa.Schema, scratch: Path) -> Generator[pa.RecordBatch]:
        """Yield the rows of a query, cast to `schema`. scratch: a folder for files. Raises `EngineError`.

        When the caller stops, the query does.
        """
        ...
