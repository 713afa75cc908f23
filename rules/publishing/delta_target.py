"""A folder of Delta tables as a target: in one commit, the files of new parts are added and those of others removed."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from rules.errors import FAILED, UserError
from rules.publishing.data_files import lake_leaf, lake_schema
from rules.publishing.lake_target import ARTIFACT, FORMAT, FORMAT_KEY, Commit, LakeTarget, State
from rules.publishing.places import Folder

if TYPE_CHECKING:
    from types import ModuleType

    from rules.publishing.target import Say, StoredTable, Target

_OURS = "published by rules"
"""What a table's description begins with."""
_UNUSABLE = re.compile(r"[ ,;{}()\n\t=]")
"""What names of columns may not hold in a table without column mapping."""


@contextlib.contextmanager
def opened_delta(place: Path, shown: str, say: Say, *, writes: bool) -> Iterator[Target]:
    """Open a folder of Delta tables. shown: as the user wrote it. Raises `UserError`."""
    try:
        import deltalake
        import deltalake.transaction
    except ModuleNotFoundError as error:
        hint = "pip install 'leastwork-rules[delta]'"
        raise UserError("publishing Delta tables needs the package deltalake", code="missing", hint=hint) from error
    with Folder(place, shown).held(say) if writes else contextlib.nullcontext():
        yield DeltaTarget(deltalake, place, shown)


class DeltaTarget(LakeTarget):
    """See `rules.publishing.lake_target`."""

    metadata: ClassVar[str] = "_delta_log"
    data: ClassVar[str] = ""

    def __init__(self, lake: ModuleType, root: Path, shown: str) -> None:
        super().__init__(root, shown)
        self._lake = lake

    def _read(self, product: str) -> State | None:
        folder = self._root / product
        table = self._lake.DeltaTable(folder)
        if not (table.metadata().description or "").startswith(_OURS):
            return None
        added = pa.table(table.get_add_actions(flatten=True))
        files = dict(zip(added.column("path").to_pylist(), added.column("size_bytes").to_pylist(), strict=True))
        rows = sum(one or 0 for one in added.column("num_records").to_pylist())
        artifact, changed = _last_commit(folder / self.metadata, table.version())
        return State(table, table.version(), artifact, changed, files, rows)

    def _schema(self, table: StoredTable) -> pa.Schema:
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

    def _commit(self, wanted: Commit, state: State | None) -> Path:
        from deltalake import CommitProperties, Schema
        from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

        folder, now = self._root / wanted.product, int(time.time() * 1000)
        schema = Schema.from_arrow(wanted.schema)
        memory = CommitProperties(custom_metadata={ARTIFACT: wanted.artifact, FORMAT_KEY: str(FORMAT)})

        def add(name: str) -> AddAction:
            path = folder / name
            counts = json.dumps({"numRecords": pq.read_metadata(path).num_rows})
            return AddAction(name, path.stat().st_size, {}, now, data_change=True, stats=counts)

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
        return folder / self.metadata / f"{self._lake.DeltaTable(folder).version():020d}.json"

    def _allow(self, table: Any, schema: pa.Schema) -> None:
        """Let a table have timestamps without a zone, before a commit says that it has: the package does not."""
        features = table.protocol().writer_features or ()
        if "timestampNtz" not in features and any("timestamp[us]" in str(field.type) for field in schema):
            feature = self._lake.TableFeatures.TimestampWithoutTimezone
            table.alter.add_feature(feature, allow_protocol_versions_increase=True)

    def _errors(self, product: str) -> contextlib.AbstractContextManager[None]:
        exceptions = self._lake.exceptions
        return self._told(product, (exceptions.CommitFailedError,), (exceptions.DeltaError,))


def _last_commit(log: Path, version: int) -> tuple[str | None, str]:
    """Return the artifact that a table holds, else None and why not. Commits without data change nothing."""
    for number in range(version, -1, -1):
        try:
            lines = (log / f"{number:020d}.json").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            break
        actions = [json.loads(line) for line in lines]
        info: dict[str, Any] = next((one["commitInfo"] for one in actions if "commitInfo" in one), {})
        if ARTIFACT in info:
            if info.get(FORMAT_KEY) != str(FORMAT):
                return None, "it was published by another version of rules"
            return info[ARTIFACT], ""
        moved = (action.get("add") or action.get("remove") for action in actions)
        if any(one is not None and one.get("dataChange", True) for one in moved) or any(
            "metaData" in action for action in actions
        ):
            return None, f"it was changed by someone else in version {number}"
    return None, "its log does not say any more which table it holds"
