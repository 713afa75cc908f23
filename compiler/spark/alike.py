"""Expressions that are spelled alike for Spark."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from compiler.spark.types import SparkTypes, Write


def same(node: exp.Expr, types: SparkTypes, write: Write) -> exp.Expr:
    """Write the parts of an expression that is spelled alike."""
    del types
    return type(node)(**{key: _each(value, write) for key, value in node.args.items()})


def _each(value: Any, write: Write) -> Any:
    if isinstance(value, list):
        return [_each(one, write) for one in value]
    return write(value) if isinstance(value, exp.Expr) else value
