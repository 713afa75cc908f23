"""What is said of a store whose files do not stay as they are written."""

from __future__ import annotations

from rules.errors import FAILED, UserError


def unsteady(what: str) -> UserError:
    """Return the error of a build that has made something again, and again in vain."""
    return UserError(
        f"{what} in the store do not stay as they are written",
        code="corrupt-object",
        hint="something else writes to the store, or its disk or file system is faulty",
        exit_code=FAILED,
    )
