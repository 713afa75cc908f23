"""Which table a product was at another time: before its last change, after a build, or as a commit's rules yield it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from cache.reachable import REMOVED
from rules.errors import FAILED, UserError, unknown_product

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cache.index import Index
    from rules.compiling.session import Session
    from rules.storage.store import Store

_ALL = 1 << 62


@dataclass(frozen=True)
class State:
    """A table that a product was. artifact: None where the store does not have it, which `origin` explains.

    origin: whose it is: a build's name, or a commit.
    """

    artifact: str | None
    origin: str


def resolve_build(index: Index, text: str) -> str:
    """Return the one build that is called, or starts with, `text`. Raises `UserError`."""
    builds = [build for build, *_ in index.builds(_ALL)]
    found = [text] if text in builds else [build for build in builds if build.startswith(text)]
    if not found:
        raise UserError(f"unknown build '{text}'", code="unknown-build", hint="rules log lists the builds")
    if len(found) > 1:
        message = f"'{text}' could be any of {len(found):,} builds"
        raise UserError(message, code="unknown-build", hint=f"the latest of them is {found[0]}")
    return found[0]


def changed_last(index: Index) -> list[str]:
    """Return the products that changed in the latest build that changed any."""
    for build, *_ in index.builds(_ALL):
        changed = [name for name, _, has_changed, *_ in index.results(build) if has_changed]
        if changed:
            return changed
    return []


def before_last_change(index: Index, name: str, artifact: str) -> State:
    """Return the latest state of a product that was another table than `artifact`."""
    for build, _, _, other in index.history(name):
        if other not in {None, artifact}:
            return State(other, build)
    return State(None, "it has never been another table")


def after_build(index: Index, name: str, build: str) -> State:
    """Return a product's state when a build had ended, whether or not it was a part of it."""
    builds = [one for one, *_ in index.builds(_ALL)]
    until = set(builds[builds.index(build) :])
    for one, status, _, artifact in index.history(name):
        if one in until and status == REMOVED:
            return State(None, f"it had been removed by {build}")
        if one in until and artifact is not None:
            return State(artifact, build)
    return State(None, f"it had not been built by {build}")


def require_stored(store: Store, name: str, state: State) -> str:
    """Return the artifact of a past state, whose object is in the store. Raises `UserError`."""
    if state.artifact is None:
        message = f"there is no such table of {name}: {state.origin}"
        raise UserError(message, code="not-built", hint=f"rules log {name} lists its states")
    if not store.present(state.artifact):
        raise UserError(
            f"the table that {name} was after {state.origin} is no longer in the store",
            code="missing-object",
            hint=f"rules pin {name}@BUILD keeps one, and [store] keep in rules.toml all of them for a time",
            exit_code=FAILED,
        )
    return state.artifact


@dataclass(frozen=True)
class Event:
    """What a build made of a product. changed: whether that was another table; stored: whether it still is there."""

    build: str
    status: str
    reason: str
    artifact: str | None
    changed: bool
    stored: bool


def events(store: Store, name: str) -> list[Event]:
    """Return what builds made of a product, newest first. Raises `UserError` for one that no build lists."""
    rows = store.index.history(name)
    if not rows:
        close = difflib.get_close_matches(name, store.products, n=1, cutoff=0.5)
        hint = f"did you mean '{close[0]}'?" if close else "rules log lists the builds, rules ls the products"
        raise UserError(f"unknown build or product '{name}'", code="unknown-build", hint=hint)
    store.artifacts.update(store.index.artifacts({artifact for *_, artifact in rows if artifact is not None}))
    found: list[Event] = []
    before: str | None = None
    for build, status, reason, artifact in reversed(rows):
        changed = status == REMOVED or (artifact is not None and artifact != before)
        stored = artifact is not None and store.present(artifact)
        found.append(Event(build, status, reason, artifact, changed, stored))
        before = None if status == REMOVED else artifact or before
    return found[::-1]


class Past(NamedTuple):
    """A product as a build left it, as people write it: NAME@BUILD."""

    name: str
    build: str


def past_of(index: Index, text: str) -> Past | None:
    """Return what NAME@BUILD says, None for a text without a build. Raises `UserError` for a build that is unknown."""
    name, at, build = text.partition("@")
    return Past(name, resolve_build(index, build)) if name and at and build else None


def span_of(store: Store, text: str) -> tuple[str, State, State]:
    """Return the product and the two states of NAME@BUILD..BUILD; one that is left out is the last one.

    Raises `UserError`.
    """
    name, _, span = text.partition("@")
    first, _, second = span.partition("..")
    states = store.products
    if name not in states and not store.index.history(name):
        raise unknown_product(name, states)

    def state(build: str) -> State:
        if build:
            return after_build(store.index, name, resolve_build(store.index, build))
        last = states.get(name)
        return State(last.artifact, last.build) if last is not None else State(None, "it has been removed")

    return name, state(first), state(second)


def at_commit(old: Session, store: Store, ref: str, names: Iterable[str]) -> dict[str, State]:
    """Return what the rules of a commit yield on the sources as they are now, where that was ever computed.

    old: the project as the commit has it. Raises `UserError`, or `UserErrors` for rules that do not compile there.
    """
    from graph.plan import Known, make_plan
    from rules.errors import UserErrors
    from rules.planning.inputs import contents_of_inputs

    wanted = list(names)
    there = [name for name in wanted if name in old.rules]
    compilation = old.compile(there)
    compiled = compilation.rules
    errors = old.errors(there)
    if errors:
        raise UserErrors(errors)
    contents = contents_of_inputs(old, compilation.verified(compiled, ()), compiled, {})
    known = Known(
        products={},
        action=lambda key: store.index.actions([key]).get(key),
        present=store.present,
        shape=lambda _: None,
        describe=lambda _node, _last: (),
        script=lambda _node, _last: None,
    )
    nodes = {name: rule.node for name, rule in compiled.items()}
    plan = make_plan(nodes, contents, known, store.content, frozenset())
    states: dict[str, State] = {}
    for name in wanted:
        if name not in compiled:
            states[name] = State(None, f"{ref} has no rule {name}")
        elif plan.judgements[name].verdict != "restore":
            states[name] = State(None, f"what {ref} yields for it has not been computed on these sources")
        else:
            states[name] = State(plan.judgements[name].artifact, ref)
    return states
