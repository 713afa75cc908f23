"""Texts and bytes that anybody may have written, decoded: whatever cannot be read is a ValueError."""

from __future__ import annotations

import json
from typing import Any, Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Decoder(Protocol[T_co]):
    """One of msgspec's, for JSON or MessagePack."""

    def decode(self, buf: Any, /) -> T_co:
        """Return a value. Its errors, `msgspec.DecodeError` and `UnicodeDecodeError`, are ValueErrors."""


def decode(decoder: Decoder[T_co], data: bytes | str) -> T_co:
    """Return what a decoder reads. Raises ValueError, for what is nested too deeply as well."""
    try:
        return decoder.decode(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def parsed(text: str | bytes) -> Any:
    """Return the value of a JSON text. Raises ValueError, for what is nested too deeply as well."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
