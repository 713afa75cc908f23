"""Step 6 of 7, execute, for a rule that works by parts: run what no earlier run computed, merge, finish.

Each partial result is an artifact with an action, like a product, recorded as soon as it is there: a build that is
killed loses only the parts that were running. Partial results are merged in a tree whose nodes follow their content, so
a changed part costs itself and one node on each level. A build in an empty store does the same, so that what it makes
is equal to the last bit.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from cache.digests import TableDigest, table_digest
from cache.errors import ObjectError, UnreadableObjectError
from cache.keys import Content, hash_json
from cache.parts import PARTS_FORMAT, composed, cut, is_flat, merged_together
from cache.records import Artifact
from cache.removal import remove_temporary
from compiler.parts.reading import PARTIALS, PartQuery
from rules.engine.protocol import EngineError, EngineInput, Executed, PartsRun
from rules.formats.row_groups import FileRows, UncutError, as_files
from rules.running.adoption import in_place
from rules.running.damage import unsteady
from rules.running.part_batches import Stream, batches, no_rows, run_together

if TYPE_CHECKING:
    from pathlib import Path

    from compiler.schema import Schema
    from rules.planning.input_parts import InputPart
    from rules.planning.part_work import PartWork
    from rules.running.cores import Share
    from rules.storage.store import Store

T = TypeVar("T")
U = TypeVar("U")
Execute = Callable[[PartQuery, Sequence[EngineInput], int, "Path"], Executed]
"""Runs a query, of so many rows, into a file. Raises `EngineError`, OSError and `UserError`."""


_ATTEMPTS = 5
"""How often a rule is run where partial results prove to be damaged."""


class _LostError(Exception):
    """A partial result whose action is known is not in the store any more, or damaged: it is forgotten by now."""


@dataclass(frozen=True)
class _Partial:
    """A partial result. artifact: the digest of its content; file: what holds it, if that is not its object."""

    artifact: str
    content: Content
    file: Path | None = None


@dataclass(frozen=True)
class PartContext:
    """What all executions by parts share.

    execute, stream: run a query; pool: runs several, `workers` at a time, or none if that is 1; min_rows: the rows
    from which on a table has parts; record: whether results are recorded, which is not so for an audit; believe:
    whether recorded ones count, which is not so for a forced build, either; is_sensitive: whether the settings of a run
    with less memory can change its result, which has then no action; batched: whether small parts may be run together.
    share: of the cores, which others may have while this waits for its parts.
    """

    store: Store
    build: str
    execute: Execute
    stream: Stream
    workers: int
    pool: ThreadPoolExecutor
    share: Share
    min_rows: int
    record: bool = True
    believe: bool = True
    is_sensitive: bool = False
    batched: bool = True


class PartRuns:
    """One execution of a rule by parts."""

    def __init__(
        self,
        context: PartContext,
        work: PartWork,
        whole: Mapping[str, EngineInput],
    ) -> None:
        """work: how; whole: its inputs as they are read whole, by name."""
        self.store, self.build = context.store, context.build
        self.record, self.believe = context.record, context.believe
        self.execute, self.pool, self.min_rows = context.execute, context.pool, context.min_rows
        self._share = context.share
        self.work, self.whole = work, whole
        self._is_sensitive, self._batched = context.is_sensitive, context.batched
        self._stream, self._workers = context.stream, context.workers
        self._ran: set[int] = set()
        self._made: list[_Partial] = []
        self._temporary: list[Path] = []

    def run(self, target: Path) -> Executed:
        """Write the product to `target`. Raises what `execute` does, and `ObjectError`."""
        started = time.perf_counter()
        for _ in range(_ATTEMPTS):
            self._ran, self._made, self._temporary = set(), [], []
            try:
                executed = self._attempt(target)
            except _LostError:
                continue
            finally:
                for path in self._temporary:
                    with suppress(OSError):
                        remove_temporary(path)
            partials = tuple(dict.fromkeys(one.artifact for one in self._made)) if self.record else ()
            ran = sum(self.work.parts[place].count for place in self._ran)
            counts = PartsRun(self.work.input, self.work.total, ran, partials)
            return replace(executed, seconds=time.perf_counter() - started, parts=counts)
        raise unsteady(f"partial results of {self.work.input}")

    def _attempt(self, target: Path) -> Executed:
        queries = self.work.queries
        keys = [*self.work.keys, *([self.work.rest_key] if self.work.rest_key is not None else [])]
        known = self.work.known(self.store) if self.believe else {}
        level = self._leaves(keys, known)
        depth = 0
        if queries.merge is not None:
            while not is_flat(level):
                level = self._merged(queries.merge, level, depth)
                depth += 1
        return (
            self._concatenated(level, target) if queries.finish is None else self._over(queries.finish, level, target)
        )

    def _concatenated(self, results: Sequence[_Partial], target: Path) -> Executed:
        """Return the product of which the results of all parts are the rows: one table, or one in parts."""
        slices = cut([(one.artifact, one.content.rows) for one in results], self.min_rows)
        filled = [one for one in slices if any(part.content.rows for part in results[one])]
        if not self.record:  # an audit compares rows
            return self._one_after_the_other(results, target)
        if len(filled) < 2:  # noqa: PLR2004
            level, depth = [one for one in results if one.content.rows] or results[:1], 0
            while not is_flat(level):
                groups = merged_together([one.artifact for one in level], depth)
                level, depth = self._in_groups([level[one] for one in groups]), depth + 1
            return self._one_after_the_other(level, target)
        tables = self._in_groups([results[one] for one in filled])
        for one in tables:
            if self.store.is_elsewhere(one.artifact):
                self._require(one)
        content = composed([one.content for one in tables])
        columns = {name: digest for name, (_, digest) in content.columns.items()}
        digest = TableDigest(content.rows, columns, table_digest(content.rows, columns))
        return Executed(digest, content.columns, 0.0, tables=tuple(one.artifact for one in tables))

    def _in_groups(self, groups: Sequence[Sequence[_Partial]]) -> list[_Partial]:
        """Return each of some groups of neighbours as one table."""
        return self._made_or_known(
            [[one for one in group if one.content.rows] or group[:1] for group in groups],
            lambda group: hash_json(["concatenated", PARTS_FORMAT, [one.artifact for one in group]]),
            self.work.queries.each.schema,
            self._one_after_the_other,
        )

    def _merged(self, query: PartQuery, level: Sequence[_Partial], depth: int) -> list[_Partial]:
        """Return neighbours of a level merged into one."""
        return self._made_or_known(
            [level[group] for group in merged_together([one.artifact for one in level], depth)],
            lambda group: self.work.merge_key(query, [one.artifact for one in group]),
            query.schema,
            functools.partial(self._over, query),
        )

    def _made_or_known(
        self,
        groups: Sequence[Sequence[_Partial]],
        key_of: Callable[[Sequence[_Partial]], str],
        schema: Schema,
        make: Callable[[Sequence[_Partial], Path], Executed],
    ) -> list[_Partial]:
        """Return what is made of each of some groups: of one partial result itself, else what `make` writes.

        What is known is looked up for all groups at once, here or with other builders.
        """
        keys = {place: key_of(group) for place, group in enumerate(groups) if len(group) > 1}
        known = self.store.find_actions(keys.values(), schema) if keys and self.believe else {}
        found = self._known({place: known[key] for place, key in keys.items() if key in known})
        new = [place for place in keys if place not in found]
        made = self._side_by_side(
            lambda number: self._keep([keys[new[number]]], functools.partial(make, groups[new[number]])), len(new)
        )
        found |= zip(new, made, strict=True)
        return [found.get(place) or group[0] for place, group in enumerate(groups)]

    def _one_after_the_other(self, results: Sequence[_Partial], target: Path) -> Executed:
        from rules.engine.concatenation import concatenate

        with self._sound(results):
            return concatenate(map(self._file, results), self.work.queries.each.schema, target)

    def _leaves(self, keys: Sequence[str], known: Mapping[str, str]) -> list[_Partial]:
        """Return the results of all parts. What is not known is made of many small parts at once, or one by one."""
        parts, together = self.work.parts, list[list[int]]()
        found = self._known({place: known[key] for place, key in enumerate(keys) if key in known})
        if self.work.queries.each.together is not None and self._batched:
            together = batches({place: one for place, one in enumerate(parts) if place not in found}, self._workers)
        apart = set(range(len(keys))) - found.keys() - {place for batch in together for place in batch}
        jobs = [*together, *([place] for place in sorted(apart))]

        def work(number: int) -> list[tuple[int, _Partial]]:
            places = jobs[number]
            if number < len(together):
                return self._batch(places, keys)
            return [(place, self._leaf(place, keys[place])) for place in places]

        found |= dict(pair for pairs in self._side_by_side(work, len(jobs)) for pair in pairs)
        return [found[place] for place in range(len(keys))]

    def _batch(self, places: Sequence[int], keys: Sequence[str]) -> list[tuple[int, _Partial]]:
        """Return the results of several parts, made in one run; where that fails, one by one, so that it says why."""
        query, made, name = self.work.queries.each, dict[int, _Partial](), self.work.input
        parts = {place: self.work.parts[place] for place in places}

        def target() -> Path:
            path = self.store.objects.temporary()
            self._temporary.append(path)
            return path

        rows = [one for part in parts.values() for one in part.files]
        with suppress(EngineError), self._readable(rows, query.scans[name]) as files:
            inputs = [replace(self.whole[one], files=files) if one == name else self.whole[one] for one in query.scans]
            with self._unchanged(query, list(parts.values())):
                found = run_together(query, parts, inputs, name, self._stream, target)
            for place, executed, path in found:
                made[place] = self._recorded(self._keys(place), executed, path)
            if not query.of_none:
                for place in parts.keys() - made.keys():
                    path = target()
                    made[place] = self._recorded(self._keys(place), no_rows(query, path), path)
        self._ran.update(made)
        return [(place, made.get(place) or self._leaf(place, keys[place])) for place in places]

    def _leaf(self, place: int, key: str) -> _Partial:
        """Return the result of one part, which is not known; the one after the last is what no part yields."""
        query, parts = self.work.queries.each, self.work.parts
        part = parts[place] if place < len(parts) else None
        if part is None:
            assert self.work.queries.rest is not None
            query = self.work.queries.rest
        else:
            self._ran.add(place)

        def run(given: Sequence[EngineInput], rows: int, path: Path) -> Executed:
            with self._unchanged(query, [part] if part is not None else []):
                return self.execute(query, given, rows, path)

        inputs = {name: replace(self.whole[name], columns=columns) for name, columns in query.scans.items()}
        if part is None:
            return self._keep([key], functools.partial(run, tuple(inputs.values()), 0))
        name = self.work.input
        with self._readable(part.files, query.scans[name]) as files:
            inputs[name] = replace(inputs[name], files=files, constants=part.constants)
            return self._keep(self._keys(place), functools.partial(run, tuple(inputs.values()), part.content.rows))

    def _unchanged(self, query: PartQuery, parts: Sequence[InputPart]) -> AbstractContextManager[None]:
        """Return what looks at the files that a query reads, before it does and afterwards: see `Inputs`."""
        read = {name: parts if name == self.work.input else None for name in query.scans if name != PARTIALS}
        return self.work.inputs.unchanged(read)

    def _keys(self, place: int) -> list[str]:
        """Return the keys under which the result of a part is recorded."""
        as_one = self.work.key_as_one(place) if self.record else None
        return [self.work.keys[place], *([as_one] if as_one is not None else [])]

    @contextmanager
    def _readable(self, rows: Sequence[FileRows], columns: Sequence[str]) -> Iterator[tuple[Path, ...]]:
        """Yield files of some rows. Raises `EngineError` for a file that is not what it was when it was digested."""
        try:
            with as_files(rows, columns, self.store.objects.temporary) as files:
                yield files
        except UncutError as error:
            raise EngineError(f"the row groups of a file of {self.work.input} cannot be read: {error}") from error

    def _over(self, query: PartQuery, partials: Sequence[_Partial], target: Path) -> Executed:
        """Run a query over the concatenation of partial results."""
        columns, schema = query.scans.get(PARTIALS, ()), self.work.queries.each.schema
        given = EngineInput(PARTIALS, tuple(map(self._file, partials)), schema, columns or tuple(schema.names))
        others = [replace(self.whole[name], columns=shown) for name, shown in query.scans.items() if name != PARTIALS]
        with self._unchanged(query, []), self._sound(partials):
            return self.execute(query, [given, *others], sum(one.content.rows for one in partials), target)

    def _known(self, artifacts: Mapping[int, str]) -> dict[int, _Partial]:
        """Return the results that earlier runs left, by their places, as far as they are still there."""
        here = self.store.present_among(artifacts.values())
        found = {place: _Partial(one, self.store.content(one)) for place, one in artifacts.items() if one in here}
        self._made += found.values()
        return found

    def _keep(self, keys: Sequence[str], run: Callable[[Path], Executed]) -> _Partial:
        """Run something, and record its result."""
        target = self.store.objects.temporary()
        self._temporary.append(target)
        return self._recorded(keys, run(target), target)

    def _recorded(self, keys: Sequence[str], executed: Executed, target: Path) -> _Partial:
        """Record the result of something that has run, under some keys, whose table is in `target`."""
        index = self.store.index
        name = executed.digest.table
        if not self.record:
            return _Partial(name, Content(executed.digest.rows, executed.columns), target)
        artifact = Artifact(name, executed.digest.rows, *in_place(self.store, name, target), executed.columns)
        with index.transaction():
            index.add_artifact(artifact, self.build)
            if executed.fallback is None or not self._is_sensitive:
                for key in dict.fromkeys(keys):
                    self.store.record_action(key, artifact, executed.seconds, self.build)
        self.store.artifacts[name] = artifact
        found = _Partial(name, self.store.content(name))
        self._made.append(found)
        return found

    def _file(self, one: _Partial) -> Path:
        return one.file or self.store.objects.path(one.artifact)

    @contextmanager
    def _sound(self, partials: Sequence[_Partial]) -> Iterator[None]:
        """Compare the bytes of partial results before they are read. Raises `_LostError` if any are written to then."""
        for one in partials:
            self._require(one)
        objects = self.store.objects
        marks = {one.artifact: objects.verified(one.artifact) for one in partials} if self.record else {}
        try:
            yield
        finally:
            if objects.touched(marks):
                raise _LostError

    def _require(self, one: _Partial) -> None:
        """Compare the bytes of a stored partial result. Raises `_LostError`."""
        if not self.record:
            return
        artifact = self.store.artifact(one.artifact)
        try:
            if artifact is not None:
                self.store.verify(artifact)
                return
        except UnreadableObjectError:
            raise
        except ObjectError:
            self.store.index.forget_artifact(one.artifact)
            self.store.artifacts.pop(one.artifact, None)
        raise _LostError

    def _side_by_side(self, work: Callable[[int], U], count: int) -> list[U]:
        """Return `work` of 0 to `count` - 1. An error waits for what is running, and nothing else is started."""
        if self._workers == 1 or count == 1:
            return [work(place) for place in range(count)]

        def one(place: int) -> U:
            with self._share.beside():
                return work(place)

        with self._share.lent():
            futures = [self.pool.submit(one, place) for place in range(count)]
            try:
                return [future.result() for future in futures]
            finally:
                for future in futures:
                    future.cancel()
                for future in futures:
                    if not future.cancelled():
                        future.exception()
