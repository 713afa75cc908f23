"""A folder of tables of a table format as a target, whatever the format: what is there, what is sent, what goes.

A table of a product is in the folder of its name, and its data files are there or below. A commit says which artifact
it makes of the table, and the names of data files which parts they hold. So what is there is known from the table's own
metadata, and what an earlier publish has sent stays as it is.
"""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pyarrow as pa

from rules.errors import FAILED, UserError
from rules.publishing.data_files import (
    is_ours,
    partition_text,
    partition_values,
    parts_of,
    require_partitions,
    write_parts,
)
from rules.publishing.target import Sent, Step, StoredTable

if TYPE_CHECKING:
    from rules.config.publish_settings import PublishTable
    from rules.publishing.lake_places import LakePlace

ARTIFACT, FORMAT_KEY = "rules.artifact", "rules.format"
"""What a commit says of itself: the table that it makes, and the version of how products become tables."""
FORMAT = 1
"""That version. Raise it to have all tables sent again."""


class LakeFile(NamedTuple):
    """A data file of a table. values: of the columns of its partition, as text; None is NULL."""

    bytes: int
    rows: int
    values: tuple[str | None, ...] = ()


class State(NamedTuple):
    """A table as it is there. artifact: None if somebody else changed it, as `changed` says; files: by name.

    table: as the format's package has it. version: of the table. keys: the columns of its partitions.
    """

    table: Any
    version: int
    artifact: str | None
    changed: str
    files: Mapping[str, LakeFile]
    keys: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(one.rows for one in self.files.values())


@dataclass(frozen=True)
class Commit:
    """What a table is to hold. files: all of its data files, by name; keys, values: of the partitions of these."""

    product: str
    artifact: str
    schema: pa.Schema
    keys: tuple[str, ...]
    files: Mapping[str, LakeFile]
    values: Mapping[str, tuple[Any, ...]]

    @property
    def rows(self) -> int:
        """How many rows it is to have."""
        return sum(one.rows for one in self.files.values())


class LakeTarget(ABC):
    """See `rules.publishing.target.Target`."""

    metadata: ClassVar[str]
    """The folder of a table's metadata, inside the table's."""
    data: ClassVar[str]
    """The folder of data files, inside the table's; "" for that one."""
    keeps_keys: ClassVar[bool]
    """Whether data files have the columns of the partitions."""

    def __init__(self, place: LakePlace, table: PublishTable) -> None:
        self._place, self._shown, self._partition_by = place, table.to, table.partition_by
        self._root = place.root
        self._commits: list[Commit] = []
        self._dropped: list[str] = []

    @abstractmethod
    def _read(self, product: str) -> State | None:
        """Return the table of a product, None if no publish wrote it."""

    @abstractmethod
    def _schema(self, table: StoredTable) -> pa.Schema:
        """Return the columns that a table will have. Raises `UserError` for what the format cannot hold."""

    @abstractmethod
    def _commit(self, wanted: Commit, state: State | None) -> None:
        """Make a table's next version below `root`. state: as it is now."""

    @abstractmethod
    def _order(self, name: str) -> tuple[int, str]:
        """Return by what files of metadata are sorted into the order in which readers may see them."""

    @abstractmethod
    def _decides(self, name: str) -> bool:
        """Whether a file of metadata is one that only one writer may make."""

    @abstractmethod
    def _errors(self, product: str) -> contextlib.AbstractContextManager[None]:
        """Raise the errors of the format's package as `UserError`."""

    def step(self, product: str, artifact: str) -> Step:
        """As `Target` says."""
        state, keys = self._state(product), self._partition_by.get(product, ())
        if state is None:
            return Step(product, artifact, "send", "it was not published here before")
        if state.artifact is None:
            return Step(product, artifact, "send", state.changed)
        if state.artifact != artifact:
            return Step(product, artifact, "send", "its table is another one than was published")
        if state.keys != keys:
            reason = f"it is to be partitioned by {', '.join(keys)}" if keys else "it is not to be partitioned"
            return Step(product, artifact, "send", reason)
        there = self._place.names(product, self.data) or {}
        for name, one in state.files.items():
            if name not in there:
                return Step(product, artifact, "send", f"{product}/{name} was removed by someone else")
            if there[name] != one.bytes:
                return Step(product, artifact, "send", f"{product}/{name} was changed by someone else")
        return Step(product, artifact, "keep", "it is there already", state.rows)

    def _state(self, product: str) -> State | None:
        """Return a table of ours, None if there is none. Raises `UserError` for what no publish wrote."""
        inside = self._place.names(product, "")
        if inside is not None and self._place.names(product, self.metadata):
            with self._errors(product):
                state = self._read(product)
            if state is not None:
                return state
        elif inside is not None:
            left = {*inside, *(self._place.names(product, self.data) or ())} - {self.metadata, self.data}
            if all(is_ours(name) or name.startswith(".") for name in left):
                return None  # nothing is there, or a publish was killed before its first commit
        message = f"{self._shown}/{product} is there, and no publish wrote it"
        hint = "nothing of it was touched; remove it yourself, or publish to another folder"
        raise UserError(message, code="exists", hint=hint, exit_code=FAILED)

    def require_possible(self, table: StoredTable) -> None:
        """As `Target` says."""
        schema = self._schema(table)
        require_partitions(table, schema, self._partition_by.get(table.product, ()))
        self._state(table.product)

    def send(self, table: StoredTable) -> Sent:
        """As `Target` says."""
        name, keys = table.product, self._partition_by.get(table.product, ())
        schema, folder = self._schema(table), self._root / name / self.data
        inside = pa.schema([field for field in schema if self.keeps_keys or field.name not in keys])
        state = self._state(name)
        parts = parts_of(table, keys)
        values = {part.name: partition_values(part, schema, keys) for part in parts}
        self._require_values(table, keys, values.values())
        there = self._place.names(name, self.data) or {}
        before = state.files if state is not None and state.keys == keys else {}
        missing = [one for one in parts if one.name not in before or there.get(one.name) != before[one.name].bytes]
        with self._errors(name):
            folder.mkdir(exist_ok=True, parents=True)
            write_parts(table, missing, inside, keys, folder)
            self._place.keep(name, [self._inside(one.name) for one in missing])
            written = {one.name: (folder / one.name).stat().st_size for one in missing}
        files = {
            one.name: LakeFile(
                written.get(one.name, there.get(one.name, 0)), one.rows, tuple(map(partition_text, values[one.name]))
            )
            for one in parts
        }
        self._commits.append(Commit(name, table.artifact, schema, keys, files, values))
        return Sent(table.rows, len(missing), sum(written.values()))

    def _changes(self, product: str, make: Callable[[], None]) -> list[str]:
        """Return the names of files of metadata below `root` that `make` makes or changes."""
        folder = self._root / product / self.metadata

        def there() -> dict[str, tuple[int, int]]:
            return {
                one.name: (one.stat().st_mtime_ns, one.stat().st_size)
                for one in (os.scandir(folder) if folder.is_dir() else ())
                if one.is_file()
            }

        before = there()
        make()
        return sorted(name for name, stamp in there().items() if before.get(name) != stamp)

    def _inside(self, name: str) -> str:
        """Return where a data file is in its table's folder."""
        return f"{self.data}/{name}" if self.data else name

    def _unfit(self, value: Any) -> str | None:
        """Return why a value cannot be that of a partition, as a clause about it; None if it can."""
        del value
        return None

    def _require_values(self, table: StoredTable, keys: Sequence[str], values: Iterable[tuple[Any, ...]]) -> None:
        """Refuse values that cannot name a partition. Raises `UserError`."""
        for some in values:
            for key, value in zip(keys, some, strict=True):
                unfit = self._unfit(value)
                if unfit is not None:
                    message = f"column '{key}' of {table.product} holds {unfit}"
                    hint = "partition by another column, or give it another value in the rule"
                    raise UserError(message, code="unfit", hint=hint, exit_code=FAILED)

    def finish(self) -> None:
        """As `Target` says: each table by a commit of its own."""
        for one in self._commits:
            with self._errors(one.product):
                state = self._state(one.product)
                names = sorted(self._changes(one.product, lambda: self._commit(one, state)), key=self._order)  # noqa: B023 — it is called at once
                first = [name for name in names if self._decides(name)]
                self._place.commit(
                    one.product, *([f"{self.metadata}/{name}" for name in some] for some in (names, first))
                )
                self._require_seen(one)
                self._place.sweep(one.product, self.data)
        for product in self._dropped:
            with self._errors(product):
                self._place.drop(product)

    def _require_seen(self, wanted: Commit) -> None:
        """Raise `UserError` unless readers see what was sent."""
        state = self._state(wanted.product)
        if state is None or (state.artifact, state.keys, state.files) != (wanted.artifact, wanted.keys, wanted.files):
            message = f"{self._shown}/{wanted.product} does not hold what was committed to it"
            raise UserError(message, code="unwritable", hint="publish again; please report this", exit_code=FAILED)

    def others(self, products: Sequence[str]) -> list[str]:
        """As `Target` says."""
        found = []
        for name in self._place.tables():
            if name not in products and not name.startswith(".") and self._place.names(name, self.metadata):
                with contextlib.suppress(UserError):  # of others, who may do with theirs as they like
                    if self._state(name) is not None:
                        found.append(name)
        return found

    def drop(self, products: Sequence[str]) -> None:
        """As `Target` says."""
        self._dropped += products

    @contextlib.contextmanager
    def _told(
        self, product: str, raced: tuple[type[Exception], ...], failed: tuple[type[Exception], ...]
    ) -> Iterator[None]:
        """Raise errors of a format's package, and of the system, as `UserError`. raced: of two commits at once."""
        shown = f"{self._shown}/{product}"
        others: tuple[type[Exception], ...] = (*failed, OSError, ValueError)
        try:
            yield
        except raced as error:
            message = f"{shown} was committed to by someone else at the same time"
            raise UserError(message, code="raced", hint="publish again; nothing was lost", exit_code=FAILED) from error
        except others as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).partition("\n")[0]
            message = f"{shown} cannot be published to: {reason}"
            raise UserError(message, code="unwritable", exit_code=FAILED) from error
