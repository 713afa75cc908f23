"""Where memory runs out: the same query once more, under settings that need less, step by step.

A table that was made so is keyed by the settings that made it, if these can change it: `settings` of a fallback take
the place of the profile's in the fingerprint, and never equal those of any profile.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from rules.config.profiles import Profile
from rules.engine.memory import memory_mb, pool_bytes
from rules.engine.protocol import Executed, MemoryExhaustedError

_MARK = "fallback"
_MACHINES = "machine"
"""In settings: whether the machine's memory set the limit, not the profile."""
_LIMIT = "memory_limit_mb"
_COPIED = "texts copied"
_MERGING = "sort-merge joins"
_BUILD = "for HashJoinInput"
"""In the engine's message, if what asked for more memory is the build side of a hash join."""


@dataclass(frozen=True)
class Fallback:
    """How a query was run instead. sentence: why and how, in a clause; settings: what of it can change a result."""

    name: str
    sentence: str
    profile: Profile
    settings: Mapping[str, object]


def fallbacks(profile: Profile, *, spread: bool = True, texts: bool = True) -> tuple[Fallback, ...]:
    """Return the steps for a query that has exhausted its memory, those with the least cost first.

    spread: whether it may run on several partitions. texts: whether its inputs have any.
    """
    copied = msgspec.structs.replace(profile, text_views=False)
    small = msgspec.structs.replace(
        copied,
        partitions=1,
        batch_size=min(profile.batch_size, 1024),
        sort_reservation_mb=1,
        spill_fan_in=4,
        # The pool stays as it is, whatever other numbers of partitions make of the share of the machine's memory.
        memory_limit_mb=memory_mb(profile),
    )
    merging = msgspec.structs.replace(small, partitions=2, prefer_hash_join=False)
    said = "memory ran out, so it was run again"
    steps = {
        _COPIED: (f"{said} with texts copied from batch to batch", copied),
        "one partition": (f"{said} with small batches on one partition", small),
        _MERGING: (f"{said} with small batches and sort-merge joins on two partitions", merging),
    }
    if copied == profile or not texts:
        del steps[_COPIED]
    if not spread:
        del steps[_MERGING]
    return tuple(
        Fallback(name, sentence, one, {**_settings(one, profile), **_marks(profile, name)})
        for name, (sentence, one) in steps.items()
    )


def _settings(changed: Profile, profile: Profile) -> dict[str, object]:
    """Return what of a changed profile can change a result; where the machine set its limit, that of the pool."""
    settings = changed.float_settings
    if profile.memory_limit_mb is not None:
        return settings
    return {key: value for key, value in settings.items() if key != "pool_percent"} | {
        _LIMIT: pool_bytes(profile) >> 20
    }


def spilled(profile: Profile) -> Fallback:
    """Return what a query counts as that was spilled, because the machine has little memory, not the profile."""
    settings = {**profile.float_settings, _LIMIT: pool_bytes(profile) >> 20, **_marks(profile, "spilled")}
    return Fallback("spilled", "memory did not suffice, so a part of it was spilled to disk", profile, settings)


def _marks(profile: Profile, name: str) -> dict[str, object]:
    return {_MARK: name, **({_MACHINES: True} if profile.memory_limit_mb is None else {})}


def is_of(profile: Profile, settings: Mapping[str, Any]) -> bool:
    """Whether some settings in a fingerprint are those of a fallback of this profile, on whatever machine."""
    if _MARK not in settings:
        return False
    left_out = {_LIMIT} if profile.memory_limit_mb is None else set()
    known = {one.name: one.settings for one in (*fallbacks(profile), spilled(profile))}.get(settings[_MARK], {})
    return {key: value for key, value in settings.items() if key not in left_out} == {
        key: value for key, value in known.items() if key not in left_out
    }


def within_memory(run: Callable[[Profile], Executed], profile: Profile, *, spread: bool, texts: bool) -> Executed:
    """Run a query under a profile; if its memory is exhausted, by one step after the other.

    spread, texts: see `fallbacks`. Raises `MemoryExhaustedError` if no step suffices, which says what to raise, and
    whatever else `run` raises.
    """
    try:
        return run(profile)
    except MemoryExhaustedError as first:
        if not first.is_of_pool:
            raise
        steps = fallbacks(profile, spread=spread, texts=texts)
        if _BUILD in str(first):  # which needs as much memory however small the batches are: merge first
            steps = tuple(sorted(steps, key=lambda step: (step.name != _COPIED, step.name != _MERGING)))
        for step in steps:
            _let_go(first)
            try:
                return replace(run(step.profile), fallback=step)
            except MemoryExhaustedError as again:
                if not again.is_of_pool:
                    raise
                _let_go(again)
        raise


def _let_go(error: BaseException) -> None:
    """Free what the calls that ended with an error hold: the failed query, and with it all that it has read."""
    one: BaseException | None = error
    while one is not None:
        traceback.clear_frames(one.__traceback__)
        one = one.__cause__ or one.__context__
