"""The error families: what a user can cause (1 or 2), everything else (3, our bug). Signals are not errors."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import NamedTuple

from rules.printable import without_secrets

FAILED = 1
USAGE = 2
INTERNAL = 3
REPLACED = "index-replaced"
"""Code of an error after which the same command can be run again at once: a damaged index was replaced."""


_OF_THE_FILES = frozenset({None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL, errno.EILSEQ})
"""What the files themselves are the reason for."""


class Where(NamedTuple):
    """A place in a file: path relative to the project, 1-based line and column where known."""

    path: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)


class Flaw(NamedTuple):
    """What is wrong with a key of rules.toml. path: the key, below the table that was read; () for that itself."""

    path: tuple[str, ...]
    message: str
    hint: str | None


class UserError(Exception):
    """Something the user can correct: a message, where it applies, aligned facts, and a hint.

    URLs in its texts lose user, password and query at once, as errors are recorded as well as shown.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        where: Where | None = None,
        facts: dict[str, str] | None = None,
        hint: str | None = None,
        exit_code: int = USAGE,
    ) -> None:
        self.message = without_secrets(message)
        super().__init__(self.message)
        self.code = code
        self.where = where
        self.facts = {name: without_secrets(fact) for name, fact in (facts or {}).items()}
        self.hint = without_secrets(hint) if hint is not None else None
        self.exit_code = exit_code


class UserErrors(Exception):  # noqa: N818 — the plural of UserError
    """Several `UserError`s found together, such as one in each of three rules."""

    def __init__(self, errors: list[UserError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors


class ForeignMemoError(Exception):
    """What the store remembers of a rule, its only argument, is not what the rule's text compiles to."""


def is_panic(error: BaseException) -> bool:
    """Whether an exception is a Rust panic, of the engine or another library: PyO3's class, which is no `Exception`."""
    return type(error).__module__ == "pyo3_runtime"  # it cannot be imported


def is_refusal(error: BaseException | None) -> bool:
    """Whether an error comes of a call that the system refused, and that may succeed with the same files."""
    while error is not None:
        if isinstance(error, OSError) and error.errno not in _OF_THE_FILES:
            return True
        error = error.__cause__ or error.__context__
    return False


def unknown_product(name: str, known: Iterable[str]) -> UserError:
    """Return the error for a name that no product has. known: names that may have been meant."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'?" if close else "rules ls lists the products"
    return UserError(f"unknown product '{name}'", code="unknown-product", hint=hint)
