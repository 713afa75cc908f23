"""The local rewrites of the canonical form, each sound on every database, each one function."""
