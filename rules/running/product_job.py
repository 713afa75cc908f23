"""Step 6 of 7, execute, for one product in a worker thread: run its query, unless its inputs' rows only moved.

The table is written, digested and put in place as an object here. The main thread decides what to do with it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.errors import DamagedInputError, ObjectError
from cache.records import Artifact
from cache.removal import remove_temporary
from rules.errors import FAILED, UserError, Where
from rules.running.adoption import adopted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.keys import Content
    from cache.records import Product
    from rules.compiling.compiled_rule import CompiledRule
    from rules.engine.fallbacks import Fallback
    from rules.engine.protocol import PartsRun
    from rules.running.query_runner import Runner
    from rules.sources.contents import Sources
    from rules.storage.store import Store


@dataclass(frozen=True)
class Done:
    """The result of a worker: the artifact, new or kept, and the seconds of its execution (None: it needed none).

    parts: how it was executed by parts, if it was. fallback: how it was executed, if not as the profile says.
    """

    artifact: Artifact
    seconds: float | None
    reason: str
    parts: PartsRun | None = None
    fallback: Fallback | None = None


@dataclass(frozen=True)
class ProductJob:
    """The run of one product. Worker threads share the objects it refers to, which do not change during reads."""

    runner: Runner
    rule: CompiledRule
    last: Product | None
    """Its last state."""
    reason: str
    """Why it runs."""
    asked: bool
    """Whether it runs regardless of known results: forced, volatile, or its object was corrupt."""
    sources: Sources
    contents: Mapping[str, Content]
    forced: bool
    """Whether nothing that the store holds of it counts."""
    artifacts: Mapping[str, str]

    def run(self) -> Done:
        """Execute the product and put its object in place.

        Raises `UserError`, `DamagedInputError`, and `StoppedError` if it is stopped.
        """
        from cache.bags import bag_of_file
        from rules.planning.part_work import with_parts
        from rules.running import cutoff

        store, node, last = self.runner.session.store, self.rule.node, self.last
        if not self.asked and last is not None:
            same = cutoff.reads_same_rows(store, node, last, self.artifacts, self.contents)
            old = store.artifact(last.artifact) if same else None
            if old is not None and _is_intact(store, old):
                return Done(old, None, "the rows it reads are only in another order")
        target = store.objects.temporary()
        try:
            executed = self.runner.run(self.rule, self.sources, self.artifacts, target, believe=not self.forced)
            instead = executed.fallback
            reason = f"{self.reason}; {instead.sentence}" if instead is not None else self.reason
            reason = with_parts(reason, executed.parts)
            if last is not None and cutoff.may_be_permuted(store, node, last, executed):
                written = bag_of_file(target, tuple(executed.columns))
                old = cutoff.only_permuted(store, node, last, executed, written)
                if old is not None:
                    remove_temporary(target)
                    sentence = f"{reason}; its rows only came in another order"
                    return Done(old, executed.seconds, sentence, executed.parts, instead)
            return Done(adopted(store, executed, target), executed.seconds, reason, executed.parts, instead)
        except DamagedInputError:
            raise
        except (OSError, ObjectError) as error:
            raise UserError(
                f"cannot store the product: {error}", code="store", where=Where(self.rule.rule.path), exit_code=FAILED
            ) from error
        finally:
            with contextlib.suppress(OSError):  # the rest is removed with the folder
                remove_temporary(target)


def _is_intact(store: Store, artifact: Artifact) -> bool:
    try:
        store.verify(artifact)
    except ObjectError:
        return False
    return True
