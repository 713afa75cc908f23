"""Memos of compiled rules that other builders have made, so that a fresh clone need not compile all of its rules.

A memo is found by all that it depends on: the text, the compiler, the engine, the types of the inputs. So none is
stale, and an old pack, put back in place of a newer one, holds fewer memos and no wrong ones. Who wrote a memo can
lie about what a text means, and so about which result is a rule's, as with the record of an action: it has to be
trusted alike. No query of it is ever run: a rule that runs is compiled from its text first (see `memo_proof`).

What is received is data: all of it is decoded to types before it is stored, and what fails a check is dropped, which
costs that a rule is compiled. Rules in Python are not shared: what they return may depend on the machine.
"""

from __future__ import annotations

import base64
import time
import zlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cache.database import MEMO_VERSION
from cache.index import CompiledRow
from cache.remote.envelopes import RefusedError, enclosed, opened
from cache.remote.packs import Entry, shards_of
from cache.sealing import is_sealed
from cache.untrusted import decode
from compiler.fingerprint import digest_of, fingerprint
from rules.compiling.compiled_records import Body, Head, Lineage, read_head
from rules.config.front_matter import RuleOptions
from rules.loading.compiler_identity import COMPILER
from rules.loading.rule_texts import memo_of_text
from rules.storage.shared_packs import WORTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from cache.records import Product
    from rules.compiling.compiled_rule import CompiledContract, CompiledRule
    from rules.config.project import Project
    from rules.loading.rule import Rule
    from rules.storage.shared_cache import SharedCache
    from rules.storage.store import Store

_DOMAIN = b"rules shared cache: compiled rule\n"
_MOST_BODY = 16 << 20


class _Text(msgspec.Struct, frozen=True):
    """What the text of a rule or of a check says: a row of the table `parsed`."""

    tables: tuple[str, ...]
    variables: tuple[str, ...]
    functions: tuple[str, ...]
    options: RuleOptions = RuleOptions()


class _Unit(NamedTuple):
    """What is sent together: a rule, or the contract of a source.

    text: the digest of its file; texts, memos: the keys of what its texts, and those of its checks, are remembered by.
    """

    name: str
    text: str
    texts: list[str]
    memos: list[str]


class _Memos(msgspec.Struct, frozen=True, array_like=True):
    """The memos of a rule and of its checks. text: the digest of the rule's file; texts: rows of `parsed`."""

    text: str
    texts: tuple[tuple[str, str], ...]
    compiled: tuple[CompiledRow, ...]


_MEMOS = msgspec.msgpack.Decoder(_Memos)
_BODIES, _TEXTS, _LINEAGES = msgspec.json.Decoder(Body), msgspec.json.Decoder(_Text), msgspec.json.Decoder(Lineage)


class SharedMemos:
    """The memos of a project's rules in the shared cache.

    heads: those that were received, by memo key; names: the rules, and sources with a contract, whose memos were.
    """

    def __init__(self, store: Store, shared: SharedCache, project: Project, engine: Iterable[object]) -> None:
        """engine: all of it that compiled rules depend on."""
        self.heads: dict[str, Head] = {}
        self.names: set[str] = set()
        self._store, self._shared, self._project = store, shared, project
        self._known: set[tuple[str, str]] = set()
        context = {"compiler": COMPILER, "engine": list(engine), "memos": MEMO_VERSION}
        self._scope = f"{project.name}\n{fingerprint(context)}"

    def describe(self, names: int) -> None:
        """Say which packs are those of this project, which has so many rule files. A small one has none."""
        if names >= WORTH:
            self._shared.packs.describe("memos", self._scope, shards_of(names))
            self._shared.packs.describe("results", self._project.name, shards_of(names))

    def receive(self, digests: Mapping[str, str], lacking: int, names: int) -> bool:
        """Store the memos of rules, by name with the digest of their text, that others have made; return if any.

        lacking: how many of them have none; for a few nothing is asked. names: how many rules the project has.
        """
        packs = self._shared.packs
        self.describe(names)
        if min(names, lacking) < WORTH:
            return False
        sources = (name for name in self._project.contracts if name in self._project.sources)
        digests = {**dict.fromkeys(sources, ""), **digests}  # of which there is no text but of their checks
        packs.ask("memos", digests)
        packs.ask("results", digests)  # which the plan asks for next
        import pyarrow  # noqa: F401 — what is received is checked by it; its import takes as long as the answers

        texts: dict[str, str] = {}
        rows: dict[str, CompiledRow] = {}
        doubtful: set[str] = set()
        writers: set[str] = set()
        for entry in packs.entries("memos"):
            try:
                found, writer = self._opened(entry)
                if found is None or found.text != digests.get(entry.name):
                    continue
                heads = {row.memo: _checked(row) for row in found.compiled}
                sound = {memo: text for memo, text in found.texts if _is_text(text)}
            except RefusedError as error:
                self._shared.report.refuse(str(error))
                continue
            self._known.add((entry.name, entry.key))
            self.names.add(entry.name)
            writers.add(writer or "")
            doubtful |= {memo for memo, text in sound.items() if texts.setdefault(memo, text) != text}
            doubtful |= {row.memo for row in found.compiled if rows.setdefault(row.memo, row) != row}
            self.heads |= heads
        for memo in doubtful:  # two writers disagree
            for known in (texts, rows, self.heads):
                known.pop(memo, None)
        self._store.index.take_compiled(texts, rows.values())
        if writers:
            self._store.index.add_shared_writers(writers)
        return bool(texts)

    def share(
        self, rules: Iterable[CompiledRule], contracts: Iterable[CompiledContract], made: AbstractSet[str]
    ) -> None:
        """Begin to send the memos of rules, as far as this process has made one of them, and others lack them."""
        owners = [(rule.rule, [one.memo for one in rule.all]) for rule in rules if not rule.rule.in_python]
        owners += [(one.rule, [check.compiled.memo for check in one.checks]) for one in contracts]
        self._send(
            _Unit(rule.name, rule.digest, self._text_memos(rule), memos)
            for rule, memos in owners
            if not made.isdisjoint(memos)
        )

    def share_states(self, states: Mapping[str, Product]) -> None:
        """Begin to send the memos of what products and checks are now, as far as this version has compiled them."""
        units: dict[str, _Unit] = {}
        for name, state in sorted(states.items()):  # a product before its checks; a source has checks alone
            if state.record.compiler == COMPILER:
                owner = name.partition(".")[0]
                text = state.record.text if owner == name else ""
                unit = units.setdefault(owner, _Unit(owner, text, [], []))
                unit.texts.append(f"{state.record.text} {COMPILER}")
                unit.memos.append(state.memo)
        known = self._store.index.sealed_texts(one.texts[0] for one in units.values())
        # Of a rule in Python, and of one in another dialect, nothing is remembered under the digest of its file alone.
        self._send(one for one in units.values() if not one.text or one.texts[0] in known)

    def _send(self, units: Iterable[_Unit]) -> None:
        if not self._shared.settings.writes or not self._shared.is_believed:
            return
        wanted = list(units)
        index, signer = self._store.index, self._shared.connection.signer
        texts = index.sealed_texts(memo for unit in wanted for memo in unit.texts)
        rows = index.compiled_rows(memo for unit in wanted for memo in unit.memos)
        moment, entries = time.time(), []
        for unit in wanted:
            known = tuple((memo, texts[memo]) for memo in unit.texts if memo in texts)
            body = _Memos(unit.text, known, tuple(rows[memo] for memo in unit.memos if memo in rows))
            key = digest_of(" ".join(sorted(unit.memos)).encode())
            if (unit.name, key) not in self._known:
                data = enclosed(msgspec.msgpack.encode(body), _DOMAIN, signer)
                entries.append(Entry(unit.name, key, moment, data))
        self._shared.packs.add("memos", entries)

    def _text_memos(self, rule: Rule) -> list[str]:
        """Return the keys of what is remembered of the texts of a rule and of its checks."""
        checks = [f"{check.rule.digest} {COMPILER}" for check in rule.checks if check.rule.digest]
        return [memo_of_text(self._project, rule.path, rule.digest), *checks] if rule.digest else checks

    def _opened(self, entry: Entry) -> tuple[_Memos | None, str | None]:
        """Return what an entry holds, None if who wrote it is not trusted, and who did. Raises `RefusedError`."""
        envelope = opened(entry.data, _DOMAIN)
        trusted = self._shared.connection.trusted
        if trusted and envelope.writer not in trusted:
            return None, envelope.writer
        try:
            return decode(_MEMOS, envelope.body), envelope.writer
        except ValueError as error:
            raise RefusedError("is damaged: a compiled rule cannot be read") from error


def _is_text(sealed: str) -> bool:
    """Whether a row of `parsed` can be used."""
    try:
        decode(_TEXTS, sealed)
    except ValueError:
        return False
    return is_sealed(sealed)


def _checked(row: CompiledRow) -> Head:
    """Return the head of a compiled rule all of whose members fit together. Raises `RefusedError`."""
    import pyarrow as pa

    try:
        head, lineage = read_head(row.head), decode(_LINEAGES, row.lineage)
        inflating = zlib.decompressobj()
        body = decode(_BODIES, inflating.decompress(row.body, _MOST_BODY))
        arrow = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(head.schema["arrow"], validate=True)))
        columns = [name for name, _ in head.schema["columns"]]
        fits = (
            is_sealed(row.head)
            and is_sealed(row.lineage)
            and inflating.eof
            and head.fingerprint == fingerprint(head.parts)
            and len(head.inputs) == len(head.reads)
            and body.inputs == head.inputs
            and body.scans == tuple(head.scans)
            and arrow.names == columns == list(lineage.columns)
            and all(0 <= number < len(lineage.expressions) for *_, number in lineage.edges)
        )
    except (zlib.error, pa.ArrowException, ValueError, TypeError, KeyError) as error:
        raise RefusedError("is damaged: a compiled rule cannot be read") from error
    if not fits:
        raise RefusedError("is not consistent: what a compiled rule says does not fit together")
    return head
