"""Step 7 of 7, store, the index's half: a build's records of a product and of its checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.records import Artifact, InputState, Product, ProductRecord
from rules.loading.compiler_identity import COMPILER

if TYPE_CHECKING:
    from cache.keys import Content
    from graph.plan import Known
    from rules.compiling.compiled_rule import CompiledRule
    from rules.storage.store import Store


@dataclass(frozen=True)
class Provenance:
    """The origins of states: the build, the earlier results, contents and artifacts of all inputs."""

    build: str
    known: Known
    contents: Mapping[str, Content]
    artifacts: Mapping[str, str]


@dataclass(frozen=True)
class State:
    """The table that a rule yields. severity: a check's. partials: see `ProductRecord`; None: those it had before."""

    rule: CompiledRule
    artifact: Artifact
    key: str | None
    seconds: float
    severity: str | None = None
    partials: tuple[str, ...] | None = None

    def is_that_of(self, last: Product | None) -> bool:
        """Whether this is already recorded."""
        if last is None or last.record.severity != self.severity:
            return False
        before = (last.key, last.fingerprint, last.memo, last.artifact)
        return before == (self.key or "", self.rule.node.fingerprint, self.rule.memo, self.artifact.artifact)


def commit(
    store: Store,
    states: Iterable[tuple[State, str]],
    made_of: Provenance,
    *,
    unpublished: State | None = None,
) -> None:
    """Record artifacts, actions and pointers of states, each with its status, in one transaction.

    Existing records are left as they are. unpublished: gets no pointer, because its checks failed; it need not run
    again once the check is corrected.
    """
    fresh = [
        state
        for state, status in states
        if status == "executed" or not state.is_that_of(made_of.known.products.get(state.rule.node.name))
    ]
    if not fresh:
        return
    store.index.stake(sum(state.seconds for state in fresh))
    with store.index.transaction():
        for state in fresh:
            _record_result(store, state, made_of.build)
            if state is not unpublished:
                _move_pointer(store, state, made_of)


def _record_result(store: Store, state: State, build: str) -> None:
    """Record artifact and action, so that this need not be run again."""
    store.index.add_artifact(state.artifact, build)
    parts = set(state.artifact.parts)
    # Another builder's table in parts, whose files are here, was not fetched: only its own record has come.
    for name in sorted(parts - store.index.recorded(parts)) if parts else ():
        part = store.artifact(name)
        if part is not None:
            store.index.add_artifact(part, build)
    if not state.rule.node.volatile and state.key:
        store.record_action(state.key, state.artifact, state.seconds, build, name=state.rule.node.name)


def _move_pointer(store: Store, state: State, made_of: Provenance) -> None:
    """Record that this is now the product or the check's result, and the contents from which it was made."""
    rule = state.rule
    inputs = tuple(_input_states(rule, made_of.contents, made_of.artifacts))
    last = made_of.known.products.get(rule.node.name)
    partials = state.partials
    if partials is None:
        partials = last.record.partials if last is not None else ()
    record = ProductRecord(rule.node.parts, inputs, COMPILER, rule.rule.digest, state.severity, partials)
    keys = (state.key or "", rule.node.fingerprint, rule.memo, record)
    store.index.set_product(Product(rule.node.name, state.artifact.artifact, *keys, state.seconds, made_of.build))


def _input_states(
    rule: CompiledRule, contents: Mapping[str, Content], artifacts: Mapping[str, str]
) -> Iterator[InputState]:
    """Yield the state of each input when it was read."""
    for name, reads in zip(rule.node.inputs, rule.node.reads, strict=True):
        content = contents[name].restricted(reads)
        yield InputState(name, content.rows, dict(content.columns), artifacts.get(name))
