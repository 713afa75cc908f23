"""`rules diff`: how rules differ from their last build or a commit, and what that reaches; or how their tables do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.compiling.load_session import load
from rules.compiling.session import Session
from rules.config.project import load_project
from rules.errors import FAILED, UserError
from rules.files.project_paths import find_root
from rules.inspect.history import (
    State,
    after_build,
    at_commit,
    before_last_change,
    changed_last,
    resolve_build,
    span_of,
)
from rules.inspect.revision import at_ref
from rules.inspect.rule_diff import session_at, since_commit, since_last_build
from rules.planning.selection import changed_rules, selected
from rules.report.formats import DIFF
from rules.storage.store import open_store
from rules.terminal.arguments import add_format, add_profile, add_selection, not_negative, request_of

if TYPE_CHECKING:
    import argparse

    from rules.config.project import Project
    from rules.inspect.rule_diff import Comparison
    from rules.planning.prepared import Request
    from rules.storage.store import Store
    from rules.terminal.output import Output

_SAMPLES = 3
_LAST_BUILD, _LAST_STATE = "last build", "last state"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    add_selection(parser, "compare")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="SELECTOR",
        help="the same as -s SELECTOR; with --data also NAME@BUILD..BUILD, a product as two builds left it (the second "
        "by default as it is now)",
    )
    parser.add_argument(
        "--against", metavar="REF", help="compare with a commit, branch or tag, without touching the work tree"
    )
    parser.add_argument("--data", action="store_true", help="compare the tables of products instead of their rules")
    parser.add_argument(
        "--build", metavar="BUILD", help="with --data: compare with the tables that this build left; see rules log"
    )
    parser.add_argument(
        "-n", "--limit", type=not_negative, default=_SAMPLES, metavar="N", help="samples of each kind (default: 3)"
    )
    add_format(parser, DIFF)
    parser.add_argument("-k", "--keep-going", action="store_true", help="leave out what is broken, and what reads it")
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 when something differs")
    add_profile(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    """Compare; with --exit-code, 1 when something differs but the text of rules."""
    if options.build and not options.data:
        raise UserError("--build is about tables", code="usage", hint="rules diff --data --build BUILD")
    if options.build and options.against:
        raise UserError("--build and --against exclude each other", code="usage", hint="leave one of them out")
    if output.as_json and options.format is not None:
        message = f"--json cannot hold --format {options.format}"
        raise UserError(message, code="usage", hint=f"leave out --json to print {options.format} alone")
    project = load_project(find_root(options.project), settings=options.settings)
    spans = [word for word in options.names if "@" in word[1:]]
    if spans:
        return _compare_spans(project, spans, options, output)
    request = request_of(options, select=(*options.select, *options.names))
    with open_store(project.root, output.message, building=False) as store:
        differs = (_data if options.data else _rules)(project, request, store, options, output)
    return FAILED if options.exit_code and differs else 0


def _rules(project: Project, request: Request, store: Store, options: argparse.Namespace, output: Output) -> bool:
    from rules.report.diff import comparison_document, comparison_lines

    if options.against:
        found = since_commit(project, request, store, options.against)
    else:
        found = since_last_build(project, request, store)
    if found.unknown:
        output.message(f"warning: what does not compile is left out: {', '.join(found.unknown)}")
    against = options.against or _LAST_BUILD
    if output.as_json:
        output.document(comparison_document(found, against))
    elif options.format == "markdown":
        output.result(_as_markdown(found, project, request, store, options))
    elif output.verbosity < 0:
        output.result(one.edit.name for one in found.differences if not one.edit.means_the_same)
    else:
        base = options.against or "its last build"
        output.result(comparison_lines(found, base, output.width()), painted=True)
    return any(not one.edit.means_the_same for one in found.differences)


def _as_markdown(
    found: Comparison, project: Project, request: Request, store: Store, options: argparse.Namespace
) -> list[str]:
    """Return the edits; with --against also what the tables became that these reach, as far as they are built."""
    from rules.inspect.table_diff import compare_states
    from rules.report.markdown import rules_markdown, tables_markdown

    lines = rules_markdown(found, options.against or "its last build")
    edited = [one.edit.name for one in found.differences if not one.edit.means_the_same]
    if not (options.against and edited):
        return lines
    session, products = load(project, request.profile, store, engine=request.engine), store.products
    reached = dict.fromkeys([*edited, *(name for one in found.differences for name in one.impact)])
    names = [name for name in session.dag.order if name in reached]
    compiled = session.compile(names).rules
    unbuilt = [name for name in names if name in changed_rules(compiled, products) or name not in compiled]
    built = [name for name in names if name not in unbuilt]
    keys = {name: session.rules[name].options.key for name in built}
    compared = compare_states(store, products, keys, _states(session, store, built, options), options.limit)
    return [*lines, "", *tables_markdown(compared, unbuilt)]


def _data(project: Project, request: Request, store: Store, options: argparse.Namespace, output: Output) -> bool:
    from rules.inspect.table_diff import compare_states
    from rules.report.diff import data_document, data_lines
    from rules.report.markdown import tables_markdown

    session = load(project, request.profile, store, engine=request.engine)
    products = store.products
    order, _ = selected(
        session.dag, session.rules, request, lambda: changed_rules(session.compile(session.dag.order).rules, products)
    )
    names = [name for name in order if name in products]
    if request.select and len(names) < len(order):
        unbuilt = next(name for name in order if name not in products)
        hint = f"rules build -s +{unbuilt}"
        raise UserError(f"the product '{unbuilt}' has not been built yet", code="not-built", hint=hint)
    if not (request.select or options.build or options.against):
        names = [name for name in changed_last(store.index) if name in names]
    keys = {name: session.rules[name].options.key for name in names}
    found = compare_states(store, products, keys, _states(session, store, names, options), options.limit)
    if not request.select:
        asked = bool(options.build or options.against)
        found = [one for one in found if (one.diff.differs if one.diff else asked or one.before.artifact is not None)]
    differing = [one.name for one in found if one.diff is not None and one.diff.differs]
    if output.as_json:
        output.document(data_document(found, options.against or options.build or _LAST_STATE))
    elif options.format == "markdown":
        output.result(tables_markdown(found, ()))
    elif output.verbosity < 0:
        output.result(differing)
    else:
        output.result(data_lines(found))
    return bool(differing)


def _compare_spans(project: Project, spans: list[str], options: argparse.Namespace, output: Output) -> int:
    """Compare products between builds: NAME@BUILD..BUILD."""
    from rules.inspect.table_diff import compare_states
    from rules.report.diff import data_document, data_lines
    from rules.report.markdown import tables_markdown

    if not options.data:
        raise UserError("NAME@BUILD is about tables", code="usage", hint=f"rules diff --data {spans[0]}")
    if options.build or options.against or options.select or len(spans) < len(options.names):
        raise UserError("NAME@BUILD excludes selectors, --build and --against", code="usage")
    with open_store(project.root, output.message, building=False) as store:
        session = load(project, options.profile, store)
        keys = {name: rule.options.key for name, rule in session.rules.items()}
        found = []
        for span in spans:
            name, before, after = span_of(store, span)
            found += compare_states(store, {}, keys, {name: before}, options.limit, {name: after})
        differing = [one.name for one in found if one.diff is not None and one.diff.differs]
        if output.as_json:
            output.document(data_document(found, ", ".join(spans)))
        elif options.format == "markdown":
            output.result(tables_markdown(found, ()))
        elif output.verbosity < 0:
            output.result(differing)
        else:
            output.result(data_lines(found))
    return FAILED if options.exit_code and differing else 0


def _states(session: Session, store: Store, names: list[str], options: argparse.Namespace) -> dict[str, State]:
    """Return the states with which the last committed ones are compared."""
    if options.against:
        with session_at(session, store, options.against) as old, at_ref(options.against):
            return at_commit(old, store, options.against, names)
    if options.build:
        build = resolve_build(store.index, options.build)
        return {name: after_build(store.index, name, build) for name in names}
    products = store.products
    return {name: before_last_change(store.index, name, products[name].artifact) for name in names}
