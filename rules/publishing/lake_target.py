"""A folder of tables of a table format as a target, whatever the format: what is there, what is sent, what goes.

A table of a product is in the folder of its name, and its data files are there or below. A commit says which artifact
it makes of the table, and the names of data files which parts they hold. So what is there is known from the table's own
metadata, and what an earlier publish has sent stays as it is.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from cache.durability import synchronise
from cache.removal import clear_beside, name_beside, remove_draft, rename
from rules.errors import FAILED, UserError
from rules.publishing.data_files import is_ours, parts_of, write_part
from rules.publishing.target import Sent, Step, StoredTable

if TYPE_CHECKING:
    import pyarrow as pa

ARTIFACT, FORMAT_KEY = "rules.artifact", "rules.format"
"""What a commit says of itself: the table that it makes, and the version of how products become tables."""
FORMAT = 1
"""That version. Raise it to have all tables sent again."""


class State(NamedTuple):
    """A table as it is there. artifact: None if somebody else changed it, as `changed` says; files: name → bytes.

    table: as the format's package has it. version: of the table.
    """

    table: Any
    version: int
    artifact: str | None
    changed: str
    files: Mapping[str, int]
    rows: int


@dataclass(frozen=True)
class Commit:
    """What a table is to hold. names: of its data files."""

    product: str
    artifact: str
    schema: pa.Schema
    names: list[str]
    rows: int


class LakeTarget(ABC):
    """See `rules.publishing.target.Target`."""

    metadata: ClassVar[str]
    """The folder of a table's metadata, inside the table's."""
    data: ClassVar[str]
    """The folder of data files, inside the table's; "" for that one."""

    def __init__(self, root: Path, shown: str) -> None:
        """root: the folder; shown: as the user wrote it."""
        self._root, self._shown = root, shown
        self._commits: list[Commit] = []
        self._dropped: list[str] = []

    @abstractmethod
    def _read(self, product: str) -> State | None:
        """Return the table of a product, None if no publish wrote it."""

    @abstractmethod
    def _schema(self, table: StoredTable) -> pa.Schema:
        """Return the columns that a table will have. Raises `UserError` for what the format cannot hold."""

    @abstractmethod
    def _commit(self, wanted: Commit, state: State | None) -> Path:
        """Let readers see a table, in one step; return the file that does. state: as it is now."""

    @abstractmethod
    def _errors(self, product: str) -> contextlib.AbstractContextManager[None]:
        """Raise the errors of the format's package as `UserError`."""

    def step(self, product: str, artifact: str) -> Step:
        """As `Target` says."""
        state = self._state(product)
        if state is None:
            return Step(product, artifact, "send", "it was not published here before")
        if state.artifact is None:
            return Step(product, artifact, "send", state.changed)
        if state.artifact != artifact:
            return Step(product, artifact, "send", "its table is another one than was published")
        for name, size in state.files.items():
            path = self._folder(product) / name
            if not path.is_file():
                return Step(product, artifact, "send", f"{product}/{name} was removed by someone else")
            if path.stat().st_size != size:
                return Step(product, artifact, "send", f"{product}/{name} was changed by someone else")
        return Step(product, artifact, "keep", "it is there already", state.rows)

    def _folder(self, product: str) -> Path:
        return self._root / product / self.data

    def _state(self, product: str) -> State | None:
        """Return a table of ours, None if there is none. Raises `UserError` for what no publish wrote."""
        folder = self._root / product
        metadata = folder / self.metadata
        if metadata.is_dir() and any(metadata.iterdir()):
            with self._errors(product):
                state = self._read(product)
            if state is not None:
                return state
        elif not folder.exists() and not folder.is_symlink():
            return None
        elif folder.is_dir() and not folder.is_symlink():
            mere = {metadata, self._folder(product)}
            left = [*folder.iterdir(), *(self._folder(product).glob("*") if self.data else ())]
            if all(is_ours(one.name) or one.name.startswith(".") or one in mere for one in left):
                return None  # a publish was killed before its first commit
        message = f"{self._shown}/{product} is there, and no publish wrote it"
        hint = "nothing of it was touched; remove it yourself, or publish to another folder"
        raise UserError(message, code="exists", hint=hint, exit_code=FAILED)

    def require_possible(self, table: StoredTable) -> None:
        """As `Target` says."""
        self._schema(table)
        self._state(table.product)

    def send(self, table: StoredTable) -> Sent:
        """As `Target` says."""
        schema, folder = self._schema(table), self._folder(table.product)
        state = self._state(table.product)
        before = set(state.files) if state is not None else set()
        parts = parts_of(table)
        with self._errors(table.product):
            folder.mkdir(exist_ok=True, parents=True)
            for part in parts:
                write_part(table, part, schema, folder)
            for one in (folder, self._root / table.product, self._root):
                synchronise(one)
            new = [part.name for part in parts if part.name not in before]
            size = sum((folder / name).stat().st_size for name in new)
        self._commits.append(Commit(table.product, table.artifact, schema, [one.name for one in parts], table.rows))
        return Sent(table.rows, len(new), size)

    def finish(self) -> None:
        """As `Target` says: each table by a commit of its own."""
        for one in self._commits:
            with self._errors(one.product):
                written = self._commit(one, self._state(one.product))
                synchronise(written)
                synchronise(written.parent)
                self._require_seen(one)
                clear_beside(self._folder(one.product))
        for product in self._dropped:
            with self._errors(product):
                folder = self._root / product
                aside = name_beside(folder)
                rename(folder, aside)
                synchronise(self._root)
                remove_draft(aside)

    def _require_seen(self, wanted: Commit) -> None:
        """Raise `UserError` unless readers see what was sent."""
        state = self._state(wanted.product)
        if state is None or (state.artifact, set(state.files), state.rows) != (
            wanted.artifact,
            set(wanted.names),
            wanted.rows,
        ):
            message = f"{self._shown}/{wanted.product} does not hold what was committed to it"
            raise UserError(message, code="unwritable", hint="publish again; please report this", exit_code=FAILED)

    def others(self, products: Sequence[str]) -> list[str]:
        """As `Target` says."""
        found = []
        for folder in sorted(self._root.iterdir()) if self._root.is_dir() else ():
            if folder.name not in products and (folder / self.metadata).is_dir() and not folder.name.startswith("."):
                with contextlib.suppress(UserError):  # of others, who may do with theirs as they like
                    if self._state(folder.name) is not None:
                        found.append(folder.name)
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
