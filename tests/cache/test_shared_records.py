"""Records of a shared cache: what was written is read, and nothing else is, whichever byte of it is another."""

from __future__ import annotations

import zlib

import msgspec
import pytest

from cache.digests import table_digest
from cache.keys import Content
from cache.parts import composed
from cache.remote.action_records import ActionRecord, Maker, Table, decoded, encoded
from cache.remote.envelopes import RefusedError, UntrustedError, enclosed
from cache.remote.layout import action_path, key_of, lease_path, object_path, sha256_of
from cache.remote.packs import _DOMAIN, Entry, packed, unpacked
from cache.remote.signing import KeyFormatError, Signer, generate, public_bytes

KEY = "0123456789abcdef" * 2


def table(rows: int, digest: str) -> Table:
    columns = {"id": ("int64", digest)}
    return Table(table_digest(rows, {"id": digest}), rows, 100, "1" * 32, "2" * 64, columns)


def record(key: str = KEY) -> ActionRecord:
    one = table(3, "a" * 32)
    return ActionRecord(
        key, one.artifact, 3, one.columns, (one,), 0.5, Maker("1", "e", "s", "p"), "2026-01-01T00:00:00"
    )


def in_parts() -> ActionRecord:
    tables = (table(3, "a" * 32), table(4, "b" * 32))
    whole = composed([Content(one.rows, one.columns) for one in tables])
    name = table_digest(whole.rows, {column: digest for column, (_, digest) in whole.columns.items()})
    return ActionRecord(KEY, name, 7, whole.columns, tables, 0.5, Maker(), "2026-01-01T00:00:00")


@pytest.mark.parametrize("written", [record(), in_parts()])
def test_what_was_written_is_read(written: ActionRecord) -> None:
    signer = Signer.of(generate())
    for trusted, by in (((), None), ((), signer), ((signer.public,), signer)):
        data = encoded(written, by)
        assert data is not None
        found = decoded(data, KEY, trusted)
        assert found.record == written
        assert found.writer == (by.public if by is not None else None)
    assert [one.artifact for one in written.artifacts()][-1] == written.artifact


def test_no_byte_of_it_can_be_another() -> None:
    signer = Signer.of(generate())
    for by in (None, signer):
        data = encoded(record(), by)
        assert data is not None
        for place in range(len(data)):
            for bit in (1, 0x20):
                other = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
                with pytest.raises(RefusedError):
                    decoded(other, KEY, (signer.public,) if by is not None else ())
        for size in (0, 1, len(data) // 2, len(data) - 1):
            with pytest.raises(RefusedError):
                decoded(data[:size], KEY, ())


def test_a_signature_is_of_one_action_and_one_writer() -> None:
    signer, other = Signer.of(generate()), Signer.of(generate())
    data = encoded(record(), signer)
    assert data is not None
    with pytest.raises(RefusedError, match="of another action"):
        decoded(data, "f" * 32, (signer.public,))
    with pytest.raises(UntrustedError):
        decoded(data, KEY, (other.public,))
    head, _, body = data.partition(b"\n")
    with pytest.raises(RefusedError, match="not its writer's"):  # who claims to be somebody else
        decoded(head.replace(signer.public.encode(), other.public.encode()) + b"\n" + body, KEY, (other.public,))
    with pytest.raises(UntrustedError, match="nobody has signed it"):
        decoded(encoded(record(), None) or b"", KEY, (signer.public,))


def test_names_lead_nowhere() -> None:
    for name in ("../" * 10 + "0" * 2, "A" * 32, "0" * 31, "0" * 33, "", "0" * 31 + "\n"):
        for path in (action_path, object_path, lease_path):
            with pytest.raises(ValueError, match="no name"):
                path(name)
    with pytest.raises(ValueError, match="no name"):
        action_path(KEY, "../../x")
    assert key_of(action_path(KEY)) == key_of(action_path(KEY, "0" * 16)) == KEY
    assert sha256_of(object_path("2" * 64)) == "2" * 64
    assert key_of("rules-v1/actions/01/x.json") is None


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([Entry("", "", 0.0, b"")] * 70_000, id="very many"),
        pytest.param([Entry("", "", 0.0, bytes(64 << 20))], id="very long"),
    ],
)
def test_a_short_pack_cannot_fill_a_memory(entries: list[Entry]) -> None:
    address = "a" * 32
    assert packed(address, entries) is None
    body = msgspec.msgpack.encode([address, entries])
    with pytest.raises(RefusedError, match="is damaged"):
        unpacked(enclosed(zlib.compress(body), _DOMAIN, None), address)
    some = [Entry(f"r{number}", "k", 1.0, bytes(1000)) for number in range(60)]
    data = packed(address, some)
    assert data is not None
    assert list(unpacked(data, address)) == some


def test_an_error_about_a_key_does_not_tell_the_key() -> None:
    secret = generate()
    for wrong in (secret[:-4], secret[19:], "ed25519:" + secret[19:] + "x"):
        with pytest.raises(KeyFormatError) as told:
            Signer.of(wrong)
        assert secret[19:40] not in str(told.value)
    with pytest.raises(KeyFormatError):
        public_bytes(secret)
    assert secret[19:] not in repr(Signer.of(secret))
