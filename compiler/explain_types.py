"""What the engine says of functions, operators and literals whose types do not fit, as sentences in SQL's terms."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from compiler import functions
from compiler.engine_types import in_sql, split


@dataclass(frozen=True)
class Said:
    """What the engine says. text: without what surrounds it. function, given: the call, as far as it is named."""

    text: str
    query: exp.Query
    function: str | None = None
    given: str | None = None
    candidates: str | None = None


@dataclass(frozen=True)
class Told:
    """What the author is told. nodes: that it may be about; several are told apart by planning them."""

    message: str
    hint: str | None = None
    nodes: tuple[exp.Expr, ...] = ()


Teller = Callable[["re.Match[str]", Said], Told]

_WANTED = {
    "String": "TEXT", "Numeric": "DOUBLE", "Integer": "BIGINT", "Int64": "BIGINT", "Int32": "INT", "Float": "DOUBLE",
    "Float64": "DOUBLE", "Decimal": "DOUBLE", "Duration": "INTERVAL", "Timestamp": "TIMESTAMP", "Date": "DATE",
    "Binary": "BYTEA", "Time": "TIME", "Boolean": "BOOLEAN",
}  # fmt: skip
"""The kinds that functions ask for, and the type to cast to for them."""
_SYMBOLS: dict[str, tuple[type[exp.Expr], ...]] = {
    "+": (exp.Add,), "-": (exp.Sub,), "*": (exp.Mul,), "/": (exp.Div,), "%": (exp.Mod,), "=": (exp.EQ,),
    "!=": (exp.NEQ,), "<": (exp.LT,), "<=": (exp.LTE,), ">": (exp.GT,), ">=": (exp.GTE,), "AND": (exp.And,),
    "OR": (exp.Or,), "||": (exp.DPipe,), "LIKE": (exp.Like, exp.ILike), "SIMILAR TO": (exp.SimilarTo,),
    "IS DISTINCT FROM": (exp.NullSafeNEQ, exp.Is), "IS NOT DISTINCT FROM": (exp.NullSafeEQ, exp.Is),
}  # fmt: skip
_LONGEST = 120
"""Characters of a list of signatures that still helps."""
_NUMBERS = re.compile(r"\b(?:TINYINT|SMALLINT|INT|BIGINT|REAL|DOUBLE|DECIMAL)\b")


def calls(query: exp.Query, name: str) -> tuple[exp.Expr, ...]:
    """Return the calls of a function, else all calls: the engine calls some functions by another of their names."""
    every = [
        node
        for node in query.find_all(exp.Func)
        if functions.function_name(node) is not None and not isinstance(node, exp.Window)
    ]
    named = [node for node in every if functions.function_name(node) == name.lower()]
    return tuple(named or every)


def _of(query: exp.Query, *kinds: type[exp.Expr]) -> tuple[exp.Expr, ...]:
    return tuple(query.find_all(*kinds))


def _literals(query: exp.Query, value: str) -> tuple[exp.Expr, ...]:
    """Return the literals of a value; else what may compute it from literals."""
    found = tuple(one for one in query.find_all(exp.Literal) if one.this == value)
    return found or _of(query, exp.Cast, exp.TryCast, exp.Func, exp.Binary, exp.In, exp.Between)


# Calls


def _count(match: re.Match[str], said: Said) -> Told:
    name, given = match["name"].lower(), match["given"]
    wanted = {"zero": "0", "no": "0"}.get(match["wanted"], match["wanted"])
    wanted = "1" if wanted == "at least one" else wanted
    takes = f"'{name}' takes {'no argument' if wanted == '0' else _arguments(wanted)}"
    takes += f", not {given}" if given else ""
    if given == "0":
        takes = f"'{name}' needs {'an argument' if wanted == '1' else _arguments(wanted)}"
    return Told(takes, _callable(said), calls(said.query, name))


def _arguments(count: str) -> str:
    return f"{count} argument{'' if count == '1' else 's'}"


def _none(match: re.Match[str], said: Said) -> Told:
    return Told(f"'{match['name']}' needs an argument", _callable(said), calls(said.query, match["name"]))


def _least(match: re.Match[str], said: Said) -> Told:
    message = f"'{match['name']}' needs at least {_arguments(match['wanted'])}, not {match['given']}"
    return Told(message, _callable(said), calls(said.query, match["name"]))


def _even(match: re.Match[str], said: Said) -> Told:
    name = match["name"].removeprefix("make_")
    return Told(f"'{name}' takes names and values in turn, so an even number of arguments", None, calls(said.query, name))


def _signatures(match: re.Match[str], said: Said) -> Told:
    """Of several signatures none fits: each is told by what it asks for."""
    name, text = match["name"], said.text
    received = re.findall(r"(?:requires|expects) (\w+),? but received \w+[^,]*? \(DataType: ((?:[^()]|\([^()]*\))+)\)", text)
    counts = re.findall(r"expects (\d+) arguments? but received (\d+)", text)
    if not received:
        wanted = sorted({count for count, _ in counts})
        if not wanted:
            return Told(f"'{name}' cannot be called with these arguments", _callable(said), calls(said.query, name))
        takes = _arguments(wanted[0]) if len(wanted) == 1 else f"{' or '.join(wanted)} arguments"
        return Told(f"'{name}' takes {takes}, not {counts[0][1]}", _callable(said), calls(said.query, name))
    given_types = list(dict.fromkeys(in_sql(kind) for _, kind in received))
    wanted_kinds = list(dict.fromkeys(kind for kind, _ in received if in_sql(kind) not in given_types))
    return _refusal(name, ", ".join(given_types), wanted_kinds, said)


def _argument(match: re.Match[str], said: Said) -> Told:
    given = match.groupdict().get("type") or match["kind"]
    return _refusal(match["name"], in_sql(given), [match["wanted"]], said)


def _coerced(match: re.Match[str], said: Said) -> Told:
    """The engine lists what it was given and the signature."""
    name, given = match["name"], ", ".join(in_sql(one) for one in split(match["given"]))
    return Told(
        f"'{name}' cannot be called with ({given})",
        _from_signature(name, match["signature"]) or _callable(said),
        calls(said.query, name),
    )


def _unsupported(match: re.Match[str], said: Said) -> Told:
    name = (said.function or match["name"]).lower()
    wanted = ["array"] if name.startswith(("array", "list", "empty", "cardinality", "flatten")) else []
    return _refusal(name, in_sql(match["type"]), wanted, said)


def _refusal(name: str, given: str, wanted: list[str], said: Said) -> Told:
    hints = {"array": "an array can be made with make_array(…)"}
    kinds = [_WANTED[kind] for kind in wanted if kind in _WANTED]
    hint = hints.get(wanted[0]) if wanted else None
    if hint is None and kinds:
        hint = f"cast the argument: {name}(CAST(… AS {kinds[-1] if 'DOUBLE' not in kinds else 'DOUBLE'}))"
    hint = hint or _callable(said) or "cast the argument to a type that it takes"
    return Told(f"'{name}' cannot be called with {given}", hint, calls(said.query, name))


def _generic_call(match: re.Match[str], said: Said) -> Told:
    name = said.function or match["name"]
    given = f"({', '.join(in_sql(one) for one in split(said.given))})" if said.given else "these arguments"
    hint = _callable(said) or "cast the arguments to one type"
    return Told(f"'{name}' cannot be called with {given}", hint, calls(said.query, name))


def _constant(match: re.Match[str], said: Said) -> Told:
    message = f"'{match['name']}' needs a constant text as an argument"
    return Told(message, "write the text in quotes", calls(said.query, match["name"]))


def _callable(said: Said) -> str | None:
    """Return how a function can be called, where the engine tells it in words that SQL has too."""
    if not said.candidates:
        return None
    shown = re.sub(r"(\w+)\((?:NullAry|Nullary)?\(\)\)", r"\1()", said.candidates)
    shown = re.sub(r"\b(Numeric|String|Comparable|Integer|Boolean|Date|Timestamp)\((\d+)\)", _repeated, shown)
    if re.search(r"UserDefined|Signature|OneOf|Coercible|Variadic|Exact|Uniform|\{|\[|Any", shown):
        return None
    shown = in_sql(re.sub(r"\) (\w+\()", r") or \1", shown))
    return f"it can be called as {shown}" if len(shown) <= _LONGEST else None


def _repeated(match: re.Match[str]) -> str:
    return ", ".join([match[1] if match[1] != "Comparable" else "value"] * int(match[2]))


def _from_signature(name: str, signature: str) -> str | None:
    if signature.startswith("ArraySignature"):
        inside = signature.removeprefix("ArraySignature(").removesuffix(")")
        return f"it can be called as {name}({inside})"
    exact = re.findall(r"Exact\(((?:[^()]|\([^()]*\))*)\)", signature)
    forms = list(dict.fromkeys(", ".join(in_sql(one) for one in split(types)) for types in exact if "Null" not in types))
    if not forms:
        return None
    return f"it can be called as {' or '.join(f'{name}({form})' for form in forms[:3])}"


# Operators, CASE, IN, BETWEEN


def _operation(match: re.Match[str], said: Said) -> Told:
    left, right, symbol = in_sql(match["left"]), in_sql(match["right"]), match["symbol"].strip()
    kinds = _SYMBOLS.get(symbol, ())
    nodes = _of(said.query, *kinds, *((exp.Case, exp.In, exp.Between) if symbol == "=" else ())) if kinds else ()
    nodes = nodes or (_compared_columns(said.query) if symbol == "=" else ())
    nodes = nodes or _of(said.query, exp.Binary, exp.In, exp.Between, exp.Case)
    if symbol in {"=", "!=", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"}:
        if "BOOLEAN" in {left, right} and left != right and any(isinstance(one, exp.Is) for one in nodes):
            other = left if right == "BOOLEAN" else right
            return Told(f"IS TRUE and IS FALSE need a condition, not {other}", "write a comparison", nodes)
        return Told(f"{left} and {right} cannot be compared", _cast_hint(left, right), nodes)
    if symbol in {"AND", "OR"}:
        message = f"{symbol} needs conditions on both sides, not {left} and {right}"
        return Told(message, "write a comparison, such as x <> 0", nodes)
    if symbol in {"LIKE", "SIMILAR TO"} or "~" in symbol or "REGEX" in symbol:
        return Told(f"{symbol} needs texts, not {left} and {right}", "cast the sides: CAST(… AS TEXT)", nodes)
    return Told(f"{left} {symbol} {right} cannot be computed", _cast_hint(left, right), nodes)


def _compared_columns(query: exp.Query) -> tuple[exp.Expr, ...]:
    """Return what EXCEPT and INTERSECT compare: the outputs of their second sides."""
    found = query.find_all(exp.Except, exp.Intersect)
    return tuple(item for operation in found for item in operation.expression.selects)


def _cast_hint(left: str, right: str) -> str:
    if "TEXT" in (left, right):
        other = right if left == "TEXT" else left
        if other != "TEXT" and re.fullmatch(r"[A-Z]+(\(.*\))?", other) and other != "NULL":
            return f"cast the text: CAST(… AS {other})"
        return "cast the texts to numbers: CAST(… AS DOUBLE)"
    if "DATE" in (left, right) and any(_NUMBERS.search(side) for side in (left, right)):
        return "add days as an interval: … + INTERVAL '1 day'"
    return "cast one side to the type of the other: CAST(… AS …)"


def _decimal(match: re.Match[str], said: Said) -> Told:
    nodes = tuple(one for one in _of(said.query, exp.Cast, exp.TryCast) if match["digits"] in str(one.args.get("to")))
    message = f"there is no DECIMAL({match['digits']}, {match['scale']})"
    return Told(message, "it has up to 38 digits in all, and no more of them behind the point", nodes)


def _range(match: re.Match[str], said: Said) -> Told:
    message = f"a frame in RANGE cannot be ordered by {in_sql(match['type'])}"
    return Told(message, "write ROWS BETWEEN", _of(said.query, exp.Window))


def _unary(match: re.Match[str], said: Said) -> Told:
    if match["symbol"] == "NOT":
        kind = in_sql(match["type"] or "") or "this"
        return Told(f"NOT needs a condition, not {kind}", "write a comparison", _of(said.query, exp.Not))
    return Told("- needs a number, an interval or a timestamp", "cast it: -CAST(… AS DOUBLE)", _of(said.query, exp.Neg))


def _case(match: re.Match[str], said: Said) -> Told:
    one, other = in_sql(match["one"]), in_sql(match["other"])
    if match["what"] == "case":
        message = f"CASE compares {one} with {other}, which cannot be compared"
    else:
        message = f"the branches of CASE are {one} and {other}, which have no common type"
    return Told(message, "cast them to one type", _of(said.query, exp.Case))


def _when(match: re.Match[str], said: Said) -> Told:
    kind = in_sql(match["type"])
    return Told(f"WHEN needs a condition, not {kind}", "write a comparison", _of(said.query, exp.Case))


def _between(match: re.Match[str], said: Said) -> Told:
    left, right = in_sql(match["left"]), in_sql(match["right"])
    return Told(f"BETWEEN compares {left} with {right}, which cannot be compared", "cast them to one type",
                _of(said.query, exp.Between))  # fmt: skip


def _in_list(match: re.Match[str], said: Said) -> Told:
    left, listed = in_sql(match["left"]), ", ".join(dict.fromkeys(map(in_sql, split(match["listed"]))))
    message = f"IN compares {left} with {listed}, which cannot be compared"
    return Told(message, "write values of one type", _of(said.query, exp.In))


def _in_query(match: re.Match[str], said: Said) -> Told:
    left, right = in_sql(match["left"]), in_sql(match["right"])
    nodes = tuple(one for one in _of(said.query, exp.In) if one.args.get("query"))
    message = f"IN compares {left} with a subquery's {right}, which cannot be compared"
    return Told(message, "cast one of them", nodes or _of(said.query, exp.In, exp.Any, exp.All))


def _convert(match: re.Match[str], said: Said) -> Told:
    message = f"{in_sql(match['source'])} and {in_sql(match['target'])} have no common type"
    nodes = _of(said.query, exp.Func, exp.Binary, exp.Case, exp.In, exp.Between)
    return Told(message, "cast one of them: CAST(… AS …)", nodes)


def _union(match: re.Match[str], said: Said) -> Told:
    message = f"the branches of a set operation have {in_sql(match['one'])} and {in_sql(match['other'])} as column '{match['column']}'"
    items = [
        item
        for operation in said.query.find_all(exp.SetOperation)
        for side in (operation.expression,)
        for item in side.selects
        if item.alias_or_name == match["column"]
    ]
    return Told(message, "cast them to one type", tuple(items[:1]) or _of(said.query, exp.SetOperation)[:1])


def _condition(match: re.Match[str], said: Said) -> Told:
    kind = in_sql(match["type"])
    nodes = tuple(clause.this for clause in said.query.find_all(exp.Where, exp.Having, exp.Qualify, exp.Filter))
    message = f"WHERE and HAVING need a condition, and this is of type {kind}"
    return Told(message, "write a comparison", nodes)


def _join_condition(match: re.Match[str], said: Said) -> Told:
    nodes = tuple(join.args["on"] for join in said.query.find_all(exp.Join) if join.args.get("on") is not None)
    return Told(f"ON needs a condition, and this is of type {in_sql(match['type'])}", "write a comparison", nodes)


# Casts and literals


def _uncastable(match: re.Match[str], said: Said) -> Told:
    source, target = in_sql(match["source"]), in_sql(match["target"])
    nodes = _of(said.query, exp.Cast, exp.TryCast) or _of(said.query, exp.Func, exp.Binary)
    by_way = "TEXT" if source in {"DATE", "TIME", "TIMESTAMP", "BOOLEAN", "DOUBLE"} else None
    hint = "cast to TEXT first, or compute it" if by_way else "no cast leads from one to the other; compute it"
    return Told(f"{source} cannot be cast to {target}", hint, nodes)


def _literal(match: re.Match[str], said: Said) -> Told:
    value, kind = match["value"], in_sql(match["type"])
    nodes = _literals(said.query, value)
    return Told(f"'{value}' is not a value of {kind}", f"write a value of {kind}, or TRY_CAST(… AS {kind}), which gives NULL", nodes)


def _parsed(match: re.Match[str], said: Said) -> Told:
    kind = {"interval": "INTERVAL"}.get(match["kind"], match["kind"].upper())
    example = {"INTERVAL": "INTERVAL '1 month 2 days'", "TIMESTAMP": "'2024-01-31 12:30:00'", "TIME": "'12:30:00'"}
    hint = f"write it as in {example[kind]}" if kind in example else None
    return Told(f"'{match['value']}' is not a value of {kind}", hint, _literals(said.query, match["value"]))


def _too_large(match: re.Match[str], said: Said) -> Told:
    digits = match["digits"]
    nodes = _literals(said.query, match["value"])
    return Told(f"{match['value']} does not fit into a DECIMAL of {digits} digits", "declare more digits: DECIMAL(38, s)", nodes)


def _scale(match: re.Match[str], said: Said) -> Told:
    kinds = f"{in_sql(match['left'])} {match['symbol']} {in_sql(match['right'])}"
    return Told(f"{kinds} would have more than 38 digits behind the point", "cast the sides to fewer digits first",
                _of(said.query, *_SYMBOLS.get(match["symbol"], (exp.Binary,))))  # fmt: skip


def _interval_range(match: re.Match[str], said: Said) -> Told:
    return Told("the interval is too long", "it holds up to 2,147,483,647 months, days or so", _of(said.query, exp.Interval))


def _regex(match: re.Match[str], said: Said) -> Told:
    nodes = _of(said.query, exp.RegexpLike, exp.RegexpILike, exp.SimilarTo) or calls(said.query, "regexp_")
    return Told(f"the regular expression cannot be read: {match['why']}", "escape what is meant literally: \\(", nodes)


def _field(match: re.Match[str], said: Said) -> Told:
    nodes = tuple(one for one in said.query.find_all(exp.Bracket, exp.Dot, exp.Func) if match["field"] in str(one))
    return Told(f"the struct has no field '{match['field']}'", None, nodes)


def _no_struct(match: re.Match[str], said: Said) -> Told:
    kind = in_sql(match["type"])
    return Told(f"{kind} has no fields", "only structs and maps are read by names",
                _of(said.query, exp.Bracket, exp.Dot) + calls(said.query, "get_field"))  # fmt: skip


def _element(match: re.Match[str], said: Said) -> Told:
    brackets = _of(said.query, exp.Bracket)
    called = [one for one in calls(said.query, "array_element") if functions.function_name(one) == "array_element"]
    return Told(f"{in_sql(match['type'])} is not an array, and has no elements", "for letters of a text write substr(…)",
                (*brackets, *called))  # fmt: skip


def _late_constant(match: re.Match[str], said: Said) -> Told:
    name = match["name"].lower()
    return Told(f"'{name}' needs a constant as an argument", "write the value itself, or a $variable", calls(said.query, name))


def _percentile(match: re.Match[str], said: Said) -> Told:
    nodes = tuple(one for one in _of(said.query, exp.Literal) if not one.is_string and one.find_ancestor(exp.AggFunc))
    at = tuple(one for one in nodes if float(one.name) == abs(float(match["value"])))
    return Told(f"a percentile lies between 0 and 1, not at {match['value']}", None, at or nodes)


def _part(match: re.Match[str], said: Said) -> Told:
    known = match.groupdict().get("known")
    what = match.groupdict().get("what") or "part of a date"
    hint = f"there are: {known}" if known and len(known) <= _LONGEST else "such as year, month, day, hour, minute, second"
    return Told(f"there is no {what} '{match['value']}'", hint, _literals(said.query, match["value"]))


def _zone(match: re.Match[str], said: Said) -> Told:
    hint = "write a zone such as 'Europe/Berlin' or '+01:00'"
    return Told(f"there is no time zone '{match['value']}'", hint, _literals(said.query, match["value"]))


_CALL = r"(?:The )?[Ff]unction '(?P<name>\w+)' "
TYPE_TELLERS: tuple[tuple[str, Teller], ...] = (
    (r"array_element does not support type (?P<type>.+?)\.?$", _element),
    (_CALL + r"failed to match any signature", _signatures),
    (_CALL + r"expect(?:s|ed) (?P<wanted>\d+|zero|no|at least one) arguments? but received (?P<given>\d+)", _count),
    (r"(?P<name>\w+) (?:function )?requires (?P<wanted>\d+(?: to \d+)?) arguments?(?:, got (?P<given>\d+))?$", _count),
    (r"(?P<name>\w+) (?:requires|expects) at least (?P<wanted>\d+) arguments, got (?P<given>\d+)", _least),
    (r"(?P<name>\w+) (?:first|second|third) argument must be [^,]*, got (?P<type>.+)$", _unsupported),
    (r"Decimal\(precision = (?P<digits>\d+), scale = (?P<scale>-?\d+)\) should satisfy", _decimal),
    (r"Cannot run range queries on datatype: (?P<type>.+)$", _range),
    (r"(?P<name>\w+) was called with (?P<given>\d+) arguments\. It requires only (?P<wanted>\d+)", _count),
    (r"'(?P<name>\w+)' does not support zero arguments", _none),
    (r"(?P<name>\w+) does not support zero arguments", _none),
    (r"(?P<name>\w+) was called without any arguments", _none),
    (r"(?P<name>\w+) requires an even number of arguments", _even),
    (_CALL + r"(?:requires|expects) (?P<wanted>\w+),? but received (?P<kind>.+?)(?: \(DataType: (?P<type>.+?)\))?\.*(?: Hint: .*)?$", _argument),
    (r"Failed to coerce arguments to satisfy a call to '(?P<name>\w+)' function: coercion from (?P<given>.*?) to the signature (?P<signature>.*?) failed", _coerced),
    (r"(?P<name>\w+) (?:requires|needs) .*constant string", _constant),
    (r"(?P<name>\w+) (?:does not support|not supported for) type:? '?(?P<type>.+?)'?\.?$", _unsupported),
    (r"(?P<name>\w+) (?:expects array arguments|only support unions|first argument must be a union|can only accept \w+),? (?:got |.* got )(?P<type>.+?)(?: instead)?$", _unsupported),
    (r"Cannot get result type for decimal operation (?P<left>.+?) (?P<symbol>[-+*/%]) (?P<right>\S+\([^)]*\)|\S+): .*exceed max scale", _scale),
    (r"Cannot coerce arithmetic expression (?P<left>.+?) (?P<symbol>[-+*/%]) (?P<right>.+) to valid types", _operation),
    (r"Cannot get result type for \w+ operation (?P<left>.+?) (?P<symbol>[-+*/%]) (?P<right>.+?): Invalid", _operation),
    (r"Cannot infer common (?:\w+ )*type for (?:\w+ )*operation (?P<left>.+?) (?P<symbol>[-+*/%=<>!~|&^@#]+|AND|OR|IS DISTINCT FROM|IS NOT DISTINCT FROM|[A-Z]{2,}[A-Z_ ]*) (?P<right>.+)$", _operation),
    (r"There isn't a common type to coerce (?P<left>.+) and (?P<right>.+) in (?P<symbol>.+) expression", _operation),
    (r"Unary operator '(?P<symbol>\S+)' (?:requires a boolean expression, got (?P<type>.+)|only supports)", _unary),
    (r"Failed to coerce (?P<what>case|then) \((?P<one>.+)\) and (?:when|else) \((?P<other>.+)\) to common types", _case),
    (r"WHEN expressions in CASE couldn't be converted to common type \(Boolean\).*convert (?P<type>.+) to Boolean", _when),
    (r"Failed to coerce types (?P<left>.+) and (?P<right>.+) in BETWEEN", _between),
    (r"Can not find compatible types to compare (?P<left>.+?) with \[(?P<listed>.+)\]", _in_list),
    (r"expr type (?P<left>.+) can't cast to (?P<right>.+) in (?:InSubquery|SetComparison)", _in_query),
    (r"Incompatible inputs for Union: Previous inputs were of type (?P<one>.+), but got incompatible type (?P<other>.+) on column '(?P<column>.+)'", _union),
    (r"Cannot create filter with non-boolean predicate '(?P<what>.*)' returning (?P<type>.+)$", _condition),
    (r"Join condition must be boolean type, but got (?P<type>.+)$", _join_condition),
    (r"Unsupported (?:TRY_)?CAST from (?P<source>.+) to (?P<target>.+)$", _uncastable),
    (r"Cannot cast string '(?P<value>.*)' to value of (?P<type>.+) type", _literal),
    (r"Cannot cast value '(?P<value>.*)' to value of (?P<type>.+) type", _literal),
    (r"Can't cast value (?P<value>\S+) to type (?P<type>.+)$", _literal),
    (r"Cannot cast to (?P<type>.+)\. Overflowing on (?P<value>.+)$", _literal),
    (r"(?P<value>\S+) is too large to store in a \w+ of precision (?P<digits>\d+)", _too_large),
    (r"Error parsing (?P<kind>timestamp) from '(?P<value>.*?)'", _parsed),
    (r"Error parsing '(?P<value>.*?)' as (?P<kind>time|date|timestamp)", _parsed),
    (r'Invalid input syntax for type (?P<kind>interval): "(?P<value>.*)"', _parsed),
    (r"Unable to represent .* in a signed", _interval_range),
    (r"(?:regex parse error|Regular expression).*error: (?P<why>.*)$", _regex),
    (r"Field (?P<field>.+) not found in struct", _field),
    (r"Cannot access field at argument 1: type (?P<type>.+) is not Struct", _no_struct),
    (r"Cannot automatically convert (?P<source>.+) to (?P<target>.+)$", _convert),
    (r"Unsupported data type (?P<type>.+) for function (?P<name>\w+)", _unsupported),
    (r"(?P<name>\w+) function unsupported data type at index \d+: (?P<type>.+)$", _unsupported),
    (r"(?P<name>\w+) not supported for n: ", _late_constant),
    (r"(?P<name>\w+) delimiter must be a string literal", _late_constant),
    (r"Percentile value for '(?P<name>\w+)' must be a literal", _late_constant),
    (r"(?P<name>\w+) only supports literal values", _late_constant),
    (r"Percentile value must be between 0\.0 and 1\.0 inclusive, (?P<value>\S+) is invalid", _percentile),
    (r"Unsupported date_trunc granularity: '(?P<value>.*?)'\. Supported values are: (?P<known>.*)$", _part),
    (r"Date part '(?P<value>.*?)' not supported", _part),
    (r"no built-in (?P<what>.+?) named '(?P<value>.*?)', currently supported \w+ are: (?P<known>.*)$", _part),
    (r'Invalid timezone "(?P<value>.*?)"', _zone),
    (r"\[return_type\] (?P<name>\w+) not supported for (?P<type>\w+)", _unsupported),
    (r"(?:Cannot find a common type|Failed to unify argument types|Fail to find the coerced type|Expect to get struct|Unsupported argument types|For function '\w+' .* is not comparable|Expected a Map type|Unavailable default cast)(?P<name>)", _generic_call),
)  # fmt: skip
"""From what the engine says to who tells it; the first that fits does."""
