"""The engine's planning errors in the rule's own terms: the part of the SQL they are about, and a readable sentence.

The engine knows neither places nor the author's text, and its errors name its own internals. They are taken apart by
`ADVISERS`, each of which knows one kind of error: the sentence, the hint, the candidate nodes. If there are several,
planning them one by one finds the refused one (`compiler.engine_errors.refused_part`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from sqlglot import exp

from compiler.engine_errors import calls, groups, operators, subqueries, tables, values
from compiler.engine_errors.advice import Advice, Refusal
from compiler.engine_errors.refused_part import Probe, in_order, refused
from compiler.errors import SqlError
from compiler.sql import functions
from compiler.sql.dialect import render
from compiler.sql.engine_types import in_sql
from compiler.tree.positions import located, position
from compiler.tree.walk import output_leaf

_KINDS = (groups, subqueries, tables, values, operators, calls)
ADVISERS = tuple((re.compile(pattern, re.DOTALL), adviser) for kind in _KINDS for pattern, adviser in kind.ADVISERS)

_BEFORE = re.compile(
    r"^(?:DataFusion error|Error during planning|Internal error|Schema error|Arrow error|Execution error|External error"
    r"|Parquet error|This feature is not implemented|Context|SQL error|Optimizer rule '\w+' failed|type_coercion"
    r"|Invalid \(non-executable\) plan after \w+|resolve_grouping_function|caused by|Cast error|Parser error"
    r"|Invalid argument error|Compute error|Column in [A-Z ]+ must be in GROUP BY or an aggregate function"
    r"|While expanding wildcard|While casting struct field '[^']*'|Invalid regex|errors)[:,]? ?"
)
_CALL = re.compile(r"No function matches the given name and argument types '(\w+)\((.*?)\)'\.")
_OWNER = re.compile(r"^(?:Execution error: )?Function '(\w+)' user-defined coercion failed with: ")
_CANDIDATES = re.compile(r" ?(?:You might need to add explicit type casts\. ?)?Candidate functions: (.*)$")
_BUG = re.compile(r" ?This (?:issue )?was likely caused by a bug in DataFusion's code\..*?(?= No function matches |$)")
INTERNALS = re.compile(
    r"Expr::|LogicalPlan|ExecutionPlan|[Pp]hysical plan|\w+ ?\{|likely caused by a bug|DataFusion|datafusion|sqltorel"
    r"|\b_c\d+\b|__\w+_sq_\d+|__\w+|Optimizer rule|type_coercion|\bSome\(|\b(?:Large)?Utf8(?:View)?\b"
    r"|\bU?Int(?:8|16|32|64)\b|\bFloat(?:16|32|64)\b|\bDate(?:32|64)\b|\bTime(?:32|64)\b|\bDecimal(?:128|256)\b"
    r"|\bBinaryView\b|MonthDayNano|Exact\(|Signature|UserDefined|OneOf|Coercible|Span\(|ParserError|non-executable"
    r"|\baggregate_statistics\b|Assertion failed|PhysicalExpr|input schema|zero-based|unreachable code"
)
"""Names of the engine's internals, which no message may contain."""
_CANNOT_RUN = "the engine cannot run this part of the query"
_EXPRESSIONS = (
    exp.Func, exp.Binary, exp.Unary, exp.Case, exp.Cast, exp.Between, exp.In, exp.Bracket, exp.Interval, exp.AtTimeZone,
    exp.Window, exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls,
)  # fmt: skip


def explained(error: SqlError, query: exp.Query, probe: Probe = lambda _: None) -> SqlError:
    """Return the engine's error about `query` (the executed form), worded for the author.

    probe: returns the engine's error about another query over the same inputs.
    """
    if error.line is not None or error.code not in {"engine", "type"}:
        return error
    if error.code == "type":
        return _unstorable(error, query)
    spread = _unnamed_field(error.message, query)
    if spread is not None:
        return struct_error(spread)
    refusal = take_apart(error.message, query)
    advice = next(_advice(refusal), None) or Advice(readable(refusal), error.hint)
    nodes = advice.nodes or tuple(query.find_all(*_EXPRESSIONS))

    def asked(part: exp.Query) -> str | None:
        answer = probe(part)
        return None if answer is None else take_apart(answer, query).text

    at = refused(query, nodes, refusal.text, asked)
    if at is None and advice.nodes:
        at = _around(query, advice.nodes)
    message, hint = _as_written(advice.message, advice.hint, at)
    message, hint = _clean(message), hint and _clean(hint)
    if message == _CANNOT_RUN and hint is None:
        hint = "compute part of it in a separate rule, and read that rule"
    found = SqlError(message, hint=hint, code=error.code)
    if at is not None:
        found.line, found.column = position(at)
    return found


_UNSTORABLE = {"interval": "holds an INTERVAL", "map<null": "holds a map whose keys have no type"}


def _unstorable(error: SqlError, query: exp.Query) -> SqlError:
    """Return the error of an output that cannot be stored, placed at its column."""
    named = re.match(r"output column '(.*)' of type (\S+)", error.message)
    leaf = output_leaf(query)
    items = leaf.selects if leaf is not None else []
    item = next((one for one in items if named and one.alias_or_name == named[1]), None)
    kind = next((said for word, said in _UNSTORABLE.items() if named and word in named[2]), None)
    kind = kind or (f"is of type {named[2]}" if named else "")
    message = f"output column '{named[1]}' {kind}, which cannot be stored" if named else error.message
    line, column = position(item) if item is not None else (None, None)
    return SqlError(message, hint=error.hint, code=error.code, line=line, column=column)


def other_columns_error(query: exp.Query, columns: Sequence[str]) -> SqlError:
    """Return the error for a query (the executed form) whose columns differ from those it names."""
    leaf = output_leaf(query)
    items = [item for item in leaf.selects if item.alias not in columns] if leaf is not None else []
    unnested = [item.unalias() for item in items if isinstance(item.unalias(), exp.Explode)]
    if unnested:
        return struct_error(
            unnested[0], [name.rpartition(".")[2] for name in columns if name not in query.named_selects]
        )
    return SqlError(f"the query returns columns other than those it names: {', '.join(columns)}")


def struct_error(unnest: exp.Expr, fields: Iterable[str] = ()) -> SqlError:
    """Return the error for an unnest of a struct, whose fields would become columns named by the engine."""
    value = render(unnest.this).replace('"', "")
    written = ", ".join(f"{value}['{field}'] AS {field}" for field in fields) or f"{value}['field'] AS field"
    message = "unnest of a struct yields a column for each field, and those columns cannot be named"
    return located(unnest, message, hint=f"select the fields one by one: {written}", code="unsupported")


def _unnamed_field(message: str, query: exp.Query) -> exp.Expr | None:
    """Return the unnest of a struct whose alias the engine does not know."""
    missing = re.search(r"No field named (?:\S+\.)?\"?(\w+)\"?\.", message)
    spread = [node.this for node in query.find_all(exp.Alias) if isinstance(node.this, exp.Explode)]
    found = [one for one in spread if missing and one.parent is not None and one.parent.alias == missing[1]]
    return found[0] if len(found) == 1 else None


def _advice(refusal: Refusal) -> Iterator[Advice]:
    for pattern, adviser in ADVISERS:
        match = pattern.search(refusal.text)
        if match is not None:
            yield adviser(match, refusal)


def take_apart(message: str, query: exp.Query) -> Refusal:
    """Take apart an error of the engine."""
    text = re.sub(r"\s+", " ", message).strip()
    text = _BUG.sub("", text)
    candidates = _CANDIDATES.search(text)
    text = _CANDIDATES.sub("", text)
    call = _CALL.search(text)
    text = _CALL.sub("", text).strip()
    function = call[1] if call else None
    before = None
    while before != text:
        before = text
        owner = _OWNER.match(text)
        function = owner[1] if owner else function
        text = _BEFORE.sub("", _OWNER.sub("", text)).strip()
    text = text.rstrip(".")
    return Refusal(text, query, function, call[2] if call else None, candidates[1] if candidates else None)


def _around(query: exp.Query, nodes: tuple[exp.Expr, ...]) -> exp.Expr:
    """Return the smallest part of the query that holds all of the nodes."""
    found = in_order(query, nodes) or [query]
    paths = [_path(node) for node in found]
    shared = [one for one in paths[0] if all(any(one is other for other in path) for path in paths)]
    return shared[0] if shared else query


def _path(node: exp.Expr) -> list[exp.Expr]:
    path = [node]
    while path[-1].parent is not None:
        path.append(path[-1].parent)
    return path


def _as_written(message: str, hint: str | None, at: exp.Expr | None) -> tuple[str, str | None]:
    """Name a function as the author does: some functions have several names, of which the engine uses one."""
    name = functions.function_name(at) if at is not None else None
    quoted = re.match(r"'(\w+)'", message)
    if name is None or quoted is None or functions.lookup(quoted[1]) is None:
        return message, hint
    name = "trim" if name == "btrim" else name  # TRIM(x) is parsed as btrim
    hint = hint and re.sub(rf"\b{quoted[1]}\(", f"{name}(", hint)
    return f"'{name}'{message[quoted.end() :]}", hint


def readable(refusal: Refusal) -> str:
    """Return the engine's error in SQL's terms as far as possible; it may still contain `INTERNALS`."""
    text = re.sub(
        r"ParserError\(\"(.*?)(?: at Line: \d+, Column: \d+)?\"\)", r"the engine cannot read this: \1", refusal.text
    )
    text = re.sub(r"\s+", " ", in_sql(text)).strip().rstrip(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _clean(text: str) -> str:
    text = re.sub(r"\s+", " ", in_sql(text)).strip().rstrip(".")
    if INTERNALS.search(text):
        return _CANNOT_RUN
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
