"""Planning and execution by an engine, DataFusion: the only package that imports it."""

import os

# The engine's allocator takes a GiB at a time from the system, and returns what was freed in it only once that is used
# up: in a process of several queries the peak was 1.7 times as high. It reads this when the engine is imported.
os.environ.setdefault("MIMALLOC_ARENA_RESERVE", "65536")  # KiB
