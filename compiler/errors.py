"""The one error of the compiler: a message, and where in the SQL it applies."""

from __future__ import annotations


class SqlError(Exception):
    """A rule's SQL is wrong. Lines and columns are 1-based; both are None when the place is unknown.

    The file is not known here (the compiler reads no files); whoever loaded the text adds it.
    """

    def __init__(
        self,
        message: str,
        *,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
        code: str = "sql",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.hint = hint
        self.code = code
