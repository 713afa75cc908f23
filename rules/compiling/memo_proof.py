"""Proof of memos: whether the memo of a rule that is about to run is what its text compiles to.

A store is data that anybody may have written, and a memo is only as good as its store. Plans and reports trust memos;
the engine gets only queries that a process of this user's has compiled: this one, or one that left a proof of it (see
`cache.own_records`). Without a proof the text is compiled again and compared, some 10 ms a rule, and leaves one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from compiler.compiled import Tier
from compiler.fingerprint import fingerprint
from compiler.schema import schema_of, schema_record
from compiler.spread.spread_record import Spread
from compiler.tree.big_stack import with_deep_stack
from rules.compiling.compiled_records import Body, as_read, load_body, plain, read_head, unpacked
from rules.compiling.compiled_rule import CompiledRule
from rules.compiling.declared_parts import declared_reading
from rules.compiling.reach import BeyondReach
from rules.compiling.readings_memo import from_record, readings_key, to_record
from rules.compiling.spread_memo import from_record as spread_from
from rules.compiling.spread_memo import spread_key
from rules.compiling.spread_memo import to_record as spread_record
from rules.errors import ForeignMemoError
from rules.loading.compiler_identity import COMPILER
from rules.loading.rule_texts import require_own_text

if TYPE_CHECKING:
    from compiler.coverage.outcomes import Question
    from compiler.engine_sql.normal_forms import NormalForm
    from compiler.parts.reading import Reading
    from rules.compiling.compile_rules import Work
    from rules.compiling.session import Session
    from rules.storage.store import Store


def believing_memos(store: Store, say: Callable[[str], None]) -> Iterator[Attempt]:
    """Yield one attempt at some work, and another if the store's memos prove to be of other texts.

    The work is done within the attempt: `for attempt in believing_memos(…): with attempt: …`. There is another one,
    too, for work that looked at too little: see `BeyondReach`.
    """
    first = Attempt(store, say)
    yield first
    if first.was_misled:
        yield Attempt(None, say)


class Attempt:
    """Work that relies on memos. store: the memos in it are forgotten if one proves to be of another text."""

    def __init__(self, store: Store | None, say: Callable[[str], None]) -> None:
        self._store, self._say = store, say
        self.was_misled = False

    @property
    def is_first(self) -> bool:
        """Whether there may be another one."""
        return self._store is not None

    def __enter__(self) -> None:
        """Begin the work."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        """Forget memos that misled the work; any other error passes."""
        if self._store is not None and isinstance(error, BeyondReach):
            self._store.look_at_all()
            self.was_misled = True
            return True
        if self._store is None or not isinstance(error, ForeignMemoError):
            return False
        self._say(
            f"warning: the store's memo of {error} differs from what its text compiles to; all of the store's "
            "memos of rules are made again"
        )
        self._store.index.forget_compiled()
        self._store.memory.forget_parts()
        if self._store.shared is not None:  # where it may have come from
            self._store.shared.packs.distrust("memos")
        self.was_misled = True
        return True


class Bodies:
    """The compiled queries of one run, for threads that share it."""

    def __init__(self, session: Session, compiled: Mapping[str, CompiledRule]) -> None:
        """compiled: every rule of the run."""
        self._session = session
        self._compiled = compiled
        self._lock = threading.RLock()
        self._work: Work | None = None
        self._proved: dict[tuple[str, bool], Body] = {}
        self._readings: dict[tuple[str, str, bool], Reading] = {}
        self._spread: dict[str, Spread] = {}
        self._beside: dict[tuple[str, str], frozenset[str]] = {}

    def body(self, rule: CompiledRule, *, believe: bool = True) -> Body:
        """Return the query of a rule. believe: whether a proof counts.

        Raises `ForeignMemoError`, and `UserError` if the text has changed since.
        """
        if rule.memo in self._session.made:
            return load_body(self._session.store.index, rule.memo)
        key = rule.memo, believe
        with self._lock:
            if key not in self._proved:
                own = self._own(rule) if believe else None
                self._proved[key] = own or with_deep_stack(lambda: self._prove(rule))
            return self._proved[key]

    def readings(self, rule: CompiledRule, name: str, *, believe: bool = True) -> Reading | None:
        """Return how a rule reads one of its inputs, with the queries to work by parts.

        None for a rule over streams, unless it declares that it reads the input by parts.

        It takes longer than compiling the rule, so it is remembered, and asked for only where the input has several
        parts. believe: whether what is remembered counts, if it has a proof, or none is to be had; who runs the
        queries has asked for the `body` before. Raises `UserError`.
        """
        if name not in rule.scans:
            return None
        if rule.rule.streams is not None:
            return declared_reading(rule, name)
        key = rule.memo, name, believe
        with self._lock:
            if key not in self._readings:
                self._readings[key] = self._reading(rule, name, believe=believe)
            return self._readings[key]

    def beside(self, rule: CompiledRule, name: str) -> frozenset[str]:
        """Return inputs that every query by which a rule may work by the parts of an input reads as well."""
        if rule.rule.streams is not None:
            return frozenset()
        key = rule.memo, name
        with self._lock:
            if key not in self._beside:
                self._beside[key] = self._read_beside(rule, name)
            return self._beside[key]

    def _read_beside(self, rule: CompiledRule, name: str) -> frozenset[str]:
        index = self._session.store.index
        meaning = load_body(index, rule.memo).meaning
        key = fingerprint({"beside": COMPILER, "meaning": meaning, "input": name})
        record = self._remembered(key, believe=True)
        known = record.get("beside") if record is not None else None
        if isinstance(known, list) and all(isinstance(one, str) for one in known):
            return frozenset(known)
        from compiler.parts.beside import read_beside

        found = with_deep_stack(lambda: read_beside(meaning, name))
        index.remember_own("readings", {key: {"beside": sorted(found)}})
        return found

    def _reading(self, rule: CompiledRule, name: str, *, believe: bool) -> Reading:
        index, tables = self._session.store.index, {one: self._table(one) for one in rule.scans}
        key = readings_key(rule, load_body(index, rule.memo), tables, name)
        record = self._remembered(key, believe=believe)
        found = from_record(record, rule, tables) if record is not None else None
        if found is None:
            found = with_deep_stack(lambda: self._informed(rule).readings(rule.rule, [name]))[name]
            index.remember_own("readings", {key: to_record(found)})
        return found

    def _remembered(self, key: str, *, believe: bool) -> dict[str, Any] | None:
        """Return what is remembered of how a rule works: where there can be proofs, nothing else is believed."""
        index = self._session.store.index
        if not believe:
            return None
        return index.own_memo("readings", key) if index.prover.can_prove else index.memo("readings", [key]).get(key)

    def spread(self, rule: CompiledRule) -> Spread:
        """Return the query by which a rule may use several partitions, if it is proved to have one.

        It is remembered, and asked for where there are many rows. Who runs it has asked for the `body` before. Raises
        `UserError`.
        """
        refused = _never_spread(rule)
        if refused is not None:
            return refused
        with self._lock:
            if rule.memo not in self._spread:
                index = self._session.store.index
                body, schemas = load_body(index, rule.memo), {one: schema_of(self._table(one)) for one in rule.scans}
                key = spread_key(rule, body, schemas)
                record = self._remembered(key, believe=True)
                found = spread_from(record, rule.schema) if record is not None else None
                if found is None:
                    from compiler.spread.spreading import spread

                    found = spread(body.sql, rule.scans, schemas, rule.schema)
                    index.remember_own("readings", {key: spread_record(found)})
                self._spread[rule.memo] = found
            return self._spread[rule.memo]

    def normal_forms(self, rule: CompiledRule) -> tuple[NormalForm, ...]:
        """Return the predicates of a rule that are in another form than it asks for. Raises `UserError`."""
        with self._lock:
            return with_deep_stack(lambda: self._informed(rule).normal_forms(rule.rule))

    def questions(self, rule: CompiledRule) -> list[Question]:
        """Return what counts the outcomes of a rule that is no rule over streams. Raises `UserError`."""
        with self._lock:
            return with_deep_stack(lambda: self._informed(rule).questions(rule.rule))

    def _informed(self, rule: CompiledRule) -> Work:
        """Return a compiler that knows the inputs of a rule."""
        work = self._compiler()
        for table in rule.rule.parsed.tables:
            name = work.resolve(table)
            if name is not None and name not in work.known:
                work.known[name] = self._table(name)
        return work

    def _own(self, rule: CompiledRule) -> Body | None:
        """Return the query of a rule that a process of this user's has compiled from this very text, if one has.

        What a rule in Python is made from is known only when its module is imported.
        """
        row = self._session.store.index.own_compiled(rule.memo) if not rule.rule.in_python else None
        if row is None:
            return None
        if rule.rule.sql is None:
            require_own_text(self._session.project, rule.rule, self._session.store.index)
        return unpacked(row.body)

    def _prove(self, rule: CompiledRule) -> Body:
        index, work = self._session.store.index, self._informed(rule)
        head, packed, lineage = work.compile_again(rule.rule)
        remembered = index.lineages([rule.memo])
        row = index.compiled_rows([rule.memo]).get(rule.memo)
        if row is None:  # another process has found the store's memos to be wrong, and forgotten them
            raise ForeignMemoError(rule.rule.name)
        body = unpacked(row.body)
        try:
            same = read_head(row.head) == as_read(head)
        except ValueError:
            same = False
        if not same or body != unpacked(packed) or remembered != {rule.memo: plain(lineage)}:
            raise ForeignMemoError(rule.rule.name)
        index.prove_compiled([row])
        return body

    def _compiler(self) -> Work:
        if self._work is None:
            self._work = self._session.work()
        return self._work

    def _table(self, name: str) -> Mapping[str, Any]:
        if name in self._session.project.sources:
            return schema_record(self._session.sources.table(name).schema)
        return self._compiled[name].table


def _never_spread(rule: CompiledRule) -> Spread | None:
    """Return why a rule is not spread, whatever its query is."""
    if rule.rule.streams is not None:
        return Spread(None, "The rule's function is called once.")
    if rule.node.volatile:
        return Spread(None, "The rule is declared volatile: it may give another result in every run.")
    if rule.rule.tier is Tier.STABLE:
        return Spread(None, "The rule has tier 1: its rows are to come in the order of the scans.")
    if rule.node.parts.get("functions"):
        return Spread(None, "The rule calls a function of the project, of which it is not known.")
    return None
