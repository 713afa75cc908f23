"""Aggregates in Python: a class whose instances take in the rows of one group, batch by batch.

    @udf.agg
    class spread:
        def __init__(self): self.low = self.high = None
        def update(self, values: float) -> None: ...      # a pyarrow.Array for each parameter
        def state(self) -> tuple[float, float]: ...       # of what was taken in, plain values
        def merge(self, lows, highs): ...                 # an array for each value of other instances' states
        def evaluate(self) -> float: ...                  # a plain value, None for NULL

The engine makes an instance for each group and thread, and merges them, including those that took in nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rules.python.faults import Misuse

if TYPE_CHECKING:
    from rules.python.functions import RegisteredFunction

METHODS = ("update", "merge", "state", "evaluate")
Noting = Callable[[Callable[..., Any]], Callable[..., Any]]


def require_methods(accumulator: type) -> None:
    """Refuse a class that cannot accumulate. Raises `Misuse`."""
    missing = [name for name in METHODS if not callable(getattr(accumulator, name, None))]
    if missing:
        needs = "an aggregate has the methods update, merge, state and evaluate"
        raise Misuse(f"'{accumulator.__name__}' has no method '{missing[0]}'", needs)


class Accumulating:
    """One instance, as the engine requires: its values are Arrow scalars of the declared types."""

    def __init__(self, made: RegisteredFunction, noting: Noting) -> None:
        """noting: wraps everything that runs the project's code."""
        self._made = made
        self._own = noting(made.function)()
        self.update = noting(self._own.update)
        self.merge = noting(self._own.merge)
        self.state = noting(self._state)
        self.evaluate = noting(self._evaluate)

    def _state(self) -> list[pa.Scalar]:
        found = self._own.state()
        types = self._made.state
        if not isinstance(found, tuple | list) or len(found) != len(types):
            given = f"{len(found)} values" if isinstance(found, tuple | list) else type(found).__name__
            raise Misuse(f"the state of '{self._made.name}' has {len(types)} values, not {given}")
        return [self._scalar(value, kind, "state") for value, kind in zip(found, types, strict=True)]

    def _evaluate(self) -> pa.Scalar:
        return self._scalar(self._own.evaluate(), self._made.output, "result")

    def _scalar(self, value: Any, kind: pa.DataType, what: str) -> pa.Scalar:
        try:
            return value.cast(kind) if isinstance(value, pa.Scalar) else pa.scalar(value, kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
            reason = str(error).splitlines()[0]
            raise Misuse(f"the {what} of '{self._made.name}' is not of the type {kind}: {reason}") from error
