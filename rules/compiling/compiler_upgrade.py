"""Whether a rule has another fingerprint only because `rules`, or the engine, was upgraded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from cache.index import Index
from cache.records import Product
from compiler.errors import SqlError
from graph.node import Node
from rules.compiling.compiled_records import load_body
from rules.loading.compiler_identity import COMPILER

if TYPE_CHECKING:
    from compiler.compile import Compiler


def was_upgraded(
    node: Node, last: Product, index: Index, compiler_of: Callable[[Iterable[str]], Compiler], *, trust_engine: bool
) -> bool:
    """Whether a rule is unchanged, and has another fingerprint only because rules (or the engine) was upgraded.

    Decided by compiling the SQL that the earlier version executed: if both give the same result now, the rule's
    meaning is unchanged. Nor may that version have computed it wrongly: it has to have had every correction.

    compiler_of: the compiler, which knows those of some inputs that exist. trust_engine: whether results of another
    version of the engine count too.
    """
    if last.fingerprint == node.fingerprint:
        return False
    from compiler.fingerprint_parts import corrected  # whoever compiles nothing does without SQLGlot

    before, now = last.record.parts, node.parts
    changed = {part for part in before.keys() | now.keys() if before.get(part) != now.get(part)}
    may_change = {"query", "execution"} | ({"engine"} if trust_engine else set())
    (execution, had), (current, _) = corrected(before), corrected(now)
    if not changed <= may_change or execution != current:
        return False
    if not changed & {"query", "execution"}:  # inputs are bound by position, so the same query may read others now
        return [one.name for one in last.record.inputs] == list(node.inputs)
    if last.record.compiler == COMPILER:
        return False
    try:
        body = load_body(index, last.memo)
        query, inputs, needed = compiler_of(body.scans).query_digest(body.meaning)
        return (query, inputs) == (now["query"], node.inputs) and had.issuperset(needed)
    except (KeyError, SqlError):  # its input no longer exists, or its syntax is no longer supported
        return False
