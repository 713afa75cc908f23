"""Write a unit test of a rule from real rows: a first version, which expects what the rule yields of them today."""

from __future__ import annotations

import datetime as dt
import decimal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from cache.own_names import name_beside
from cache.removal import clear_beside, publish, remove_draft
from rules.compiling.load_session import load
from rules.compiling.memo_proof import Bodies, believing_memos
from rules.config.toml_text import toml_key, toml_value
from rules.errors import FAILED, UserError, UserErrors
from rules.planning.selection import choose
from rules.storage.store import open_store
from rules.storage.types import to_arrow, written_schema
from rules.testing.chosen_rows import MANY_ROWS, ROW, Chosen, chosen_rows
from rules.testing.given_rows import completed
from rules.testing.run_tests import Tester
from rules.testing.test_files import FOLDER, find_tests
from rules.wording import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rules.compiling.compiled_rule import CompiledRule
    from rules.compiling.session import Compilation, Session
    from rules.config.project import Project
    from rules.planning.prepared import Request

NAME = "of real rows"
"""What a generated test is called."""


@dataclass(frozen=True)
class Generated:
    """A test that was written. path: of its file, below the project; rows: that it gives, by input."""

    rule: str
    path: str
    rows: Mapping[str, int]
    chosen: Chosen


def generate_tests(project: Project, request: Request, say: Callable[[str], None]) -> list[Generated]:
    """Write a test for each rule that a request selects. Raises `UserError`, and writes nothing then for that rule."""
    found: list[Generated] = []
    with open_store(project.root, say, building=True) as store:
        for attempt in believing_memos(store, say):
            with attempt:
                found = []
                session = load(project, request.profile, store, given={"evidence": "none"}, engine=request.engine)
                names = choose(session, request).order
                targets = {name: project.root / FOLDER / f"{name}.toml" for name in names}
                for name, target in targets.items():
                    _require_new(name, target)
                compiled = session.compile(names)
                errors = session.errors(names)
                if errors:
                    raise UserErrors(errors)
                with Tester(session, compiled) as tester:
                    for name, target in targets.items():
                        found.append(_generated(session, compiled, tester, compiled.rules[name], target))
    return found


def _require_new(name: str, target: Path) -> None:
    if target.exists():
        message = f"there are tests of {name} already, in {FOLDER}/{name}.toml"
        hint = "move the file, generate, and put what is generated beside your tests"
        raise UserError(message, code="exists", hint=hint)


def _generated(session: Session, compiled: Compilation, tester: Tester, rule: CompiledRule, target: Path) -> Generated:
    name = rule.node.name
    if rule.rule.streams is not None or rule.node.volatile:
        what = "it is a function over streams" if rule.rule.streams is not None else "it may yield other rows each time"
        message = f"a test of {name} cannot be generated, because {what}"
        raise UserError(message, code="config", hint=f"write {FOLDER}/{name}.toml by hand", exit_code=FAILED)
    asked = Bodies(session, compiled.rules).questions(rule)
    schemas = {one: tester.schema(one) for one in rule.scans}
    chosen = chosen_rows(session, rule, schemas, asked, tester.folder)
    types = {one: written_schema(to_arrow(schema)) for one, schema in schemas.items()}
    expected = tester.result(rule, {one: completed(table, types[one]) for one, table in chosen.tables.items()})
    target.parent.mkdir(parents=True, exist_ok=True)
    clear_beside(target.parent)
    draft = name_beside(target)
    draft.mkdir()
    try:
        given = {one: _rows(table, f"{name}-{one}", draft) for one, table in chosen.tables.items()}
        wanted = _rows(expected, f"{name}-expected", draft, is_expected=True)
        text = "\n".join(_lines(chosen, given, wanted)) + "\n"
        (draft / target.name).write_text(text, encoding="utf-8")
        _require_passed(session, tester, name, draft / target.name)
        for path in sorted(draft.iterdir(), key=lambda one: one.name == target.name):  # the test last
            publish(path, target.with_name(path.name))
    except FileExistsError as error:
        message = f"there is a file {Path(error.filename2 or error.filename).name} already"
        raise UserError(message, code="exists", hint="move it, and generate again") from error
    finally:
        remove_draft(draft)
    shown = target.relative_to(session.project.root).as_posix()
    return Generated(name, shown, {one: table.num_rows for one, table in chosen.tables.items()}, chosen)


def _require_passed(session: Session, tester: Tester, name: str, written: Path) -> None:
    """Run the test that was written, as `rules test` will. Raises `UserError`."""
    shown = written.relative_to(session.project.root).as_posix()
    (test,) = (one for one in find_tests(session.project.root, session.rules) if one.where.path == shown)
    tested = tester.run(test, force=True)
    if tested.status != "passed":
        message = f"{name} does not yield the same rows of the same inputs"
        raise tested.error or UserError(message, code="config", exit_code=FAILED)


def _lines(chosen: Chosen, given: Mapping[str, str], expected: str) -> Iterator[str]:
    yield f"# Made from real rows, which show {plural(len(chosen.shown), 'outcome')} of the rule. What is expected is"
    yield "# what the rule yields of them today: read whether it is right."
    if chosen.absent:
        looked = "the first rows of the inputs" if chosen.is_partial else "the inputs"
        yield f"# Nothing in {looked} shows that"
        yield from (f"#     {one.said.replace(chr(10), ' ')}" for one in chosen.absent)
    if chosen.costly:
        yield f"# No {MANY_ROWS} rows of an input were found that show that"
        yield from (f"#     {one.said.replace(chr(10), ' ')}" for one in chosen.costly)
    yield f"name = {toml_value(NAME)}"
    for name, rows in given.items():
        yield f"given.{toml_key(name)} = {rows}"
    yield f"expect = {expected}"


def _rows(table: pa.Table, name: str, folder: Path, *, is_expected: bool = False) -> str:
    """Return rows as TOML: a list of tables, or the name of a file in a folder if TOML has no such values."""
    try:
        rows = [
            {key: _value(value) for key, value in row.items() if value is not None and key != ROW}
            for row in table.to_pylist()
        ]
        is_sayable = not is_expected or not rows or any(rows)  # of rows without a value nothing would be compared
    except (TypeError, ValueError):
        is_sayable = False
    if not is_sayable:
        path = folder / f"{name}.parquet"
        pq.write_table(table, path)
        return toml_value(path.name)
    if not rows:
        return "[]"
    lines = ("    {" + ", ".join(f"{toml_key(key)} = {value}" for key, value in row.items()) + "}," for row in rows)
    return "\n".join(["[", *lines, "]"])


def _value(value: Any) -> str:
    """Return a value as TOML. Raises TypeError and ValueError for what a test cannot say so."""
    if isinstance(value, decimal.Decimal):
        return toml_value(str(value))
    if isinstance(value, bytes):
        return toml_value(value.hex())
    if isinstance(value, dict):
        inner = (f"{toml_key(key)} = {_value(one)}" for key, one in value.items() if one is not None)
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, list):
        if any(one is None for one in value):
            raise TypeError
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, dt.time):
        return value.isoformat()
    if type(value) in (bool, int, float, str, dt.date, dt.datetime):
        return toml_value(value)
    raise TypeError
