"""The edits of compiled rules' queries since products' last states, in sentences and by the places that they touch.

A comparison takes some ten milliseconds, and a branch may have hundreds of edited rules that no build has seen yet: a
process that plans again keeps what it found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from cache.index import Index
from cache.records import Product
from compiler.tree.big_stack import with_deep_stack
from rules.compiling.compiled_records import load_body
from rules.compiling.compiled_rule import CompiledRule, canonical_tree, named_canonical
from rules.loading.compiler_identity import COMPILER

if TYPE_CHECKING:
    from sqlglot.expressions import Query

    from compiler.diff.edit_script import EditScript

T = TypeVar("T")
Versions: TypeAlias = tuple[str, str, tuple[tuple[str, str], ...]]
"""The memos of a rule and of the one in a product's last state, which are digests of all that a query's form follows
from, and the products that had another name then."""
_MOST = 5000
"""The number of edits of which a process keeps what it found, before it forgets the older half: some megabytes."""


class Compared:
    """What this process has found of edits."""

    def __init__(self) -> None:
        self.sentences = _Found[tuple[str, ...]]()
        self.scripts = _Found["EditScript"]()


class _Found(Generic[T]):
    """Something that was found of edits."""

    def __init__(self) -> None:
        self._recent: dict[Versions, T] = {}
        self._older: dict[Versions, T] = {}

    def of(self, versions: Versions, find: Callable[[], T | None]) -> T | None:
        """Return it of one edit. find: finds it out; None where it cannot."""
        known = self._recent.get(versions, self._older.get(versions))
        found = find() if known is None else known
        if found is not None and versions not in self._recent:
            if len(self._recent) >= _MOST:
                self._recent, self._older = {}, self._recent
            self._recent[versions] = found
        return found


class Comparer:
    """The edits of compiled rules' queries since products' last states. Each is compared once."""

    def __init__(self, index: Index, compared: Compared | None = None) -> None:
        """index: the memos of both. compared: what earlier runs of this process have found."""
        self._index = index
        self._found = Compared() if compared is None else compared
        self._trees: dict[Versions, tuple[Query, Query] | None] = {}

    def describe(self, rule: CompiledRule, last: Product, renamed: Mapping[str, str]) -> tuple[str, ...]:
        """Say in sentences how a query was edited; () if that is unknown.

        renamed: the products that had another name then.
        """
        versions = _versions(rule, last, renamed)

        def find() -> tuple[str, ...] | None:
            from compiler.diff.authored_bounds import with_authored_bounds
            from compiler.diff.authored_counts import with_authored_counts
            from compiler.diff.describe import describe

            trees = self._both(versions, rule, renamed)
            if trees is None:
                return None
            both = load_body(self._index, last.memo).meaning, load_body(self._index, rule.memo).meaning
            return with_deep_stack(lambda: describe(*with_authored_counts(with_authored_bounds(trees, both), both)))

        return self._found.sentences.of(versions, find) or ()

    def script(self, rule: CompiledRule, last: Product, renamed: Mapping[str, str]) -> EditScript | None:
        """Return where a query was edited; None if another version of the compiler made its earlier form."""
        if last.record.compiler != COMPILER:
            return None
        versions = _versions(rule, last, renamed)

        def find() -> EditScript | None:
            from compiler.diff.edit_script import edit_script

            trees = self._both(versions, rule, renamed)
            return with_deep_stack(lambda: edit_script(*trees)) if trees is not None else None

        return self._found.scripts.of(versions, find)

    def _both(self, versions: Versions, rule: CompiledRule, renamed: Mapping[str, str]) -> tuple[Query, Query] | None:
        """Return the forms of a query then and now; None if the earlier one is no more known."""
        _, last, _ = versions
        if versions not in self._trees:
            try:
                body = load_body(self._index, last)
            except KeyError:
                self._trees[versions] = None
                return None
            names = [renamed.get(name, name) for name in body.inputs]
            both = named_canonical(body, names), canonical_tree(self._index, rule.memo, rule.node.inputs)
            self._trees[versions] = both
        return self._trees[versions]


def _versions(rule: CompiledRule, last: Product, renamed: Mapping[str, str]) -> Versions:
    return rule.memo, last.memo, tuple(sorted(renamed.items()))
