"""Records of an index as they were decoded: a process that reads an index again decodes only what has changed.

What a text decodes to depends on the text alone, so nothing that is kept here can be out of date. That a record need
not even be read again is known only of an index that stayed open: see `Database.watch`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

T = TypeVar("T")


class Decoded:
    """Decoded records, by kind and key, each with what it was decoded from.

    What was asked for in neither of the last two turns is forgotten, so that this is as large as what is in use. Of the
    kinds that are asked for all at once (`all_of`), what the last question had is kept.
    """

    def __init__(self) -> None:
        self._now: dict[tuple[str, str], tuple[Any, Any]] = {}
        self._before: dict[tuple[str, str], tuple[Any, Any]] = {}
        self._all: dict[str, dict[str, tuple[Any, Any]]] = {}
        self._doubted: dict[str, set[str]] = {}

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

    def all_of(
        self,
        kind: str,
        keys: Collection[str],
        read: Callable[[Collection[str]], Mapping[str, Any]],
        decode: Callable[[str, Any], T],
    ) -> dict[str, T]:
        """Return the records of a kind under `keys`, as far as there are any; others of the kind are forgotten.

        read: returns records from the index, by key; it is asked for those that are in doubt.
        """
        known, doubted = self._all.get(kind, {}), self._doubted.get(kind)
        if doubted is not None and not doubted and known.keys() == keys:
            return {key: value for key, (_, value) in known.items()}
        lacking = keys if doubted is None else [key for key in keys if key not in known or key in doubted]
        found = {key: known[key] for key in keys if key in known} if len(lacking) < len(keys) else {}
        for key in doubted or ():
            found.pop(key, None)
        for key, raw in (read(lacking) if lacking else {}).items():
            was = known.get(key)
            found[key] = was if was is not None and was[0] == raw else (raw, decode(key, raw))
        self._all[kind], self._doubted[kind] = found, set()
        return {key: value for key, (_, value) in found.items()}

    def keys_of(self, kind: str) -> set[str] | None:
        """Return the keys that the records of a kind can have, if all of them are kept; None if that is not known."""
        doubted = self._doubted.get(kind)
        return None if doubted is None else self._all[kind].keys() | doubted

    def doubt(self, written: Iterable[tuple[str, str]]) -> None:
        """Let records be read again: kind and key of each."""
        for kind, key in written:
            if kind in self._doubted:
                self._doubted[kind].add(key)

    def doubt_all(self) -> None:
        """Let all records be read again, as from an index that anybody may have written."""
        self._doubted = {}
