"""Proofs that a record is one which this user's own processes have made, whoever may write the store.

A proof is a keyed digest (BLAKE2b, RFC 7693) of the record. The key is in a file of the user's, outside of every store
and project: see `rules/storage/own_key.py`. Without a key nothing is proved.
"""

from __future__ import annotations

KEY_BYTES = 32
_DIGEST_BYTES = 16
PROOF_FORMAT = 1
"""Another number where what is proved, or how, is another."""


class Prover:
    """Proves records by a key of `KEY_BYTES` bytes, or none: None."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key

    @property
    def can_prove(self) -> bool:
        """Whether there is a key."""
        return self._key is not None

    def proof(self, kind: str, *parts: str | bytes) -> str:
        """Return the proof of a record, which is these texts under this kind."""
        import hashlib  # who only looks whether anything changed does without

        assert self._key is not None
        digest = hashlib.blake2b(
            key=self._key, digest_size=_DIGEST_BYTES, person=f"rules proofs {PROOF_FORMAT}".encode()
        )
        for part in (kind, *parts):
            written = part.encode(errors="surrogatepass") if isinstance(part, str) else part
            digest.update(len(written).to_bytes(8, "big"))
            digest.update(written)
        return digest.hexdigest()

    def is_proof(self, found: object, kind: str, *parts: str | bytes) -> bool:
        """Whether this is the proof of a record."""
        from hmac import compare_digest

        if self._key is None or not isinstance(found, str) or not found.isascii():
            return False
        return compare_digest(found, self.proof(kind, *parts))
