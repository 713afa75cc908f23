"""The subject of the checks: one rule's query as written, and the meanings of its names as far as they are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.dialects.extents import Extents
from compiler.dialects.written_kinds import WrittenKinds
from compiler.lint.findings import Fix, Found, span, token_span
from compiler.lint.quoting import as_prefix
from compiler.names.lexical import Names, item_name
from compiler.names.name_meaning import Meaning, Sight
from compiler.tree.walk import LEAVES, nodes

E = TypeVar("E", bound=exp.Expr)


@dataclass(frozen=True)
class Subject:
    """One rule."""

    text: str
    query: exp.Query
    """The query as written, its tables bound."""
    names: Names
    """The scopes and references of its names."""
    sight: Sight
    """The resolver of its bare columns."""
    meanings: Mapping[int, Meaning]
    """The meanings of its bare columns, by id."""
    owners: Mapping[int, exp.Expr]
    """The FROM items of its other columns, by id, if the item is of the column's own query."""
    executed: exp.Query | None
    """The qualified query, if the query can be qualified."""
    types: Types | None
    """The types of the qualified query's expressions."""
    volatile: bool
    """Whether the rule declares itself volatile."""
    keys: Mapping[str, tuple[str, ...]]
    """The keys of the inputs that declare one."""
    functions: frozenset[str]
    """The names of the project's own functions."""
    kinds: WrittenKinds
    """The kinds of the expressions as written, for the habits of other dialects."""
    dialect: str | None = None
    """The dialect that the project comes from."""

    def every(self, *kinds: type[E]) -> list[E]:
        """Return the nodes of some kinds in the query, none of them leaves, breadth first."""
        return [node for node in self._nodes if isinstance(node, kinds)]

    @cached_property
    def extents(self) -> Extents:
        """Return the places of expressions in the text."""
        return Extents(self.text)

    @cached_property
    def _nodes(self) -> list[exp.Expr]:
        """Walked once: each check asks for some, and a list of values may have a hundred thousand leaves."""
        return [node for node in nodes(self.query) if type(node) not in LEAVES]

    def found(
        self,
        code: str,
        node: exp.Expr,
        message: str,
        hint: str | None = None,
        fix: Fix | None = None,
        case: str = "",
    ) -> Found:
        """Return a finding at `node`."""
        start, end = span(node)
        open_ = self.text.count("(", start, end) - self.text.count(")", start, end)
        if open_ > 0 and self.text[end : end + open_] == ")" * open_:  # () has no node of its own
            end += open_
        return Found(code, start, end, message, hint, fix, case)

    def owner(self, column: exp.Column) -> exp.Expr | None:
        """Return the FROM item of its own query that a column belongs to; None if it is another query's or unknown."""
        meaning = self.meanings.get(id(column))
        if meaning is not None:
            return meaning.holders[0] if meaning.kind == "column" and meaning.distance == 0 else None
        return self.owners.get(id(column))

    def alias_text(self, item: exp.Expr) -> str | None:
        """Return how the query writes the name of a FROM item, quoted if necessary; None for one without a name."""
        alias = item.args.get("alias")
        identifier = alias.this if isinstance(alias, exp.TableAlias) else None
        if identifier is None or token_span(identifier) is None:
            identifier = item.this if isinstance(item, exp.Table) else identifier
        place = token_span(identifier) if isinstance(identifier, exp.Identifier) else None
        return as_prefix(self.text[slice(*place)]) if place is not None else None


Check = Callable[[Subject], "list[Found]"]


def shown(item: exp.Expr) -> str:
    """Return a FROM item's name for messages."""
    return item_name(item) or "a table without an alias"
