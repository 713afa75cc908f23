"""Seeds: CSV files → sources, with the types that dbt gives their columns, or SQLMesh.

dbt reads a file with agate: a column has the first of these types that all its values have (`build_type_tester` of
dbt's `agate_helper`): whole numbers `integer`, other numbers `float8`, then dates, timestamps, booleans, and text.
"""

from __future__ import annotations

import csv
import datetime
import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from rules.errors import UserError
from rules.importing.column_types import declared_type
from rules.importing.origin import Seed

_OF_ADAPTERS = {
    "bigquery": {"integer": "int64", "timestamp without time zone": "datetime"},
    "spark": {"integer": "bigint"},
}
"""Types that an adapter gives where dbt would give another one (its `convert_…_type`)."""
_NULLS = frozenset({"", "null"})
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d(:\d\d(:\d\d([.,]\d+)?)?)?(Z|[+-]\d\d(:?\d\d)?)?|\d{8}T\d{2,6}(Z|[+-]\d{2,4})?")
_ZONE = re.compile(r"T.*(Z|[+-][\d:]+)$")
_DIGITS = 40
"""Numbers of more digits stay as they are written: none of the types holds them."""
_PLAIN_NUMBER = {"integer": re.compile(r"-?\d+"), "float8": re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")}


@dataclass(frozen=True)
class SeedFile:
    """A seed as a source: its bytes, the types of its columns, the texts that are NULL, what was changed."""

    data: bytes
    types: Mapping[str, str]
    nulls: tuple[str, ...]
    notes: list[str] = field(default_factory=list)
    risks: list[str] = field(default_factory=list)


def seed_file(seed: Seed, dialect: str) -> SeedFile:
    """Return what a seed is as a source. Raises `UserError` for a file that is no CSV file."""
    data = seed.file.read_bytes() if seed.text is None else seed.text.encode()
    try:
        text = data.decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=seed.delimiter, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"the seed {seed.file} is no CSV file in UTF-8: {error}", code="import") from error
    if not rows:
        raise UserError(f"the seed {seed.file} is empty", code="import", hint="it needs a line of column names")
    header = [name.strip() for name in rows[0]]
    kept = seed.quoted and dialect == "postgres"
    names = header if kept else [name.lower() for name in header]
    notes: list[str] = []
    risks: list[str] = []
    if seed.text is not None:
        notes.append("the file has the columns and values that SQLMesh reads by pandas, such as NULL for NA, 7 for 007")
    if names != header:
        notes.append("the names of its columns are in lower case: " + ", ".join(
            one for one in header if one != one.lower()))  # fmt: skip
        data = _with_header(text, names, seed.delimiter)
    given = {name.lower(): kind for name, kind in seed.types.items()}
    respelled: dict[str, str] = {}
    types: dict[str, str] = {}
    for number, name in enumerate(names):
        written = given.get(name.lower())
        found = _inferred([row[number] for row in rows[1:] if number < len(row)])
        if written is None and seed.text is None:
            respelled |= _respell(rows[1:], number, found)
        inferred = written or _OF_ADAPTERS.get(dialect, {}).get(found, found)
        kind = declared_type(inferred, dialect)
        if kind is None:
            risks.append(f"the type {inferred} of {name} cannot be declared, so it is text")
        types[name] = kind or "string"
    nulls = _null_texts(rows[1:], dialect) if seed.null is None else (seed.null,)
    if respelled:
        shown = ", ".join(f"{before} is {after}" for before, after in sorted(respelled.items()))
        notes.append(f"values are spelled as numbers and times are here: {shown}")
    quotes = len(names) > 1 and _quotes_any(text, nulls, seed.delimiter)
    if quotes:
        notes.append("its NULLs are without quotes: in quotes they would be texts here")
    if respelled or quotes:
        data = _plain(names, rows[1:], seed.delimiter)
    return SeedFile(data, types, nulls, notes, risks)


def _null_texts(rows: Iterable[list[str]], dialect: str) -> tuple[str, ...]:
    """Return the texts of a file that dbt loads as NULL: with the COPY of DuckDB the empty one only."""
    if dialect == "duckdb":
        return ("",)
    return ("", *sorted({one for row in rows for one in row if one.lower() == "null"}))


def _quotes_any(text: str, nulls: Iterable[str], delimiter: str) -> bool:
    """Whether a CSV text may have one of these values in quotes. dbt, and the COPY of DuckDB, take it for NULL too."""
    values, comma = "|".join(map(re.escape, nulls)), re.escape(delimiter)
    return re.search(f'(?:^|{comma})"(?:{values})"(?=$|\r|{comma})', text, re.MULTILINE) is not None


def _plain(names: list[str], rows: Iterable[list[str]], delimiter: str) -> bytes:
    """Return a CSV text with quotes only where there must be some."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows([names, *rows])
    return out.getvalue().encode()


def _with_header(text: str, names: list[str], delimiter: str) -> bytes:
    """Return a CSV text with other column names; what follows its first record stays as it is."""
    lines = io.StringIO(text, newline="")
    next(csv.reader(iter(lines.readline, ""), delimiter=delimiter))
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerow(names)
    return (out.getvalue() + lines.read()).encode()


def _inferred(values: list[str]) -> str:
    """Return the type that dbt gives a column."""
    known = [one.strip() for one in values if one.strip().lower() not in _NULLS]
    for kind, fits in _TESTS:
        if all(fits(one) for one in known):
            if kind == "float8":
                whole = all(_digits_after_point(one) == 0 for one in known)
                return "integer" if whole else kind
            return kind
    return "text"


def _respell(rows: Iterable[list[str]], number: int, kind: str) -> dict[str, str]:
    """Spell the values of a column plainly, in place; return what was spelled otherwise. kind: as `_inferred` says."""
    changed: dict[str, str] = {}
    for row in rows if kind not in ("text", "boolean") else ():
        if number < len(row) and row[number].strip().lower() not in _NULLS:
            text = _spelled(row[number].strip(), kind)
            if text != row[number]:
                changed[row[number]] = text
                row[number] = text
    return changed


def _spelled(text: str, kind: str) -> str:
    """Return a value as any reader of CSV takes it: 1,000 → 1000, 2024-1-5 → 2024-01-05, a zone → the time in UTC."""
    if kind == "date":
        return datetime.datetime.strptime(text, "%Y-%m-%d").date().isoformat()  # noqa: DTZ007 — a day has no zone
    if kind.startswith("timestamp") and _ZONE.search(text):
        moment = datetime.datetime.fromisoformat(text).astimezone(datetime.UTC)
        return moment.replace(tzinfo=None).isoformat(" ")
    number = _number(text) if kind in ("integer", "float8") else None
    if number is None or not number.is_finite() or abs(number.adjusted()) > _DIGITS:
        return text
    if _PLAIN_NUMBER[kind].fullmatch(text):
        return text
    return str(int(number)) if kind == "integer" else format(number, "f")


def _number(text: str) -> Decimal | None:
    bare = text.removesuffix("%").strip("$£€¥").replace(",", "")
    try:
        return Decimal(bare)
    except InvalidOperation:
        return None


def _digits_after_point(text: str) -> int:
    exponent = (_number(text) or Decimal(0)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 1


def _fits_format(form: str) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        try:
            datetime.datetime.strptime(text, form)  # noqa: DTZ007 — only whether it can be read
        except ValueError:
            return False
        return True

    return fits


_TESTS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("float8", lambda text: _number(text) is not None),
    ("date", _fits_format("%Y-%m-%d")),
    ("timestamp without time zone", _fits_format("%Y-%m-%d %H:%M:%S")),
    ("timestamp without time zone", lambda text: bool(_ISO.fullmatch(text))),
    ("boolean", lambda text: text.lower() in ("true", "false")),
)
