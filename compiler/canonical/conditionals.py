"""CASE, COALESCE and their kin in one spelling each, wherever that keeps value and type.

CASE and COALESCE have the type to which all of their values are coerced, even those never chosen. So a value is only
dropped or moved between them if all are certainly of one type.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.canonical.folding import FOLDED_IN
from compiler.canonical.predicate_facts import chained, is_constant, kind, looks_up_bits, never_fails, one_kind, replace
from compiler.sql.encode import encode
from compiler.sql.functions import ScalarFunction
from compiler.tree.walk import has

_TWO = 2
_NVL_TYPES = frozenset({"int32", "int64", "string", "bool"})
"""NVL turns types that it does not know, dates and timestamps, into strings."""


def spell_coalesce(query: exp.Query, facts: Facts) -> exp.Query:
    """Write COALESCE flat, without repeated arguments; likewise NVL.

    nvl(a, b) → COALESCE(a, b);  COALESCE(a, COALESCE(b, c)) → COALESCE(a, b, c);  COALESCE(a, b, a) → COALESCE(a, b);
    COALESCE(a, NULL, b) → COALESCE(a, b);  COALESCE(a) → a;
    COALESCE('x', a) → 'x';  COALESCE(p, FALSE) → p IS TRUE;  COALESCE(COUNT(*), 0) → COUNT(*)

    NVL computes both of its arguments, COALESCE the second only if it needs it: so not if that may fail.
    """
    types: Types | None = None
    for call in facts.nodes(query, ScalarFunction)[::-1]:
        if str(call.name).lower() == "nvl" and len(call.expressions) == _TWO:
            types = types or facts.types(query)
            first, second = call.expressions
            known = {types.of(first), types.of(second)} <= _NVL_TYPES
            if known and _one_result(types, first, second) and never_fails(types, second):
                call.replace(exp.Coalesce(this=first.pop(), expressions=[second.pop()]))
    for node in facts.nodes(query, exp.Coalesce)[::-1]:
        types = types or facts.types(query)
        _coalesce(node, types)
    return query


def spell_nullif(query: exp.Query, facts: Facts) -> exp.Query:
    """Write NULLIF as a CASE, if = compares as NULLIF does (by bits) and the first operand keeps its type.

    nullif(a, b) → CASE WHEN a = b THEN NULL ELSE a END
    """
    types: Types | None = None
    for call in facts.nodes(query, ScalarFunction)[::-1]:
        if str(call.name).lower() != "nullif" or len(call.expressions) != _TWO:
            continue
        types = types or facts.types(query)
        first, second = call.expressions
        if not isinstance(first, exp.Column) or kind(types, first) is None or types.of(first) != types.of(second):
            continue
        condition = exp.EQ(this=first.copy(), expression=second.pop())
        branch = exp.If(this=condition, true=exp.Null())
        call.replace(exp.Case(ifs=[branch], default=first.pop()))
    return query


def spell_case(query: exp.Query, facts: Facts) -> exp.Query:
    """Write CASE without subject, without branches that never decide, and in a shorter form if there is one.

    CASE a WHEN 1 THEN b END → CASE WHEN a = 1 THEN b END;  … ELSE NULL END → … END;
    CASE WHEN FALSE THEN a ELSE b END → b;  WHEN p THEN a WHEN q THEN a → WHEN p OR q THEN a;
    ELSE CASE WHEN p THEN a END END → WHEN p THEN a END;  CASE WHEN p THEN TRUE ELSE FALSE END → p IS TRUE;
    CASE WHEN a IS NULL THEN b ELSE a END → COALESCE(a, b);  CASE WHEN p THEN a ELSE a END → a;
    CASE WHEN NOT p OR p IS NULL THEN a ELSE b END → CASE WHEN p THEN b ELSE a END
    """
    cases = facts.nodes(query, exp.Case)[::-1]
    if not cases or facts.of(query, looks_up_bits):
        return query
    types = facts.types(query)
    for case in cases:
        _search(case, types)
        if case.this is not None:
            continue
        if isinstance(case.args.get("default"), exp.Null):
            case.set("default", None)
        if _of_one_type(case, types):
            _flatten_else(case, types)
            if _drop_branches(case, types):
                continue
            _merge_outcomes(case, types)
        _shorten(case, types)
    return query


def _coalesce(node: exp.Coalesce, types: Types) -> None:
    arguments = [node.this, *node.expressions]
    of_one_type = types.of(node) is not None and not _has_null(arguments)
    flat: list[exp.Expr] = []
    for argument in arguments:
        if of_one_type and type(argument) is exp.Coalesce:
            flat += [argument.this, *argument.expressions]
        else:
            flat.append(argument)
    flat = _without_nulls(flat, types)
    unique: dict[bytes, exp.Expr] = {}
    for argument in flat:
        unique.setdefault(encode(argument), argument)
    kept = list(unique.values())
    if of_one_type:
        kept = _decided(kept, types)
        if _settle(node, kept):
            return
    if len(kept) == len(arguments) and all(a is b for a, b in zip(kept, arguments, strict=True)):
        if len(kept) == 1 and isinstance(kept[0], exp.Column):
            replace(node, kept[0])
        return
    if len(kept) == 1 and not isinstance(kept[0], exp.Column):
        return
    for argument in kept:
        argument.pop()
    if len(kept) == 1:
        replace(node, kept[0])
    else:
        node.set("this", kept[0])
        node.set("expressions", kept[1:])


def _without_nulls(arguments: list[exp.Expr], types: Types) -> list[exp.Expr]:
    """Return the arguments without NULL, which has no type of its own, if the others certainly are of one type."""
    values = [argument for argument in arguments if not isinstance(argument, exp.Null)]
    found = {types.of(value) for value in values}
    return values if len(found) == 1 and None not in found else arguments


def _decided(arguments: list[exp.Expr], types: Types) -> list[exp.Expr]:
    """Return the arguments up to the first constant, which is never NULL."""
    for place, one in enumerate(arguments):
        if is_constant(one) and not isinstance(one, exp.Null):
            return (
                arguments[: place + 1] if all(never_fails(types, after) for after in arguments[place:]) else arguments
            )
    return arguments


def _settle(node: exp.Coalesce, arguments: list[exp.Expr]) -> bool:
    """Write a COALESCE of these arguments without it, if its result is a constant or a truth value."""
    first, last = arguments[0], arguments[-1]
    if _counts(first) and len(arguments) > 1 and all(map(is_constant, arguments[1:])):
        node.replace(first)
        return True
    if len(arguments) == 1 and is_constant(first) and isinstance(node.parent, FOLDED_IN):
        node.replace(first)
        return True
    if len(arguments) == _TWO and isinstance(last, exp.Boolean) and not has(first, exp.Query):
        # COALESCE(p, FALSE) is p IS TRUE, COALESCE(p, TRUE) is NOT (p IS FALSE)
        test = exp.Is(this=first.pop(), expression=exp.Boolean(this=not last.this))
        node.replace(exp.Not(this=test) if last.this else test)
        return True
    return False


def _counts(node: exp.Expr) -> bool:
    """Whether a node is a COUNT, which is never NULL."""
    while isinstance(node, exp.Filter | exp.Window):
        node = node.this
    return isinstance(node, exp.Count)


def _has_null(nodes: list[exp.Expr]) -> bool:
    return any(isinstance(node, exp.Null) for node in nodes)


def _one_result(types: Types, first: exp.Expr, second: exp.Expr) -> bool:
    """Whether CASE, COALESCE and NVL all give two values the same type."""
    if isinstance(first, exp.Null) or isinstance(second, exp.Null):
        return False
    found = {types.of(first), types.of(second)}
    return (len(found) == 1 and None not in found) or found == {"int32", "int64"}


def _search(case: exp.Case, types: Types) -> None:
    """CASE a WHEN 1 THEN … → CASE WHEN a = 1 THEN …, if = compares bits."""
    subject = case.this
    values = [branch.this for branch in case.args["ifs"]]
    plain = isinstance(subject, exp.Column) or (is_constant(subject) and not isinstance(subject, exp.Null))
    if not plain or not all(is_constant(value) for value in values) or _has_null(values):
        return
    if not one_kind(types, (subject, *values)):
        return
    for branch in case.args["ifs"]:
        branch.set("this", exp.EQ(this=subject.copy(), expression=branch.this.pop()))
    case.set("this", None)


def _of_one_type(case: exp.Case, types: Types) -> bool:
    """Whether all values of a CASE are certainly of one type, so that no choice of them changes the type."""
    values = [branch.args["true"] for branch in case.args["ifs"]]
    default = case.args.get("default")
    values += [] if default is None else [default]
    kinds = {None if isinstance(value, exp.Null) else types.of(value) for value in values}
    return len(kinds) == 1 and None not in kinds


def _flatten_else(case: exp.Case, types: Types) -> None:
    inner = case.args.get("default")
    if not isinstance(inner, exp.Case) or inner.this is not None or not _of_one_type(inner, types):
        return
    default = inner.args.get("default")
    branches = list(inner.args["ifs"])
    for node in (*branches, *([] if default is None else [default])):
        node.pop()
    case.set("ifs", [*case.args["ifs"], *branches])
    case.set("default", default)


def _drop_branches(case: exp.Case, types: Types) -> bool:
    """Drop the branches that are never reached or never taken; return whether the CASE itself is gone."""
    kept: list[exp.Expr] = []
    seen: set[bytes] = set()
    default = case.args.get("default")
    always: exp.Expr | None = None
    dropped: list[exp.Expr] = []
    for branch in case.args["ifs"]:
        condition, key = branch.this, encode(branch.this)
        if always is not None or key in seen or _is_never(condition):
            dropped += [condition, branch.args["true"]]
        elif isinstance(condition, exp.Boolean) or _is_rest(condition, seen):
            always = branch.args["true"]
        else:
            seen.add(key)
            kept.append(branch)
    if always is not None and default is not None:
        dropped.append(default)
    if (not dropped and always is None) or not all(never_fails(types, node) for node in dropped):
        return False
    result = always if always is not None else default
    if not kept:
        if result is None or not (
            isinstance(result, exp.Column | exp.Case) or (is_constant(result) and isinstance(case.parent, FOLDED_IN))
        ):
            return False
        return replace(case, result)
    for node in (*kept, *([] if result is None else [result])):
        node.pop()
    case.set("ifs", kept)
    case.set("default", result)
    return False


def _is_rest(condition: exp.Expr, seen: set[bytes]) -> bool:
    """Whether a condition holds wherever a condition of an earlier branch does not: NOT p OR p IS NULL after p."""
    truth = _untrue(condition)
    return truth is not None and encode(truth) in seen


def _untrue(condition: exp.Expr) -> exp.Column | None:
    """Return p where a condition says that p, a column, is not TRUE."""
    if not isinstance(condition, exp.Or):
        return None
    for one, other in ((condition.this, condition.expression), (condition.expression, condition.this)):
        is_null = isinstance(other, exp.Is) and isinstance(other.expression, exp.Null)
        if is_null and isinstance(one, exp.Not) and isinstance(one.this, exp.Column):
            return one.this if encode(one.this) == encode(other.this) else None
    return None


def _is_never(condition: exp.Expr) -> bool:
    return isinstance(condition, exp.Null) or (isinstance(condition, exp.Boolean) and not condition.this)


def _merge_outcomes(case: exp.Case, types: Types) -> None:
    """Join neighbouring branches of one value."""
    groups: list[tuple[bytes, list[exp.Expr]]] = []
    for branch in case.args["ifs"]:
        key = encode(branch.args["true"])
        if groups and groups[-1][0] == key and never_fails(types, branch.this):
            groups[-1][1].append(branch)
        else:
            groups.append((key, [branch]))
    if len(groups) == len(case.args["ifs"]):
        return
    merged: list[exp.Expr] = []
    for _, group in groups:
        first = group[0]
        if len(group) > 1:
            conditions = [branch.this.pop() for branch in group]
            first.set("this", chained(exp.Or, conditions))
        merged.append(first)
    for branch in merged:
        branch.pop()
    case.set("ifs", merged)


def _shorten(case: exp.Case, types: Types) -> None:
    """Write a CASE of one branch as IS TRUE or COALESCE if it is equivalent to one."""
    branches, default = case.args["ifs"], case.args.get("default")
    if len(branches) != 1 or default is None:
        return
    condition, value = branches[0].this, branches[0].args["true"]
    if (truth := _untrue(condition)) is not None:
        branches[0].set("this", truth.copy())
        branches[0].set("true", default.copy())
        case.set("default", value)
        return
    if encode(value) == encode(default) and never_fails(types, condition):
        if isinstance(value, exp.Column) or (is_constant(value) and isinstance(case.parent, FOLDED_IN)):
            replace(case, value)
        return
    if isinstance(value, exp.Boolean) and isinstance(default, exp.Boolean) and types.of(condition) == "bool":
        if bool(value.this) != bool(default.this) and not is_constant(condition):
            test = exp.Is(this=condition.pop(), expression=exp.Boolean(this=True))
            case.replace(test if value.this else exp.Not(this=test))
        return
    negated = isinstance(condition, exp.Not)
    test = condition.this if negated else condition
    if not (isinstance(test, exp.Is) and isinstance(test.expression, exp.Null) and isinstance(test.this, exp.Column)):
        return
    same, other = (value, default) if negated else (default, value)
    if encode(same) == encode(test.this) and _one_result(types, same, other):
        case.replace(exp.Coalesce(this=same.pop(), expressions=[other.pop()]))
