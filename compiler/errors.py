"""The one error of the compiler: a message, and its place in the SQL."""

from __future__ import annotations


class SqlError(Exception):
    """An error in a rule's SQL. Lines and columns are 1-based; both are None if the place is unknown.

    The file is not known here (the compiler reads no files); the caller that loaded the text adds it.
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
