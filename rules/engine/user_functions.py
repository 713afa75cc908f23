"""The project's own functions in their form for the engine: scalar, aggregate, window."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa
from datafusion import SessionContext, udf
from datafusion.user_defined import Accumulator, AggregateUDF, WindowEvaluator, WindowUDF

from rules.engine.protocol import EngineFunction


def register(session: SessionContext, functions: Iterable[EngineFunction]) -> None:
    """Let a session's queries call functions. Positionally: the engine renames these parameters between versions."""
    for one in functions:
        inputs, output = list(one.inputs), one.output
        if one.shape == "aggregate":
            state = list(one.state)
            session.register_udaf(AggregateUDF(one.name, _accumulators(one), inputs, output, state, one.volatility))
        elif one.shape == "window":
            session.register_udwf(WindowUDF(one.name, _evaluators(one), inputs, output, one.volatility))
        else:
            session.register_udf(udf(one.call, inputs, output, one.volatility, one.name))


def _accumulators(function: EngineFunction) -> Callable[[], Accumulator]:
    return lambda: _Accumulator(function.call())


def _evaluators(function: EngineFunction) -> Callable[[], WindowEvaluator]:
    return lambda: _Evaluator(function.call)


class _Accumulator(Accumulator):
    """The class that the engine requires; the accumulator inside it does the work."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def update(self, *values: pa.Array) -> None:
        self._own.update(*values)

    def merge(self, states: list[pa.Array]) -> None:
        self._own.merge(*states)

    def state(self) -> list[pa.Scalar]:
        found: list[pa.Scalar] = self._own.state()
        return found

    def evaluate(self) -> pa.Scalar:
        return self._own.evaluate()


class _Evaluator(WindowEvaluator):
    """Passes on a whole partition, in the order of its OVER."""

    def __init__(self, call: Callable[..., pa.Array]) -> None:
        self._call = call

    def evaluate_all(self, values: list[pa.Array], num_rows: int) -> pa.Array:
        del num_rows
        return self._call(*values)
