"""Types of expressions, as far as they are certain without the engine.

SQLGlot's `annotate_types` is right about most expressions but not all, and a rewrite that holds only for integers
is unsound on the first float. So this knows few types, each checked against the engine, and returns None for
everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

from compiler.names.lexical import Names
from compiler.schema import INPUT_DB, Schema
from compiler.sql.functions import function_name

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

_OF_TEXT: Mapping[str, str] = {
    **dict.fromkeys(
        ("upper", "lower", "btrim", "ltrim", "rtrim", "trim", "substr", "replace", "left", "right"), "string"
    ),
    **dict.fromkeys(("length", "char_length", "character_length", "octet_length"), "int32"),
}
"""Functions of a text, by the type of their result."""
_DATE_PARTS = frozenset({"year", "quarter", "month", "week", "day", "dow", "doy", "hour", "minute"})
"""Parts of a date or timestamp that are whole numbers; "epoch" is a double."""
_BOOLEANS = (exp.And, exp.Or, exp.Not, exp.Predicate, exp.Is, exp.In, exp.Between, exp.Exists, exp.Boolean)


class Types:
    """Types of the expressions of one qualified query, whose names are `names`; ask again after changing it."""

    def __init__(self, names: Names, schemas: Mapping[str, Schema]) -> None:
        self._names = names  # keeps the nodes alive by whose ids the others know them
        self._schemas = schemas
        self._owners = {id(reference.column): reference.item for reference in names.references}
        self._sources = {id(table): _visible_body(cte, table) for table, cte in names.tables}
        self._sources |= {id(item): item.this for item in names.items if isinstance(item, exp.Subquery)}
        self._inputs: dict[str, Mapping[str, str]] = {}
        self._places: dict[int, Mapping[str, int]] = {}
        self._outputs: dict[tuple[int, int], str | None] = {}  # without it, c + c of c + c of … takes forever

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
        if isinstance(node, exp.DPipe):
            return "string" if self.of(node.this) == self.of(node.expression) == "string" else None
        if isinstance(node, exp.Neg):
            inner = self.of(node.this)
            return inner if inner in _SIGNED else None
        return self._call(node)

    def is_integer(self, node: exp.Expr) -> bool:
        """Whether an expression is certainly of a signed or unsigned integer type."""
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
        return self._named(function_name(node) or "", node.expressions)

    def _named(self, name: str, arguments: list[exp.Expr]) -> str | None:
        if name in {"row_number", "rank", "dense_rank"}:
            return "uint64"
        if name in {"bool_and", "bool_or"}:
            return "bool"
        if name in _OF_TEXT:
            return _OF_TEXT[name] if arguments and self.of(arguments[0]) == "string" else None
        if name == "date_part" and len(arguments) == 2:  # noqa: PLR2004 — the part, and of what
            part, moment = arguments[0], self.of(arguments[1]) or ""
            known = isinstance(part, exp.Literal) and part.name.lower() in _DATE_PARTS
            return "int32" if known and moment.startswith(("date32", "timestamp")) else None
        return None

    def _case(self, node: exp.Case) -> str | None:
        branches = [branch.args["true"] for branch in node.args["ifs"]]
        default = node.args.get("default")
        values = [value for value in (*branches, default) if value is not None and not isinstance(value, exp.Null)]
        kinds = {self.of(value) for value in values}
        return kinds.pop() if len(kinds) == 1 else None

    def _column(self, column: exp.Column) -> str | None:
        item = self._owners.get(id(column))
        if item is None or column.args.get("db"):  # a field of a column
            return None
        if id(item) in self._sources:
            alias = item.args.get("alias")
            given = [one.name for one in alias.columns] if isinstance(alias, exp.TableAlias) else []
            return self._output(self._sources[id(item)], column.name, given)
        is_input = isinstance(item, exp.Table) and item.db == INPUT_DB
        return self._input(item.name).get(column.name) if is_input else None

    def _input(self, name: str) -> Mapping[str, str]:
        if name not in self._inputs:
            schema = self._schemas.get(name)
            self._inputs[name] = {column.name: column.type for column in schema.columns} if schema is not None else {}
        return self._inputs[name]

    def _output(self, source: exp.Expr, name: str, given: list[str]) -> str | None:
        """Return the type of an output. given: the names of the outputs if the alias lists them."""
        if id(source) not in self._places:
            first = next(_branches(source), None)
            names = [item.alias_or_name for item in first.selects] if isinstance(first, exp.Select) else []
            self._places[id(source)] = {name: place for place, name in reversed(list(enumerate(names)))}
        place = given.index(name) if name in given else self._places[id(source)].get(name)
        if place is None:
            return None
        if (id(source), place) not in self._outputs:
            kinds = {self._output_at(branch, place) for branch in _branches(source)}
            self._outputs[id(source), place] = kinds.pop() if len(kinds) == 1 else None
        return self._outputs[id(source), place]

    def _output_at(self, branch: exp.Expr, place: int) -> str | None:
        if not isinstance(branch, exp.Select) or place >= len(branch.selects):
            return None
        return self.of(branch.selects[place])


def _visible_body(cte: exp.CTE, table: exp.Table) -> exp.Expr:
    """Return the query that a table reads of a CTE: within a recursive one that is its static term."""
    body: exp.Expr = cte.this
    with_ = cte.parent
    if isinstance(with_, exp.With) and with_.recursive and isinstance(body, exp.SetOperation):
        node: exp.Expr | None = table
        while node is not None and node is not body:
            node = node.parent
        if node is body:
            body = body.this
    return body


def _branches(query: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the branches of a query, from left to right: itself if not a set operation; a BY NAME is one branch."""
    pending = [query]
    while pending:
        node = pending.pop()
        if isinstance(node, exp.Subquery):
            pending.append(node.this)
        elif isinstance(node, exp.SetOperation) and not node.args.get("by_name"):
            pending += [node.expression, node.this]
        else:
            yield node


def _fits(literal: exp.Literal) -> bool:
    """Whether an integer literal is a bigint; larger ones are unsigned, decimal or float."""
    return int(literal.name) < 2**63
