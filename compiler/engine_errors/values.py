"""The engine's errors about casts, literals, fields and elements that do not fit, in SQL's terms."""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.engine_errors.advice import LONGEST, Advice, Adviser, Refusal, calls, literals, of_kind
from compiler.sql import functions
from compiler.sql.engine_types import in_sql


def _decimal(match: re.Match[str], refusal: Refusal) -> Advice:
    nodes = tuple(
        one for one in of_kind(refusal.query, exp.Cast, exp.TryCast) if match["digits"] in str(one.args.get("to"))
    )
    message = f"DECIMAL({match['digits']}, {match['scale']}) does not exist"
    return Advice(message, "a DECIMAL has at most 38 digits, and no more digits after the point than in total", nodes)


def _uncastable(match: re.Match[str], refusal: Refusal) -> Advice:
    source, target = in_sql(match["source"]), in_sql(match["target"])
    nodes = of_kind(refusal.query, exp.Cast, exp.TryCast) or of_kind(refusal.query, exp.Func, exp.Binary)
    by_way = "TEXT" if source in {"DATE", "TIME", "TIMESTAMP", "BOOLEAN", "DOUBLE"} else None
    hint = "cast to TEXT first, or compute it" if by_way else "no cast exists between them; compute the value"
    return Advice(f"{source} cannot be cast to {target}", hint, nodes)


def _literal(match: re.Match[str], refusal: Refusal) -> Advice:
    value, kind = match["value"], in_sql(match["type"])
    nodes = literals(refusal.query, value)
    return Advice(
        f"'{value}' is not a value of {kind}",
        f"write a value of {kind}, or TRY_CAST(… AS {kind}), which gives NULL",
        nodes,
    )


def _parsed(match: re.Match[str], refusal: Refusal) -> Advice:
    kind = {"interval": "INTERVAL"}.get(match["kind"], match["kind"].upper())
    example = {"INTERVAL": "INTERVAL '1 month 2 days'", "TIMESTAMP": "'2024-01-31 12:30:00'", "TIME": "'12:30:00'"}
    hint = f"write it like {example[kind]}" if kind in example else None
    return Advice(f"'{match['value']}' is not a value of {kind}", hint, literals(refusal.query, match["value"]))


def _too_large(match: re.Match[str], refusal: Refusal) -> Advice:
    digits = match["digits"]
    nodes = literals(refusal.query, match["value"])
    return Advice(
        f"{match['value']} does not fit in a DECIMAL of {digits} digits", "declare more digits: DECIMAL(38, s)", nodes
    )


def _interval_range(_: re.Match[str], refusal: Refusal) -> Advice:
    return Advice(
        "the interval is too long",
        "an interval holds at most 2,147,483,647 months or days",
        of_kind(refusal.query, exp.Interval),
    )


def _regex(match: re.Match[str], refusal: Refusal) -> Advice:
    nodes = of_kind(refusal.query, exp.RegexpLike, exp.RegexpILike, exp.SimilarTo) or calls(refusal.query, "regexp_")
    return Advice(
        f"the regular expression cannot be read: {match['why']}",
        "escape characters that are meant literally: \\(",
        nodes,
    )


def _field(match: re.Match[str], refusal: Refusal) -> Advice:
    nodes = tuple(one for one in refusal.query.find_all(exp.Bracket, exp.Dot, exp.Func) if match["field"] in str(one))
    return Advice(f"the struct has no field '{match['field']}'", None, nodes)


def _no_struct(match: re.Match[str], refusal: Refusal) -> Advice:
    kind = in_sql(match["type"])
    return Advice(f"{kind} has no fields", "only structs and maps can be read by name",
                of_kind(refusal.query, exp.Bracket, exp.Dot) + calls(refusal.query, "get_field"))  # fmt: skip


def _element(match: re.Match[str], refusal: Refusal) -> Advice:
    brackets = of_kind(refusal.query, exp.Bracket)
    called = [one for one in calls(refusal.query, "array_element") if functions.function_name(one) == "array_element"]
    message = f"{in_sql(match['type'])} is not an array and has no elements"
    return Advice(message, "for characters of a text, write substr(…)", (*brackets, *called))


def _slice(match: re.Match[str], refusal: Refusal) -> Advice:
    slices = of_kind(refusal.query, exp.Slice)
    hint = "write l[2:array_length(l)]" if match["bound"] == "upper" else "write l[1:2]"
    return Advice(f"a slice needs its {match['bound']} bound", hint, slices)


def _percentile(match: re.Match[str], refusal: Refusal) -> Advice:
    nodes = tuple(
        one for one in of_kind(refusal.query, exp.Literal) if not one.is_string and one.find_ancestor(exp.AggFunc)
    )
    at = tuple(one for one in nodes if float(one.name) == abs(float(match["value"])))
    return Advice(f"a percentile must be between 0 and 1, not {match['value']}", None, at or nodes)


def _part(match: re.Match[str], refusal: Refusal) -> Advice:
    known = match.groupdict().get("known")
    what = match.groupdict().get("what") or "part of a date"
    hint = f"known: {known}" if known and len(known) <= LONGEST else "such as year, month, day, hour, minute, second"
    return Advice(f"unknown {what} '{match['value']}'", hint, literals(refusal.query, match["value"]))


def _zone(match: re.Match[str], refusal: Refusal) -> Advice:
    hint = "write a zone such as 'Europe/Berlin' or '+01:00'"
    return Advice(f"unknown time zone '{match['value']}'", hint, literals(refusal.query, match["value"]))


ADVISERS: tuple[tuple[str, Adviser], ...] = (
    (r"array_element does not support type (?P<type>.+?)\.?$", _element),
    (r"slice subscript requires an? (?P<bound>upper|lower) bound", _slice),
    (r"Decimal\(precision = (?P<digits>\d+), scale = (?P<scale>-?\d+)\) should satisfy", _decimal),
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
    (r"Percentile value must be between 0\.0 and 1\.0 inclusive, (?P<value>\S+) is invalid", _percentile),
    (r"Unsupported date_trunc granularity: '(?P<value>.*?)'\. Supported values are: (?P<known>.*)$", _part),
    (r"Date part '(?P<value>.*?)' not supported", _part),
    (r"no built-in (?P<what>.+?) named '(?P<value>.*?)', currently supported \w+ are: (?P<known>.*)$", _part),
    (r'Invalid timezone "(?P<value>.*?)"', _zone),
)
"""Pattern of the engine's error → the function that words it; the first match counts."""
