"""The engine's errors about calls whose arguments do not fit, as sentences in SQL's terms."""

from __future__ import annotations

import re

from compiler.engine_errors.advice import LONGEST, Advice, Adviser, Refusal, calls
from compiler.sql.engine_types import in_sql, split

_WANTED = {
    "String": "TEXT", "Numeric": "DOUBLE", "Integer": "BIGINT", "Int64": "BIGINT", "Int32": "INT", "Float": "DOUBLE",
    "Float64": "DOUBLE", "Decimal": "DOUBLE", "Duration": "INTERVAL", "Timestamp": "TIMESTAMP", "Date": "DATE",
    "Binary": "BYTEA", "Time": "TIME", "Boolean": "BOOLEAN",
}  # fmt: skip
"""The kinds of argument that functions require → the type to cast to."""


def _count(match: re.Match[str], refusal: Refusal) -> Advice:
    name, given = match["name"].lower(), match["given"]
    wanted = {"zero": "0", "no": "0"}.get(match["wanted"], match["wanted"])
    wanted = "1" if wanted == "at least one" else wanted
    takes = f"'{name}' takes {'no argument' if wanted == '0' else _arguments(wanted)}"
    takes += f", not {given}" if given else ""
    if given == "0":
        takes = f"'{name}' needs {'an argument' if wanted == '1' else _arguments(wanted)}"
    return Advice(takes, _callable(refusal), calls(refusal.query, name))


def _arguments(count: str) -> str:
    return f"{count} argument{'' if count == '1' else 's'}"


def _none(match: re.Match[str], refusal: Refusal) -> Advice:
    return Advice(f"'{match['name']}' needs an argument", _callable(refusal), calls(refusal.query, match["name"]))


def _least(match: re.Match[str], refusal: Refusal) -> Advice:
    message = f"'{match['name']}' needs at least {_arguments(match['wanted'])}, not {match['given']}"
    return Advice(message, _callable(refusal), calls(refusal.query, match["name"]))


def _even(match: re.Match[str], refusal: Refusal) -> Advice:
    name = match["name"].removeprefix("make_")
    return Advice(
        f"'{name}' takes alternating names and values, so an even number of arguments",
        None,
        calls(refusal.query, name),
    )


def _signatures(match: re.Match[str], refusal: Refusal) -> Advice:
    """Word the error if none of several signatures fits, by what each of them requires."""
    name, text = match["name"], refusal.text
    received = re.findall(
        r"(?:requires|expects) (\w+),? but received \w+[^,]*? \(DataType: ((?:[^()]|\([^()]*\))+)\)", text
    )
    counts = re.findall(r"expects (\d+) arguments? but received (\d+)", text)
    if not received:
        wanted = sorted({count for count, _ in counts})
        if not wanted:
            return Advice(
                f"'{name}' cannot be called with these arguments", _callable(refusal), calls(refusal.query, name)
            )
        takes = _arguments(wanted[0]) if len(wanted) == 1 else f"{' or '.join(wanted)} arguments"
        return Advice(f"'{name}' takes {takes}, not {counts[0][1]}", _callable(refusal), calls(refusal.query, name))
    given_types = list(dict.fromkeys(in_sql(kind) for _, kind in received))
    wanted_kinds = list(dict.fromkeys(kind for kind, _ in received if in_sql(kind) not in given_types))
    return _refusal(name, ", ".join(given_types), wanted_kinds, refusal)


def _argument(match: re.Match[str], refusal: Refusal) -> Advice:
    given = match.groupdict().get("type") or match["kind"]
    return _refusal(match["name"], in_sql(given), [match["wanted"]], refusal)


def _coerced(match: re.Match[str], refusal: Refusal) -> Advice:
    """Word an error in which the engine lists the arguments' types and the signature."""
    name, given = match["name"], ", ".join(in_sql(one) for one in split(match["given"]))
    return Advice(
        f"'{name}' cannot be called with ({given})",
        _from_signature(name, match["signature"]) or _callable(refusal),
        calls(refusal.query, name),
    )


def _unsupported(match: re.Match[str], refusal: Refusal) -> Advice:
    name = (refusal.function or match["name"]).lower()
    wanted = ["array"] if name.startswith(("array", "list", "empty", "cardinality", "flatten")) else []
    return _refusal(name, in_sql(match["type"]), wanted, refusal)


def _refusal(name: str, given: str, wanted: list[str], refusal: Refusal) -> Advice:
    hints = {"array": "make an array with make_array(…)"}
    kinds = [_WANTED[kind] for kind in wanted if kind in _WANTED]
    hint = hints.get(wanted[0]) if wanted else None
    if hint is None and kinds and _is_castable(given, kinds):
        hint = f"cast the argument: {name}(CAST(… AS {kinds[-1] if 'DOUBLE' not in kinds else 'DOUBLE'}))"
    elif hint is None and kinds:
        hint = f"it takes {' or '.join(dict.fromkeys(kinds))}"
    hint = hint or _callable(refusal) or "cast the argument to a type that the function takes"
    return Advice(f"'{name}' cannot be called with {given}", hint, calls(refusal.query, name))


def _is_castable(given: str, wanted: list[str]) -> bool:
    """Whether a cast from one of the types that were given to those that are wanted exists: none of a list or a day."""
    if given.endswith("[]") or given.startswith(("STRUCT", "MAP")):
        return False
    numbers = {"DOUBLE", "BIGINT", "INT"}
    moments = {"INTERVAL", "TIME", "TIMESTAMP", "DATE"}
    if given in {"DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "INTERVAL"}:
        return not numbers.issuperset(wanted)
    return not (moments.issuperset(wanted) and given in {*numbers, "SMALLINT", "TINYINT", "REAL", "BOOLEAN"})


def _generic_call(match: re.Match[str], refusal: Refusal) -> Advice:
    name = refusal.function or match["name"]
    given = f"({', '.join(in_sql(one) for one in split(refusal.given))})" if refusal.given else "these arguments"
    hint = _callable(refusal) or "cast the arguments to one type"
    return Advice(f"'{name}' cannot be called with {given}", hint, calls(refusal.query, name))


def _constant(match: re.Match[str], refusal: Refusal) -> Advice:
    message = f"'{match['name']}' needs a text constant as an argument"
    return Advice(message, "write the text in quotes", calls(refusal.query, match["name"]))


def _callable(refusal: Refusal) -> str | None:
    """Return how a function can be called, if the engine says so in words that SQL has too."""
    if not refusal.candidates:
        return None
    shown = re.sub(r"(\w+)\((?:NullAry|Nullary)?\(\)\)", r"\1()", refusal.candidates)
    shown = re.sub(r"\b(Numeric|String|Comparable|Integer|Boolean|Date|Timestamp)\((\d+)\)", _repeated, shown)
    if re.search(r"UserDefined|Signature|OneOf|Coercible|Variadic|Exact|Uniform|\{|\[|Any", shown):
        return None
    shown = in_sql(re.sub(r"\) (\w+\()", r") or \1", shown))
    return f"it can be called as {shown}" if len(shown) <= LONGEST else None


def _repeated(match: re.Match[str]) -> str:
    return ", ".join([match[1] if match[1] != "Comparable" else "value"] * int(match[2]))


def _from_signature(name: str, signature: str) -> str | None:
    if signature.startswith("ArraySignature"):
        inside = signature.removeprefix("ArraySignature(").removesuffix(")")
        return f"it can be called as {name}({inside})"
    exact = re.findall(r"Exact\(((?:[^()]|\([^()]*\))*)\)", signature)
    forms = list(
        dict.fromkeys(", ".join(in_sql(one) for one in split(types)) for types in exact if "Null" not in types)
    )
    if not forms:
        return None
    return f"it can be called as {' or '.join(f'{name}({form})' for form in forms[:3])}"


def _late_constant(match: re.Match[str], refusal: Refusal) -> Advice:
    name = match["name"].lower()
    return Advice(
        f"'{name}' needs a constant as an argument",
        "write the value itself, or a $variable",
        calls(refusal.query, name),
    )


_CALL = r"(?:The )?[Ff]unction '(?P<name>\w+)' "


ADVISERS: tuple[tuple[str, Adviser], ...] = (
    (_CALL + r"failed to match any signature", _signatures),
    (_CALL + r"expect(?:s|ed) (?P<wanted>\d+|zero|no|at least one) arguments? but received (?P<given>\d+)", _count),
    (r"(?P<name>\w+) (?:function )?requires (?P<wanted>\d+(?: to \d+)?) arguments?(?:, got (?P<given>\d+))?$", _count),
    (r"(?P<name>\w+) (?:requires|expects) at least (?P<wanted>\d+) arguments, got (?P<given>\d+)", _least),
    (r"(?P<name>\w+) (?:first|second|third) argument must be [^,]*, got (?P<type>.+)$", _unsupported),
    (r"(?P<name>\w+) was called with (?P<given>\d+) arguments\. It requires only (?P<wanted>\d+)", _count),
    (r"'(?P<name>\w+)' does not support zero arguments", _none),
    (r"(?P<name>\w+) does not support zero arguments", _none),
    (r"(?P<name>\w+) was called without any arguments", _none),
    (r"(?P<name>\w+) requires an even number of arguments", _even),
    (
        _CALL + r"(?:requires|expects) (?P<wanted>\w+),? but received (?P<kind>.+?)(?: \(DataType: (?P<type>.+?)"
        r"\))?\.*(?: Hint: .*)?$",
        _argument,
    ),
    (
        (
            r"Failed to coerce arguments to satisfy a call to '(?P<name>\w+)' function: coercion from (?P<giv"
            r"en>.*?) to the signature (?P<signature>.*?) failed"
        ),
        _coerced,
    ),
    (r"(?P<name>\w+) (?:requires|needs) .*constant string", _constant),
    (r"(?P<name>\w+) (?:does not support|not supported for) type:? '?(?P<type>.+?)'?\.?$", _unsupported),
    (
        (
            r"(?P<name>\w+) (?:expects array arguments|only support unions|first argument must be a union|can"
            r" only accept \w+),? (?:got |.* got )(?P<type>.+?)(?: instead)?$"
        ),
        _unsupported,
    ),
    (r"Unsupported data type (?P<type>.+) for function (?P<name>\w+)", _unsupported),
    (r"(?P<name>\w+) function unsupported data type at index \d+: (?P<type>.+)$", _unsupported),
    (r"(?P<name>\w+) not supported for n: ", _late_constant),
    (r"(?P<name>\w+) delimiter must be a string literal", _late_constant),
    (r"Percentile value for '(?P<name>\w+)' must be a literal", _late_constant),
    (r"(?P<name>\w+) only supports literal values", _late_constant),
    (r"\[return_type\] (?P<name>\w+) not supported for (?P<type>\w+)", _unsupported),
    (
        (
            r"(?:Cannot find a common type|Failed to unify argument types|Fail to find the coerced type|Expec"
            r"t to get struct|Unsupported argument types|For function '\w+' .* is not comparable|Expected a Map type"
            r"|Unavailable default cast)(?P<name>)"
        ),
        _generic_call,
    ),
)
"""Pattern of the engine's error → the function that words it; the first match counts."""
