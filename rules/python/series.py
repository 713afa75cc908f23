"""Arrow arrays ↔ pandas Series, for functions of that rung; pandas is needed nowhere else.

A Series has the Arrow type of its parameter. NumPy's type would depend on the batch: integers among
which there is a NULL would become floats, those of the next batch integers.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from rules.python.faults import Misuse

INSTALL = "pip install 'leastwork-rules[pandas]'"


def require_pandas(instead: str) -> None:
    """Refuse to go on without pandas. instead: an alternative. Raises `Misuse`."""
    if importlib.util.find_spec("pandas") is None:
        raise Misuse("pandas is not installed", f"{INSTALL}, or {instead}")


def over_series(function: Callable[..., Any], name: str, arrays: Sequence[pa.Array], output: pa.DataType) -> pa.Array:
    """Call a function with a Series for each array; return its Series as an array of type `output`. Raises `Misuse`."""
    import numpy as np
    import pandas as pd

    found = function(*(array.to_pandas(types_mapper=pd.ArrowDtype) for array in arrays))
    if not isinstance(found, pd.Series | np.ndarray | pd.api.extensions.ExtensionArray):
        raise Misuse(f"'{name}' returns {type(found).__name__}, not a pandas Series")
    rows = len(arrays[0])
    if len(found) != rows:
        raise Misuse(f"'{name}' returns {len(found)} values for {rows} rows")
    if isinstance(found, pd.Series) and not found.index.equals(pd.RangeIndex(rows)):
        hint = "keep the rows in their order, or put them back into it: .sort_index()"
        raise Misuse(f"'{name}' returns a Series whose index is not that of its input", hint)
    try:
        return pa.Array.from_pandas(found, type=output)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise Misuse(f"the result of '{name}' is not of the type {output}: {reason}", "see output=… of @udf") from error
