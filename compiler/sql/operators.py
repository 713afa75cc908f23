"""Reads operators with the precedence that the engine's own parser gives them.

SQLGlot's levels differ (`a | b & c`, `x || y + z`), and a tree that groups differently from the engine is wrong as
soon as a pass moves a part of it. The numbers are those of the default dialect of the sqlparser crate
(`Precedence` in src/dialect/mod.rs), read as a Pratt parser reads them.

One deviation, on purpose: after IS [NOT] DISTINCT FROM the engine's parser takes the whole rest of the expression, AND
and OR included. Here, as in the standard, the right side ends at the next operator that binds more loosely; rendering
puts the comparison in parentheses, so that the engine reads it the same way.
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from compiler.sql.bounded_parser import BoundedParser

OR, AND, NOT, CONTAINS, IS, LIKE, COMPARE, PLUS, TIMES, AT_ZONE = 5, 10, 15, 16, 17, 19, 20, 30, 40, 41

_BINARY: dict[TokenType, tuple[int, type[exp.Expr]]] = {
    TokenType.OR: (OR, exp.Or),
    TokenType.AND: (AND, exp.And),
    TokenType.AT_GT: (CONTAINS, exp.ArrayContainsAll),
    TokenType.LT_AT: (CONTAINS, exp.ArrayContainedBy),
    TokenType.EQ: (COMPARE, exp.EQ),
    TokenType.NEQ: (COMPARE, exp.NEQ),
    TokenType.LT: (COMPARE, exp.LT),
    TokenType.LTE: (COMPARE, exp.LTE),
    TokenType.GT: (COMPARE, exp.GT),
    TokenType.GTE: (COMPARE, exp.GTE),
    TokenType.RLIKE: (COMPARE, exp.RegexpLike),
    TokenType.IRLIKE: (COMPARE, exp.RegexpILike),
    TokenType.PIPE: (21, exp.BitwiseOr),
    TokenType.CARET: (22, exp.BitwiseXor),
    TokenType.AMP: (23, exp.BitwiseAnd),
    TokenType.PLUS: (PLUS, exp.Add),
    TokenType.DASH: (PLUS, exp.Sub),
    TokenType.STAR: (TIMES, exp.Mul),
    TokenType.SLASH: (TIMES, exp.Div),
    TokenType.MOD: (TIMES, exp.Mod),
    TokenType.DPIPE: (TIMES, exp.DPipe),
}
_SHIFTS: dict[TokenType, type[exp.Expr]] = {
    TokenType.LT: exp.BitwiseLeftShift,
    TokenType.GT: exp.BitwiseRightShift,
}
_SHIFT = 22
_PATTERNS: dict[TokenType, type[exp.Expr]] = {
    TokenType.LIKE: exp.Like,
    TokenType.ILIKE: exp.ILike,
    TokenType.SIMILAR_TO: exp.SimilarTo,
}
_NEGATED = {"!~": exp.RegexpLike, "!~*": exp.RegexpILike}
_QUANTIFIERS = {TokenType.ANY: exp.Any, TokenType.SOME: exp.Any, TokenType.ALL: exp.All}
_NO_EQUIVALENT = {
    "!": "NOT",
    "<=>": "IS NOT DISTINCT FROM",
    "~~": "LIKE",
    "~~*": "ILIKE",
    "!~~": "NOT LIKE",
    "!~~*": "NOT ILIKE",
}


class OperatorParser(BoundedParser):
    """SQLGlot's Postgres parser with every level of operators replaced by one loop."""

    def _parse_disjunction(self) -> exp.Expr | None:
        return self._parse_operators(0)

    def _parse_conjunction(self) -> exp.Expr | None:
        return self._parse_operators(OR)

    def _parse_equality(self, parse_is: bool = True) -> exp.Expr | None:  # noqa: ARG002, FBT001, FBT002 — SQLGlot's signature
        return self._parse_operators(NOT)

    def _parse_comparison(self, this: exp.Expr | None = None) -> exp.Expr | None:
        return self._parse_operators(NOT, this)

    def _parse_range(self, this: exp.Expr | None = None, parse_is: bool = False) -> exp.Expr | None:  # noqa: ARG002, FBT001, FBT002 — SQLGlot's signature
        return self._parse_operators(NOT, this)

    def _parse_bitwise(self) -> exp.Expr | None:
        return self._parse_operators(COMPARE)

    def _parse_term(self, parse_mod: bool = True) -> exp.Expr | None:  # noqa: ARG002, FBT001, FBT002 — SQLGlot's signature
        return self._parse_operators(PLUS - 1)

    def _parse_factor(self, parse_mod: bool = True) -> exp.Expr | None:  # noqa: ARG002, FBT001, FBT002 — SQLGlot's signature
        return self._parse_operators(TIMES - 1)

    def _parse_unary(self) -> exp.Expr | None:
        return self._parse_operators(AT_ZONE)

    def _parse_operators(self, floor: int, left: exp.Expr | None = None) -> exp.Expr | None:
        """Parse an operand and every operator after it that binds tighter than `floor`."""
        left = left or self._parse_prefix()
        while left is not None:
            found = self._parse_infix(left, floor)
            if found is None:
                break
            # Rendered as NOT x IN (…), it would take a tighter operator around it into its own operand.
            negated = isinstance(found, exp.Not) and floor >= NOT
            left = self.expression(exp.Paren(this=found)) if negated else found
        return left

    def _parse_prefix(self) -> exp.Expr | None:
        if self._curr.text in _NO_EQUIVALENT and self._curr.token_type != TokenType.STRING:
            self._reject_operator()
        if self._match(TokenType.NOT):
            return self.expression(exp.Not(this=self._operand(NOT)))
        if self._match(TokenType.DASH):
            return self.expression(exp.Neg(this=self._operand(TIMES)))
        if self._match(TokenType.PLUS):
            return self._operand(TIMES)
        return self._parse_type()

    def _operand(self, floor: int) -> exp.Expr:
        operator = self._prev
        operand = self._parse_operators(floor)
        if operand is None:
            self.raise_error(f"Expected an expression after {operator.text}", operator)
        assert operand is not None
        return operand

    def _parse_infix(self, left: exp.Expr, floor: int) -> exp.Expr | None:
        """Parse one operator and its right side, or return None if none binds tighter than `floor`."""
        kind, text = self._curr.token_type, self._curr.text
        if kind in self.TEXT_MATCH_EXCLUDED_TOKENS:
            return None
        if text in _NO_EQUIVALENT:
            self._reject_operator()
        if kind in _SHIFTS and self._next.token_type == kind and self._next.start == self._curr.end + 1:
            return self._binary(left, floor, _SHIFT, _SHIFTS[kind], tokens=2)
        if text in _NEGATED:
            regexp = self._binary(left, floor, COMPARE, _NEGATED[text])
            return regexp and self.expression(exp.Not(this=regexp))
        if kind in _BINARY:
            power, node = _BINARY[kind]
            return self._binary(left, floor, power, node)
        if kind == TokenType.NOT:
            return self._parse_negated(left, floor)
        if kind == TokenType.IS and floor < IS:
            self._advance()
            return self._parse_is(self._left(left))
        if floor < AT_ZONE and self._match_text_seq("AT", "TIME", "ZONE"):
            return self.expression(exp.AtTimeZone(this=self._left(left), zone=self._operand(AT_ZONE)))
        return self._parse_predicate(left, floor)

    def _binary(self, left: exp.Expr, floor: int, power: int, node: type[exp.Expr], tokens: int = 1) -> exp.Expr | None:
        if power <= floor:
            return None
        self._advance(tokens)
        if power == COMPARE and self._curr.token_type in _QUANTIFIERS and self._next.token_type == TokenType.L_PAREN:
            right = self._parse_quantified()
        else:
            right = self._operand(power)
        result = node(this=self._left(left) if power > NOT else left, expression=right)
        if isinstance(result, exp.Div):
            result.set("typed", self.dialect.TYPED_DIVISION)
            result.set("safe", self.dialect.SAFE_DIVISION)
        elif isinstance(result, exp.DPipe):
            result.set("safe", not self.dialect.STRICT_STRING_CONCAT)
        return self.expression(result, comments=self._prev_comments)

    def _left(self, left: exp.Expr) -> exp.Expr:
        """Return `left`, in parentheses if it is a NOT IN: rendered as NOT x IN it would include the operator."""
        return self.expression(exp.Paren(this=left)) if isinstance(left, exp.Not) else left

    def _parse_quantified(self) -> exp.Expr:
        """ANY (SELECT …), ANY (array), and the same with ALL."""
        node = _QUANTIFIERS[self._curr.token_type]
        self._advance()
        operand = self._parse_paren()
        assert operand is not None
        return self.expression(node(this=operand))

    def _parse_negated(self, left: exp.Expr, floor: int) -> exp.Expr | None:
        if self._next.token_type not in {TokenType.IN, TokenType.BETWEEN, *_PATTERNS}:
            return None
        self._advance()
        predicate = self._parse_predicate(left, floor)
        if predicate is None:
            self._retreat(self._index - 1)
            return None
        return self.expression(exp.Not(this=predicate))

    def _parse_predicate(self, left: exp.Expr, floor: int) -> exp.Expr | None:
        if floor < COMPARE and self._match(TokenType.IN):
            if self._curr.token_type != TokenType.L_PAREN:
                self.raise_error("Expected ( after IN")
            return self._parse_in(self._left(left))
        if floor < COMPARE and self._match(TokenType.BETWEEN):
            low = self._operand(COMPARE)
            if not self._match(TokenType.AND):
                self.raise_error("Expected AND in BETWEEN")
            return self.expression(exp.Between(this=self._left(left), low=low, high=self._operand(COMPARE)))
        if floor < LIKE and self._match_set(_PATTERNS):
            node = _PATTERNS[self._prev.token_type]
            pattern = self.expression(node(this=self._left(left), expression=self._operand(LIKE)))
            return self._parse_escape(pattern)
        return None

    def _parse_is(self, this: exp.Expr | None) -> exp.Expr | None:
        negate = self._match(TokenType.NOT)
        if self._match_text_seq("DISTINCT", "FROM"):
            node = exp.NullSafeEQ if negate else exp.NullSafeNEQ
            return self.expression(node(this=this, expression=self._operand(IS)))
        if self._match(TokenType.NULL) or self._match_text_seq("UNKNOWN"):
            value: exp.Expr = exp.Null()
        elif self._match_set((TokenType.TRUE, TokenType.FALSE)):
            value = exp.Boolean(this=self._prev.token_type == TokenType.TRUE)
        else:
            self.raise_error("Expected NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM after IS")
            return None
        test = self.expression(exp.Is(this=this, expression=value))
        return self.expression(exp.Not(this=test)) if negate else test

    def _reject_operator(self) -> None:
        text = self._curr.text
        self.raise_error(f"The operator {text} is not supported here; write {_NO_EQUIVALENT[text]}")
