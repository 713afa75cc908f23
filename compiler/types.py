"""Types of expressions, as far as they can be told for certain without the engine.

SQLGlot's `annotate_types` is right about most expressions and wrong about some, and a rewrite that holds for integers
alone is unsound on the first float. So this knows few things, each checked against the engine (see
tests/compiler/test_types.py), and says None of everything else.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from compiler.functions import function_name
from compiler.resolve import INPUT_DB
from compiler.schema import Schema

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_SIGNED = ("int8", "int16", "int32", "int64")
_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}

_CASTS: Mapping[exp.DType, str] = {
    exp.DType.TINYINT: "int8",
    exp.DType.SMALLINT: "int16",
    exp.DType.INT: "int32",
    exp.DType.BIGINT: "int64",
    exp.DType.FLOAT: "float32",
    exp.DType.DOUBLE: "float64",
    exp.DType.BOOLEAN: "bool",
    exp.DType.DATE: "date32",
    exp.DType.VARCHAR: "string",
    exp.DType.TEXT: "string",
}

_BOOLEANS = (exp.And, exp.Or, exp.Not, exp.Predicate, exp.Is, exp.In, exp.Between, exp.Exists, exp.Boolean)


class Types:
    """Types of the expressions of one qualified query; ask again after changing it."""

    def __init__(self, query: exp.Query, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas
        self._scopes: dict[int, Scope] = {}
        self._outputs: dict[tuple[int, str], str | None] = {}  # without it, c + c of c + c of … takes forever
        for scope in traverse_scope(query):
            for column in scope.columns:
                self._scopes.setdefault(id(column), scope)

    def of(self, node: exp.Expr) -> str | None:
        """Return the normalised Arrow type of an expression ("int64", "string", "bool", …), or None if not certain."""
        if isinstance(node, exp.Paren | exp.Alias):
            return self.of(node.this)
        if isinstance(node, exp.Literal):
            return "string" if node.is_string else "int64" if node.is_int and _fits(node) else None
        if isinstance(node, _BOOLEANS) and not isinstance(node, exp.Any | exp.All):
            return "bool"
        if isinstance(node, exp.Cast) and not node.to.expressions:
            return _CASTS.get(node.to.this)
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Mod):
            return self._arithmetic(node)
        if isinstance(node, exp.Neg):
            inner = self.of(node.this)
            return inner if inner in _SIGNED else None
        return self._call(node)

    def is_integer(self, node: exp.Expr) -> bool:
        """Whether an expression certainly is of a signed or unsigned integer type."""
        return self.of(node) in INTEGERS

    def is_exact(self, node: exp.Expr) -> bool:
        """Whether equality of values of the expression is equality of bits: no float, nothing nested."""
        found = self.of(node)
        return found in INTEGERS or found in {"string", "bool", "date32"}

    def _arithmetic(self, node: exp.Binary) -> str | None:
        left, right = self.of(node.this), self.of(node.expression)
        if left in _BITS and right in _BITS:
            return left if _BITS[left] >= _BITS[right] else right
        return None

    def _call(self, node: exp.Expr) -> str | None:
        if isinstance(node, exp.Filter | exp.Window):
            return self.of(node.this)
        if isinstance(node, exp.Count):
            return "int64"
        if isinstance(node, exp.Min | exp.Max):
            return self.of(node.this)
        if isinstance(node, exp.Sum):
            return "int64" if self.of(node.this) in _SIGNED else None
        if isinstance(node, exp.Coalesce):
            kinds = {self.of(item) for item in (node.this, *node.expressions)}
            return kinds.pop() if len(kinds) == 1 else None
        if isinstance(node, exp.Case):
            return self._case(node)
        name = function_name(node)
        return "uint64" if name in {"row_number", "rank", "dense_rank"} else None

    def _case(self, node: exp.Case) -> str | None:
        branches = [branch.args["true"] for branch in node.args["ifs"]]
        default = node.args.get("default")
        values = [value for value in (*branches, default) if value is not None and not isinstance(value, exp.Null)]
        kinds = {self.of(value) for value in values}
        return kinds.pop() if len(kinds) == 1 else None

    def _column(self, column: exp.Column) -> str | None:
        scope = self._scopes.get(id(column))
        while scope is not None:
            source = scope.sources.get(column.table)
            if isinstance(source, exp.Table):
                if source.db != INPUT_DB or source.name not in self._schemas:
                    return None
                found = [one.type for one in self._schemas[source.name].columns if one.name == column.name]
                return found[0] if found else None
            if source is not None:
                key = (id(source), column.name)
                if key not in self._outputs:
                    self._outputs[key] = self._output(source, column.name)
                return self._outputs[key]
            scope = scope.parent
        return None

    def _output(self, source: Scope, name: str) -> str | None:
        query = source.expression
        if isinstance(query, exp.SetOperation):
            names = query.named_selects
            if query.args.get("by_name") or name not in names:
                return None
            position = names.index(name)
            kinds = {self._output_at(branch, position) for branch in source.set_operation_scopes}
            return kinds.pop() if len(kinds) == 1 else None
        if not isinstance(query, exp.Select):
            return None
        item = next((item for item in query.selects if item.alias_or_name == name), None)
        return self.of(item) if item is not None else None

    def _output_at(self, scope: Scope, position: int) -> str | None:
        query = scope.expression
        if isinstance(query, exp.Select) and position < len(query.selects):
            return self.of(query.selects[position])
        if isinstance(query, exp.SetOperation):
            return self._output(scope, query.named_selects[position])
        return None


def _fits(literal: exp.Literal) -> bool:
    """Whether an integer literal is a bigint; larger ones are unsigned, decimal or float."""
    return int(literal.name) < 2**63
