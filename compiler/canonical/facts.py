"""Facts about the tree for passes: its nodes by kind, its names, the types of its expressions.

Most passes find nothing to do in most trees, so questions have to be cheap: each answer is kept until the tree changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeVar, cast

from sqlglot import exp

from compiler.analysis.traits import shows_row_order
from compiler.analysis.types import Types
from compiler.names.lexical import Names, resolve_names
from compiler.schema import Schema

T = TypeVar("T")
E = TypeVar("E", bound=exp.Expr)


class Facts:
    """Answers about one query at a time, in its state when asked. `schemas`: of the inputs, by name."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self.schemas = schemas
        self._query: exp.Query | None = None
        self._hash: int | None = None
        self._answers: dict[object, Any] = {}

    def of(self, query: exp.Query, question: Callable[[exp.Query, Facts], T]) -> T:
        """Return the answer of `question` about `query`; it is called once for each state of the tree."""
        answers = self._current(query)
        if question not in answers:
            answers[question] = question(query, self)
        return cast("T", answers[question])

    def nodes(self, query: exp.Query, *kinds: type[E]) -> Sequence[E]:
        """Return the nodes of some kinds, but not identifiers, the outermost first, as `find_all` does, at once."""
        answers = self._current(query)
        if kinds not in answers:
            found = [places for kind, places in self.of(query, _places).items() if issubclass(kind, kinds)]
            places = found[0] if len(found) == 1 else sorted(chain(*found))
            nodes = self.of(query, _nodes)
            answers[kinds] = [nodes[place] for place in places]
        return cast("Sequence[E]", answers[kinds])

    def has(self, query: exp.Query, *kinds: type[exp.Expr]) -> bool:
        """Whether the tree has a node of one of the kinds."""
        return bool(self.nodes(query, *kinds))

    def types(self, query: exp.Query) -> Types:
        """Return the types of the expressions; ask again after changing the tree."""
        return self.of(query, _types)

    def names(self, query: exp.Query) -> Names:
        """Return the meanings of the tree's names."""
        return self.of(query, _names)

    def is_order_dependent(self, query: exp.Query) -> bool:
        """Whether the rows of the query can depend on the order of its inputs' rows."""
        return self.of(query, _is_order_dependent)

    @contextmanager
    def renaming(self, query: exp.Query, *, columns: bool) -> Iterator[None]:
        """Keep answers without names while names change here, and all answers if the names are unchanged in the end.

        columns: whether columns get other names too, and not just tables. All nodes but identifiers stay in the tree.
        """
        answers, before = self._current(query), self._hash
        yield
        self._hash = hash(query)
        if self._hash != before:
            self._answers = {
                question: answer
                for question, answer in answers.items()
                if isinstance(question, tuple) or question in _NAMELESS or (question is _types and not columns)
            }

    def notice(self, query: exp.Query) -> None:
        """Forget the answers if a pass has changed the tree, even by replacing nodes with equal ones."""
        if query._hash is None:  # noqa: SLF001 — see `_current`
            self._query = None

    def _current(self, query: exp.Query) -> dict[object, Any]:
        # SQLGlot drops a node's remembered hash, and that of all nodes above it, whenever `set`, `append`, `replace` or
        # `pop` changes it. So a root that still has its own has not been changed.
        if query is not self._query or query._hash != self._hash:  # noqa: SLF001 — there is no other sign of a change
            self._query, self._hash, self._answers = query, hash(query), {}
        return self._answers


def _nodes(query: exp.Query, _facts: Facts) -> list[exp.Expr]:
    """Every node but identifiers, which are half of a tree, breadth first."""
    nodes: list[exp.Expr] = [query]
    for node in nodes:
        for value in node.args.values():
            if isinstance(value, list):
                nodes += [child for child in value if isinstance(child, exp.Expr) and type(child) is not exp.Identifier]
            elif isinstance(value, exp.Expr) and type(value) is not exp.Identifier:
                nodes.append(value)
    return nodes


def _places(query: exp.Query, facts: Facts) -> dict[type[exp.Expr], list[int]]:
    found: dict[type[exp.Expr], list[int]] = {}
    for place, node in enumerate(facts.of(query, _nodes)):
        found.setdefault(type(node), []).append(place)
    return found


def _types(query: exp.Query, facts: Facts) -> Types:
    return Types(facts.names(query), facts.schemas)


def _names(query: exp.Query, _facts: Facts) -> Names:
    return resolve_names(query)


def _is_order_dependent(query: exp.Query, facts: Facts) -> bool:
    return any(map(shows_row_order, facts.of(query, _nodes)))


_NAMELESS = frozenset({_nodes, _places, _names})
"""Questions whose answers are nodes of the tree, independent of their places and names."""
