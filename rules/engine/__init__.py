"""Planning and execution by an engine, DataFusion: the only package that imports it."""

import os

from rules.engine.allocator import OPTIONS

for _name, _value in OPTIONS.items():
    os.environ.setdefault(_name, _value)
