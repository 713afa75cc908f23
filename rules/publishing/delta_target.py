"""A folder of Delta tables as a target: in one commit, the files of new parts are added and those of others removed."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

import pyarrow as pa

from rules.errors import FAILED, UserError
from rules.formats.delta_log import needed_of_log
from rules.publishing.data_files import lake_leaf, lake_schema, partition_text
from rules.publishing.lake_places import opened_lake
from rules.publishing.lake_target import ARTIFACT, FORMAT, FORMAT_KEY, Commit, LakeFile, LakeTarget, State

if TYPE_CHECKING:
    from types import ModuleType

    from rules.config.publish_settings import PublishTable
    from rules.publishing.lake_places import LakePlace
    from rules.publishing.target import Say, StoredTable, Target

_OURS = "published by rules"
"""What a table's description begins with."""
_UNUSABLE = re.compile(r"[ ,;{}()\n\t=]")
"""What names of columns may not hold in a table without column mapping."""
_COMMIT = re.compile(r"\d{20}\.json")


@contextlib.contextmanager
def opened_delta(place: Path | str, table: PublishTable, say: Say, *, writes: bool) -> Iterator[Target]:
    """Open a folder of Delta tables, or the URL of one in a bucket. Raises `UserError`."""
    try:
        import deltalake
        import deltalake.transaction
    except ModuleNotFoundError as error:
        hint = "pip install 'leastwork-rules[delta]'"
        raise UserError("publishing Delta tables needs the package deltalake", code="missing", hint=hint) from error
    with opened_lake(place, table.to, say, writes=writes) as lake:
        yield DeltaTarget(deltalake, lake, table)


class DeltaTarget(LakeTarget):
    """See `rules.publishing.lake_target`."""

    metadata: ClassVar[str] = "_delta_log"
    data: ClassVar[str] = ""
    keeps_keys: ClassVar[bool] = False

    def __init__(self, lake: ModuleType, place: LakePlace, table: PublishTable) -> None:
        super().__init__(place, table)
        self._lake = lake

    def _read(self, product: str) -> State | None:
        folder = self._root / product
        names = self._place.names(product, self.metadata) or {}
        self._place.bring(product, [f"{self.metadata}/{name}" for name in needed_of_log(names)])
        table = self._lake.DeltaTable(folder)
        metadata = table.metadata()
        if not (metadata.description or "").startswith(_OURS):
            return None
        keys = tuple(metadata.partition_columns)
        added = pa.table(table.get_add_actions(flatten=True))
        columns = [added.column(f"partition.{key}").to_pylist() for key in keys]
        values = [tuple(map(partition_text, one)) for one in zip(*columns, strict=True)] or [()] * added.num_rows
        paths, sizes, rows = (added.column(name).to_pylist() for name in ("path", "size_bytes", "num_records"))
        files = {
            unquote(path): LakeFile(size, number or 0, one)  # the log has paths of files encoded, as URLs are
            for path, size, number, one in zip(paths, sizes, rows, values, strict=True)
        }
        artifact, changed = _last_commit(folder / self.metadata, table.version())
        return State(table, table.version(), artifact, changed, files, keys)

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

    def _unfit(self, value: Any) -> str | None:
        return "an empty text, which as a partition of Delta is NULL" if value == "" else None

    def _commit(self, wanted: Commit, state: State | None) -> None:
        from deltalake import CommitProperties, Schema
        from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

        folder, now = self._root / wanted.product, int(time.time() * 1000)
        schema, keys = Schema.from_arrow(wanted.schema), list(wanted.keys)
        memory = CommitProperties(custom_metadata={ARTIFACT: wanted.artifact, FORMAT_KEY: str(FORMAT)})

        def add(name: str) -> AddAction:
            file = wanted.files[name]
            counts = json.dumps({"numRecords": file.rows})
            values = dict(zip(keys, file.values, strict=True))
            return AddAction(name, file.bytes, values, now, data_change=True, stats=counts)

        if state is None or state.keys != wanted.keys:
            create_table_with_add_actions(
                str(folder),
                schema,
                [add(name) for name in wanted.files],
                mode="error" if state is None else "overwrite",
                partition_by=keys or None,
                description=f"{_OURS}: product {wanted.product}",
                commit_properties=memory,
            )
        elif state.table.schema() == schema:
            actions: list[AddAction | RemoveAction] = [add(name) for name in wanted.files if name not in state.files]
            actions += [
                RemoveAction(
                    name,
                    data_change=True,
                    deletion_timestamp=now,
                    size=file.bytes,
                    partition_values=dict(zip(keys, file.values, strict=True)),
                )
                for name, file in state.files.items()
                if name not in wanted.files
            ]
            state.table.create_write_transaction(
                actions, "append", schema, partition_by=keys or None, commit_properties=memory
            )
        else:
            self._allow(state.table, wanted.schema)
            adds = [add(name) for name in wanted.files]
            self._lake.DeltaTable(folder).create_write_transaction(
                adds, "overwrite", schema, partition_by=keys or None, commit_properties=memory
            )

    def _order(self, name: str) -> tuple[int, str]:
        return 0 if self._decides(name) else 1, name

    def _decides(self, name: str) -> bool:
        return _COMMIT.fullmatch(name) is not None

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
