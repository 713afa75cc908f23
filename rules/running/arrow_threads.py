"""Arrow's own threads, which a build holds to what its products leave of the cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from rules.config.profiles import Profile


@contextmanager
def limited_threads(profile: Profile) -> Iterator[None]:
    """Give Arrow the threads that a profile allows it; afterwards it has again those that it had before.

    What it holds of the memory that reading sources needed, some 60 MB, it gives back first: the engine has its own.
    """
    pa.default_memory_pool().release_unused()
    before, before_io = pa.cpu_count(), pa.io_thread_count()
    pa.set_cpu_count(profile.arrow_cores)
    if profile.arrow_io_threads:
        pa.set_io_thread_count(profile.arrow_io_threads)
    try:
        yield
    finally:
        pa.set_cpu_count(before)
        pa.set_io_thread_count(before_io)
