"""The inputs that a run does not build: sources, and products outside the selection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from cache.keys import Content
from cache.records import Product
from rules.compiling.compiled_rule import nodes_of_checks
from rules.compiling.session import Compilation, Session
from rules.errors import UserError

if TYPE_CHECKING:
    from rules.planning.prepared import Selection


def read_inputs(
    session: Session, compiled: Compilation, selection: Selection, products: Mapping[str, Product]
) -> tuple[Compilation, dict[str, Content]]:
    """Return the contents of the inputs of what is selected, and what is compiled over inputs that can be read.

    A source of which only the footers could be read so far may be damaged in a column: then what reads it is left out,
    and its error is with those of the session. products: in their last states. Raises `UserError` as below.
    """
    order, contracts = selection.order, selection.contracts
    damaged: dict[str, UserError] = {}
    contents = contents_of_inputs(session, compiled, order, products, damaged)
    if not damaged:
        return compiled, contents
    session.unreadable.update(damaged)
    sound = session.compile(order, contracts).to_build(session.project, order, contracts)
    return sound, contents_of_inputs(session, sound, order, products)


def contents_of_inputs(
    session: Session,
    compiled: Compilation,
    order: Iterable[str],
    products: Mapping[str, Product],
    damaged: dict[str, UserError] | None = None,
) -> dict[str, Content]:
    """Return the contents of the inputs of `order` and of the contracts that this run does not build.

    products: in their last states. damaged: takes the errors of sources whose columns cannot be read, which are then
    left out. Raises `UserError` for a product that was never built, and otherwise for sources.
    """
    selected, declared, store = set(order), session.project.sources, session.store
    rules = [compiled.rules[name] for name in order if name in compiled.rules]
    nodes = [rule.node for rule in rules]
    nodes += [check.compiled.node for rule in rules if rule.checks for check in rule.checks]
    nodes += nodes_of_checks(compiled.contracts.values()).values()
    read = {
        (source, reads)
        for node in nodes
        for source, reads in zip(node.inputs, node.reads, strict=True)
        if source in declared
    }
    wanted: dict[str, set[str]] = {}
    for source, reads in read:
        wanted.setdefault(source, set()).update(reads)
    known = selected | declared.keys()
    outside = {other for node in nodes for other in node.dependencies if other not in known}
    kept = store.memory.part(_Kept)
    contents = {}
    for name in sorted(wanted):
        try:
            contents[name] = kept.same(name, session.sources.content(name, sorted(wanted[name])))
        except UserError as error:
            if damaged is None:
                raise
            damaged[name] = error
    for name in sorted(outside):
        last = products.get(name)
        if last is None or not store.present(last.artifact):
            reader = next(node.name for node in nodes if name in node.dependencies)
            message = f"{reader} reads {name}, which is not selected and has never been built"
            raise UserError(message, code="selection", hint=f"select +{reader} to build what it reads too")
        contents[name] = store.content(last.artifact)
    return contents


class _Kept:
    """The contents of sources in the last run of this process."""

    def __init__(self) -> None:
        self._contents: dict[str, Content] = {}

    def same(self, name: str, content: Content) -> Content:
        """Return the content of a source: the same object again while it is equal, by which readers know it."""
        if self._contents.get(name) != content:
            self._contents[name] = content
        return self._contents[name]


def artifacts_of_inputs(session: Session, contents: Iterable[str], products: Mapping[str, Product]) -> dict[str, str]:
    """Return the artifacts of inputs that a run does not build: products outside it, and ingested sources."""
    declared = session.project.sources
    opened = {name: session.sources.table(name).artifact for name in contents if name in declared}
    return {
        **{name: products[name].artifact for name in contents if name not in declared and name in products},
        **{name: artifact.artifact for name, artifact in opened.items() if artifact is not None},
    }
