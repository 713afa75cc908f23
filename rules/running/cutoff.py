"""Early cutoff: a new result that equals the old one re-runs nothing below it.

Equal column digests of the read set are equal action keys and need no code here. This module handles rows that came
in another order, which SQL leaves open: they are the same table unless the rule orders its product.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cache.bags import bag_of_files
from cache.errors import DamagedInputError, ObjectError
from rules.engine.protocol import Executed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cache.keys import Content
    from cache.records import Artifact, Product
    from graph.node import Node
    from rules.storage.store import Store


def only_permuted(store: Store, node: Node, last: Product, executed: Executed, written_bag: str) -> Artifact | None:
    """Return the old artifact if the new result has the very same rows in another order, and order is not content."""
    old = store.artifact(last.artifact)
    if node.ordered or old is None or old.rows != executed.digest.rows or not store.present(old.artifact):
        return None
    types = {name: dtype for name, (dtype, _) in executed.columns.items()}
    if list(old.columns) != list(types) or any(old.columns[name][0] != dtype for name, dtype in types.items()):
        return None
    try:
        store.verify(old)
        return old if bag(store, old, tuple(types)) == written_bag else None
    except ObjectError as error:  # a corrupt object is not worth keeping
        store.say(f"warning: {error}; the new result takes its place")
        return None


def may_be_permuted(store: Store, node: Node, last: Product | None, executed: Executed) -> bool:
    """Whether comparing the rows as a bag can show anything: the counts agree and the digests do not."""
    if last is None or node.ordered or last.artifact == executed.digest.table or executed.tables:
        return False
    old = store.artifact(last.artifact)
    return (
        old is not None
        and not old.parts
        and old.rows == executed.digest.rows
        and set(old.columns) == set(executed.columns)
    )


def reads_same_rows(
    store: Store, node: Node, last: Product, inputs: Mapping[str, str], contents: Mapping[str, Content]
) -> bool:
    """Whether every input of an unchanged rule has, in the columns it reads, the same rows as before, in any order.

    `inputs`: name → artifact now, for products and ingested sources. Only asked when some digest differs.
    """
    if node.order_dependent or last.fingerprint != node.fingerprint:
        return False
    before = last.record.inputs
    if len(before) != len(node.inputs):
        return False
    for was, name, reads in zip(before, node.inputs, node.reads, strict=True):
        content = contents[name]
        if content.rows != was.rows:
            return False
        if all(content.columns[column] == was.columns.get(column) for column in reads):
            continue
        now = store.artifact(inputs[name]) if name in inputs else None
        old = store.artifact(was.artifact) if was.artifact else None
        if now is None or old is None or not store.present(old.artifact):
            return False
        try:
            if not _hold_same_rows(store, now, old, reads):
                return False
        except ObjectError as error:  # then nothing is known, and the rule runs
            store.say(f"warning: {error}")
            return False
    return True


def _hold_same_rows(store: Store, now: Artifact, old: Artifact, columns: tuple[str, ...]) -> bool:
    """Whether two tables have the same rows in any order; parts that both have are not read. Raises `ObjectError`."""
    if not now.parts and not old.parts:
        return bag(store, now, columns) == bag(store, old, columns)
    ours, theirs = (Counter(one.parts or (one.artifact,)) for one in (now, old))
    bags = []
    for left in (ours - theirs, theirs - ours):
        names = sorted(left.elements())
        store.know(names)
        bags.append(_bag(store, names, columns) if names else "")
    return bags[0] == bags[1]


def bag(store: Store, artifact: Artifact, columns: tuple[str, ...]) -> str:
    """Return the projection digest of an artifact, remembered once computed. Raises `ObjectError`."""
    memo = "\x00".join(columns)
    known = store.index.bag(artifact.artifact, memo)
    if known is None:
        store.know(artifact.parts)
        known = _bag(store, artifact.parts or (artifact.artifact,), columns)
        store.index.remember_bag(artifact.artifact, memo, known)
    return known


def _bag(store: Store, artifacts: Sequence[str], columns: tuple[str, ...]) -> str:
    """Return the digest of tables of one file each, taken together. Raises `ObjectError`, also if they change then."""
    paths = [store.objects.path(one) for one in artifacts]
    try:
        marks = store.require_sound("", artifacts)
        try:
            found = bag_of_files(paths, columns)
        finally:
            store.require_untouched("", marks)
    except DamagedInputError as error:
        raise ObjectError(str(error)) from error
    return found
