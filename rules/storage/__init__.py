"""The store of a project: opened, verified, its types and encodings, and whether git tracks it."""
