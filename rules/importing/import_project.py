"""The import of a project: read → draft → settle → promise → check → test → written, with a report of all of it.

The project is written beside its place and renamed at the end, so that nothing half is ever there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cache.removal import draft_of, remove_draft, take_place
from rules.errors import UserError
from rules.files.project_paths import FILE, OWN_FOLDER
from rules.importing.drafts import Draft, draft, note_values
from rules.importing.naming import SENSITIVE
from rules.importing.origin import Origin
from rules.importing.project_text import project_text, rule_text
from rules.importing.promises import Promised, promise
from rules.importing.settling import ERRORS, Settled, checked, put, settle
from rules.importing.unit_tests import Carried, carry_over
from rules.importing.warehouse import Warehouse, storable_part

REPORT = "import-report.md"


@dataclass
class Imported:
    """A project that was imported into `root`. missing: tables whose rows are not there, by source.

    carried: what became of unit tests.
    """

    root: Path
    made: Draft
    settled: Settled
    promised: Promised
    carried: Carried
    missing: Mapping[str, str]
    files: tuple[str, ...]


def import_project(
    origin: Origin, into: Path, warehouse: Warehouse | None, report: Callable[[Imported], str]
) -> Imported:
    """Write a project into a folder that is not there or empty. Raises `UserError`."""
    if into.is_dir() and any(into.iterdir()):
        message = f"{into} is not empty"
        raise UserError(message, code="exists", hint="rules import never overwrites; name another folder with --into")
    if into.exists() and not into.is_dir():
        raise UserError(f"{into} is a file", code="exists", hint="name another folder with --into")
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        with draft_of(into) as beside:
            found = _written(origin, beside, into, warehouse, report)
            take_place(beside, into)
    except OSError as error:
        raise UserError(f"cannot write {into}: {error.strerror or error}", code="unwritable") from error
    return found


def _written(
    origin: Origin, beside: Path, into: Path, warehouse: Warehouse | None, report: Callable[[Imported], str]
) -> Imported:
    made = draft(origin, into)
    missing: dict[str, str] = {}

    def supply() -> None:
        missing.update(_supplied(made, beside, warehouse))

    settled = settle(made, beside, supply)
    note_values(made)
    _drop_unread(made, missing)
    promised = promise(made, settled)
    for _ in range(_ROUNDS):
        _write(made, beside)
        if not _lose_broken(made, promised, beside):
            break
    carried = carry_over(made, settled, beside, missing)
    remove_draft(beside, OWN_FOLDER)
    found = Imported(into, made, settled, promised, carried, missing, ())
    for rule in made.rules.values():
        if rule.stub and rule.model is not None:
            suffix = "py" if rule.model.code else "sql"
            put(beside, f"not_imported/{rule.name}.{suffix}", f"{rule.former.strip()}\n")
    put(beside, REPORT, report(found))
    found.files = tuple(sorted(str(one.relative_to(beside)) for one in beside.rglob("*") if one.is_file()))
    return found


_ROUNDS = 10


def _write(made: Draft, root: Path) -> None:
    remove_draft(root, "rules")
    (root / "rules").mkdir()
    put(root, FILE, project_text(made, spoken=False))
    for rule in made.rules.values():
        put(root, rule.path, rule_text(rule))


def _supplied(made: Draft, root: Path, warehouse: Warehouse | None) -> dict[str, str]:
    """Write the files of sources that the import makes; return the tables that are not there, by source."""
    import pyarrow.parquet as pq

    missing: dict[str, str] = {}
    for source in made.sources.values():
        target = root / source.path
        if source.data is not None and not target.exists():
            put(root, source.path, source.data)
        elif source.relation is not None and not target.exists():
            table = warehouse.read(source.relation) if warehouse is not None else None
            if table is None:
                missing[source.name] = str(source.relation)
                continue
            if made.origin.dialect not in SENSITIVE:
                names = [name.lower() for name in table.column_names]
                twice = next((name for name in names if names.count(name) > 1), None)
                if twice is not None:
                    message = f"the table {source.relation} has two columns called {twice}, which differ by case alone"
                    hint = "names are in lower case here: give the table other names, and import its view"
                    raise UserError(message, code="import", hint=hint)
                table = table.rename_columns(names)
            table, left_out = storable_part(table)
            if left_out:
                source.notes.append(f"columns of types that Parquet does not have are left out: {', '.join(left_out)}")
            if not table.num_columns:
                missing[source.name] = str(source.relation)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, target)
    return missing


def _drop_unread(made: Draft, missing: dict[str, str]) -> None:
    """Leave out sources whose rows are not there and that nothing reads: a project is to build."""
    read = {name for one in made.queries for name in one.reads}
    for name in [name for name in missing if name not in read]:
        del made.sources[name]
        del missing[name]


def _lose_broken(made: Draft, promised: Promised, root: Path) -> bool:
    """Take out promises that do not compile where they are now; return whether there were any."""
    findings, _ = checked(root)
    paths = {rule.path: rule.name for rule in made.rules.values()}
    lost = False
    for one in findings:
        if one.found.code not in ERRORS:
            continue
        for test, became in list(promised.became.items()):
            name, _, rest = became.partition(".")
            here = paths.get(one.path) == name or (one.path == FILE and name in made.sources)
            if here and (became in one.found.message or f"'{rest}'" in one.found.message):
                _take_out(made, became)
                promised.lost[test] = one.found.message
                del promised.became[test]
                lost = True
    return lost


def _take_out(made: Draft, became: str) -> None:
    name, what, *column = became.split(".", 2)
    table = made.table(name)
    if what == "key":
        table.contract.pop("key", None)
    elif column:
        table.contract.get("columns", {}).get(column[0], {}).pop(what, None)
    else:
        table.contract["checks"] = [one for one in table.contract.get("checks", []) if one["name"] != what]
