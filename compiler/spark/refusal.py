"""The reason why a query does not run on Spark."""

from __future__ import annotations


class RefusedError(Exception):
    """A query that is not known to mean the same to Spark; the message says why, as the end of a sentence."""


LOCALLY = "rules: here the local engine has to compute the table"
"""What a query of Spark's fails with where the engines may differ. The rule is then run locally, in the same build."""
