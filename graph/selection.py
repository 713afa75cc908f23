"""Selection: which products a command is about, in dbt's grammar.

    name   +name   name+   2+name   name+3   glob_*   tag:x   path:dir   changed   source:x+
    space (or several -s) = union, comma = intersection
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from graph.dag import Dag

_TERM = re.compile(r"^(?:(?P<up_depth>\d*)(?P<up>\+))?(?P<body>[^+]+)(?:(?P<down>\+)(?P<down_depth>\d*))?$")
_METHODS = ("tag", "path", "source")


class SelectionError(Exception):
    """A selector that cannot be read or that names nothing."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Facts:
    """What selectors can ask about: each product's tags and path (relative to the project, "/" between folders)."""

    tags: Mapping[str, tuple[str, ...]]
    paths: Mapping[str, str]
    changed: Callable[[], Iterable[str]]


def select(dag: Dag, facts: Facts, include: Iterable[str], exclude: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the selected products in the DAG's order; all of them when `include` is empty. Raises `SelectionError`."""
    wanted = list(include)
    chosen = _union(dag, facts, wanted) if wanted else set(dag.order)
    chosen -= _union(dag, facts, list(exclude))
    return tuple(name for name in dag.order if name in chosen)


def _union(dag: Dag, facts: Facts, expressions: list[str]) -> set[str]:
    chosen: set[str] = set()
    for expression in expressions:
        for union in expression.split():
            terms = [_term(dag, facts, term) for term in union.split(",") if term]
            if terms:
                chosen |= set.intersection(*terms)
    return chosen


def _term(dag: Dag, facts: Facts, text: str) -> set[str]:
    match = _TERM.match(text)
    if match is None:
        raise SelectionError(f"cannot read the selector '{text}'", "examples: name, +name, name+2, tag:x, path:rules/marts")
    roots = _body(dag, facts, match["body"])
    chosen = set(roots)
    for root in roots:
        if match["up"]:
            chosen |= dag.upstream(root, int(match["up_depth"]) if match["up_depth"] else None)
        if match["down"]:
            chosen |= dag.downstream(root, int(match["down_depth"]) if match["down_depth"] else None)
    return chosen & set(dag.inputs)


def _body(dag: Dag, facts: Facts, body: str) -> set[str]:
    method, colon, value = body.partition(":")
    if colon:
        return _by_method(dag, facts, method, value)
    if body == "changed":
        return set(facts.changed())
    if any(char in body for char in "*?["):
        found = set(fnmatch.filter(dag.inputs, body))
        if not found:
            raise SelectionError(f"no product matches '{body}'")
        return found
    if body not in dag.inputs:
        raise _unknown("product", body, dag.inputs)
    return {body}


def _by_method(dag: Dag, facts: Facts, method: str, value: str) -> set[str]:
    if method == "tag":
        found = {name for name, tags in facts.tags.items() if any(fnmatch.fnmatchcase(tag, value) for tag in tags)}
        if not found:
            raise _unknown("tag", value, {tag for tags in facts.tags.values() for tag in tags})
        return found
    if method == "path":
        prefix = value.removeprefix("./").rstrip("/")
        found = {name for name, path in facts.paths.items() if path == prefix or path.startswith(f"{prefix}/")}
        if not found:
            raise SelectionError(f"no rule under the path '{value}'")
        return found
    if method == "source":
        sources = {name for inputs in dag.inputs.values() for name in inputs} - set(dag.inputs)
        if value not in sources:
            raise _unknown("source", value, sources)
        return {value}
    raise _unknown("selection method", method, _METHODS)


def _unknown(kind: str, name: str, known: Iterable[str]) -> SelectionError:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return SelectionError(f"unknown {kind} '{name}'", f"did you mean '{close[0]}'?" if close else None)
