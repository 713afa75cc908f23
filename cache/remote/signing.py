"""Ed25519 keys of writers, by which builders that do not trust a bucket trust one another.

A secret key is 32 bytes in base64 after "rules-secret-key-1:", a public one after "ed25519:". No message holds a
secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SECRET = "rules-secret-key-1:"
PUBLIC = "ed25519:"
_BYTES = 32


class KeyFormatError(ValueError):
    """A text is no key. The error says what is wrong and not what the text is."""


def public_bytes(text: str) -> bytes:
    """Return the 32 bytes of a public key. Raises `KeyFormatError`."""
    return _decoded(text, PUBLIC, "public")


def writer_of(public: str) -> str:
    """Return the short name of the writer with this public key: 16 hex digits, of its SHA-256."""
    return hashlib.sha256(public.encode()).hexdigest()[:16]


@dataclass(frozen=True, repr=False)
class Signer:
    """A secret key, and the public one that belongs to it."""

    _secret: Ed25519PrivateKey
    public: str

    @classmethod
    def of(cls, text: str) -> Signer:
        """Return the signer of a secret key as `keygen` writes it. Raises `KeyFormatError`."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        secret = Ed25519PrivateKey.from_private_bytes(_decoded(text, SECRET, "secret"))
        return cls(secret, PUBLIC + base64.b64encode(secret.public_key().public_bytes_raw()).decode())

    def sign(self, message: bytes) -> str:
        """Return the signature of a message, in base64."""
        return base64.b64encode(self._secret.sign(message)).decode()


def generate() -> str:
    """Return a fresh secret key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return SECRET + base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()


def is_signed(message: bytes, signature: str, public: str) -> bool:
    """Whether the writer with this public key has signed a message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(public_bytes(public))
        key.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, KeyFormatError, binascii.Error, ValueError):
        return False
    return True


def _decoded(text: str, start: str, kind: str) -> bytes:
    try:
        found = base64.b64decode(text.strip().removeprefix(start), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not text.strip().startswith(start) or len(found) != _BYTES:
        raise KeyFormatError(f"this is no {kind} key, which is {start} and {_BYTES} bytes in base64")
    return found
