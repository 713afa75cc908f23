"""Queries that the engine plans but cannot run, whatever the data: they must be run once on no rows to find out.

Some functions check the types and constants among their arguments only when they are called.
"""

from __future__ import annotations

import re

from sqlglot import exp

from compiler.sql import functions
from compiler.tree.walk import find_all

_LATE = re.compile(
    r"to_(?:timestamp\w*|date|time|unixtime|char|local_time)|date_?(?:part|trunc|bin|format)|regexp_\w+|digest|encode|decode"
    r"|union_\w+|string_agg|percentile_cont|quantile_cont|approx_percentile_cont\w*|nth_value|array_dims|array_length"
    r"|(?:array|list)_pop_(?:back|front)"
)
"""These functions. They were found by calling every function of the catalogue with arguments of every type."""
_OF_ITSELF = re.compile(
    r"[Uu]nsupported (?:data type|date_trunc|argument)|must be (?:a|between|a string) |only (?:support|accept)s?"
    r"|not (?:yet )?supported|no built-in|regex parse error|Invalid timezone|does not support"
)
"""The errors then that no data can avoid. Any other error may depend on rows that never exist."""


def needs_trial(query: exp.Query) -> bool:
    """Whether a query (the executed form) calls functions that fail late, and ends at once if it reads no rows."""
    if any(with_.args.get("recursive") for with_ in find_all(query, exp.With)):
        return False
    late = False
    for node in find_all(query, exp.Func, exp.AtTimeZone):
        name = functions.function_name(node)
        if name in {"generate_series", "range"} or isinstance(node, exp.Anonymous):  # the project's own are not called
            return False
        late = late or isinstance(node, exp.AtTimeZone) or (name is not None and _LATE.fullmatch(name) is not None)
    return late


def is_of_itself(said: str) -> bool:
    """Whether the engine's error when it runs on no rows occurs with all data."""
    return _OF_ITSELF.search(said) is not None
