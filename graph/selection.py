"""Selection: the products that a command is about, in dbt's grammar.

name   +name   name+   2+name   name+3   @name   glob_*   tag:x   path:dir   source:x+   changed
space (or several -s) = union, comma = intersection
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from graph.dag import Dag

# A name contains no "+", so a term has only one reading: 2+a+1 is two steps up and one down, and a+b is not a term.
_TERM = re.compile(
    r"(?:(?P<family>@)|(?P<up_depth>\d*)(?P<up>\+))?(?P<body>[^+@][^+]*)(?:(?P<down>\+)(?P<down_depth>\d*))?\Z"
)
_EXAMPLES = "examples: name, +name, name+2, tag:x, path:rules/marts, 'a b' for either, 'tag:x,path:y' for both"
_METHODS = ("tag", "path", "source")
_ELSEWHERE = {
    "state": "write changed: the rules that have changed in meaning since they were last built",
    "git": "write changed: the rules that have changed in meaning since they were last built",
    "result": "rules build runs the products that failed, and those skipped because of them; the rest is up to date",
    "source_status": "rules build detects which sources have changed, and which products that affects",
    "config": "write tag:x, path:x or a name: rules have no other properties to select by",
    "group": "write tag:x",
    "file": "write path:x",
    "fqn": "write the name, or path:x",
    "package": "write path:x: every rule belongs to the project",
    "resource_type": "everything that is built is a product",
    "test_name": "checks run with their product: write its name",
    "test_type": "checks run with their product: write its name",
    "exposure": "write the products that it reads: +a +b",
    "metric": "write the product: a metric is a product like any other",
}
"""Methods of dbt and SQLMesh → the hint that names this tool's form."""
_GLOB = "*?["
_LISTED = 8
_MOST_DIGITS = 18


class SelectionError(Exception):
    """A selector that cannot be parsed or that matches nothing."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Facts:
    """The facts that selectors match: each product's tags and path (relative to the project, "/" between folders)."""

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
        if not expression.strip():
            raise SelectionError("a selector is empty", _EXAMPLES)
        for intersection in expression.split():
            chosen |= set.intersection(*(_term(dag, facts, term, intersection) for term in intersection.split(",")))
    return chosen


def _term(dag: Dag, facts: Facts, text: str, whole: str) -> set[str]:
    match = _TERM.match(text)
    if match is None:
        hint = "a comma joins two selectors, without spaces" if not text else _EXAMPLES
        raise SelectionError(f"cannot read the selector '{whole}'", hint)
    if match["family"] and match["down"]:
        raise SelectionError(
            f"cannot read the selector '{whole}'", "@name includes the readers of name, so it takes no +"
        )
    roots = _body(dag, facts, match["body"])
    if match["body"].startswith("source:") and not (match["down"] or match["family"]):
        hint = f"{match['body']}+ selects the products that read it"
        raise SelectionError(f"'{text}' selects no product, because a source is not built", hint)
    chosen = set(roots)
    for root in roots:
        if match["up"]:
            chosen |= dag.upstream(root, _steps(match["up_depth"]))
        if match["down"]:
            chosen |= dag.downstream(root, _steps(match["down_depth"]))
        if match["family"]:
            chosen |= dag.downstream(root)
    products = chosen & set(dag.inputs)
    return dag.closure(products) if match["family"] else products


def _steps(digits: str) -> int | None:
    """Return how many steps a term goes; None for all, as where the number is longer than any DAG is deep."""
    counted = digits.lstrip("0")
    return None if not digits or len(counted) > _MOST_DIGITS else int(counted or 0)


def _body(dag: Dag, facts: Facts, body: str) -> set[str]:
    method, colon, value = body.partition(":")
    if colon:
        return _by_method(dag, facts, method, value)
    if body == "changed":
        return set(facts.changed())
    if "/" in body or body.endswith((".sql", ".py")):
        return _by_path(facts, body)
    if any(char in body for char in _GLOB):
        found = {name for name in dag.inputs if fnmatch.fnmatchcase(name, body)}
        if not found:
            raise SelectionError(f"no product matches '{body}'", "rules ls lists the products")
        return found
    if body not in dag.inputs:
        raise _unknown("product", body, dag.inputs, "rules ls lists the products")
    return {body}


def _by_method(dag: Dag, facts: Facts, method: str, value: str) -> set[str]:
    if method == "tag":
        found = {name for name, tags in facts.tags.items() if any(fnmatch.fnmatchcase(tag, value) for tag in tags)}
        if not found:
            raise _unknown("tag", value, {tag for tags in facts.tags.values() for tag in tags}, "no rule has a tag")
        return found
    if method == "path":
        return _by_path(facts, value)
    if method == "source":
        sources = {name for inputs in dag.inputs.values() for name in inputs} - set(dag.inputs)
        found = {name for name in sources if fnmatch.fnmatchcase(name, value)}
        if not found:
            raise _unknown("source", value, sources, "no rule reads a source")
        return found
    family = method.partition(".")[0]
    if family in _ELSEWHERE:
        raise SelectionError(f"unknown selection method '{method}'", _ELSEWHERE[family])
    raise _unknown("selection method", method, _METHODS)


def _by_path(facts: Facts, value: str) -> set[str]:
    """Find the rules in a file, in a folder, or matching a glob; a file's name alone is enough."""
    wanted = value.removeprefix("./").rstrip("/")
    if value and wanted in {"", "."}:
        return set(facts.paths)
    found = {
        name
        for name, path in facts.paths.items()
        if wanted in {path, path.rsplit("/", 1)[-1]}
        or path.startswith(f"{wanted}/")
        or fnmatch.fnmatchcase(path, wanted)
    }
    if not found or not value:
        raise SelectionError(
            f"no rule under the path '{value}'", "paths are relative to the project; rules ls lists them"
        )
    return found


def _unknown(kind: str, name: str, known: Iterable[str], otherwise: str | None = None) -> SelectionError:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    listed = f"known: {', '.join(names)}" if 0 < len(names) <= _LISTED else otherwise
    return SelectionError(f"unknown {kind} '{name}'", f"did you mean '{close[0]}'?" if close else listed)
