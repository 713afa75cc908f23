"""Step 4 of 7 by itself: how the rules differ from their last build, or from those of a commit, and what that reaches.

Nothing is executed, and nothing is remembered but what compiling a text always leaves, which is kept by content.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot.expressions import Query

from compiler.diff.describe import describe
from compiler.diff.edit_script import EditScript, edit_script
from compiler.tree.big_stack import with_deep_stack
from graph.edits import RuleEdit, Version, compare, version_of
from graph.impact import InputChange, reached
from graph.node import Node
from rules.compiling.comparing import Compared, Comparer
from rules.compiling.compiled_rule import CompiledRule, canonical_tree, last_shape
from rules.compiling.load_session import load, load_at
from rules.compiling.session import Session
from rules.errors import UserErrors
from rules.files.file_digests import FileDigests
from rules.inspect.revision import at_ref, checked_out
from rules.planning.prepared import Request
from rules.planning.selection import changed_rules, selected
from rules.sources.contents import Sources

if TYPE_CHECKING:
    from rules.config.project import Project
    from rules.storage.store import Store


@dataclass(frozen=True)
class Difference:
    """An edited rule, and the products below it that may change: in which columns, None where in their rows."""

    edit: RuleEdit
    impact: Mapping[str, frozenset[str] | None]


@dataclass(frozen=True)
class Comparison:
    """What differs, and how many rules were compared that do not.

    unknown: rules that do not compile and were not asked about; the effect of an edit on them is not known.
    """

    differences: tuple[Difference, ...]
    unchanged: int
    unknown: tuple[str, ...]


def since_last_build(project: Project, request: Request, store: Store) -> Comparison:
    """Compare the rules with those of the products' last states.

    Raises `UserError`, or `UserErrors` for rules that do not compile.
    """
    session = load(project, request.profile, store, engine=request.engine)
    products = store.products
    chosen, gone = _chosen(session, request, store, products.keys() - session.rules.keys())
    compiled = _compile_with_readers(session, chosen, keep_going=request.keep_going)
    chosen = tuple(name for name in chosen if name in compiled)
    before = {
        name: version_of(last, last_shape(store.index, last))
        for name, last in products.items()
        if name in chosen or name not in session.rules
    }
    comparer = Comparer(store.index, store.memory.part(Compared))

    def described(name: str, renamed: Mapping[str, str]) -> Sequence[str]:
        return comparer.describe(compiled[name], products[name], renamed)

    def script(name: str, renamed: Mapping[str, str]) -> EditScript | None:
        return comparer.script(compiled[name], products[name], renamed)

    return _compare(session, before, compiled, chosen, gone, described, script)


def since_commit(project: Project, request: Request, store: Store, ref: str) -> Comparison:
    """Compare the rules with those of a commit, compiled against the sources as they are now.

    Raises as `since_last_build` does.
    """
    session = load(project, request.profile, store, engine=request.engine)
    with session_at(session, store, ref) as old:
        chosen, gone = _chosen(session, request, store, old.rules.keys() - session.rules.keys())
        wanted = [name for name in old.rules if name in chosen or name in gone]
        with at_ref(ref):
            was = old.compile(wanted).rules
            _refuse_broken(old, wanted, keep_going=request.keep_going)
    compiled = _compile_with_readers(session, chosen, keep_going=request.keep_going)
    lost = {name for name in wanted if name not in was} | {name for name in chosen if name not in compiled}
    chosen, gone = tuple(name for name in chosen if name not in lost), gone - lost
    wanted = [name for name in wanted if name not in lost]

    def trees(name: str, renamed: Mapping[str, str]) -> tuple[Query, Query]:
        old, new = was[name], compiled[name]
        names = [renamed.get(entry, entry) for entry in old.node.inputs]
        after = canonical_tree(store.index, new.memo, new.node.inputs)
        return canonical_tree(store.index, old.memo, names), after

    def described(name: str, renamed: Mapping[str, str]) -> Sequence[str]:
        return with_deep_stack(lambda: describe(*trees(name, renamed)))

    def script(name: str, renamed: Mapping[str, str]) -> EditScript:
        return with_deep_stack(lambda: edit_script(*trees(name, renamed)))

    before = {name: _version(was[name]) for name in wanted}
    return _compare(session, before, compiled, chosen, gone, described, script)


@contextlib.contextmanager
def session_at(session: Session, store: Store, ref: str) -> Iterator[Session]:
    """Load the project as a commit has it, over the sources of the work tree. Raises `UserError`, `UserErrors`.

    A source that the work tree no longer declares is read where the commit says that it is.
    """
    now = session.project
    with checked_out(now.root, ref) as revision, at_ref(ref):
        declared = {name: now.sources.get(name, source) for name, source in revision.project.sources.items()}
        sources = Sources(
            replace(now, sources=declared), store.index, store.objects, session.files, session.sources.copies
        )
        project = replace(revision.project, sources=declared)
        # Its digests are not remembered: they are of files that are gone in a moment.
        files = FileDigests(project.root, store.index)
        yield load_at(project, session.profile.name, store, sources, files, session.engine)


def _chosen(
    session: Session, request: Request, store: Store, removed: Collection[str]
) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the selected rules, and which of those that are no longer there; these can be selected by name alone."""
    words = [word for selector in request.select for word in selector.split()]
    gone = frozenset(word for word in words if word in removed) if words else frozenset(removed)
    rest = tuple(word for word in words if word not in removed)
    if words and not rest:
        return (), gone

    def changed() -> list[str]:
        return changed_rules(session.compile(session.dag.order).rules, store.products)

    order, _ = selected(session.dag, session.rules, replace(request, select=rest), changed)
    return order, gone - set(request.exclude)


def _compile_with_readers(session: Session, chosen: Collection[str], *, keep_going: bool) -> Mapping[str, CompiledRule]:
    """Compile the chosen rules and all that read them, directly or through others."""
    wanted = dict.fromkeys(chosen)
    for name in session.dag.order:
        if not wanted.keys().isdisjoint(session.dag.inputs[name]):
            wanted[name] = None
    compiled = session.compile(wanted).rules
    session.files.save()
    _refuse_broken(session, chosen, keep_going=keep_going)
    return compiled


def _refuse_broken(session: Session, wanted: Collection[str], *, keep_going: bool) -> None:
    errors = session.errors(wanted)
    if errors and not keep_going:
        raise UserErrors(errors)


def _compare(
    session: Session,
    before: Mapping[str, Version],
    compiled: Mapping[str, CompiledRule],
    chosen: Collection[str],
    gone: Collection[str],
    described: Callable[[str, Mapping[str, str]], Sequence[str]],
    script: Callable[[str, Mapping[str, str]], EditScript | None],
) -> Comparison:
    after = {name: _version(compiled[name]) for name in chosen}
    edits = [edit for edit in compare(before, after, described, script) if edit.name in after or edit.name in gone]
    nodes = {name: compiled[name].node for name in session.dag.order if name in compiled}
    differences = tuple(Difference(edit, _impact(edit, nodes)) for edit in edits)
    touched = sum(1 for edit in edits if edit.name in after)
    return Comparison(differences, len(after) - touched, tuple(sorted(session.unsound())))


def _impact(edit: RuleEdit, nodes: Mapping[str, Node]) -> dict[str, frozenset[str] | None]:
    """Return what an edit reaches. A rule that no longer reads a removed one was edited itself, and is reported itself.

    The rule will run, so the columns may change too of which two right results may differ.
    """
    if edit.means_the_same or edit.renamed or edit.reaches == "removed":
        return {}
    shape = nodes[edit.name].shape
    rows = edit.reaches in {"row", "new"} or shape.open_rows
    return reached(nodes, edit.name, InputChange(rows=rows, columns=edit.columns | shape.open))


def _version(rule: CompiledRule) -> Version:
    node = rule.node
    return Version(node.fingerprint, node.inputs, node.parts, node.shape, rule.rule.digest, node.formerly)
