"""The store of a project on this machine: opened, verified, and whether git tracks it."""
