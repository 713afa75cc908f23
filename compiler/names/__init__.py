"""The meaning of every name in a query."""
