"""Reads calls, literals and constructors as the engine does, and expands sugar to the calls it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from compiler.errors import SqlError
from compiler.sql.functions import TYPED, ScalarFunction, WindowFunction, functions
from compiler.sql.operators import OperatorParser
from compiler.sql.typed_literals import typed_literal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_INTERVAL_UNITS = frozenset(
    f"{unit}{plural}"
    for unit in (
        "CENTURY", "DAY", "DECADE", "HOUR", "MICROSECOND", "MILLENNIUM", "MILLISECOND", "MINUTE", "MONTH", "NANOSECOND",
        "SECOND", "WEEK", "YEAR",
    )
    for plural in ("", "S")
)  # fmt: skip
_OTHER_UNITS = ("QUARTER", "QUARTERS", "DOW", "DOY", "EPOCH", "ISODOW", "ISOYEAR")
_ESCAPES = {"\\": "\\", "'": "'", "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def _unescape(parser: OperatorParser, token: Token) -> str:
    """Return the value of E'…'; only the escapes that the engine and Postgres agree on are accepted."""
    body = parser.sql[token.start : token.end + 1]
    body = body[body.index("'") + 1 : -1]
    characters = iter(body)
    result = []
    for character in characters:
        if character == "'":
            next(characters)  # a doubled quote
        elif character == "\\":
            escaped = next(characters)
            if escaped not in _ESCAPES:
                parser.raise_error(f"The escape \\{escaped} is not supported in E'…'", token)
            character = _ESCAPES[escaped]  # noqa: PLW2901 — the character meant
        result.append(character)
    return "".join(result)


def call(name: str, *arguments: exp.Expr) -> ScalarFunction:
    """Return a call of the scalar function `name`."""
    return ScalarFunction(this=name, expressions=list(arguments))


def _builder(name: str) -> Callable[[list[exp.Expr]], exp.Expr]:
    """Return the constructor of a call of `name` for SQLGlot's parser."""
    kinds = functions()[name].kinds
    if name in TYPED:
        node = TYPED[name]
        return lambda args: node(this=args[0] if args else None, expressions=args[1:])
    if "aggregate" in kinds:
        return lambda args: exp.AnonymousAggFunc(this=name, expressions=args)
    if "window" in kinds:
        return lambda args: WindowFunction(this=name, expressions=args)
    return lambda args: ScalarFunction(this=name, expressions=args)


def _only_argument(name: str) -> Callable[[list[exp.Expr]], exp.Expr]:
    """A typed node that would lose further arguments is made only for calls with exactly one."""
    node = TYPED[name]
    return lambda args: node(this=args[0]) if len(args) == 1 else exp.AnonymousAggFunc(this=name, expressions=args)


def _build_struct(args: list[exp.Expr]) -> exp.Expr:
    """struct(1 AS a, 2) → named_struct('a', 1, 'c1', 2), as the engine does; struct(1, 2) stays."""
    if not any(isinstance(arg, exp.PropertyEQ) for arg in args):
        return call("struct", *args)
    named: list[exp.Expr] = []
    for index, arg in enumerate(args):
        name, value = (arg.this.name, arg.expression) if isinstance(arg, exp.PropertyEQ) else (f"c{index}", arg)
        named += [exp.Literal.string(name), value]
    return call("named_struct", *named)


def _closed(parse: Callable[[Any], exp.Expr]) -> Callable[[Any], exp.Expr]:
    """Require the ) after a special form, which SQLGlot lets be omitted."""

    def parse_closed(parser: Any) -> exp.Expr:
        result = parse(parser)
        if parser._curr.token_type != TokenType.R_PAREN:  # noqa: SLF001 — this is a method of the parser in all but name
            parser.raise_error("Expected )")
        return result

    return parse_closed


_TYPE_OPENS = frozenset({TokenType.L_PAREN, TokenType.LT})
_SINGLE_ARGUMENT = ("avg", "max", "min", "sum")


class Grammar(OperatorParser):
    """SQLGlot's parser with the engine's functions, literals and special forms of calls."""

    BRACKETS: ClassVar[frozenset[TokenType]] = frozenset({TokenType.L_BRACKET})  # x{…} is not a subscript
    OPTIONAL_ALIAS_TOKEN_CTE = False  # neither this dialect nor the engine has WITH a (SELECT …)
    FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {
        **{name.upper(): _builder(name) for name in functions()},
        **{name.upper(): _only_argument(name) for name in _SINGLE_ARGUMENT},
        "STRUCT": _build_struct,
    }
    FUNCTION_PARSERS: ClassVar[dict[str, Callable[..., Any]]] = {
        name: _closed(parse)
        for name, parse in {
            "CAST": lambda self: self._parse_cast(strict=True),
            "TRY_CAST": lambda self: self._parse_cast(strict=False, safe=True),
            "SAFE_CAST": lambda self: self._parse_cast(strict=False, safe=True),
            "EXTRACT": lambda self: self._parse_date_part_of(),
            "OVERLAY": lambda self: self._parse_overlay_of(),
            "POSITION": lambda self: self._parse_position_of(),
            "SUBSTRING": lambda self: self._parse_substring_of(),
            "TRIM": lambda self: self._parse_trim_of(),
        }.items()
    }
    NO_PAREN_FUNCTIONS: ClassVar[dict[TokenType, Callable[[], exp.Expr]]] = {
        TokenType.CURRENT_DATE: lambda: call("current_date"),
        TokenType.CURRENT_TIME: lambda: call("current_time"),
        TokenType.CURRENT_TIMESTAMP: lambda: call("current_timestamp"),
    }
    NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Callable[..., Any]]] = {"CASE": lambda self: self._parse_case()}
    LAMBDAS: ClassVar[dict[TokenType, Callable[..., Any]]] = {
        TokenType.FARROW: OperatorParser.LAMBDAS[TokenType.FARROW]
    }
    COLUMN_OPERATORS: ClassVar[dict[TokenType, Any]] = {
        kind: OperatorParser.COLUMN_OPERATORS[kind] for kind in (TokenType.DOT, TokenType.DCOLON)
    }
    PLACEHOLDER_PARSERS: ClassVar[dict[TokenType, Callable[..., Any]]] = {
        TokenType.PARAMETER: lambda self: self._parse_variable()
    }
    PRIMARY_PARSERS: ClassVar[dict[TokenType, Callable[..., Any]]] = {
        **OperatorParser.PRIMARY_PARSERS,
        TokenType.BYTE_STRING: lambda self, token: self.expression(exp.Literal.string(_unescape(self, token)), token),
    }

    def _parse_variable(self) -> exp.Expr:
        """$min_distance → a `Parameter` whose name keeps its case."""
        if self._prev.text != "$" or self._curr.token_type != TokenType.VAR or not self._is_connected():
            self.raise_error("Expected a variable's name after $, as in $min_distance", self._prev)
        self._advance()
        name = exp.Var(this=self._prev.text).update_positions(self._prev)
        return self.expression(exp.Parameter(this=name), token=self._prev)

    def _parse_interval(
        self,
        require_interval: bool = True,  # noqa: ARG002, FBT001, FBT002 — SQLGlot's signature
        parse_function_unit: bool = True,  # noqa: ARG002, FBT001, FBT002 — SQLGlot's signature
    ) -> exp.Interval | None:
        """INTERVAL '1' DAY, INTERVAL 1 day, INTERVAL '1 day' → INTERVAL '1 day', as the engine's planner does."""
        index = self._index
        if not self._match(TokenType.INTERVAL):
            return None
        sign = "-" if self._match(TokenType.DASH) else ""
        if not self._match_set((TokenType.STRING, TokenType.NUMBER)):
            self._retreat(index)
            return None
        value = self._prev
        text = f"{sign}{value.text}"
        if self._curr.text.upper() in _INTERVAL_UNITS and self._curr.token_type not in self.TEXT_MATCH_EXCLUDED_TOKENS:
            text = f"{text} {self._curr.text.lower()}"
            self._advance()
        elif self._curr.text.upper() in _OTHER_UNITS:
            self.raise_error(f"The engine has no intervals in {self._curr.text.upper()}")
        if self._match_text_seq("TO"):
            self.raise_error("The engine has no interval spans; write INTERVAL '1 year 2 months'", self._prev)
        literal = exp.Literal.string(text).update_positions(value)
        return self.expression(exp.Interval(this=literal), token=value)

    def _parse_bracket(self, this: exp.Expr | None = None) -> exp.Expr | None:
        """[1, 2] → make_array(1, 2); {'a': 1} → named_struct('a', 1); x[1] and x[1:2] stay subscripts."""
        if this is None and self._match(TokenType.L_BRACKET):
            items = self._parse_csv(self._parse_disjunction)
            if not self._match(TokenType.R_BRACKET):
                self.raise_error("Expected ]")
            return self._parse_bracket(self.expression(call("make_array", *items)))
        if this is None and self._match(TokenType.L_BRACE):
            return self._parse_bracket(self.expression(call("named_struct", *self._parse_pairs())))
        return super()._parse_bracket(this)

    def _parse_pairs(self) -> list[exp.Expr]:
        items: list[exp.Expr] = []
        while not self._match(TokenType.R_BRACE):
            key = self._parse_string() or self._parse_id_var()
            if key is None or not self._match(TokenType.COLON):
                self.raise_error("Expected {'name': value, …}")
            assert key is not None
            value = self._parse_disjunction()
            if value is None:
                self.raise_error("Expected a value after :")
            assert value is not None
            items += [exp.Literal.string(key.name), value]
            if not self._match(TokenType.COMMA) and self._curr.token_type != TokenType.R_BRACE:
                self.raise_error("Expected , or }")
        return items

    def _parse_type(
        self,
        parse_interval: bool = True,  # noqa: FBT001, FBT002 — SQLGlot's signature
        fallback_to_identifier: bool = False,  # noqa: FBT001, FBT002 — SQLGlot's signature
    ) -> exp.Expr | None:
        """As SQLGlot, but for `typed_literal`; ARRAY[1, 2] → make_array(1, 2); any name before ( is a call."""
        if self._match_pair(TokenType.ARRAY, TokenType.L_BRACKET, advance=False):
            self._advance()
            return self._parse_column_ops(self._parse_bracket())
        if self._curr.token_type == TokenType.MAP and self._next.token_type == TokenType.L_BRACE:
            self.raise_error("MAP {…} is not supported; write map(['key'], [value])")
        if self._next.token_type == TokenType.L_PAREN and self._curr.text.lower() in functions():
            called = self._parse_function()
            if called is not None:
                return self._parse_column_ops(called)
        return typed_literal(self) or super()._parse_type(parse_interval, fallback_to_identifier)

    def _parse_cte(self) -> exp.CTE | exp.FunctionSpecification | None:
        """As SQLGlot, which would read WITH a (SELECT …) as something else altogether."""
        cte = super()._parse_cte()
        if cte is None:
            self.raise_error("Expected AS after the name of a CTE")
        return cte

    def _parse_struct_types(self, type_required: bool = False) -> exp.Expr | None:  # noqa: FBT001, FBT002 — SQLGlot's signature
        """As SQLGlot, but without first trying the types of STRUCT(STRUCT(…)) as calls, again at each level."""
        if type_required and self._curr.token_type in self.NESTED_TYPE_TOKENS and self._next.token_type in _TYPE_OPENS:
            return self._parse_types()
        return super()._parse_struct_types(type_required)

    def _parse_field(
        self,
        any_token: bool = False,  # noqa: FBT001, FBT002 — SQLGlot's signature
        tokens: Collection[TokenType] | None = None,
        anonymous_func: bool = False,  # noqa: FBT001, FBT002 — SQLGlot's signature
    ) -> exp.Expr | None:
        """As SQLGlot, which rewrites everything before the dot of s.f(x) for each dot."""
        before, start = self._prev, self._index
        field = super()._parse_field(any_token, tokens, anonymous_func)
        if before.token_type == TokenType.DOT and isinstance(field, exp.Func | exp.Window):
            while start > 1 and self._tokens[start - 1].token_type == TokenType.DOT:
                start -= 2
            first = self._tokens[start]
            column = max(1, first.col - (first.end - first.start))
            message = "a function with a schema is not supported"
            raise SqlError(message, line=first.line, column=column, code="unsupported")
        return field

    def _parse_column_reference(self) -> exp.Expr | None:
        """Parse a name; VALUES is one unless a row follows."""
        following = [token.text.upper() for token in self._tokens[self._index : self._index + 3]]
        if self._curr.token_type == TokenType.VALUES and following == ["VALUES", "ROW", "("]:
            return None
        return super()._parse_column_reference()

    def _parse_value(self, values: bool = True) -> exp.Tuple | None:  # noqa: FBT001, FBT002 — SQLGlot's signature
        """Parse a row of VALUES: (1, 2), which may be written ROW(1, 2)."""
        if self._curr.text.upper() == "ROW" and self._next.token_type == TokenType.L_PAREN:
            self._advance()
        return super()._parse_value(values)

    def _parse_cube_or_rollup(self, with_prefix: bool = False) -> exp.Cube | exp.Rollup | None:  # noqa: FBT001, FBT002 — SQLGlot's signature
        """Parse CUBE or ROLLUP with any keys, such as CUBE (a > 1, b IS NULL)."""
        if not self._match_set((TokenType.CUBE, TokenType.ROLLUP)):
            return None
        kind = exp.Cube if self._prev.token_type == TokenType.CUBE else exp.Rollup
        return self.expression(
            kind(expressions=[] if with_prefix else self._parse_wrapped_csv(self._parse_disjunction))
        )

    def _parse_grouping_set(self) -> exp.Expr | None:
        """Parse a set of keys, or one key, which may be a comparison."""
        return self._parse_grouping_sets() or self._parse_cube_or_rollup() or self._parse_disjunction()

    def _parse_window(self, this: exp.Expr | None, alias: bool = False) -> exp.Expr | None:  # noqa: FBT001, FBT002 — SQLGlot's signature
        """As SQLGlot, which would move a nested function's IGNORE NULLS to this one."""
        if isinstance(this, exp.AggFunc) and self._treats_nulls:
            for node in this.find_all(exp.IgnoreNulls, exp.RespectNulls):
                ordered = node.parent.parent if isinstance(node.parent, exp.Order) else node.parent
                if ordered is not this or isinstance(node.this, exp.AggFunc | exp.Filter | WindowFunction):
                    self.raise_error("IGNORE NULLS of a nested call is not supported; compute that call in a subquery")
        window = super()._parse_window(this, alias)
        named = not alias and isinstance(window, exp.Window) and window.args.get("alias")
        if named and self._prev.token_type == TokenType.R_PAREN:
            self.raise_error("A window that extends another is not supported; write it out, or OVER name", self._prev)
        return window

    def _parse_date_part_of(self) -> exp.Expr:
        """EXTRACT(YEAR FROM x) → date_part('year', x)."""
        part = self._curr
        self._advance()
        if not self._match_set((TokenType.FROM, TokenType.COMMA)):
            self.raise_error("Expected FROM in EXTRACT", part)
        return self.expression(call("date_part", exp.Literal.string(part.text.lower()), self._argument()), token=part)

    def _parse_substring_of(self) -> exp.Expr:
        """SUBSTRING(s FROM 2 FOR 3) → substring(s, 2, 3)."""
        args = self._parse_function_args()
        if self._match(TokenType.FROM):
            args.append(self._argument())
        if self._match(TokenType.FOR):
            args += [exp.Literal.number(1)] if len(args) == 1 else []
            args.append(self._argument())
        return self.expression(call("substring", *args))

    def _parse_trim_of(self) -> exp.Expr:
        """TRIM([LEADING | TRAILING | BOTH] 'x' FROM s) → ltrim, rtrim or btrim(s, 'x')."""
        where = self._prev.text.upper() if self._match_texts(self.TRIM_TYPES) else "BOTH"
        name = {"LEADING": "ltrim", "TRAILING": "rtrim", "BOTH": "btrim"}[where]
        first = self._argument()
        if self._match(TokenType.FROM):
            return self.expression(call(name, self._argument(), first))
        if self._match(TokenType.COMMA):
            return self.expression(call(name, first, self._argument()))
        return self.expression(call(name, first))

    def _parse_position_of(self) -> exp.Expr:
        """POSITION('a' IN s) → strpos(s, 'a'); position(s, 'a') stays."""
        args = [self._argument()]
        if self._match(TokenType.IN):
            return self.expression(call("strpos", self._argument(), *args))
        while self._match(TokenType.COMMA):
            args.append(self._argument())
        return self.expression(call("position", *args))

    def _parse_overlay_of(self) -> exp.Expr:
        """OVERLAY(s PLACING r FROM 1 FOR 2) → overlay(s, r, 1, 2)."""
        args = [self._argument()]
        for word in ("PLACING", "FROM", "FOR"):
            if self._match(TokenType.COMMA) or self._match_text_seq(word):
                args += [self._argument()]
        return self.expression(call("overlay", *args))

    def _parse_types(
        self,
        check_func: bool = False,  # noqa: FBT001, FBT002 — SQLGlot's signature
        schema: bool = False,  # noqa: FBT001, FBT002 — SQLGlot's signature
        allow_identifiers: bool = True,  # noqa: FBT001, FBT002 — SQLGlot's signature
        with_collation: bool = False,  # noqa: FBT001, FBT002 — SQLGlot's signature
    ) -> exp.Expr | None:
        """As SQLGlot; the type also keeps its place, for errors."""
        token = self._curr
        kind = super()._parse_types(check_func, schema, allow_identifiers, with_collation)
        return kind.update_positions(token) if isinstance(kind, exp.DataType) else kind

    def _argument(self) -> exp.Expr:
        argument = self._parse_bitwise()
        if argument is None:
            self.raise_error("Expected an expression")
        assert argument is not None
        return argument
