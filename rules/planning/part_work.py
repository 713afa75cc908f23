"""How a rule is executed by the parts of one of its inputs: which input, by which queries, under which keys.

Planning counts the new parts with it, and running runs them, so that both speak of the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cache.keys import Content, action_key, action_keys
from cache.parts import PARTS_FORMAT
from compiler.fingerprint import fingerprint
from compiler.parts.reading import PARTIALS, PartQueries, PartQuery
from graph.plan import key_of
from rules.planning.input_parts import InputPart, Inputs, together
from rules.planning.key_groups import KeyGroups
from rules.planning.parts_as_one import content_as_one
from rules.wording import plural

if TYPE_CHECKING:
    from graph.node import Node
    from rules.compiling.compiled_rule import CompiledRule
    from rules.compiling.memo_proof import Bodies
    from rules.compiling.session import Session
    from rules.engine.protocol import PartsRun
    from rules.sources.contents import Sources
    from rules.storage.store import Store

_ENGINE = ("execution", "engine", "settings", "functions", "normalize")
"""What the fingerprint of a rule covers besides its query: it holds for the queries of its parts, too."""
_SINGLE_ENOUGH = 0.5
"""Groups of parts that share a value, for each part: if they are fewer, merging partial results costs less."""

_OTHERS = 0.25
"""The rows of other inputs that are read for each part of a file, as a share of the rows of a part."""


@dataclass(frozen=True)
class PartWork:
    """The way of a rule to work by the parts of `input`, some of them together where these share a value of a column.

    keys: of the action of each part, in their order. rest_key: of the action that reads no part, if there is one.
    """

    input: str
    queries: PartQueries
    parts: tuple[InputPart, ...]
    keys: tuple[str, ...]
    rest_key: str | None
    parts_of_fingerprint: Mapping[str, Any]
    others: Mapping[str, Content]
    """The contents of the other inputs, in the columns that any of the queries scans."""
    inputs: Inputs
    key_as_one: Callable[[int], str | None]
    """Returns a key of the action of parts that are read together, by their place, which covers their rows and not how
    these are cut; None where there is none. See `parts_as_one`."""

    @property
    def total(self) -> int:
        """The number of parts of the input."""
        return sum(part.count for part in self.parts)

    def known(self, store: Store) -> dict[str, str]:
        """Return the artifacts of the actions whose results are known, by their keys, looked up together.

        What is known of the same rows in other parts counts, too.
        """
        keys = [*self.keys, *([self.rest_key] if self.rest_key is not None else [])]
        found = store.find_actions(keys, self.queries.each.schema)
        others = {place: self.key_as_one(place) for place, key in enumerate(self.keys) if key not in found}
        wanted = {place: key for place, key in others.items() if key is not None}
        if wanted:
            same = store.find_actions(wanted.values(), self.queries.each.schema)
            found |= {self.keys[place]: same[key] for place, key in wanted.items() if key in same}
        store.know(found.values())
        return found

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
    *,
    believe: bool = True,
) -> PartWork | None:
    """Return how a rule works by parts; None if no input has several, or it is not proved that it can.

    Of several inputs the largest one is read by parts. artifacts: of the products that it reads, as far as they are
    known; None is returned if one is not. believe: as for `Bodies.readings`. Raises `UserError`.
    """
    inputs = Inputs(session.store, sources, artifacts)
    if rule.node.volatile or not all(map(inputs.is_known, rule.scans)):
        return None
    found = [name for name in rule.scans if inputs.has_parts(name)]
    if not found:
        return None
    for name in sorted(found, key=lambda one: -inputs.rows(one)):
        if not _may_pay(rule, bodies, name, inputs):
            continue
        reading = bodies.readings(rule, name, believe=believe)
        ways = reading.ways if reading is not None else ()
        is_always = any(way.unshared is None for way in ways)
        for way in ways:
            parts = inputs.parts(name, way.each.scans[name])
            if way.unshared is not None:
                parts = _together(parts, name, way, inputs, least=_SINGLE_ENOUGH if is_always else 0.0)
            if parts and _pays(parts, name, way, inputs):
                return _work(rule, name, way, parts, inputs)
    return None


def _together(
    parts: Sequence[InputPart], name: str, way: PartQueries, inputs: Inputs, least: float
) -> tuple[InputPart, ...]:
    """Return the parts of an input, those as one that share values of a column by which a way works; () if it is none.

    Of several such columns it is the one by which there are most. least: how many there have to be, as a share.
    """
    dtype, unchanged = functools.partial(inputs.dtype, name), functools.partial(inputs.require_sound, name)
    known = KeyGroups(inputs.store, parts, dtype, unchanged)
    groups: list[list[int]] = []
    for column in way.unshared or ():
        found = known.of(column) or []
        groups = found if len(found) > len(groups) else groups
    if len(groups) < 2 or len(groups) < least * len(parts):  # noqa: PLR2004
        return ()
    return tuple(together([parts[place] for place in places]) for places in groups)


def _may_pay(rule: CompiledRule, bodies: Bodies, name: str, inputs: Inputs) -> bool:
    """Whether `_pays` may hold of some way to work by the parts of an input, of which there are two at least.

    It is known without the ways, which take some ten milliseconds to find.
    """
    if not inputs.has_runs(name):
        return True
    beside = [one for one in bodies.beside(rule, name) if one in rule.scans]
    return sum(map(inputs.rows, beside)) * 2 <= _OTHERS * inputs.rows(name)


def _pays(parts: Sequence[InputPart], name: str, way: PartQueries, inputs: Inputs) -> bool:
    """Whether what a way reads of other inputs, again for each part, is little beside the part.

    It is asked only for the parts of one file: who loads a file at a time shows that the table grows.
    """
    if all(file.groups is None for part in parts for file in part.files):
        return True
    others = sum(inputs.rows(one) for one in way.each.scans if one != name)
    return others * len(parts) <= _OTHERS * sum(part.content.rows for part in parts)


def _work(rule: CompiledRule, name: str, way: PartQueries, parts: tuple[InputPart, ...], inputs: Inputs) -> PartWork:
    queries = [query for query in (way.each, way.rest, way.merge) if query is not None]
    scanned = {one: {column for query in queries for column in query.scans.get(one, ())} for one in rule.scans}
    known = {one: inputs.content(one, sorted(columns)) for one, columns in scanned.items() if one != name}
    node = rule.node
    keys_of = _keys if rule.rule.streams is None else _keys_of_calls
    keys = tuple(keys_of(way.each, node, known, name, [part.content for part in parts]))
    rest_key = _keys(way.rest, node, known, "", [Content(0, {})])[0] if way.rest is not None else None

    def key_as_one(place: int) -> str | None:
        if not way.exact or parts[place].count < 2 or rule.rule.streams is not None:  # noqa: PLR2004
            return None
        content = content_as_one(inputs, name, parts[place])
        return _keys(way.each, node, known, name, [content])[0] if content is not None else None

    return PartWork(name, way, parts, keys, rest_key, node.parts, known, inputs, functools.cache(key_as_one))


def _keys(
    query: PartQuery, node: Node, others: Mapping[str, Content], name: str, parts: Sequence[Content]
) -> list[str]:
    """Return the keys of the actions of some parts. name: the input that they are of, "" for none."""
    scanned = sorted(query.scans)
    place = scanned.index(name) if name else -1
    of_inputs = [others[one].restricted(query.scans[one]) if one != name else None for one in scanned]
    identity = fingerprint({**_identity(query, node.parts), "part": place})
    return action_keys(identity, of_inputs, parts, query.scans.get(name, ()))


def _keys_of_calls(
    _: PartQuery, node: Node, others: Mapping[str, Content], name: str, parts: Sequence[Content]
) -> list[str]:
    """Return the keys of the actions that call a rule over streams with one part: the rule's own, with that part."""
    identity = {"by parts": PARTS_FORMAT, "rule": node.fingerprint, "part": node.inputs.index(name)}
    of_call = replace(node, fingerprint=fingerprint(identity))
    return [key_of(of_call, {**others, name: part}) for part in parts]


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
