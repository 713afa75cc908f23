"""Rule files in SQL → what their texts say by themselves, as the index remembers it: options and names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from compiler.compiled import Parsed
from compiler.errors import SqlError
from rules.config.front_matter import RuleOptions, read_options
from rules.errors import FAILED, ForeignMemoError, UserError, Where
from rules.loading.compiler_identity import COMPILER
from rules.loading.dialects import declared_dialect, with_dialect
from rules.loading.rule import Rule, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cache.index import Index
    from rules.config.project import Project


class Text(NamedTuple):
    """The text of a rule file, the dialect that it is in (None for ours), and the digest of the file."""

    text: str
    dialect: str | None
    digest: str


def memo_of_text(project: Project, path: str, digest: str) -> str:
    """Return the key of what is parsed of a file: all that it is parsed from."""
    declared = declared_dialect(project, path)
    return f"{digest} {COMPILER}" if declared is None else f"{digest} {COMPILER} {declared}"


def read_rule(project: Project, path: str, digest: str) -> tuple[RuleOptions, Text]:
    """Read a rule file; return its options and its text. Raises `UserError`."""
    text = text_of(project, path, digest)
    options = read_options(text, path)
    return options, Text(text, with_dialect(project, path, options).dialect, digest)


def parse_text(project: Project, path: str, digest: str) -> Mapping[str, Any]:
    """Return what is remembered of a text. Raises `UserError`."""
    from compiler.parse_rule import parse_rule  # whoever knows all texts does without SQLGlot

    options, text = read_rule(project, path, digest)
    try:
        return text_record(options, parse_rule(text.text, text.dialect))
    except SqlError as error:
        raise user_error(error, path) from error


def text_record(options: RuleOptions, parsed: Parsed) -> Mapping[str, Any]:
    """Return what is remembered of a text."""
    return {
        "tables": parsed.tables,
        "variables": parsed.variables,
        "functions": parsed.functions,
        "options": msgspec.to_builtins(options),
    }


def require_own_text(project: Project, rule: Rule, index: Index) -> None:
    """Raise `ForeignMemoError` unless a rule file says what is remembered of it.

    It is parsed only if no process of this user's has done so. Raises `UserError` if the file has changed.
    """
    memo = memo_of_text(project, rule.path, rule.digest)
    known = index.own_memo("parsed", memo)
    if known is not None:
        text_of(project, rule.path, rule.digest)
        _require_same(project, rule, known)
        return
    record = parse_text(project, rule.path, rule.digest)
    _require_same(project, rule, record)
    index.remember_own("parsed", {memo: record})


def _require_same(project: Project, rule: Rule, record: Mapping[str, Any]) -> None:
    parsed = Parsed(tuple(record["tables"]), tuple(record["variables"]), tuple(record["functions"]))
    options = with_dialect(project, rule.path, msgspec.convert(record["options"], RuleOptions))
    own = rule.options
    # rules.toml may add a key and checks.
    same = options.volatile == own.volatile and options.tier in {None, own.tier} and options.key in {(), own.key}
    same = same and options.order_by == own.order_by and options.normalize == own.normalize
    same = same and options.dialect == own.dialect
    if parsed != rule.parsed or not same:
        raise ForeignMemoError(rule.name)


def user_error(error: SqlError, path: str) -> UserError:
    """Return a compiler's error as one that names the file."""
    where = Where(path, error.line, error.column)
    return UserError(error.message, code=error.code, where=where, hint=error.hint, exit_code=FAILED)
