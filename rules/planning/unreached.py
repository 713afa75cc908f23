"""The products that a run does not look at, as no edit since the last complete build can reach them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unreached:
    """Products that are as the last complete build left them."""

    count: int = 0
    seconds: float = 0.0
    """That they took when they last ran, all together."""
