"""Steps 6 and 7 of 7 for checks: run those of one product that must run, on the table to be published.

A check is judged as a product is: the columns that it reads, of that table and others, make its key. If they did
not change, it is not run again, whether it passed or failed.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cache.errors import DamagedInputError, ObjectError
from cache.records import Artifact
from cache.removal import remove_temporary
from graph.plan import Judgement, Known, key_of
from rules.errors import FAILED, UserError
from rules.loading.contracts import check_error, contract_where
from rules.running.adoption import adopted
from rules.running.product_records import State
from rules.running.results import CheckResult, Result
from rules.wording import plural

if TYPE_CHECKING:
    from cache.keys import Content
    from rules.compiling.compiled_rule import CompiledCheck, CompiledContract, CompiledRule
    from rules.config.project import Project
    from rules.loading.check_queries import Draft
    from rules.loading.rule import Check, Rule
    from rules.running.query_runner import Runner
    from rules.sources.contents import Sources
    from rules.storage.store import Store

_SHOWN = 5
"""The most failing rows that a report shows; all of them are kept."""


@dataclass(frozen=True)
class Candidate:
    """A product's table, to be judged by its checks. changed: whether it differs from the last published one."""

    result: Result
    state: State
    changed: bool

    @property
    def artifact(self) -> Artifact:
        """The table."""
        return self.state.artifact

    @property
    def name(self) -> str:
        """The product's name."""
        return self.result.name


@dataclass(frozen=True)
class Checked:
    """A check that was settled: the place of its failing rows, and its result for reports."""

    check: Check
    state: State
    result: CheckResult

    @property
    def keeps_back(self) -> bool:
        """Whether the product is not to be published, or the source not to be read."""
        return not self.result.passed and self.check.gates


@dataclass(frozen=True)
class Checker:
    """Settles checks in one build. Worker threads share it. runner: called only if a check runs."""

    project: Project
    store: Store
    known: Known
    runner: Callable[[], Runner]

    def settle(
        self,
        owner: CompiledRule | CompiledContract,
        judgements: Sequence[Judgement],
        contents: Mapping[str, Content],
        artifacts: Mapping[str, str],
        sources: Sources,
        *,
        forced: bool,
    ) -> list[Checked]:
        """Run or look up every check of a product or source. forced: checks with known results run again too.

        Raises `UserError` for a query that cannot be run.
        """
        return [
            self.find_known(check, judgement)
            or (None if forced else self._permuted(check, judgement, contents, artifacts))
            or (None if forced else self._of_others(check, judgement))
            or self._run(owner.rule, check, judgement, contents, artifacts, sources)
            for check, judgement in zip(owner.checks, judgements, strict=True)
        ]

    def find_known(self, check: CompiledCheck, judgement: Judgement) -> Checked | None:
        """Return the known result of a check, unless the object of its failing rows proves to be corrupt."""
        artifact = self.store.artifact(judgement.artifact) if judgement.artifact is not None else None
        if judgement.verdict not in {"clean", "restore"} or artifact is None:
            return None
        try:
            if artifact.rows or not (self.store.lazy and self.store.is_elsewhere(artifact.artifact)):
                self.store.verify(artifact)
                artifact = self.store.artifacts[artifact.artifact]
        except ObjectError as error:
            self.store.say(f"warning: {error}; {judgement.name} is run again")
            return None
        status = "clean" if judgement.verdict == "clean" else "restored"
        return self._checked(check, judgement, artifact, status, judgement.reason)

    def _of_others(self, check: CompiledCheck, judgement: Judgement) -> Checked | None:
        """Return the result of a check that another builder has, if the shared cache has not been asked for it yet."""
        shared = self.store.shared
        if shared is None or judgement.key is None or check.compiled.node.volatile:
            return None
        found = self.store.find_actions([judgement.key], check.compiled.schema).get(judgement.key)
        artifact = self.store.artifact(found) if found is not None and self.store.bring(found) else None
        if artifact is None:
            return None
        return self._checked(
            check, judgement, artifact, "restored", f"{judgement.reason}; another builder computed the same"
        )

    def _permuted(
        self,
        check: CompiledCheck,
        judgement: Judgement,
        contents: Mapping[str, Content],
        artifacts: Mapping[str, str],
    ) -> Checked | None:
        """Keep the last result if the rows that the check reads are only in another order."""
        from rules.running import cutoff

        node = check.compiled.node
        last = self.known.products.get(node.name)
        if last is None or node.volatile or not cutoff.reads_same_rows(self.store, node, last, artifacts, contents):
            return None
        old = self.store.artifact(last.artifact)
        if old is None:
            return None
        try:
            self.store.verify(old)
        except ObjectError:
            return None
        return self._checked(check, judgement, old, "clean", "the rows it reads are only in another order")

    def _run(
        self,
        rule: Rule,
        check: CompiledCheck,
        judgement: Judgement,
        contents: Mapping[str, Content],
        artifacts: Mapping[str, str],
        sources: Sources,
    ) -> Checked:
        from rules.planning.part_work import with_parts

        compiled, draft = check.compiled, check.check.draft
        target = self.store.objects.temporary()
        try:
            self._require_sound(compiled, artifacts)
            executed = self.runner().run(compiled, sources, artifacts, target)
            artifact = adopted(self.store, executed, target)
            made = self.runner().as_made(compiled, executed.fallback)
            if made is not compiled and judgement.key is not None:
                check = replace(check, compiled=made)
                judgement = replace(judgement, key=key_of(made.node, contents))
        except UserError as error:
            raise check_error(self.project, rule, draft, error) from error
        except DamagedInputError as error:
            raise check_error(self.project, rule, draft, _corrupt(error.input)) from error
        except (OSError, ObjectError) as error:
            failure = UserError(f"cannot store its failing rows: {error}", code="store")
            raise check_error(self.project, rule, draft, failure) from error
        finally:
            with contextlib.suppress(OSError):
                remove_temporary(target)
        parts = executed.parts
        found = self._checked(
            check, judgement, artifact, "executed", with_parts(judgement.reason, parts), executed.seconds
        )
        return replace(found, state=replace(found.state, partials=parts.partials if parts is not None else ()))

    def _require_sound(self, compiled: CompiledRule, artifacts: Mapping[str, str]) -> None:
        for name in compiled.scans:
            artifact = self.store.artifact(artifacts[name]) if name in artifacts else None
            if artifact is None or (artifact.parts and self.store.is_linked(artifact)):
                continue  # who reads parts compares their bytes
            try:
                self.store.verify(artifact)
            except ObjectError as error:
                raise _corrupt(name) from error

    def _checked(
        self,
        check: CompiledCheck,
        judgement: Judgement,
        artifact: Artifact,
        status: Any,
        reason: str,
        seconds: float | None = None,
    ) -> Checked:
        last = self.known.products.get(judgement.name)
        rows = tuple(_first_rows(self.store, artifact)) if artifact.rows else ()
        result = CheckResult(
            name=judgement.name,
            severity=check.check.draft.severity,
            status=status,
            reason=reason,
            failing=artifact.rows,
            message=_message(check.check.draft, artifact.rows, rows),
            rows=rows,
            seconds=seconds if seconds is not None else last.seconds if last is not None else 0.0,
            artifact=artifact.artifact,
            fingerprint=check.compiled.node.fingerprint,
            key=judgement.key,
        )
        state = State(check.compiled, artifact, judgement.key, result.seconds, result.severity)
        return Checked(check.check, state, result)


def _corrupt(name: str) -> UserError:
    message = f"the stored object of its input {name} is corrupt"
    return UserError(message, code="corrupt-object", hint="rules build makes it again", exit_code=FAILED)


def refusal(project: Project, rule: Rule, checked: Sequence[Checked], *, published: bool) -> UserError | None:
    """Return why a product must not be published, or a source not be read; None if nothing prevents it."""
    failed = [one for one in checked if one.keeps_back]
    if not failed:
        return None
    message = "; ".join(one.result.sentence for one in failed)
    where = contract_where(project, rule, *failed[0].check.draft.declared)
    facts = {"failing rows": ", ".join(f"rules show {one.result.name}" for one in failed)}
    hint = "its last good table stays published" if published else "it is published when its checks pass"
    if rule.is_of_source:
        message = f"the source '{rule.name}' breaks its contract: {message}"
        hint = "correct the data or the contract; until then nothing that reads it is built"
    return UserError(message, code="check", where=where, facts=facts, hint=hint, exit_code=FAILED)


def _message(draft: Draft, failing: int, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return "2 values of id are repeated or NULL, for example id = 7, rows = 3"."""
    if not failing:
        return ""
    noun, wrong = draft.failing
    counted = plural(failing, noun.partition(" ")[0])
    rest = noun.partition(" ")[1] + noun.partition(" ")[2]
    example = ", ".join(f"{name} = {_shown(value)}" for name, value in itertools.islice(rows[0].items(), _SHOWN))
    return f"{counted}{rest} {'is' if failing == 1 else 'are'} {wrong}, for example {example}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "NULL" if value is None else f"'{value}'" if isinstance(value, str) else str(value)


def _first_rows(store: Store, artifact: Artifact) -> list[dict[str, Any]]:
    from rules.formats.cells import records, stored_rows

    with stored_rows(store.objects.path(artifact.artifact), _SHOWN) as rows:
        return list(records(rows))
