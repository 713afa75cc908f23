"""Execute a project's SQL rules as authored, on the bare engine: what every product has to equal.

Knows nothing of the packages under test. Variables are put into the text as literals, inputs are found by asking the
engine which rules it can plan already, and every rule is executed, always.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
from datafusion import DataFrame, SessionConfig, SessionContext

# Literals, quoted names and comments come first, so that a dollar inside one of them is not taken for a variable.
_VARIABLE = re.compile(r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$(\w+)""", re.VERBOSE | re.DOTALL)
_MISSING_TABLE = re.compile(r"table '[^']+' not found", re.IGNORECASE)


@dataclass(frozen=True)
class AuthoredRule:
    """A SQL rule file: its text with variables filled in, and the options that a reference check needs."""

    name: str
    folder: str
    sql: str
    description: str
    tags: tuple[str, ...]
    key: tuple[str, ...]


def read_rules(project_dir: Path) -> dict[str, AuthoredRule]:
    """Read the SQL rules of a project by name, in path order.

    Raises:
        ValueError: two rules share a name, front matter is not closed, or a variable has no value.
    """
    project = tomllib.loads((project_dir / "rules.toml").read_text(encoding="utf-8"))
    variables = project.get("vars", {})
    rules: dict[str, AuthoredRule] = {}
    for folder in project["project"].get("rules", ["rules"]):
        for path in sorted((project_dir / folder).rglob("*.sql")):
            if path.stem in rules:
                raise ValueError(f"two rules are called {path.stem}")
            text = path.read_text(encoding="utf-8")
            options = _front_matter(path, text)
            rules[path.stem] = AuthoredRule(
                name=path.stem,
                folder=path.parent.name,
                sql=fill_variables(text, variables),
                description=options.get("description", ""),
                tags=tuple(options.get("tags", ())),
                key=tuple(options.get("key", ())),
            )
    return rules


def execute_reference(project_dir: Path, *, partitions: int = 1) -> dict[str, pa.Table]:
    """Execute every SQL rule of a project, each after its inputs; give the products by rule name.

    On one partition, rows come in the engine's own order and are the same on every run, except that the branches of a
    UNION ALL come in any order. On more partitions rows may be permuted, and floats may differ in their last bits.
    Every text type becomes ``string``, the one that Parquet has, and every column is nullable; other types are the
    engine's. Python rules are not executed.

    Raises:
        ValueError: a source's format is not known here; or a rule cannot be planned, or reads what no source and no SQL
            rule gives. Names the rule.
    """
    context = SessionContext(SessionConfig().with_target_partitions(partitions))
    register_sources(context, project_dir)
    waiting = read_rules(project_dir)
    products: dict[str, pa.Table] = {}
    while waiting:
        ready = list(_plannable(context, waiting))
        if not ready:
            raise ValueError(f"no source or rule gives an input of: {', '.join(waiting)}")
        for name, frame in ready:
            # Only after its whole round can a product be read, so every rule of a round is planned on the same tables.
            products[name] = frame.to_arrow_table()
            del waiting[name]
        for name, _ in ready:
            context.from_arrow(products[name], name)
    return {name: _plain(product) for name, product in products.items()}


def register_sources(context: SessionContext, project_dir: Path) -> None:
    """Register the sources of a project: Parquet with the engine's reader, CSV as Arrow tables, empty fields as NULL.

    Raises:
        ValueError: a source has another format.
    """
    project = tomllib.loads((project_dir / "rules.toml").read_text(encoding="utf-8"))
    for name, options in project["sources"].items():
        path = project_dir / options["path"]
        if not path.exists():
            raise ValueError(f"source {name} is missing: {path}")
        match options.get("format", path.suffix.removeprefix(".") or "parquet"):
            case "parquet":
                context.register_parquet(name, str(path))
            case "csv":
                context.from_arrow(_read_csv(path, options.get("columns", {})), name)
            case other:
                raise ValueError(f"source {name} has format {other}, which the reference cannot read")


def fill_variables(sql: str, variables: Mapping[str, Any]) -> str:
    """Put variables into SQL as typed literals: ``$on`` with a TOML date becomes ``DATE '2013-06-01'``.

    Raises:
        ValueError: a variable has no value, or a value of a type that has no literal.
    """

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return match[0]
        if name not in variables:
            raise ValueError(f"${name} has no value in [vars]")
        return _literal(variables[name])

    return _VARIABLE.sub(fill, sql)


def _literal(value: object) -> str:
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float():
            # Parenthesised, for `x - $v` with a negative value would start a comment.
            return f"({value!r})" if value < 0 else repr(value)
        case str():
            return "'" + value.replace("'", "''") + "'"
        case datetime():
            return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case _:
            raise ValueError(f"no SQL literal for {value!r}")


def _front_matter(path: Path, text: str) -> dict[str, Any]:
    lines = text.splitlines()
    if not lines or lines[0] != "-- /// rule":
        return {}
    if "-- ///" not in lines:
        raise ValueError(f"{path.name}: front matter is not closed by '-- ///'")
    return tomllib.loads("\n".join(line.removeprefix("--").strip() for line in lines[1 : lines.index("-- ///")]))


def _read_csv(path: Path, columns: Mapping[str, str]) -> pa.Table:
    types = {name: pa.type_for_alias(alias) for name, alias in columns.items()}
    options = pacsv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True)
    return pacsv.read_csv(path, convert_options=options)


def _plain(table: pa.Table) -> pa.Table:
    # Nullability goes because the engine may deliver as not null what it announced as nullable.
    texts = (pa.string_view(), pa.large_string())
    types = [pa.string() if field.type in texts else field.type for field in table.schema]
    return table.cast(pa.schema(list(zip(table.column_names, types, strict=True))))


def _plannable(context: SessionContext, rules: Mapping[str, AuthoredRule]) -> Iterator[tuple[str, DataFrame]]:
    for rule in rules.values():
        try:
            frame = context.sql(rule.sql)
        except ValueError as error:
            if not _MISSING_TABLE.search(str(error)):
                raise ValueError(f"rule {rule.name}: {error}") from error
        else:
            yield rule.name, frame
