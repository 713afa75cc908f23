"""What the index says of stored tables and of products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Artifact:
    """A stored table: digest of its content, row count, size and digest of its file, name → (type, digest)."""

    artifact: str
    rows: int
    bytes: int
    file_digest: str
    columns: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Product:
    """The last committed state of a product.

    record: {"parts": what its fingerprint covers, "inputs": [[name, rows, {column: [type, digest]}, artifact], …],
    "compiler": identity of the compiler that compiled it, "text": digest of the rule's file};
    seconds: how long its last execution took.
    """

    name: str
    artifact: str
    key: str
    fingerprint: str
    memo: str
    record: Mapping[str, Any]
    seconds: float
    build: str
