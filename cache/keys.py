"""Action keys: what a rule and everything its result can depend on come to, as 128 bits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import xxhash


def hash_json(document: object) -> str:
    """Hash plain data as compact ASCII JSON: 32 hex digits of xxh3_128. JSON keeps every boundary unambiguous."""
    return xxhash.xxh3_128_hexdigest(json.dumps(document, separators=(",", ":")).encode())


@dataclass(frozen=True)
class Content:
    """What is known of a table's content: its row count, and type and digest of (at least) the columns in question."""

    rows: int
    columns: Mapping[str, tuple[str, str]]

    def restricted(self, names: Sequence[str]) -> Content:
        """Return the content of the table that has only the columns `names`. Raises KeyError if one is not known."""
        return Content(self.rows, {name: self.columns[name] for name in names})


def action_key(fingerprint: str, inputs: Sequence[Content]) -> str:
    """Return H(fingerprint, [row count, sorted (column, type, digest) of each input's read set]), 32 hex digits.

    `inputs` are in the order of their positions in the canonical AST, each restricted to its read set. Equal keys
    mean equal products.
    """
    parts = [[content.rows, sorted([name, *facts] for name, facts in content.columns.items())] for content in inputs]
    text = json.dumps([fingerprint, parts], ensure_ascii=False, separators=(",", ":"))
    return xxhash.xxh3_128_hexdigest(text.encode())
