"""A folder of Delta tables as a target: a table for each product, in one commit only those parts that changed.

The commit says which artifact it makes of the table, and the names of data files which parts they hold. So what is
there is known from the log, and what an earlier publish has sent stays as it is.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from cache.durability import synchronise
from cache.removal import clear_beside, name_beside, remove_draft, rename
from rules.errors import FAILED, UserError
from rules.publishing.data_files import is_ours, lake_leaf, lake_schema, parts_of, write_part
from rules.publishing.places import Folder
from rules.publishing.target import Sent, Step, StoredTable

if TYPE_CHECKING:
    from types import ModuleType

    from rules.publishing.target import Say, Target

_ARTIFACT = "rules.artifact"
_FORMAT, _FORMAT_KEY = "1", "rules.format"
"""Version of how products become Delta tables. Raise it to have them all sent again."""
_OURS = "published by rules"
"""What a table's description begins with."""
_UNUSABLE = re.compile(r"[ ,;{}()\n\t=]")
"""What names of columns may not hold in a table without column mapping."""


class _State(NamedTuple):
    """A table as it is there. artifact: None if somebody else changed it, as `changed` says; files: name → bytes."""

    table: Any
    artifact: str | None
    changed: str
    files: Mapping[str, int]
    rows: int


@dataclass
class _Commit:
    product: str
    artifact: str
    schema: pa.Schema
    names: list[str]
    rows: int


@contextlib.contextmanager
def opened_delta(place: Path, shown: str, say: Say, *, writes: bool) -> Iterator[Target]:
    """Open a folder of Delta tables. shown: as the user wrote it. Raises `UserError`."""
    try:
        import deltalake
        import deltalake.transaction
    except ModuleNotFoundError as error:
        hint = "pip install 'leastwork-rules[delta]'"
        raise UserError("publishing Delta tables needs the package deltalake", code="missing", hint=hint) from error
    folder = Folder(place, shown)
    with folder.held(say) if writes else contextlib.nullcontext():
        yield DeltaTarget(deltalake, place, shown)


class DeltaTarget:
    """See `rules.publishing.target.Target`."""

    def __init__(self, lake: ModuleType, root: Path, shown: str) -> None:
        self._lake, self._root, self._shown = lake, root, shown
        self._commits: list[_Commit] = []
        self._dropped: list[str] = []

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
            path = self._root / product / name
            if not path.is_file():
                return Step(product, artifact, "send", f"{product}/{name} was removed by someone else")
            if path.stat().st_size != size:
                return Step(product, artifact, "send", f"{product}/{name} was changed by someone else")
        return Step(product, artifact, "keep", "it is there already", state.rows)

    def _state(self, product: str) -> _State | None:
        """Return a table of ours, None if there is none. Raises `UserError` for what no publish wrote."""
        folder = self._root / product
        if not (folder / "_delta_log").is_dir() or not any((folder / "_delta_log").iterdir()):
            if folder.is_symlink() or not folder.is_dir():
                is_free = not folder.is_symlink() and not folder.exists()
            else:
                is_free = all(is_ours(one.name) or one.name.startswith((".", "_delta_log")) for one in folder.iterdir())
            if not is_free:
                raise self._foreign(product)
            return None
        with self._errors(product):
            table = self._lake.DeltaTable(folder)
            if not (table.metadata().description or "").startswith(_OURS):
                raise self._foreign(product)
            added = pa.table(table.get_add_actions(flatten=True))
            files = dict(zip(added.column("path").to_pylist(), added.column("size_bytes").to_pylist(), strict=True))
            rows = sum(one or 0 for one in added.column("num_records").to_pylist())
            artifact, changed = self._last_commit(folder, table.version())
        return _State(table, artifact, changed, files, rows)

    def _foreign(self, product: str) -> UserError:
        message = f"{self._shown}/{product} is there, and no publish wrote it"
        hint = "nothing of it was touched; remove it yourself, or publish to another folder"
        return UserError(message, code="exists", hint=hint, exit_code=FAILED)

    @staticmethod
    def _last_commit(folder: Path, version: int) -> tuple[str | None, str]:
        """Return the artifact that a table holds, else None and why not. Commits without data change nothing."""
        for number in range(version, -1, -1):
            try:
                lines = (folder / "_delta_log" / f"{number:020d}.json").read_text(encoding="utf-8").splitlines()
            except FileNotFoundError:
                break
            actions = [json.loads(line) for line in lines]
            info: dict[str, Any] = next((one["commitInfo"] for one in actions if "commitInfo" in one), {})
            if _ARTIFACT in info:
                if info.get(_FORMAT_KEY) != _FORMAT:
                    return None, "it was published by another version of rules"
                return info[_ARTIFACT], ""
            moved = (action.get("add") or action.get("remove") for action in actions)
            if any(one is not None and one.get("dataChange", True) for one in moved) or any(
                "metaData" in action for action in actions
            ):
                return None, f"it was changed by someone else in version {number}"
        return None, "its log does not say any more which table it holds"

    def require_possible(self, table: StoredTable) -> None:
        """As `Target` says."""
        self._schema(table)
        self._state(table.product)

    @staticmethod
    def _schema(table: StoredTable) -> pa.Schema:
        schema = lake_schema(table, lake_leaf, "Delta")
        seen: dict[str, str] = {}
        for name in schema.names:
            problem = f"the name of which holds {_UNUSABLE.findall(name)[0]!r}" if _UNUSABLE.search(name) else ""
            if name.lower() in seen:
                problem = f"beside column '{seen[name.lower()]}', which for Delta is the same name"
            if problem:
                message = f"{table.product} has column '{name}', {problem}"
                raise UserError(message, code="unsupported", hint="give it another name in the rule", exit_code=FAILED)
            seen[name.lower()] = name
        return schema

    def send(self, table: StoredTable) -> Sent:
        """As `Target` says."""
        schema, folder = self._schema(table), self._root / table.product
        state = self._state(table.product)
        before = set(state.files) if state is not None else set()
        parts = parts_of(table)
        with self._errors(table.product):
            folder.mkdir(exist_ok=True)
            for part in parts:
                write_part(table, part, schema, folder)
            synchronise(folder)
            synchronise(self._root)
            new = [part.name for part in parts if part.name not in before]
            size = sum((folder / name).stat().st_size for name in new)
        self._commits.append(_Commit(table.product, table.artifact, schema, [one.name for one in parts], table.rows))
        return Sent(table.rows, len(new), size)

    def finish(self) -> None:
        """As `Target` says: each table by a commit of its own."""
        for one in self._commits:
            with self._errors(one.product):
                self._commit(one)
        for product in self._dropped:
            with self._errors(product):
                folder = self._root / product
                aside = name_beside(folder)
                rename(folder, aside)
                synchronise(self._root)
                remove_draft(aside)

    def _commit(self, wanted: _Commit) -> None:
        from deltalake import CommitProperties, Schema
        from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

        folder, now = self._root / wanted.product, int(time.time() * 1000)
        schema = Schema.from_arrow(wanted.schema)
        memory = CommitProperties(custom_metadata={_ARTIFACT: wanted.artifact, _FORMAT_KEY: _FORMAT})

        def add(name: str) -> AddAction:
            path = folder / name
            counts = json.dumps({"numRecords": pq.read_metadata(path).num_rows})
            return AddAction(name, path.stat().st_size, {}, now, data_change=True, stats=counts)

        state = self._state(wanted.product)
        if state is None:
            adds = [add(name) for name in wanted.names]
            create_table_with_add_actions(
                str(folder), schema, adds, description=f"{_OURS}: product {wanted.product}", commit_properties=memory
            )
        elif state.table.schema() == schema:
            actions: list[AddAction | RemoveAction] = [add(name) for name in wanted.names if name not in state.files]
            actions += [
                RemoveAction(name, data_change=True, deletion_timestamp=now, size=size, partition_values={})
                for name, size in state.files.items()
                if name not in wanted.names
            ]
            state.table.create_write_transaction(actions, "append", schema, commit_properties=memory)
        else:
            self._allow(state.table, wanted.schema)
            adds = [add(name) for name in wanted.names]
            self._lake.DeltaTable(folder).create_write_transaction(adds, "overwrite", schema, commit_properties=memory)
        log = folder / "_delta_log"
        synchronise(log / f"{self._compare(wanted):020d}.json")
        synchronise(log)
        clear_beside(folder)

    def _allow(self, table: Any, schema: pa.Schema) -> None:
        """Let a table have timestamps without a zone, before a commit says that it has: the package does not."""
        features = table.protocol().writer_features or ()
        if "timestampNtz" not in features and any("timestamp[us]" in str(field.type) for field in schema):
            feature = self._lake.TableFeatures.TimestampWithoutTimezone
            table.alter.add_feature(feature, allow_protocol_versions_increase=True)

    def _compare(self, wanted: _Commit) -> int:
        """Return the version of a table by now. Raises `UserError` unless readers see what was sent."""
        state = self._state(wanted.product)
        if (
            state is None
            or state.artifact != wanted.artifact
            or set(state.files) != set(wanted.names)
            or state.rows != wanted.rows
        ):
            message = f"{self._shown}/{wanted.product} does not hold what was committed to it"
            raise UserError(message, code="unwritable", hint="publish again; please report this", exit_code=FAILED)
        return int(state.table.version())

    def others(self, products: Sequence[str]) -> list[str]:
        """As `Target` says."""
        found = []
        for folder in sorted(self._root.iterdir()) if self._root.is_dir() else ():
            if folder.name not in products and (folder / "_delta_log").is_dir() and not folder.name.startswith("."):
                with contextlib.suppress(UserError):  # of others, who may do with theirs as they like
                    if self._state(folder.name) is not None:
                        found.append(folder.name)
        return found

    def drop(self, products: Sequence[str]) -> None:
        """As `Target` says."""
        self._dropped += products

    @contextlib.contextmanager
    def _errors(self, product: str) -> Iterator[None]:
        shown = f"{self._shown}/{product}"
        try:
            yield
        except self._lake.exceptions.CommitFailedError as error:
            message = f"{shown} was committed to by someone else at the same time"
            raise UserError(message, code="raced", hint="publish again; nothing was lost", exit_code=FAILED) from error
        except (self._lake.exceptions.DeltaError, OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
            message = f"{shown} cannot be published to: {reason}"
            raise UserError(message, code="unwritable", exit_code=FAILED) from error
