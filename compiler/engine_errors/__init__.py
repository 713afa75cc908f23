"""The engine's errors about queries, one module for each kind: patterns, and functions that reword them."""
