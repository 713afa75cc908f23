"""Action keys: what a rule and everything its result can depend on come to, as 128 bits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import xxhash

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


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
    return _key(fingerprint, map(_text, inputs))


def action_keys(
    fingerprint: str, inputs: Sequence[Content | None], parts: Iterable[Content], names: Iterable[str]
) -> list[str]:
    """Return what `action_key` does for each of many parts of one input, restricted to `names`.

    inputs: as there, with None for the one that the parts are of, if that is among them.
    """
    texts, shown = [None if one is None else _text(one) for one in inputs], sorted(names)
    found = []
    for part in parts:
        own = _ENCODE([part.rows, [[name, *part.columns[name]] for name in shown]])
        found.append(_key(fingerprint, (own if text is None else text for text in texts)))
    return found


def _text(content: Content) -> str:
    return _ENCODE([content.rows, sorted([name, *facts] for name, facts in content.columns.items())])


def _key(fingerprint: str, inputs: Iterable[str]) -> str:
    return xxhash.xxh3_128_hexdigest(f"[{_ENCODE(fingerprint)},[{','.join(inputs)}]]".encode())
