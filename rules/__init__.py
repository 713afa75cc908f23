"""A compiler for data rules: a rebuild does the least work that is still provably correct."""
