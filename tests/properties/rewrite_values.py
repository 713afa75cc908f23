"""Rewrites of values that keep their meaning on every database: COALESCE, CASE, integers, aggregates."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from compiler.sql.functions import ScalarFunction
from properties.drafts import COMPARISONS, Draft

_INTEGERS = ("int32", "int64")


def _number(value: int) -> exp.Expr:
    literal = exp.Literal.number(str(abs(value)))
    return exp.Neg(this=literal) if value < 0 else literal


def _coalesces(draft: Draft, least: int) -> list[exp.Expr]:
    return draft.find(
        exp.Coalesce, where=lambda n: len(n.expressions) >= least and draft.one_type(n.this, *n.expressions)
    )


def _cases(draft: Draft, where: Callable[[exp.Expr], bool]) -> list[exp.Expr]:
    def of_one_type(case: exp.Expr) -> bool:
        values = [branch.args["true"] for branch in case.args["ifs"]]
        default = case.args.get("default")
        return draft.one_type(*values, *([default] if default is not None else []))

    return draft.find(exp.Case, where=lambda n: where(n) and of_one_type(n))


def _sums(draft: Draft, *kinds: type[exp.Expr]) -> list[exp.Expr]:
    return draft.find(
        *kinds, where=lambda n: draft.types.of(n.this) in _INTEGERS and draft.types.of(n.expression) in _INTEGERS
    )


def nest_coalesce(draft: Draft) -> None:
    """COALESCE(a, b, c) → COALESCE(a, COALESCE(b, c))."""
    node = draft.pick(_coalesces(draft, 2))
    if node is not None:
        rest = [item.copy() for item in node.expressions]
        draft.put(
            node, exp.Coalesce(this=node.this.copy(), expressions=[exp.Coalesce(this=rest[0], expressions=rest[1:])])
        )


def repeat_in_coalesce(draft: Draft) -> None:
    """COALESCE(a, b) → COALESCE(a, b, a)."""
    node = draft.pick(_coalesces(draft, 1))
    if node is not None:
        node.append("expressions", node.this.copy())
        draft.changed = True


def coalesce_to_nvl(draft: Draft) -> None:
    """COALESCE(a, b) → nvl(a, b)."""
    node = draft.pick([n for n in _coalesces(draft, 1) if len(n.expressions) == 1])
    if node is not None and draft.types.of(node.this) in {"int32", "int64", "string", "bool"}:
        call = draft.rng.choice(("nvl", "ifnull"))
        draft.put(node, ScalarFunction(this=call, expressions=[node.this.copy(), node.expressions[0].copy()]))


def coalesce_to_case(draft: Draft) -> None:
    """COALESCE(a, b) → CASE WHEN a IS NOT NULL THEN a ELSE b END."""
    node = draft.pick([n for n in _coalesces(draft, 1) if len(n.expressions) == 1])
    if node is not None:
        missing = exp.Is(this=node.this.copy(), expression=exp.Null())
        if draft.rng.random() < 0.5:
            branch = exp.If(this=exp.Not(this=missing), true=node.this.copy())
            draft.put(node, exp.Case(ifs=[branch], default=node.expressions[0].copy()))
        else:
            branch = exp.If(this=missing, true=node.expressions[0].copy())
            draft.put(node, exp.Case(ifs=[branch], default=node.this.copy()))


def case_else_null(draft: Draft) -> None:
    """CASE WHEN p THEN a END → CASE WHEN p THEN a ELSE NULL END."""
    node = draft.pick(draft.find(exp.Case, where=lambda n: n.args.get("default") is None))
    if node is not None:
        node.set("default", exp.Null())
        draft.changed = True


def case_without_subject(draft: Draft) -> None:
    """CASE a WHEN 1 THEN b END → CASE WHEN a = 1 THEN b END."""
    node = draft.pick(
        draft.find(exp.Case, where=lambda n: n.this is not None
                   and draft.one_kind(n.this, *(branch.this for branch in n.args["ifs"])))
    )  # fmt: skip
    if node is not None:
        for branch in node.args["ifs"]:
            branch.set("this", exp.EQ(this=node.this.copy(), expression=branch.this.copy()))
        node.set("this", None)
        draft.changed = True


def case_dead_branch(draft: Draft) -> None:
    """CASE WHEN p THEN a END → CASE WHEN p THEN a WHEN FALSE THEN a END."""
    node = draft.pick(_cases(draft, lambda n: n.this is None))
    if node is not None:
        branches = list(node.args["ifs"])
        dead = exp.If(this=exp.false(), true=branches[0].args["true"].copy())
        branches.insert(draft.rng.randint(0, len(branches)), dead)
        node.set("ifs", branches)
        draft.changed = True


def case_in_else(draft: Draft) -> None:
    """CASE WHEN p THEN a WHEN q THEN b ELSE c END → CASE WHEN p THEN a ELSE CASE WHEN q THEN b ELSE c END END."""
    node = draft.pick(_cases(draft, lambda n: n.this is None and len(n.args["ifs"]) > 1))
    if node is not None:
        first, *rest = node.args["ifs"]
        default = node.args.get("default")
        inner = exp.Case(ifs=[branch.copy() for branch in rest], default=default.copy() if default else None)
        draft.put(node, exp.Case(ifs=[first.copy()], default=inner))


def case_split_or(draft: Draft) -> None:
    """CASE WHEN p THEN a … → CASE WHEN p THEN a WHEN p THEN a …: a branch that was taken is not reached again."""
    node = draft.pick(_cases(draft, lambda n: n.this is None))
    if node is not None:
        branches = node.args["ifs"]
        place = draft.rng.randrange(len(branches))
        node.set("ifs", [*(b.copy() for b in branches), branches[place].copy()])
        draft.changed = True


def nullif_to_case(draft: Draft) -> None:
    """nullif(a, b) → CASE WHEN a = b THEN NULL ELSE a END."""
    node = draft.pick(
        draft.find(ScalarFunction, where=lambda n: n.name.lower() == "nullif" and draft.one_type(*n.expressions)
                   and draft.one_kind(*n.expressions))
    )  # fmt: skip
    if node is not None:
        first, second = node.expressions
        branch = exp.If(this=exp.EQ(this=first.copy(), expression=second.copy()), true=exp.Null())
        draft.put(node, exp.Case(ifs=[branch], default=first.copy()))


def commute_integers(draft: Draft) -> None:
    """a + b → b + a; a * b → b * a."""
    node = draft.pick(_sums(draft, exp.Add, exp.Mul))
    if node is not None:
        draft.put(node, type(node)(this=node.expression.copy(), expression=node.this.copy()))


def associate_integers(draft: Draft) -> None:
    """(a + b) + c → a + (b + c), where all are of one width."""
    found = [
        node
        for node in _sums(draft, exp.Add, exp.Mul)
        if type(node.this) is type(node) and draft.one_type(node.this.this, node.this.expression, node.expression)
    ]
    node = draft.pick(found)
    if node is not None:
        inner = type(node)(this=node.this.expression.copy(), expression=node.expression.copy())
        draft.put(node, type(node)(this=node.this.this.copy(), expression=inner))


def add_zero(draft: Draft) -> None:
    """a → a + 0; a → a * 1, for a bigint."""
    node = draft.pick(draft.find(exp.Column, exp.Add, exp.Sub, exp.Mul, where=lambda n: draft.types.of(n) == "int64"
                                 and isinstance(n.parent, COMPARISONS)))  # fmt: skip
    if node is not None:
        plus = draft.rng.random() < 0.5
        kind = exp.Add if plus else exp.Mul
        draft.put(node, kind(this=node.copy(), expression=_number(0 if plus else 1)))


def subtract_as_add(draft: Draft) -> None:
    """a - 1 → a + -1."""
    node = draft.pick([n for n in _sums(draft, exp.Sub) if isinstance(n.expression, exp.Literal)])
    if node is not None:
        draft.put(node, exp.Add(this=node.this.copy(), expression=_number(-int(node.expression.name))))


def unfold_literal(draft: Draft) -> None:
    """a > 3 → a > 2 + 1."""
    found = draft.find(
        exp.Literal,
        where=lambda n: not n.is_string and n.name.isdigit() and isinstance(n.parent, COMPARISONS)
        and draft.types.of(n.parent.this) in _INTEGERS and draft.types.of(n.parent.expression) in _INTEGERS,
    )  # fmt: skip
    node = draft.pick(found)
    if node is not None:
        value, part = int(node.name), draft.rng.randint(1, 4)
        draft.put(node, exp.Add(this=_number(value - part), expression=_number(part)))


def cast_to_own_type(draft: Draft) -> None:
    """a → CAST(a AS BIGINT), for a bigint."""
    node = draft.pick(draft.find(exp.Column, where=lambda n: draft.types.of(n) == "int64"
                                 and isinstance(n.parent, (*COMPARISONS, exp.Add, exp.Mul))))  # fmt: skip
    if node is not None:
        draft.put(node, exp.Cast(this=node.copy(), to=exp.DataType(this=exp.DType.BIGINT, nested=False)))


def count_one(draft: Draft) -> None:
    """COUNT(*) → COUNT(1)."""
    found = [node for node in draft.tree.find_all(exp.Count) if isinstance(node.this, exp.Star)]
    node = draft.pick([node for node in found if not node.find_ancestor(exp.Having, exp.Ordered)])
    if node is not None:
        node.set("this", exp.Literal.number(str(draft.rng.randint(0, 2))))
        draft.changed = True


def filter_to_case(draft: Draft) -> None:
    """COUNT(*) FILTER (WHERE p) → COUNT(CASE WHEN p THEN 1 END), and SUM(a) likewise."""
    node = draft.pick(list(draft.tree.find_all(exp.Filter)))
    if node is None or not isinstance(node.this, exp.Count | exp.Sum | exp.Min | exp.Max):
        return
    call, condition = node.this.copy(), node.expression.this.copy()
    value = call.this
    if isinstance(value, exp.Distinct) or (not isinstance(value, exp.Star) and draft.types.of(node.this.this) is None):
        return
    value = exp.Literal.number("1") if isinstance(value, exp.Star) else value.copy()
    call.set("this", exp.Case(ifs=[exp.If(this=condition, true=value)]))
    draft.put(node, call)


def distribute_and(draft: Draft) -> None:
    """WHERE (a OR b) AND c → WHERE (a AND c) OR (b AND c)."""
    node = draft.pick(draft.find(exp.And, where=lambda n: isinstance(n.this, exp.Or) and draft.exact(n)
                                 and not n.find(exp.Query)))  # fmt: skip
    if node is not None:
        sides = [exp.And(this=term.copy(), expression=node.expression.copy())
                 for term in (node.this.this, node.this.expression)]  # fmt: skip
        draft.put(node, exp.Or(this=sides[0], expression=sides[1]))


REWRITES: tuple[Callable[[Draft], None], ...] = (
    nest_coalesce, repeat_in_coalesce, coalesce_to_nvl, coalesce_to_case, case_else_null, case_without_subject,
    case_dead_branch, case_in_else, case_split_or, nullif_to_case, commute_integers, associate_integers, add_zero,
    subtract_as_add, unfold_literal, cast_to_own_type, count_one, filter_to_case, distribute_and,
)  # fmt: skip
