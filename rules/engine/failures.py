"""The engine's exceptions, as one kind of error with one line of text."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from rules.engine.protocol import EngineError, MemoryExhaustedError
from rules.engine.stopping import StoppedError
from rules.errors import is_panic

_POOL = re.compile(r"(?:^|: )(?:Resources exhausted: Failed to allocate|Not enough memory to continue external sort)")
_DISK = re.compile(r"(?:^|: )The used disk space during the spilling process has exceeded the allowable limit")


@contextmanager
def engine_errors() -> Iterator[None]:
    """Turn any exception of the engine within, panics included, into `EngineError`; other errors pass.

    An interrupt (KeyboardInterrupt, SystemExit) passes too.
    """
    try:
        yield
    except (EngineError, StoppedError):
        raise
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # which hold the session, with its memory and its temporary folder
        if is_panic(error):
            raise EngineError(f"the engine had an internal error: {clean_message(error)}") from error
        if not isinstance(error, Exception):
            raise
        message = clean_message(error)
        if _POOL.search(message):
            raise MemoryExhaustedError(message, is_of_pool=True) from error
        if _DISK.search(message):
            raise MemoryExhaustedError(message, is_of_pool=False) from error
        raise EngineError(message) from error


def clean_message(error: BaseException) -> str:
    """Return the engine's message on one line, without the names of its internals."""
    text = re.sub(r"\s+", " ", str(error)).strip()
    while True:
        shorter = re.sub(
            r"^(DataFusion error|Error during planning|Schema error|Arrow error|Execution error"
            r"|Optimizer rule '\w+' failed|caused by"
            r"|External error|Io error|type_coercion|Parquet error|This feature is not implemented|Context): ?",
            "",
            text,
        )
        if shorter == text:
            return text
        text = shorter
