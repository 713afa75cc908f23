"""Envelopes of what a shared cache holds beside files: who wrote it, and whether its bytes are those that were written.

The first line is the head: a SHA-256 of the rest and, if its writer signs, the writer's public key and a signature. The
rest is the body, exactly as it was signed. What is signed begins with a domain, which says what kind of thing it is, so
that no signature of one kind is one of another.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cache.remote.signing import Signer, is_signed
from cache.untrusted import decode

if TYPE_CHECKING:
    from collections.abc import Collection

_MOST_HEAD = 4096


class RefusedError(Exception):
    """A record or an object is not used. Its only argument says why, in a clause after "it"."""


class UntrustedError(RefusedError):
    """A record is sound, and its writer is not trusted."""


class Opened(NamedTuple):
    """The body of an envelope. writer: the public key of who signed it, None if nobody did."""

    body: bytes
    writer: str | None

    def require_trusted(self, trusted: Collection[str]) -> None:
        """Raise `UntrustedError` unless a trusted key has signed it; without trusted keys everybody is believed."""
        if trusted and self.writer not in trusted:
            why = "nobody has signed it" if self.writer is None else "its writer is not trusted"
            raise UntrustedError(f"is not believed: {why}")


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    sha256: str
    writer: str | None = None
    signature: str | None = None


_HEADS = msgspec.json.Decoder(_Head)


def enclosed(body: bytes, domain: bytes, signer: Signer | None) -> bytes:
    """Return a body in an envelope."""
    head = _Head(hashlib.sha256(body).hexdigest())
    if signer is not None:
        head = _Head(head.sha256, signer.public, signer.sign(domain + body))
    return msgspec.json.encode(head) + b"\n" + body


def opened(data: bytes, domain: bytes) -> Opened:
    """Return the body of an envelope whose bytes are those that were written. Raises `RefusedError`."""
    first, _, body = data.partition(b"\n")
    try:
        head = decode(_HEADS, first[:_MOST_HEAD])
    except ValueError as error:
        raise RefusedError("is damaged: its head cannot be read") from error
    if hashlib.sha256(body).hexdigest() != head.sha256:
        raise RefusedError("is damaged: its bytes are not those that were written")
    if head.writer is not None and not (head.signature and _is_signed(domain + body, head)):
        raise RefusedError("has a signature that is not its writer's")
    return Opened(body, head.writer)


def _is_signed(message: bytes, head: _Head) -> bool:
    try:
        return is_signed(message, head.signature or "", head.writer or "")
    except ImportError:  # without the library a signature is one that nobody asked for: see SharedConnection.prepare
        return True
