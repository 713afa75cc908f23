"""What runs is compiled from the text at hand: the memo of a rule that is about to run is proved by compiling it again.

A store is data that anybody may have written, and a memo is only as good as its store. Plans and reports believe memos;
the engine is given nothing that this process has not compiled. A rule that was edited was compiled just now, so this
costs a few milliseconds for each of the rules that run because their inputs changed, and nothing for what is clean.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cache.errors import DamagedIndexError
from compiler.schema import schema_record
from compiler.tree.big_stack import with_deep_stack
from rules.compiling.compile_rules import Work
from rules.compiling.compiled_rule import Body, CompiledRule, load_body
from rules.errors import ForeignMemoError

if TYPE_CHECKING:
    from rules.compiling.session import Loaded


class Bodies:
    """The compiled queries of one run, for threads that share it."""

    def __init__(self, loaded: Loaded, compiled: Mapping[str, CompiledRule]) -> None:
        """compiled: every rule of the run."""
        self._loaded = loaded
        self._compiled = compiled
        self._lock = threading.Lock()
        self._work: Work | None = None
        self._proved: dict[str, Body] = {}

    def body(self, rule: CompiledRule) -> Body:
        """Return the query of a rule. Raises `ForeignMemoError`, and `UserError` if the text is another by now."""
        if rule.memo in self._loaded.made:
            return load_body(self._loaded.store.index, rule.memo)
        with self._lock:
            if rule.memo not in self._proved:
                self._proved[rule.memo] = with_deep_stack(lambda: self._prove(rule))
            return self._proved[rule.memo]

    def _prove(self, rule: CompiledRule) -> Body:
        index, work = self._loaded.store.index, self._compiler()
        for table in rule.rule.parsed.tables:
            name = work.resolve(table)
            if name is not None and name not in work.known:
                work.known[name] = self._table(name)
        head, packed, lineage = work.compile_again(rule.rule)
        remembered = index.compiled_heads([rule.memo]), index.lineages([rule.memo])
        try:
            same_body = _unpacked(packed) == _unpacked(index.compiled_body(rule.memo))
        except (ValueError, zlib.error) as error:
            raise DamagedIndexError(f"the index is damaged: a compiled rule cannot be read: {error}") from error
        if not same_body or remembered != ({rule.memo: _plain(head)}, {rule.memo: _plain(lineage)}):
            raise ForeignMemoError(rule.rule.name)
        return load_body(index, rule.memo)

    def _compiler(self) -> Work:
        if self._work is None:
            loaded = self._loaded
            names = [*loaded.project.sources, *loaded.rules]
            self._work = Work(
                loaded.project,
                loaded.profile,
                loaded.store,
                names,
                python=loaded.python,
                functions=loaded.functions,
                trust_engine=False,
            )
        return self._work

    def _table(self, name: str) -> Mapping[str, Any]:
        if name in self._loaded.project.sources:
            return schema_record(self._loaded.sources.table(name).schema)
        return self._compiled[name].table


def _plain(record: Any) -> Any:
    """Return a record as it comes back from the index."""
    return json.loads(json.dumps(record))


def _unpacked(body: bytes) -> Any:
    return json.loads(zlib.decompress(body))
