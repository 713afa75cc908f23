"""The answer to a change: what the edited rules mean now, what a build would do or did, and some rows."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from rules.errors import INTERNAL, UserError, UserErrors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    import pyarrow as pa

    from rules.core import Core
    from rules.planning.prepared import Prepared, Request
    from rules.running.results import BuildReport, Observer


class EditedRule(NamedTuple):
    """A rule in a file that was saved. reaches: how far the edit reaches, as `rules diff` has it."""

    name: str
    path: str
    reaches: str
    sentence: str


@dataclass(frozen=True)
class ShownRows:
    """The first rows of a product. total: how many it has."""

    name: str
    schema: pa.Schema
    batches: tuple[pa.RecordBatch, ...]
    total: int


@dataclass(frozen=True)
class Answer:
    """What a change means. changed: the files that were saved, none when watching begins.

    prepared: None if there is no plan, for which `errors` has the reason. report: of the build, if there was one.
    """

    changed: tuple[str, ...]
    prepared: Prepared | None = None
    edited: tuple[EditedRule, ...] = ()
    errors: tuple[UserError, ...] = ()
    report: BuildReport | None = None
    rows: ShownRows | None = None
    seconds: float = 0.0
    said: list[str] = field(default_factory=list)
    """Warnings."""

    @property
    def failed(self) -> bool:
        """Whether something is broken, or a product failed."""
        return bool(self.errors) or (self.report is not None and not self.report.ok)


class Answers:
    """Answers to changes of one project, one after the other."""

    def __init__(self, core: Core, request: Request, observer: Observer, show: str | None, limit: int) -> None:
        """request: what is planned and built, broken rules left out. show: the product whose first rows are shown."""
        self._core, self._observer = core, observer
        self._request = replace(request, keep_going=True, brief=True)
        self._show, self._limit = show, limit
        self._last: tuple[object, ...] = ()
        """What another save need not say or try again: verdicts that are not clean, and errors."""

    def plan(self, changed: Iterable[str]) -> Answer:
        """Plan after a change."""
        started, files = time.perf_counter(), tuple(sorted(changed))
        try:
            prepared = self._core.plan(self._request, self._observer)
        except Exception as error:  # noqa: BLE001 — whatever is wrong with the project now, the next edit may mend it
            return Answer(files, errors=errors_of(error), seconds=time.perf_counter() - started)
        return _planned(files, prepared, started)

    def build(self, changed: Iterable[str], wanted: Callable[[Answer], bool]) -> Answer | None:
        """Plan after a change, and build that. wanted: is given the plan; if it says no, the result is None."""
        started, files = time.perf_counter(), tuple(sorted(changed))
        planned: Answer | None = None
        goes_on, unshown = False, None

        def goes_ahead(prepared: Prepared) -> bool:
            nonlocal planned, goes_on, unshown
            if planned is None:  # memos that prove wrong are planned without, and shown once
                planned = _planned(files, prepared, started)
                try:
                    goes_on = wanted(planned)
                except Exception as error:  # noqa: BLE001 — it is no error of the build
                    unshown = error
            return goes_on

        try:
            report = self._core.build(self._request, self._observer, goes_ahead)
        except Exception as error:  # noqa: BLE001 — as above
            errors, seconds = errors_of(error), time.perf_counter() - started
            if planned is not None:
                self._last = ()
                return replace(planned, errors=errors, seconds=seconds)
            planned = Answer(files, errors=errors, seconds=seconds)
            return planned if wanted(planned) else None
        if unshown is not None:
            raise unshown
        if planned is None or not goes_on:
            return None
        built = [one.error for one in report.results.values() if one.error is not None]
        built += [one.error for one in report.sources.values() if one.error is not None]
        errors = tuple(dict.fromkeys([*planned.errors, *built]))
        self._last = _lasting(planned, report)
        return replace(planned, report=report, errors=errors, seconds=time.perf_counter() - started)

    def with_rows(self, answer: Answer) -> Answer:
        """Add the first rows of the product that is shown, if it has been built."""
        if self._show is None or answer.prepared is None:
            return answer
        from rules.formats.cells import stored_rows
        from rules.inspect.stored_tables import committed
        from rules.storage.store import open_store

        try:
            with open_store(self._core.root, self._observer.say, building=False) as store:
                if self._show not in store.states:
                    return answer
                path, total = committed(store, self._show)
                with stored_rows(path, self._limit) as rows:
                    return replace(answer, rows=ShownRows(self._show, rows.schema, tuple(rows.batches), total))
        except UserError as error:
            return replace(answer, errors=(*answer.errors, error))

    def is_news(self, answer: Answer) -> bool:
        """Whether an answer says something that the last one did not: not so after a save that changes nothing."""
        before, self._last = self._last, _state(answer)
        return bool(answer.edited) or before != self._last


def _state(answer: Answer, among: Collection[str] | None = None) -> tuple[object, ...]:
    """Return what there is to do, or broken, and the errors. among: the only products that count."""
    judgements = answer.prepared.judgements if answer.prepared is not None else {}
    restless = [one for name, one in judgements.items() if one.verdict != "clean" and (among is None or name in among)]
    return restless, [(one.message, one.where) for one in answer.errors]


def _lasting(planned: Answer, report: BuildReport) -> tuple[object, ...]:
    """Return what a build leaves of a plan, that it would leave again: not so if a source changed while it was read."""
    failed = {name: one for name, one in report.results.items() if one.status in {"failed", "skipped"}}
    if any(one.error is not None and one.error.code == "source-changed" for one in failed.values()):
        return ()
    return _state(planned, failed)


def errors_of(error: Exception) -> tuple[UserError, ...]:
    """Return what to say of an error: one that the user can correct as it is, any other as a bug of ours."""
    if isinstance(error, UserErrors):
        return tuple(error.errors)
    if isinstance(error, UserError):
        return (error,)
    message = f"internal error: {type(error).__name__}: {error}"
    return (UserError(message, code="internal", hint="this is a bug of rules; please report it", exit_code=INTERNAL),)


def _planned(files: tuple[str, ...], prepared: Prepared, started: float) -> Answer:
    errors = tuple(prepared.errors)
    return Answer(files, prepared, _edited(prepared, files), errors, seconds=time.perf_counter() - started)


def _edited(prepared: Prepared, changed: Iterable[str]) -> tuple[EditedRule, ...]:
    session, found = prepared.session, []
    paths = _rule_paths(session.project.root, {session.rules[name].path for name in prepared.judgements}, set(changed))
    for name, judgement in prepared.judgements.items():
        rule = session.rules[name]
        if rule.path not in paths:
            continue
        last = prepared.known.products.get(name)
        reaches: str
        if judgement.verdict in {"failed", "skipped"}:
            reaches, sentence = judgement.verdict, judgement.reason
        elif last is None:
            reaches, sentence = "new", judgement.reason
        elif judgement.edit is not None:
            reaches, sentence = judgement.edit.reaches, judgement.reason
        else:
            reaches, sentence = "cosmetic", "the rule means what it meant"
        found.append(EditedRule(name, rule.path, reaches, sentence))
    return tuple(found)


def _rule_paths(root: Path, rules: set[str], changed: set[str]) -> set[str]:
    """Return the paths of rules that changed. changed: paths, perhaps of files to which links lead that rules are."""
    others = {os.path.realpath(root / path) for path in changed - rules if path.endswith((".sql", ".py"))}
    led = {path for path in rules if os.path.realpath(root / path) in others} if others else set()
    return (rules & changed) | led
