"""Other settings of the engine under which a query must give the same table, and the smallest set that changes one.

Nothing here runs anything: `smallest` is told whether a set of changes makes a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import msgspec

from rules.config.profiles import FIELDS_BY_KEY, Profile

Against = Literal["reference", "partitions", "unoptimised"]
AGAINST: tuple[Against, ...] = get_args(Against)

_OPTIMIZER, _EXECUTION = "datafusion.optimizer", "datafusion.execution"
_OFF = (
    f"{_OPTIMIZER}.enable_join_dynamic_filter_pushdown",
    f"{_OPTIMIZER}.enable_topk_dynamic_filter_pushdown",
    f"{_OPTIMIZER}.enable_aggregate_dynamic_filter_pushdown",
    f"{_EXECUTION}.parquet.pruning",
    f"{_EXECUTION}.parquet.enable_page_index",
    f"{_EXECUTION}.parquet.bloom_filter_on_read",
    f"{_EXECUTION}.parquet.pushdown_filters",
    f"{_EXECUTION}.parquet.reorder_filters",
    f"{_EXECUTION}.collect_statistics",
    f"{_OPTIMIZER}.enable_distinct_aggregation_soft_limit",
    f"{_OPTIMIZER}.enable_leaf_expression_pushdown",
    f"{_OPTIMIZER}.enable_piecewise_merge_join",
    f"{_OPTIMIZER}.enable_sort_pushdown",
    f"{_OPTIMIZER}.enable_topk_repartition",
    f"{_OPTIMIZER}.enable_unions_to_filter",
    f"{_OPTIMIZER}.enable_window_limits",
    f"{_OPTIMIZER}.enable_window_topn",
    f"{_OPTIMIZER}.filter_null_join_keys",
    f"{_OPTIMIZER}.join_reordering",
    f"{_OPTIMIZER}.top_down_join_key_reordering",
)
"""What only makes queries faster, and can be left undone. The key for all dynamic filters is not among them, so that
the one that is to blame is found."""
_PARTITIONS, _BATCH = f"{_EXECUTION}.target_partitions", f"{_EXECUTION}.batch_size"
_OTHER_PARTITIONS = 4
_OTHER_BATCHES = (1000, 8192)
"""Rows of a batch, the first that the profile does not have."""


@dataclass(frozen=True)
class Change:
    """Another value of a setting of the engine. was: the profile's, None if that is the engine's default."""

    key: str
    value: Any
    was: Any

    @property
    def can_be_disabled(self) -> bool:
        """Whether the setting is an optimiser that can be switched off for good."""
        return self.value is False


def changes(profile: Profile, against: Against) -> tuple[Change, ...]:
    """Return what is changed of a profile to compare with; a setting that has the value already is left out."""
    found: dict[str, Any] = {}
    if against != "partitions":
        found |= dict.fromkeys(_OFF, False)
    if against == "reference":
        found[_BATCH] = next(rows for rows in _OTHER_BATCHES if rows != profile.batch_size)
        found[_PARTITIONS] = 1
    if against == "partitions":
        found[_PARTITIONS] = _OTHER_PARTITIONS if profile.partitions == 1 else 1
    pairs = ((Change(key, value, _value(profile, key))) for key, value in found.items())
    return tuple(one for one in pairs if one.was != one.value)


def changed(profile: Profile, these: Sequence[Change]) -> Profile:
    """Return a profile with other settings."""
    named = {one.key: one.value for one in these if one.key in FIELDS_BY_KEY}
    fields = {FIELDS_BY_KEY[key]: value for key, value in named.items()}
    others = {one.key: str(one.value).lower() for one in these if one.key not in named}
    engine = {key: text for key, text in profile.engine_keys.items() if key not in named} | others
    return msgspec.structs.replace(profile, **fields, engine_keys=engine)


def smallest(these: Sequence[Change], differs: Callable[[Sequence[Change]], bool]) -> tuple[Change, ...]:
    """Return a subset that makes the difference which all of `these` make, and from which nothing can be left out.

    Delta debugging: A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002 (ddmin). For a
    single culprit among n that is about 2 log n calls of `differs`.
    """
    found, pieces = list(these), 2
    while len(found) > 1:
        size = -(-len(found) // pieces)
        parts = [found[start : start + size] for start in range(0, len(found), size)]
        part = next((one for one in parts if differs(one)), None)
        if part is not None:
            found, pieces = part, 2
            continue
        rests = [[one for one in found if one not in part] for part in parts] if len(parts) > 2 else []  # noqa: PLR2004
        rest = next((one for one in rests if differs(one)), None)
        if rest is not None:
            found, pieces = rest, max(pieces - 1, 2)
        elif size == 1:
            break
        else:
            pieces = min(pieces * 2, len(found))
    return tuple(found)


def _value(profile: Profile, key: str) -> Any:
    text = profile.engine_keys.get(key)  # which counts before a setting that has a name, as that of a pin does
    if text is not None:
        return {"true": True, "false": False}.get(text, text)
    return getattr(profile, FIELDS_BY_KEY[key]) if key in FIELDS_BY_KEY else _DEFAULTS.get(key)


_DEFAULTS: Mapping[str, bool] = {
    f"{_OPTIMIZER}.enable_piecewise_merge_join": False,
    f"{_OPTIMIZER}.enable_unions_to_filter": False,
    f"{_OPTIMIZER}.enable_window_topn": False,
    f"{_OPTIMIZER}.filter_null_join_keys": False,
}
"""What the engine does not do unless it is told to."""
