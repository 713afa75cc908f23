"""The reason why a query does not run on Spark."""

from __future__ import annotations


class RefusedError(Exception):
    """A query that is not known to mean the same to Spark; the message says why, as the end of a sentence."""
