"""Step 4 of 7, diff: the last states of products, and how each rule was edited since, by `sqlglot.diff`.

Comparing two canonical trees costs more than planning, so a rule is compared only if a verdict depends on it.
"""

from __future__ import annotations

from collections.abc import Collection

from graph.edits import renamed_rules, version_of
from graph.plan import Clean, Known
from rules.compiling.comparing import Compared, Comparer
from rules.compiling.compiled_rule import last_shape
from rules.compiling.session import Compilation, Session


def compared_with_last(session: Session, compiled: Compilation) -> Known:
    """Return the results of earlier builds, and how the compiled rules compare with them."""
    store, queries = session.store, compiled.by_name
    comparer = Comparer(store.index, store.memory.part(Compared))
    there = session.rules if session.reach is None else store.products  # no rule comes or goes by an edit
    gone = {name: version_of(last) for name, last in store.products.items() if name not in there}
    come = {name: rule.node for name, rule in compiled.rules.items() if name not in store.products}
    renamed = renamed_rules(gone, come) if gone and come else {}
    clean = store.memory.part(_Verdicts).of(queries) if session.reach is None else {}
    return Known(
        store.states,
        action=lambda key: store.index.actions([key]).get(key),
        present=store.present,
        shape=lambda last: last_shape(store.index, last),
        describe=lambda node, last: comparer.describe(queries[node.name], last, renamed),
        script=lambda node, last: comparer.script(queries[node.name], last, renamed),
        renamed=renamed,
        clean=clean,
        in_place=store.in_place({one.last.artifact for one in clean.values()}),
    )


class _Verdicts:
    """What plans of this process found unchanged."""

    def __init__(self) -> None:
        self._clean: dict[str, Clean] = {}

    def of(self, names: Collection[str]) -> dict[str, Clean]:
        """Return what is known of queries, and forget what there no longer is."""
        if len(self._clean) > len(names):
            self._clean = {name: one for name, one in self._clean.items() if name in names}
        return self._clean
