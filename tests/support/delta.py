"""Delta tables of kinds that the package deltalake reads and does not write: deleted rows, mapped columns."""

from __future__ import annotations

import base64
import json
import struct
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyroaring import BitMap

_B85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_MAGIC = 1681511377


def deletion_vector(rows: Sequence[int]) -> dict[str, Any]:
    """Return a vector of deleted rows within the log, as the protocol of Delta has it."""
    raw = struct.pack("<IQI", _MAGIC, 1, 0) + BitMap(rows).serialize()
    text = base64.b85encode(raw + bytes(-len(raw) % 4)).decode().translate(str.maketrans(_B85, _Z85))
    return {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(raw), "cardinality": len(rows)}


class HandWritten:
    """A Delta table whose log is written line by line."""

    def __init__(
        self,
        folder: Path,
        fields: list[dict[str, Any]],
        partitions: Sequence[str] = (),
        configuration: dict[str, str] | None = None,
        features: Sequence[str] = ("deletionVectors", "columnMapping"),
    ) -> None:
        self.folder = folder
        (folder / "_delta_log").mkdir(parents=True)
        self._version = 0
        self._partitions, self._configuration, self._id = list(partitions), configuration or {}, str(uuid.uuid4())
        protocol = {"minReaderVersion": 3, "minWriterVersion": 7,
                    "readerFeatures": list(features), "writerFeatures": list(features)}  # fmt: skip
        self.commit({"protocol": protocol}, self.metadata(fields))

    def metadata(self, fields: list[dict[str, Any]]) -> dict[str, Any]:
        schema = json.dumps({"type": "struct", "fields": fields})
        return {
            "metaData": {
                "id": self._id, "format": {"provider": "parquet", "options": {}}, "schemaString": schema,
                "partitionColumns": self._partitions, "configuration": self._configuration, "createdTime": 1,
            }
        }  # fmt: skip

    def commit(self, *actions: dict[str, Any], timestamp: int | None = None) -> None:
        info = {"commitInfo": {"timestamp": timestamp or 1000 + self._version, "operation": "WRITE"}}
        path = self.folder / "_delta_log" / f"{self._version:020d}.json"
        path.write_text("".join(json.dumps(action) + "\n" for action in (*actions, info)))
        self._version += 1

    def add(
        self, name: str, table: pa.Table | None = None, deleted: Sequence[int] = (), **partitions: str | None
    ) -> dict[str, Any]:
        """Return the action that adds a file, written if a table is given."""
        path = self.folder / name
        if table is not None:
            pq.write_table(table, path)
        rows = pq.read_metadata(path).num_rows
        action = {
            "path": name, "partitionValues": partitions, "size": path.stat().st_size, "dataChange": True,
            "modificationTime": int(name.strip("abcdefghijklmnopqrstuvwxyz.-") or 0),
            "stats": json.dumps({"numRecords": rows}),
        }  # fmt: skip
        return {"add": action | ({"deletionVector": deletion_vector(deleted)} if deleted else {})}

    @staticmethod
    def remove(name: str) -> dict[str, Any]:
        return {"remove": {"path": name, "dataChange": True, "deletionTimestamp": 1}}


def field(name: str, kind: Any, physical: str | None = None, number: int | None = None) -> dict[str, Any]:
    marks = {"delta.columnMapping.physicalName": physical} if physical is not None else {}
    numbers = {"delta.columnMapping.id": number} if number is not None else {}
    return {"name": name, "type": kind, "nullable": True, "metadata": {**marks, **numbers}}
