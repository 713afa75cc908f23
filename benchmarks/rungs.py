"""Measure the rungs of the ladder of functions side by side, in the engine, over a million rows.

    python -m benchmarks.rungs        prints seconds and ratios, the best of several runs

The ratios stand in docs/python.md and in `rules.python.advising`, which cites them.
"""

from __future__ import annotations

import time

import pyarrow as pa
import pyarrow.compute as pc
from datafusion import SessionConfig, SessionContext

from rules.engine.protocol import EngineFunction
from rules.engine.user_functions import register
from rules.python.functions import RegisteredFunction, udf

ROWS = 1_000_000
RUNS = 5
TEXT, NUMBER = pa.string(), pa.float64()


def shapes() -> dict[str, tuple[str, list[RegisteredFunction]]]:
    """Return what is computed, by name: an expression of the engine, and the functions that do the same."""

    @udf.pyarrow(inputs=[TEXT], output=TEXT, name="upper_pyarrow")
    def upper_pyarrow(x):  # noqa: ANN001, ANN202 — as an author writes it
        return pc.utf8_upper(x)

    @udf.pandas(inputs=[TEXT], output=TEXT, name="upper_pandas")
    def upper_pandas(x):  # noqa: ANN001, ANN202
        return x.str.upper()

    @udf.python(inputs=[TEXT], output=TEXT, name="upper_python")
    def upper_python(x):  # noqa: ANN001, ANN202
        return None if x is None else x.upper()

    @udf.pyarrow(inputs=[NUMBER], output=NUMBER, name="line_pyarrow")
    def line_pyarrow(x):  # noqa: ANN001, ANN202
        return pc.add(pc.multiply(x, 1.8), 32.0)

    @udf.pandas(inputs=[NUMBER], output=NUMBER, name="line_pandas")
    def line_pandas(x):  # noqa: ANN001, ANN202
        return x * 1.8 + 32.0

    @udf.python(inputs=[NUMBER], output=NUMBER, name="line_python")
    def line_python(x):  # noqa: ANN001, ANN202
        return None if x is None else x * 1.8 + 32.0

    return {
        "text: upper(x)": ("upper(x)", [upper_pyarrow, upper_pandas, upper_python]),
        "numbers: x * 1.8 + 32": ("y * 1.8 + 32.0", [line_pyarrow, line_pandas, line_python]),
    }


def main() -> None:
    """Measure and print."""
    table = pa.table(
        {
            "x": [None if row % 10 == 0 else f"name {row}" for row in range(ROWS)],
            "y": pa.array([None if row % 10 == 0 else float(row) for row in range(ROWS)]),
        }
    )
    session = SessionContext(SessionConfig().with_target_partitions(1).with_batch_size(8192))
    session.register_record_batches("t", [table.to_batches(8192)])
    for name, (builtin, functions) in shapes().items():
        column = "x" if "upper" in builtin else "y"
        register(
            session,
            [EngineFunction(f.name, "scalar", f.inputs, f.output, "immutable", f.over_arrays) for f in functions],
        )
        spent = {"builtin": _seconds(session, builtin)}
        spent |= {one.kind: _seconds(session, f"{one.name}({column})") for one in functions}
        print(name)
        for kind, seconds in spent.items():
            print(f"  {kind:8} {seconds:7.3f} s  {seconds / spent['builtin']:6.1f} times the engine's own")


def _seconds(session: SessionContext, expression: str) -> float:
    best = float("inf")
    for _ in range(RUNS):
        started = time.perf_counter()
        session.sql(f"SELECT MAX({expression}) AS most FROM t").collect()
        best = min(best, time.perf_counter() - started)
    return best


if __name__ == "__main__":
    main()
