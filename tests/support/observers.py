"""Receivers of a build's progress, for tests that call the driver."""

from __future__ import annotations

from collections.abc import Sequence

from rules.running.results import Result


class Silent:
    """Says nothing."""

    def planned(self, total: int, ahead: Sequence[str]) -> None:
        del total, ahead

    def started(self, name: str) -> None:
        del name

    def finished(self, result: Result) -> None:
        del result

    def say(self, message: str) -> None:
        del message

    def close(self) -> None:
        return
