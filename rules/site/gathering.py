"""What the site says of a project: from its files as they are now, compiled, and from the history in its store.

Nothing is executed. Everything is plain data, in the same order whenever the project and its store are the same.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compiler.tree.big_stack import with_deep_stack
from rules.compiling.compiled_records import load_body
from rules.compiling.load_session import load
from rules.config.contract import spelled
from rules.config.secret_values import secret_values
from rules.errors import UserError
from rules.files.project_paths import DEFAULT_PROFILE
from rules.inspect.explanation import laid_out
from rules.inspect.lineage import lineage_of
from rules.site.history import History, read_history
from rules.storage.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cache.records import Product
    from graph.lineage import Lineage
    from rules.compiling.compiled_rule import CompiledRule
    from rules.compiling.session import Compilation, Session
    from rules.config.project import Project
    from rules.loading.rule import Check, Rule
    from rules.storage.store import Say, Store


@dataclass(frozen=True)
class Facts:
    """What the site says.

    tables: a small record of each source and product, inputs first, for lists, the graph and the search; details: the
    rest, by name, which a reader asks for table by table. build_results: what each build did, by build.
    """

    project: str
    root: str
    """The folder of the project on this machine, which is not shown."""
    tables: list[dict[str, Any]]
    details: dict[str, dict[str, Any]]
    lineage: Lineage
    builds: list[dict[str, Any]]
    build_results: dict[str, list[list[Any]]]
    checks: list[dict[str, Any]]
    secrets: tuple[str, ...] = field(repr=False)
    """Values that the site must not show."""


def gather(project: Project, say: Say) -> Facts:
    """Return what the site says of a project; rules that do not compile are in it with their errors.

    Raises `UserError` for what concerns no single rule.
    """
    with open_store(project.root, say, building=False) as store:
        session = load(project, DEFAULT_PROFILE, store)
        compiled = session.compile(session.dag.order, list(session.contracts))
        session.files.save()
        history = read_history(store, session.rules)
        return with_deep_stack(lambda: _facts(session, compiled, store, history))


def _facts(session: Session, compiled: Compilation, store: Store, history: History) -> Facts:
    sources = {name: session.sources.table(name).schema for name in session.sources.opened()}
    lineage = lineage_of(
        store.index,
        {name: rule.memo for name, rule in compiled.rules.items()},
        {name: schema.names for name, schema in sources.items()},
    )
    columns = {name: [[one.name, spelled(one.type)] for one in schema.columns] for name, schema in sources.items()}
    columns |= {
        name: [[one.name, spelled(one.type)] for one in rule.schema.columns] for name, rule in compiled.rules.items()
    }
    checks = _checks(session, store.states, store)
    tables, details = [], {}
    for name in sorted(session.project.sources):
        tables.append(_source(session, store, name, columns.get(name, ()), checks))
        details[name] = _source_details(session, name, columns.get(name, ()))
    for name in session.dag.order:
        rule = compiled.rules.get(name)
        tables.append(_table(session, store, history, name, rule, columns.get(name, ()), checks))
        details[name] = _details(session, store, history, name, rule, columns.get(name, ()))
    return Facts(
        project=session.project.name,
        root=str(session.project.root),
        tables=tables,
        details=details,
        lineage=lineage,
        builds=history.builds,
        build_results=history.results,
        checks=[check for one in tables for check in checks.get(one["name"], ())],
        secrets=secret_values(session.project),
    )


def _source(
    session: Session, store: Store, name: str, columns: Iterable[list[str]], checks: Mapping[str, list[Any]]
) -> dict[str, Any]:
    broken = session.broken.get(name)
    rows = next(
        (one.rows for state in store.products.values() for one in state.record.inputs if one.name == name), None
    )
    return {
        "name": name,
        "kind": "source",
        "folder": "",
        "description": "",
        "tags": [],
        "inputs": [],
        "columns": [one[0] for one in columns],
        "rows": rows,
        "checks": [len(checks.get(name, ())), _failing(checks.get(name, ()))],
        "status": "broken" if broken is not None else "source",
    }


def _source_details(session: Session, name: str, columns: Iterable[list[str]]) -> dict[str, Any]:
    source, contract = session.project.sources[name], session.contracts.get(name)
    return {
        "path": source.path,
        "format": source.format,
        "columns": _described(columns, contract),
        "contract": _contract(contract),
        "readers": list(session.dag.readers.get(name, ())),
        "error": _error(session.broken.get(name)),
    }


def _table(
    session: Session,
    store: Store,
    history: History,
    name: str,
    compiled: CompiledRule | None,
    columns: Iterable[list[str]],
    checks: Mapping[str, list[Any]],
) -> dict[str, Any]:
    rule, last = session.rules[name], store.products.get(name)
    artifact = store.artifact(last.artifact) if last is not None else None
    event = history.latest.get(name)
    return {
        "name": name,
        "kind": "python" if rule.in_python else "sql",
        "folder": rule.path.rpartition("/")[0],
        "description": rule.options.description,
        "tags": list(rule.options.tags),
        "inputs": list(session.dag.reads(name)) if name in session.dag.inputs else [],
        "columns": [one[0] for one in columns],
        "rows": artifact.rows if artifact is not None else None,
        "bytes": artifact.bytes if artifact is not None else None,
        "seconds": round(last.seconds, 6) if last is not None else None,
        "checks": [len(checks.get(name, ())), _failing(checks.get(name, ()))],
        "status": "broken" if compiled is None else event[0] if event is not None else "new",
        "edited": compiled is not None and last is not None and last.fingerprint != compiled.node.fingerprint,
    }


def _details(
    session: Session,
    store: Store,
    history: History,
    name: str,
    compiled: CompiledRule | None,
    columns: Iterable[list[str]],
) -> dict[str, Any]:
    rule, last = session.rules[name], store.products.get(name)
    event = history.latest.get(name)
    errors = session.errors([name]) if compiled is None else []
    return {
        "path": rule.path,
        "line": rule.line,
        "authored": _authored(session, rule),
        "executed": None if compiled is None or rule.streams else laid_out(load_body(store.index, compiled.memo).sql),
        "columns": _described(columns, rule),
        "contract": _contract(rule),
        "tier": int(rule.tier),
        "volatile": rule.options.volatile,
        "variables": {one: str(session.project.variables.get(one)) for one in rule.parsed.variables},
        "reads": {} if compiled is None else _reads(compiled),
        "readers": [one for one in session.dag.readers.get(name, ()) if name in session.dag.reads(one)],
        "fingerprint": compiled.node.fingerprint if compiled is not None else None,
        "artifact": last.artifact if last is not None else None,
        "reason": event[1] if event is not None else None,
        "build": event[2] if event is not None else None,
        "history": history.of_product.get(name, []),
        "operators": history.operators.get(name),
        "error": _error(errors[0] if errors else None),
    }


def _reads(compiled: CompiledRule) -> dict[str, list[str]]:
    return {entry: list(reads) for entry, reads in zip(compiled.node.inputs, compiled.node.reads, strict=True)}


def _authored(session: Session, rule: Rule) -> str | None:
    """Return the text of a rule as its author wrote it; of a rule in Python, its function."""
    try:
        text = rule.text(session.project)
    except UserError:  # it has no file any more, which its error says
        return None
    if not rule.in_python or rule.line is None:
        return text
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text
    for one in ast.walk(tree):
        if isinstance(one, ast.FunctionDef) and rule.line in range(
            _first_line(one), (one.end_lineno or one.lineno) + 1
        ):
            return "\n".join(text.split("\n")[_first_line(one) - 1 : one.end_lineno])
    return text


def _first_line(function: ast.FunctionDef) -> int:
    return min([function.lineno, *(one.lineno for one in function.decorator_list)])


def _described(columns: Iterable[list[str]], rule: Rule | None) -> list[list[str]]:
    """Return columns as name, type and description."""
    declared = rule.options.columns if rule is not None else {}
    return [[name, kind, declared[name].description if name in declared else ""] for name, kind in columns]


def _contract(rule: Rule | None) -> dict[str, Any] | None:
    """Return what a table promises, apart from its checks; None if it promises nothing."""
    if rule is None:
        return None
    columns = {
        name: {
            "not_null": one.not_null,
            "accepted": [str(value) for value in one.accepted],
            "references": one.references,
            "type": one.type,
        }
        for name, one in rule.options.columns.items()
    }
    if not (rule.options.key or columns or rule.checks or rule.options.exact):
        return None
    return {
        "key": list(rule.options.key),
        "exact": rule.options.exact,
        "columns": columns,
        "checks": [check.rule.name for check in rule.checks],
    }


def _checks(session: Session, states: Mapping[str, Product], store: Store) -> dict[str, list[dict[str, Any]]]:
    """Return the checks of each table that has some, with how many rows failed when they last ran."""
    owners = {**session.contracts, **session.rules}
    return {
        name: [_check(name, one, states.get(one.rule.name), store) for one in owners[name].checks]
        for name in sorted(owners)
        if owners[name].checks
    }


def _check(table: str, check: Check, last: Product | None, store: Store) -> dict[str, Any]:
    artifact = store.artifact(last.artifact) if last is not None else None
    singular, wrong = check.draft.failing
    return {
        "table": table,
        "name": check.draft.title,
        "severity": check.draft.severity,
        "says": f"{singular} {wrong}".strip(),
        "failing": artifact.rows if artifact is not None else None,
        "sql": check.draft.sql,
    }


def _failing(checks: Iterable[Mapping[str, Any]]) -> int:
    return sum(bool(one["failing"]) for one in checks)


def _error(error: UserError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    where = str(error.where) if error.where is not None else None
    return {"message": error.message, "where": where, "hint": error.hint}
