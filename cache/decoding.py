"""Records of an index as they were decoded: a process that reads an index again decodes only what has changed.

What a text decodes to depends on the text alone, so nothing that is kept here can be out of date.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Decoded:
    """Decoded records, by kind and key, each with what it was decoded from.

    What was asked for in neither of the last two turns is forgotten, so that this is as large as what is in use.
    """

    def __init__(self) -> None:
        self._now: dict[tuple[str, str], tuple[Any, Any]] = {}
        self._before: dict[tuple[str, str], tuple[Any, Any]] = {}

    def turn(self) -> None:
        """Begin a turn, such as a plan or a build."""
        if self._now:
            self._now, self._before = {}, self._now

    def get(self, kind: str, key: str, raw: object, decode: Callable[[], T]) -> T:
        """Return what a record of this kind and key holds; `decode` is called if it is not the one that is known."""
        one = kind, key
        known = self._now.get(one) or self._before.get(one)
        if known is None or known[0] != raw:
            known = raw, decode()
        self._now[one] = known
        found: T = known[1]
        return found
