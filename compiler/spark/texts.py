"""Functions of texts that both engines compute alike.

`upper` and `lower` were compared for each character there is: both engines have the same version of Unicode.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from compiler.spark.numbers import call
from compiler.spark.refusal import RefusedError
from compiler.spark.types import Entry, SparkTypes, Write

_MOST = 1 << 31


def length(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`char_length(s)`."""
    (text,) = node.expressions
    if types.of(text) != "string":
        raise RefusedError("the length of what is no string is not known there")
    return call("char_length", write(text))


def substr(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`substr(s, 1, 3)`: from before the beginning DataFusion counts on, and Spark from the end."""
    text, *numbers = node.expressions
    least = (1, 0)
    if types.of(text) != "string" or not all(
        _is_number(one, of_least) for one, of_least in zip(numbers, least, strict=False)
    ):
        raise RefusedError("substr is only known to mean the same with numbers that are written out, from 1 on")
    return call("substring", write(text), *(exp.Literal.number(one.name) for one in numbers))


def _of_texts(spark: str, least: int, most: int) -> Entry:
    """Return what writes a function of so many strings."""

    def write_texts(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
        _require(least <= len(node.expressions) <= most, spark)
        _require(all(types.of(one) == "string" for one in node.expressions), spark)
        return call(spark, *(write(one) for one in node.expressions))

    return write_texts


def _of_text_and_number(spark: str, least: int) -> Entry:
    """Return what writes a function of a string and a number that is written out, at least `least`."""

    def write_both(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
        _require(len(node.expressions) == 2, spark)  # noqa: PLR2004 — the text and the number
        text, number = node.expressions
        _require(types.of(text) == "string" and _is_number(number, least), spark)
        return call(spark, write(text), exp.Literal.number(number.name))

    return write_both


def _padded(spark: str) -> Entry:
    def write_padded(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
        text, number, *fill = node.expressions
        _require(types.of(text) == "string" and _is_number(number, 0) and len(fill) <= 1, spark)
        _require(all(map(_is_text, fill)), spark)
        return call(spark, write(text), exp.Literal.number(number.name), *(write(one) for one in fill))

    return write_padded


def _trimmed(side: str) -> Entry:
    def write_trimmed(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
        text, *characters = node.expressions
        _require(types.of(text) == "string" and len(characters) <= 1, "trim")
        if not characters:
            return call({"BOTH": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}[side], write(text))
        _require(_is_text(characters[0]), "trim")
        return exp.Trim(this=write(text), expression=write(characters[0]), position=side)

    return write_trimmed


def _concat(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """`concat(a, b)`, for which NULL is nothing."""
    _require(all(types.of(one) == "string" for one in node.expressions), "concat")
    nothing = exp.Literal.string("")
    return call("concat", *(call("coalesce", write(one), nothing.copy()) for one in node.expressions))


def _split_part(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    _require(len(node.expressions) == 3, "split_part")  # noqa: PLR2004 — the text, what divides it, the place
    text, divider, place = node.expressions
    _require(types.of(text) == "string" and _is_text(divider) and _is_number(place, 1), "split_part")
    return call("split_part", write(text), write(divider), exp.Literal.number(place.name))


def _is_text(node: exp.Expr) -> bool:
    """Whether it is a string that is written out, and not empty."""
    return isinstance(node, exp.Literal) and node.is_string and bool(node.name)


def _is_number(node: exp.Expr, least: int) -> bool:
    return isinstance(node, exp.Literal) and node.is_int and least <= int(node.name) < _MOST


def _require(is_known: bool, name: str) -> None:  # noqa: FBT001 — a condition, as of an assertion
    if not is_known:
        raise RefusedError(f"{name} of these arguments is not known to mean the same there")


def _as(spark: str, count: int = 1) -> Entry:
    return _of_texts(spark, count, count)


TEXTS: Mapping[str, Entry] = {
    "char_length": length, "character_length": length, "length": length, "substr": substr, "substring": substr,
    "starts_with": _as("startswith", 2), "ends_with": _as("endswith", 2), "contains": _as("contains", 2),
    "upper": _as("upper"), "lower": _as("lower"), "reverse": _as("reverse"), "octet_length": _as("octet_length"),
    "strpos": _as("instr", 2), "replace": _as("replace", 3), "concat": _concat, "split_part": _split_part,
    "left": _of_text_and_number("left", 0), "right": _of_text_and_number("right", 0),
    "repeat": _of_text_and_number("repeat", 0), "lpad": _padded("lpad"), "rpad": _padded("rpad"),
    "trim": _trimmed("BOTH"), "btrim": _trimmed("BOTH"), "ltrim": _trimmed("LEADING"), "rtrim": _trimmed("TRAILING"),
}  # fmt: skip
"""Functions of the engine, by their names there."""
