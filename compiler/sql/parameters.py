"""The parameters of the engine's functions that take arguments by name: all others take them by position only.

A test compares this with the engine.
"""

from __future__ import annotations

from collections.abc import Mapping

_SUBSTRING = ("str", "start_pos", "length")
_SHIFT = ("expr", "offset", "default")
_PERCENTILE = ("expr", "percentile")

PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "corr": ("y", "x"),
    "lag": _SHIFT,
    "lead": _SHIFT,
    "percentile_cont": _PERCENTILE,
    "quantile_cont": _PERCENTILE,
    "substr": _SUBSTRING,
    "substring": _SUBSTRING,
}
