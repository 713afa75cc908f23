"""Rewrites of the executed form that avoid errors and limitations of DataFusion 55: one module a kind of fault."""
