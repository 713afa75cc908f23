"""Rewrites of the executed form that avoid what DataFusion 55 does wrong or cannot do: one module a kind of fault."""
