"""What a pass may know besides the tree: the schemas of the inputs, and through them some types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from compiler.schema import Schema
from compiler.types import Types


@dataclass(frozen=True)
class Facts:
    """schemas: of the inputs, by the names they have in the tree."""

    schemas: Mapping[str, Schema]

    def types(self, query: exp.Query) -> Types:
        """Return the types of the expressions of `query` as it is now; ask again after changing it."""
        return Types(query, self.schemas)
