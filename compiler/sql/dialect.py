"""SQL text ↔ AST, so that the rendered text means to the engine what the author wrote.

The parser knows the engine's functions by name (`compiler.sql.functions`) and keeps every call as a call; it reads
operators as the engine does (`compiler.sql.operators`); it expands sugar to the calls that the engine itself makes
of it ([1, 2] → make_array(1, 2)); and it accepts only nodes that were tested to come back with the same meaning.
Anything else in the text is an error with a place and a hint, never a silent difference.
"""

from __future__ import annotations

import difflib
import importlib.util
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

if importlib.util.find_spec("sqlglotc") is not None:
    raise ImportError(
        "the package sqlglotc is installed: compiled SQLGlot cannot be subclassed; uninstall sqlglotc and install the "
        "plain sqlglot again"
    )

from sqlglot import exp
from sqlglot.dialects.dialect import UsingColumnOrder
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import ErrorLevel, ParseError, TokenError, UnsupportedError
from sqlglot.generators.postgres import PostgresGenerator
from sqlglot.tokenizer_core import Token, TokenType
from sqlglot.tokens import Tokenizer

from compiler.errors import SqlError
from compiler.sql.commas import misplaced_comma
from compiler.sql.dollar_quotes import DollarQuotes, closing_quote
from compiler.sql.functions import ScalarFunction, WindowFunction
from compiler.sql.grammar import Grammar
from compiler.sql.split_keywords import joined
from compiler.sql.supported import TYPE_NAMES, check
from compiler.sql.templates import template_error
from compiler.tree.big_stack import with_deep_stack
from compiler.tree.walk import bare_copy

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DIALECT", "DataFusionSQL", "ScalarFunction", "WindowFunction", "parse", "render", "variable_name"]


class DataFusionSQL(Postgres):
    """The SQL of DataFusion 55. The class is not called DataFusion: Ibis registers that name in SQLGlot."""

    NORMALIZE_FUNCTIONS = False
    USING_COLUMN_ORDER = UsingColumnOrder.IN_PLACE
    SUPPORTS_FIXED_SIZE_ARRAYS = True
    SUPPORTS_USER_DEFINED_TYPES = False
    INDEX_OFFSET = 0  # subscripts are never shifted, so -1 and expressions survive
    UNESCAPED_SEQUENCES: dict[str, str] = {}  # noqa: RUF012 — SQLGlot's own declaration

    class Tokenizer(Postgres.Tokenizer):
        """Tokens: no bit or national strings; `$` starts a variable, or quotes text as `$$` and `$tag$`."""

        COMMANDS: ClassVar[set[TokenType]] = set()
        HEREDOC_STRINGS: ClassVar[list[Any]] = []
        BIT_STRINGS: ClassVar[list[Any]] = []
        UNICODE_STRINGS: ClassVar[list[Any]] = []
        SINGLE_TOKENS: ClassVar[dict[str, TokenType]] = {**Tokenizer.SINGLE_TOKENS, "$": TokenType.PARAMETER}
        KEYWORDS: ClassVar[dict[str, TokenType]] = {
            **{
                word: kind
                for word, kind in Postgres.Tokenizer.KEYWORDS.items()
                if kind not in (TokenType.COMMAND, TokenType.RLIKE) or word == "~"
            },
            "FLOAT": TokenType.FLOAT,
            "!~": TokenType.RLIKE,
            "!~*": TokenType.IRLIKE,
            "!~~": TokenType.LIKE,
            "!~~*": TokenType.ILIKE,
        }

        def tokenize(self, sql: str) -> list[Token]:
            """Return the tokens of a text."""
            return joined(super().tokenize(sql), self.KEYWORDS)

        def _init_core(self) -> DollarQuotes:
            core = super()._init_core()
            core.__class__ = DollarQuotes  # which adds no attributes
            assert isinstance(core, DollarQuotes)
            return core

    Parser = Grammar

    class Generator(PostgresGenerator):
        """The generator: none of Postgres's rewriting, no comments, types by the engine's names."""

        LIMIT_FETCH = "LIMIT"
        MULTI_ARG_DISTINCT = True
        TRY_SUPPORTED = True
        STAR_EXCLUDE_REQUIRES_DERIVED_TABLE = False
        TYPE_MAPPING: ClassVar[dict[exp.DType, str]] = TYPE_NAMES
        TRANSFORMS: ClassVar[dict[type[exp.Expr], Callable[..., str]]] = {
            **{
                node: transform
                for node, transform in PostgresGenerator.TRANSFORMS.items()
                if node not in (exp.Select, exp.Max, exp.Min, exp.TryCast, exp.BitwiseXor)
            },
            ScalarFunction: lambda self, e: self.call_sql(e.name, e.expressions),
            WindowFunction: lambda self, e: self.call_sql(e.name, e.expressions),
            exp.BitwiseXor: lambda self, e: self.binary(e, "^"),
        }

        def call_sql(self, name: str, arguments: list[exp.Expr]) -> str:
            """Return a call. Plain loops only: star arguments and generators count against 3.12's C recursion limit."""
            return f"{name}({', '.join([self.sql(argument) for argument in arguments])})"

        def anonymous_sql(self, expression: exp.Anonymous) -> str:
            """A call of a function that the catalogue does not know; its name stays as written."""
            return self.call_sql(self.sql(expression, "this"), expression.expressions)

        def anonymousaggfunc_sql(self, expression: exp.AnonymousAggFunc) -> str:
            """A call of an aggregate."""
            return self.call_sql(expression.name, expression.expressions)

        def nullsafeeq_sql(self, expression: exp.NullSafeEQ) -> str:
            """(a IS NOT DISTINCT FROM b), see `_enclosed`."""
            return self._enclosed(expression, super().nullsafeeq_sql(expression))

        def nullsafeneq_sql(self, expression: exp.NullSafeNEQ) -> str:
            """(a IS DISTINCT FROM b), see `_enclosed`."""
            return self._enclosed(expression, super().nullsafeneq_sql(expression))

        def _enclosed(self, expression: exp.Expr, sql: str) -> str:
            """To the engine everything after DISTINCT FROM is its operand, so the comparison is put in parentheses."""
            return sql if isinstance(expression.parent, exp.Paren) else f"({sql})"

        def dot_sql(self, expression: exp.Dot) -> str:
            """s.field → s['field']: the engine takes the dot only after a plain column."""
            return f"{self.sql(expression, 'this')}[{self.sql(exp.Literal.string(expression.name))}]"

        def interval_sql(self, expression: exp.Interval) -> str:
            """INTERVAL '1 day', the one form that the engine's parser passes on unchanged."""
            unit = expression.text("unit").lower()
            text = f"{expression.this.name} {unit}".strip()
            return f"INTERVAL {self.sql(exp.Literal.string(text))}"

        def ignorenulls_sql(self, expression: exp.IgnoreNulls) -> str:
            """f(x) IGNORE NULLS."""
            return f"{self.sql(expression, 'this')} IGNORE NULLS"

        def respectnulls_sql(self, expression: exp.RespectNulls) -> str:
            """f(x) RESPECT NULLS."""
            return f"{self.sql(expression, 'this')} RESPECT NULLS"

        def bracket_sql(self, expression: exp.Bracket) -> str:
            """x[1], x[1:2]."""
            items = ", ".join(self.sql(item) for item in expression.expressions)
            return f"{self.sql(expression, 'this')}[{items}]"

        def datatype_sql(self, expression: exp.DataType) -> str:
            """BIGINT[], REAL[3], STRUCT<a INT>."""
            if expression.is_type(exp.DType.ARRAY) and expression.expressions:
                size = self.expressions(expression, key="values", flat=True)
                return f"{self.expressions(expression, flat=True)}[{size}]"
            return super(PostgresGenerator, self).datatype_sql(expression)

        def unnest_sql(self, expression: exp.Unnest) -> str:
            """UNNEST(x) AS v(a), without Postgres's rewriting of dates and JSON."""
            return super(PostgresGenerator, self).unnest_sql(expression)


DIALECT = DataFusionSQL

_STARTS = (TokenType.SELECT, TokenType.WITH, TokenType.VALUES, TokenType.FROM)
_CLAUSES = ("SELECT", "DISTINCT", "FROM", "WHERE", "GROUP", "HAVING", "QUALIFY", "ORDER", "LIMIT", "OFFSET", "JOIN",
            "LEFT", "RIGHT", "INNER", "OUTER", "CROSS", "UNION", "EXCEPT", "INTERSECT", "CASE", "WHEN", "THEN", "ELSE",
            "BETWEEN", "EXISTS", "PARTITION", "OVER", "WITH")  # fmt: skip
"""The keywords that are worth guessing."""
_BEFORE_PARENTHESES = frozenset(
    {*_CLAUSES, "ALL", "AND", "ANY", "ARRAY", "AS", "BY", "CAST", "CUBE", "END", "EXTRACT", "FETCH", "FILTER", "FOR",
     "FULL", "GROUPING", "GROUPING SETS", "IN", "INTERVAL", "INTO", "IS", "LATERAL", "LIKE", "NOT", "ON", "ONLY", "OR",
     "ORDER BY", "GROUP BY", "PIVOT", "RANGE", "RECURSIVE", "REPLACE", "ROLLUP", "ROW", "ROWS", "SAFE_CAST", "SET",
     "SOME", "STRUCT", "MAP", "TABLESAMPLE", "TRY_CAST", "UNNEST", "UNPIVOT", "USING", "VALUES", "WHERE", "WINDOW",
     "WITHIN"}
)  # fmt: skip
"""Reserved words after which a parenthesis may stand, whatever is wrong there."""
_NO_NAMES = frozenset(
    {"AND", "AS", "ELSE", "EXCEPT", "FROM", "HAVING", "IN", "INTERSECT", "IS", "JOIN", "NOT", "NULL", "ON", "OR",
     "QUALIFY", "SELECT", "THEN", "UNION", "WHEN", "WHERE", "WITH"}
)  # fmt: skip
"""Reserved words that nobody means as a name where they are out of place, unless behind AS or beside a dot."""
_AS_OR_DOT = re.compile(r"(\bAS\s+|\.\s*)$", re.IGNORECASE)
_INTERNALS = re.compile(r"Required keyword: .*")
_NUMBER = re.compile(r"(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_IN_BRACKETS = re.compile(r"\[\s*[^\W\d]\w*(\s+\w+)*")
_STRINGS = (TokenType.STRING, TokenType.BYTE_STRING)
_OPENING = (TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE)
_CLOSING = (TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE)


def variable_name(node: exp.Expr) -> str | None:
    """Return the name of the project variable that `node` is (`$min_distance`), or None."""
    return node.name if isinstance(node, exp.Parameter) else None


def render(ast: exp.Expr, *, pretty: bool = False) -> str:
    """Return the SQL of `ast` for the engine: identifiers quoted as in the tree, no comments.

    Raises `SqlError` if the tree contains something that this dialect cannot express.
    """

    def work() -> str:
        # The generator changes what it writes, and its own way of copying takes longer than all of its writing.
        copied = bare_copy(ast)
        return copied.sql(
            dialect=DIALECT, pretty=pretty, comments=False, unsupported_level=ErrorLevel.RAISE, copy=False
        )

    try:
        return with_deep_stack(work)
    except RecursionError:
        raise SqlError("nested too deeply", code="too-deep") from None
    except UnsupportedError as error:
        raise SqlError(f"cannot be expressed in the engine's SQL: {str(error).splitlines()[0]}") from error


def parse(sql: str) -> exp.Query:
    """Return the one query in `sql`.

    Raises `SqlError` for text that is empty, is not SQL, contains several statements or anything but a query, or
    uses what the engine would not read as the author meant it.
    """
    tokens = _tokens(sql)
    template = template_error(tokens, sql)
    if template is not None:
        raise _at(*template, "template")
    _require_one_query(tokens, sql)
    comma = misplaced_comma(tokens)
    if comma is not None:
        raise _at(*comma)

    def work() -> exp.Query:
        parser = DIALECT().parser(error_level=ErrorLevel.IMMEDIATE, error_message_context=len(sql))
        tree = parser.parse(tokens, sql)[0]
        if "case_sensitive" in sql:
            _keep_case(tree)
        return check(tree)

    try:
        return with_deep_stack(work)
    except RecursionError:
        raise _too_deep(tokens) from None
    except ParseError as error:
        raise _located(error, sql, tokens) from error
    except SqlError as error:
        if error.line is None:
            start = _at(tokens[0], error.message)
            error.line, error.column = start.line, start.column
        raise


def _keep_case(tree: exp.Expr | None) -> None:
    """Quote the names before a comment that says so, as SQLGlot has it.

    Name /* sqlglot.meta case_sensitive */ → "Name"
    """
    marked = [node for node in tree.walk() if node.meta.get("case_sensitive")] if tree is not None else []
    for node in marked:
        for name in node.find_all(exp.Identifier):
            name.set("quoted", True)  # noqa: FBT003 — SQLGlot's own signature


def _tokens(sql: str) -> list[Token]:
    try:
        tokens = DIALECT().tokenize(sql)
    except TokenError as error:
        raise _unreadable(sql, error) from error
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens.pop()
    for token, behind in pairwise([*tokens, *tokens[-1:]]):
        if token.token_type == TokenType.VALUES and behind.token_type != TokenType.L_PAREN:
            token.token_type = TokenType.VAR  # FROM values: a table of that name
    return tokens


def _require_one_query(tokens: list[Token], sql: str) -> None:
    first = next((token for token in tokens if token.token_type != TokenType.L_PAREN), None)
    if first is None:
        raise SqlError("this text contains no query", line=1, column=1, hint="a rule is one SELECT", code="empty")
    separator = next((i for i, token in enumerate(tokens) if token.token_type == TokenType.SEMICOLON), None)
    if separator is not None:
        message = "a second statement starts after this ;"
        raise _at(tokens[separator], message, "a rule is one query", "several-statements")
    if first.token_type not in _STARTS:
        message = f"a rule is one query, and {first.text.upper()} does not start one"
        close = difflib.get_close_matches(first.text.upper(), ("SELECT", "WITH"), n=1, cutoff=0.75)
        raise _at(first, message, f"did you mean {close[0]}?" if close else "start with SELECT or WITH", "not-a-query")
    for token in tokens:
        if sql[token.start] == "`":
            name = sql[token.start + 1 :].partition("`")[0]
            raise _at(token, "backticks do not quote names here", f"write {in_double_quotes(name)}", "syntax")
    for left, right in pairwise([*tokens, tokens[-1]]):
        if left.token_type in _STRINGS and right.token_type in _STRINGS and left is not right:
            raise _at(right, "adjacent string literals are not joined by the engine", "write || between them")
        if left.token_type == TokenType.NUMBER:
            joined = right.text if right.token_type == TokenType.VAR and right.start == left.end + 1 else ""
            if joined or not _NUMBER.fullmatch(left.text):
                hint = "digits are not grouped, and an alias needs a space before it"
                raise _at(left, f"'{left.text}{joined}' is not a number", hint)


def _at(token: Token, message: str, hint: str | None = None, code: str = "sql") -> SqlError:
    """Return an error at the first character of `token`; SQLGlot counts columns to the last one."""
    width = token.end - token.start
    return SqlError(message, line=token.line, column=max(1, token.col - width), hint=hint, code=code)


def _too_deep(tokens: list[Token]) -> SqlError:
    """Return the error for a text that exhausts even the deep stack, at its innermost parenthesis."""
    depth, deepest, at = 0, 0, tokens[0]
    for token in tokens:
        if token.token_type in _OPENING:
            depth += 1
            if depth > deepest:
                deepest, at = depth, token
        elif token.token_type in _CLOSING:
            depth -= 1
    return _at(at, "nested too deeply", "compute part of it in a CTE", "too-deep")


def _located(error: ParseError, sql: str, tokens: list[Token]) -> SqlError:
    facts = error.errors[0] if error.errors else {}
    description = str(facts.get("description") or error).splitlines()[0].rstrip(".")
    # The parser keeps all context, so this is the text before the token.
    line, column = _place(sql, len(facts.get("start_context") or ""))
    near = (str(facts.get("highlight") or "").splitlines() or [""])[0]
    if description.startswith("Invalid expression") and near:
        message = f"unexpected {near}"
    else:
        description = _INTERNALS.sub("an expression is missing", description.partition(" but got <Token")[0])
        message = description[0].lower() + description[1:] if description[1:2].islower() else description
        message += f", near {near}" if near else ""
    offset = len(facts.get("start_context") or "")
    hint = _no_function(tokens, offset) or _misspelt(tokens, offset) or _how_to_quote(sql, near, offset)
    return SqlError(message, line=line, column=column, hint=hint, code="syntax")


def _misspelt(tokens: list[Token], offset: int) -> str | None:
    """Return the keyword that a word may be meant as, if the parser stopped at the word or next to it.

    SELECT a FORM t → "did you mean FROM for 'FORM'?"
    """
    at = next((number for number, token in enumerate(tokens) if token.start >= offset), len(tokens))
    for token in tokens[max(0, at - 3) : at + 2]:
        if token.token_type == TokenType.VAR and token.text.upper() not in _BEFORE_PARENTHESES:
            close = difflib.get_close_matches(token.text.upper(), _CLAUSES, n=1, cutoff=0.75)
            if close:
                return f"did you mean {close[0]} for '{token.text}'?"
    return None


def _no_function(tokens: list[Token], offset: int) -> str | None:
    """Return that the reserved word before the parenthesis at which the parser stopped, or just after, is no function.

    SELECT a, begin(a) → "'begin' is a reserved word, so no function can be called by that name"
    """
    at = next((number for number, token in enumerate(tokens) if token.start >= offset), len(tokens))
    for word, behind in pairwise(tokens[max(0, at - 3) : at + 2]):
        text = word.text.lower()
        is_reserved = text.isidentifier() and text.upper() in DataFusionSQL.Tokenizer.KEYWORDS
        if is_reserved and behind.token_type == TokenType.L_PAREN and text.upper() not in _BEFORE_PARENTHESES:
            return f"'{text}' is a reserved word, so no function can be called by that name"
    return None


def in_double_quotes(name: str) -> str:
    """Return a name as SQL writes it in quotes."""
    return '"' + name.replace('"', '""') + '"'


def _how_to_quote(sql: str, near: str, offset: int) -> str | None:
    """Return how to quote a possible name at which the parser stopped: a bracket or a reserved word."""
    bracket = sql.rfind("[", 0, offset + 1)
    after_name = bracket > 0 and (sql[bracket - 1].isalnum() or sql[bracket - 1] in '_)]"')
    if near == "[" or (bracket >= 0 and not after_name and _IN_BRACKETS.fullmatch(sql[bracket : offset + len(near)])):
        name = sql[max(bracket, 0) + 1 :].partition("]")[0]
        if re.search(r"\bIN\s*$", sql[: max(bracket, 0)], re.IGNORECASE):
            return f"write IN ({name.strip()})"
        return f"brackets do not quote names here; write {in_double_quotes(name.strip())}"
    word = near.lower()
    named = _AS_OR_DOT.search(sql[:offset]) or sql[offset + len(near) :].lstrip().startswith(".")
    may_be_name = word.isidentifier() and (named or word.upper() not in _NO_NAMES)
    if may_be_name and word.upper() in DataFusionSQL.Tokenizer.KEYWORDS:
        return f"'{word}' is a reserved word; if it is a name, write {in_double_quotes(word)}"
    return None


def _unreadable(sql: str, error: TokenError) -> SqlError:
    """Return the error for text that cannot be tokenized: usually a string or quoted name that never ends."""
    cause = str(error.__cause__ or error)
    start = _unclosed(sql)
    if start is None:
        line, column = _place(sql, min((error.start or 0) + 50, len(sql)))
        return SqlError(cause.splitlines()[0], line=line, column=column, code="syntax")
    line, column = _place(sql, start)
    dollars = closing_quote(sql, start)
    opening = "/*" if sql[start] == "/" else dollars[0] if dollars else sql[start]
    return SqlError(f"the {opening} here is never closed", line=line, column=column, code="syntax")


def _unclosed(sql: str) -> int | None:
    """Return the start of the string, quoted name or comment that runs to the end of the text."""
    position = 0
    while position < len(sql):
        start = position
        if sql.startswith("--", position):
            position = sql.find("\n", position) % (len(sql) + 1)
        elif sql.startswith("/*", position):
            position = _comment_end(sql, position)
        elif sql[position] in "'\"":
            position = sql.find(sql[position], position + 1)
        elif dollars := closing_quote(sql, position):
            quote, closing = dollars
            position = closing + len(quote) - 1 if closing >= 0 else -1
        if position < 0:
            return start
        position += 1
    return None


def _comment_end(sql: str, start: int) -> int:
    """Return the last character of the comment, which may contain others, or -1."""
    depth = 0
    for mark in re.finditer(r"/\*|\*/", sql[start:]):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return start + mark.end() - 1
    return -1


def _place(sql: str, offset: int) -> tuple[int, int]:
    """Return the 1-based line and column of a character."""
    before = sql[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
