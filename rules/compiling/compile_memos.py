"""The memos of one run of the compiler: what the index knows of compiled rules and schemas, and what is new to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from compiler.schema import Schema, schema_of, schema_record
from rules.compiling.compiled_records import Head, as_record, heads_in_use, load_heads
from rules.loading.compiler_identity import COMPILER

if TYPE_CHECKING:
    from cache.index import Index

_BATCH = 50
"""The number of compiled rules that are recorded at once."""


class CompileMemos:
    """Memos of compiled rules, by memo key, and of schemas, by the keys of `compiler.planned_schema`.

    in_use: the small facts of compiled rules that last states of products name. made: receives the memo keys of rules
    compiled here. believed: whether the index's memos of schemas count.
    """

    def __init__(self, index: Index, named: Collection[str], *, few: bool = False) -> None:
        """Read what is in use. named: the memo keys that last states of products name; few: if far from all do."""
        self.made: set[str] = set()
        self.believed = True
        self.in_use = load_heads(index, named) if few else heads_in_use(index, named)
        self._index = index
        self._heads = dict(self.in_use)
        self._fresh: list[tuple[str, Head, bytes, Any]] = []
        self._fresh_schemas: dict[str, Any] = {}

    def know(self, heads: Mapping[str, Head]) -> None:
        """Take the small facts of compiled rules that were read already, by memo key."""
        self._heads |= heads

    def head(self, memo: str) -> Head | None:
        """Return the small facts of a compiled rule, None if it is not known."""
        return self._heads.get(memo) or load_heads(self._index, [memo]).get(memo)

    def remember(self, memo: str, head: Head, body: bytes, lineage: Any) -> None:
        """Keep the result of compiling a rule, and record it now and then: an interrupt costs little."""
        self._heads[memo] = head
        self.made.add(memo)
        self._fresh.append((memo, head, body, lineage))
        if len(self._fresh) == _BATCH:
            self.save()

    def take_back(self) -> tuple[Head, bytes, Any]:
        """Return head, body and lineage of the rule that was remembered last, which is not recorded then."""
        _, head, body, lineage = self._fresh.pop()
        return head, body, lineage

    def learn(self, key: str, schema: Schema) -> None:
        """Keep a schema that the engine has planned."""
        self._fresh_schemas[_of_schema(key)] = schema_record(schema)

    def schema(self, key: str) -> Schema | None:
        """Return a schema that the engine has planned, None if it is not known."""
        memo = _of_schema(key)
        record = self._fresh_schemas.get(memo)
        if record is None and self.believed:
            record = self._index.memo("schemas", [memo]).get(memo)
        return schema_of(record) if record is not None else None

    def save(self) -> None:
        """Record the new memos in the index."""
        with self._index.transaction():
            self._index.remember("schemas", self._fresh_schemas)
            records = [(memo, as_record(head), body, lineage) for memo, head, body, lineage in self._fresh]
            self._index.remember_compiled(records)
        self._fresh, self._fresh_schemas = [], {}


def _of_schema(key: str) -> str:
    return f"{key} {COMPILER}"
