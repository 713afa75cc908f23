"""Step 7 of 7, store: record settled products and the states of their checks, then let their links lead to them."""

from __future__ import annotations

import functools
from collections import ChainMap
from typing import TYPE_CHECKING

from rules.errors import FAILED, UserError
from rules.running.product_records import Provenance, commit
from rules.running.publishing import publish, writer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rules.compiling.compiled_rule import CompiledRule
    from rules.planning.prepared import Prepared
    from rules.running.checks import Candidate, Checked
    from rules.running.settled_inputs import SettledInputs

_AT_ONCE = 50
"""So many products that need not run are recorded in one transaction."""


class Recording:
    """The records of one build, for its main thread: what was executed at once, what was not with more of its kind.

    compiled, inputs: of the build's inputs and settled products; they grow while it runs.
    """

    def __init__(
        self, prepared: Prepared, build: str, compiled: Mapping[str, CompiledRule], inputs: SettledInputs
    ) -> None:
        self._session, self._store = prepared.session, prepared.session.store
        self._build, self._known = build, prepared.known
        self._compiled, self._inputs = compiled, inputs
        self._waiting: list[tuple[Candidate, Callable[[], None], bool]] = []
        """Settled products with what records each, and whether it is published then."""

    def provenance(self, name: str | None = None, artifact: str = "") -> Provenance:
        """Return what products and checks are made of; name, artifact: of a table that is not settled yet."""
        if name is None:
            return Provenance(self._build, self._known, self._inputs.contents, self._inputs.artifacts)
        # Chains, because a copy would cost the size of the whole DAG.
        contents = ChainMap({name: self._store.content(artifact)}, self._inputs.contents)
        return Provenance(self._build, self._known, contents, ChainMap({name: artifact}, self._inputs.artifacts))

    def add(self, candidate: Candidate, checked: Sequence[Checked], *, published: bool) -> None:
        """Record a product and the states of its checks in one transaction, now or with those that follow.

        Raises `UserError`.
        """
        made_of = self.provenance(candidate.name, candidate.artifact.artifact)
        states = [(candidate.state, candidate.result.status), *((one.state, one.result.status) for one in checked)]
        unpublished = None if published else candidate.state
        record = functools.partial(commit, self._store, states, made_of, unpublished=unpublished)
        self._waiting.append((candidate, record, published))
        if not published or candidate.result.status == "executed" or len(self._waiting) >= _AT_ONCE:
            self.finish()

    def finish(self) -> None:
        """Record what waits for it, all of it or nothing, then publish. Raises `UserError`."""
        settled, self._waiting = self._waiting, []
        if not settled:
            return
        with self._store.index.transaction():
            for _, record, _ in settled:
                record()
        for candidate, _, is_published in settled:
            if is_published:
                self._publish(candidate.name, candidate.artifact.artifact)

    def _publish(self, name: str, artifact: str) -> None:
        """Let the link of a product lead to its table. Raises `UserError`."""
        store = self._store
        try:
            if store.links is not None:
                options = writer_of(self._session, self._compiled[name].rule)
                is_absent = store.lazy and store.is_elsewhere(artifact)
                publish(store.links, None if is_absent else store.objects, name, artifact, options)
        except OSError as error:
            message = f"cannot write products/{name}.parquet: {error.strerror or error}"
            raise UserError(message, code="store", exit_code=FAILED) from error
