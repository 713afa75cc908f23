"""Planning and execution by an engine, DataFusion: the only package that imports it."""

from rules.engine.allocator import OPTIONS, choose

choose(OPTIONS)
