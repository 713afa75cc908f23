"""R006, R009, R012, R016 to R018 and R021: expressions whose value may surprise."""

from __future__ import annotations

from sqlglot import exp

from compiler.lint.findings import Found
from compiler.lint.foreign import counterpart
from compiler.lint.query_view import Subject
from compiler.names.resolve import fold
from compiler.sql import functions
from compiler.sql.other_engines import function_hint
from compiler.tree.conditions import conjuncts
from compiler.tree.walk import find_all

_FLOATS = frozenset({"float", "double", "halffloat", "float16", "float32", "float64"})
_NEVER_NULL = (exp.Count, exp.Literal, exp.Boolean)


def calls(subject: Subject) -> list[Found]:
    """random() → R006 unless the rule declares volatile = true; an unknown function → R021."""
    found: list[Found] = []
    for call in subject.every(exp.Func):
        name = functions.function_name(call)
        if name is not None and name.lower() in subject.functions:
            continue
        if isinstance(call, exp.Anonymous | exp.AnonymousAggFunc) and functions.lookup(name or "") is None:
            hint, fix = counterpart(subject, call, name or "")
            hint = hint or function_hint(name or "", subject.dialect)
            found.append(subject.found("R021", call, f"unknown function '{name}'", hint, fix))
        elif functions.is_volatile(call) and not subject.volatile:
            hint = "declare volatile = true in the rule's options, or pass the value as a $var"
            message = f"'{name or call.sql()}' is volatile: its result changes from run to run"
            found.append(subject.found("R006", call, message, hint))
    return found


def not_in_nullable(subject: Subject) -> list[Found]:
    """WHERE o.id NOT IN (SELECT r.id FROM refunds AS r) → R009: a single NULL among them removes every row."""
    found: list[Found] = []
    for test in subject.every(exp.In):
        query = test.args.get("query")
        select = query.this if isinstance(query, exp.Subquery) else query
        if not isinstance(select, exp.Select) or not _is_negated(test) or len(select.selects) != 1:
            continue
        if _may_be_null(subject, select.selects[0].unalias(), select):
            hint = "add WHERE … IS NOT NULL to the subquery, or write NOT EXISTS"
            message = "if the subquery yields a NULL, NOT IN is true for no row"
            found.append(subject.found("R009", test.this, message, hint))
    return found


def typed(subject: Subject) -> list[Found]:
    """WHERE x = 0.1 of floats → R012; 7 / 2 of integers → R016; SUM of integers → R017."""
    if subject.executed is None or subject.types is None:
        return []
    types = subject.types
    found: list[Found] = []
    for node in find_all(subject.executed, exp.EQ, exp.NEQ, exp.Div, exp.Sum):
        if isinstance(node, exp.EQ | exp.NEQ):
            sides = (node.this, node.expression)
            if any(types.of(side) in _FLOATS for side in sides) and not any(_is_whole(side) for side in sides):
                hint = "compare the distance, as in abs(a - b) < 1e-9, or use a decimal"
                found.append(subject.found("R012", node, "floats are compared for equality", hint))
        elif isinstance(node, exp.Div):
            if subject.dialect is None and types.is_integer(node.this) and types.is_integer(node.expression):
                hint = "cast one side to double, or write 1.0 *; floor() or a comment shows that it is intended"
                found.append(subject.found("R016", node, "integer division drops the remainder", hint))
        elif types.is_integer(node.this):
            hint = "sum a decimal: SUM(CAST(x AS DECIMAL(38, 0)))"
            found.append(subject.found("R017", node, "a sum of integers wraps around silently if it overflows", hint))
    return found


def misread_operators(subject: Subject) -> list[Found]:
    """SELECT a ^ 2 → R018: it is a power in other engines."""
    if subject.dialect is not None:  # then it is one of the dialect's habits, or none
        return []
    return [
        subject.found("R018", node, "^ is bitwise exclusive or here, not a power", "write power(a, b)")
        for node in subject.every(exp.BitwiseXor)
    ]


def _is_negated(test: exp.In) -> bool:
    node = test.parent
    while isinstance(node, exp.Paren):
        node = node.parent
    return isinstance(node, exp.Not)


def _may_be_null(subject: Subject, value: exp.Expr, select: exp.Select) -> bool:
    if isinstance(value, _NEVER_NULL):
        return False
    if isinstance(value, exp.Coalesce):
        return all(_may_be_null(subject, item, select) for item in (value.this, *value.expressions))
    if not isinstance(value, exp.Column) or not isinstance(value.this, exp.Identifier):
        return True
    name = fold(value.this)
    owner = subject.owner(value)
    if isinstance(owner, exp.Table) and name in subject.keys.get(owner.name, ()):
        return False
    where = select.args.get("where")
    return not any(_excludes_null(subject, part, value) for part in (conjuncts(where.this) if where else []))


def _excludes_null(subject: Subject, part: exp.Expr, value: exp.Column) -> bool:
    """Whether a condition does not hold if `value` is NULL: a comparison of it, or IS NOT NULL."""
    if isinstance(part, exp.Not) and isinstance(part.this, exp.Is):
        sides = [part.this.this] if isinstance(part.this.expression, exp.Null) else []
    elif isinstance(part, exp.EQ | exp.NEQ | exp.GT | exp.GTE | exp.LT | exp.LTE | exp.Like):
        sides = [part.this, part.expression]
    elif isinstance(part, exp.Between | exp.In):
        sides = [part.this]
    else:
        sides = []
    columns = [side for side in sides if isinstance(side, exp.Column) and isinstance(side.this, exp.Identifier)]
    same = [one for one in columns if fold(one.this) == fold(value.this)]
    return any(subject.owner(one) is subject.owner(value) for one in same)


def _is_whole(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and node.is_int
