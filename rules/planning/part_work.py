"""How a rule is executed by the parts of one of its inputs: which input, by which queries, under which keys.

Planning counts the new parts with it, and running runs them, so that both speak of the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cache.keys import Content, action_key
from cache.parts import PARTS_FORMAT
from compiler.fingerprint import fingerprint
from compiler.parts.reading import PARTIALS, PartQueries, PartQuery
from rules.wording import plural

if TYPE_CHECKING:
    from pathlib import Path

    from cache.records import Artifact
    from graph.node import Node
    from rules.compiling.compiled_rule import CompiledRule
    from rules.compiling.memo_proof import Bodies
    from rules.compiling.session import Session
    from rules.engine.protocol import PartsRun
    from rules.sources.contents import Sources
    from rules.storage.store import Store

_ENGINE = ("execution", "engine", "settings", "functions", "normalize")
"""What the fingerprint of a rule covers besides its query: it holds for the queries of its parts, too."""


@dataclass(frozen=True)
class InputPart:
    """A part of an input: its rows, in the columns that a rule scans, and its files. constants: as in `EngineInput`."""

    content: Content
    files: tuple[Path, ...]
    constants: Mapping[str, Any]


@dataclass(frozen=True)
class PartWork:
    """The way of a rule to work by the parts of `input`. keys: of the action of each part, in their order.

    rest_key: of the action that reads no part, if there is one.
    """

    input: str
    queries: PartQueries
    parts: tuple[InputPart, ...]
    keys: tuple[str, ...]
    rest_key: str | None
    parts_of_fingerprint: Mapping[str, Any]
    others: Mapping[str, Content]
    """The contents of the other inputs, in the columns that any of the queries scans."""

    def merge_key(self, query: PartQuery, children: Sequence[str]) -> str:
        """Return the key of the action that merges partial results, which are named by their content."""
        merged = {**_identity(query, self.parts_of_fingerprint), "children": list(children)}
        others = [self.others[name].restricted(query.scans[name]) for name in sorted(query.scans) if name != PARTIALS]
        return action_key(fingerprint(merged), others)


def part_work(
    rule: CompiledRule,
    bodies: Bodies,
    session: Session,
    sources: Sources,
    artifacts: Mapping[str, str],
) -> PartWork | None:
    """Return how a rule works by parts; None if no input has several, or it is not proved that it can.

    Of several inputs the largest one is read by parts. artifacts: of the products that it reads, as far as they are
    known; None is returned if one is not. Raises `UserError`.
    """
    inputs = _Inputs(session.store, sources, artifacts)
    if rule.rule.streams is not None or rule.node.volatile or not all(map(inputs.is_known, rule.scans)):
        return None
    found = [name for name in rule.scans if inputs.has_parts(name)]
    if not found:
        return None
    readings = bodies.readings(rule)
    for name in sorted(found, key=lambda one: -inputs.rows(one)):
        ways = readings[name].ways if name in readings else ()
        way = next((one for one in ways if one.unshared is None), None)
        if way is not None:
            return _work(rule, name, way, inputs)
    return None


@dataclass(frozen=True)
class _Inputs:
    """The inputs of a rule, sources and products. artifacts: of products."""

    store: Store
    sources: Sources
    artifacts: Mapping[str, str]

    def is_known(self, name: str) -> bool:
        return self._is_source(name) or (name in self.artifacts and self._artifact(name) is not None)

    def has_parts(self, name: str) -> bool:
        if self._is_source(name):
            return bool(self.sources.table(name).parts)
        artifact = self._artifact(name)
        return artifact is not None and bool(artifact.parts)

    def rows(self, name: str) -> int:
        return self.sources.table(name).rows if self._is_source(name) else self.store.content(self.artifacts[name]).rows

    def content(self, name: str, columns: Sequence[str]) -> Content:
        if self._is_source(name):
            return self.sources.content(name, columns)
        return self.store.content(self.artifacts[name]).restricted(columns)

    def parts(self, name: str, columns: Sequence[str]) -> tuple[InputPart, ...]:
        if not self._is_source(name):
            artifact = self._artifact(name)
            assert artifact is not None
            self.store.know(artifact.parts)
            return tuple(
                InputPart(self.store.content(one).restricted(columns), self.store.files(one), {})
                for one in artifact.parts
            )
        constants = self.sources.constants(name)
        table = self.sources.table(name)
        found = zip(table.parts, self.sources.part_contents(name, columns), self.sources.part_paths(name), strict=True)
        return tuple(
            InputPart(content, files, {key: values[part.files] for key, values in constants.items() if key in columns})
            for part, content, files in found
        )

    def _is_source(self, name: str) -> bool:
        return name in self.sources.opened()

    def _artifact(self, name: str) -> Artifact | None:
        return self.store.artifact(self.artifacts[name])


def _work(rule: CompiledRule, name: str, way: PartQueries, inputs: _Inputs) -> PartWork:
    queries = [query for query in (way.each, way.rest, way.merge) if query is not None]
    scanned = {one: {column for query in queries for column in query.scans.get(one, ())} for one in rule.scans}
    known = {one: inputs.content(one, sorted(columns)) for one, columns in scanned.items() if one != name}
    parts = inputs.parts(name, way.each.scans[name])
    node = rule.node
    keys = tuple(_key(way.each, node, {**known, name: part.content}, name) for part in parts)
    rest_key = _key(way.rest, node, known, "") if way.rest is not None else None
    return PartWork(name, way, parts, keys, rest_key, node.parts, known)


def _key(query: PartQuery, node: Node, contents: Mapping[str, Content], part: str) -> str:
    """Return the key of the action of one part. part: the input that it is of, "" for none."""
    scanned = sorted(query.scans)
    of_inputs = [contents[name].restricted(query.scans[name]) for name in scanned]
    identity = {**_identity(query, node.parts), "part": scanned.index(part) if part else -1}
    return action_key(fingerprint(identity), of_inputs)


def _identity(query: PartQuery, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the table that a query makes of its inputs."""
    return {
        "by parts": PARTS_FORMAT,
        "query": query.sql,
        "columns": [[column.name, column.type] for column in query.schema.columns],
        **{part: parts[part] for part in _ENGINE if part in parts},
    }


def sentence(total: int, run: int, name: str) -> str:
    """Say how many parts of an input are new: "1 of 365 parts of flights is new"."""
    return f"{run or 'none'} of {plural(total, 'part')} of {name} {'is' if run < 2 else 'are'} new"  # noqa: PLR2004


def with_parts(reason: str, parts: PartsRun | None) -> str:
    """Return the reason of a run, with how many parts it had to read."""
    return reason if parts is None else f"{reason}; {sentence(parts.total, parts.run, parts.input)}"
