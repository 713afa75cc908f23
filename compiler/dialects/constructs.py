"""Constructs of other dialects → the same in plainer words of the same dialect, or a refusal where there are none.

Each function yields edits of a text in the dialect; what it writes is read by the dialect's parser again, until there
is no more to do. So each of them can be run by the dialect's own engine, before and after.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from compiler.dialects.constant_groups import groups_of_constants
from compiler.dialects.pivots import pivots, statement_pivots
from compiler.dialects.reading import Reading
from compiler.dialects.traced import Piece, Rewrite
from compiler.sql.foreign_table import DIALECTS

Construct = Callable[[Reading], Iterator[Rewrite]]


def _in_parentheses(piece: tuple[int, int], node: exp.Expr) -> tuple[Piece, ...]:
    plain = isinstance(node, exp.Column | exp.Literal | exp.Paren | exp.Anonymous | exp.Cast | exp.Identifier)
    return (piece,) if plain else ("(", piece, ")")


def from_first(reading: Reading) -> Iterator[Rewrite]:
    """FROM t SELECT a → SELECT a FROM t; FROM t → SELECT * FROM t."""
    for select in reading.tree.find_all(exp.Select):
        from_ = select.args.get("from_")
        place = reading.tokens_of(from_.this) if from_ is not None else None
        if place is None:
            continue
        first = place[0]
        while first > 0 and reading.tokens[first].token_type != TokenType.FROM:
            first -= 1
        if reading.tokens[first].token_type != TokenType.FROM:
            continue
        begin = reading.tokens[first].start
        known = [item for one in select.expressions if (item := reading.tokens_of(one)) is not None]
        start = min(known)[0] if known else -1
        while start >= 0 and reading.tokens[start].token_type != TokenType.SELECT:
            start -= 1
        if start < 0 or (len(select.expressions) == 1 and _is_made_up(reading, select.expressions[0])):
            yield Rewrite(begin, begin, ("SELECT * ",))
            continue
        if start < first:
            continue
        last = max(end for _, end in known)
        clause = reading.tokens[start].start, reading.tokens[last].end + 1
        yield Rewrite(begin, clause[1], (clause, " ", (begin, clause[0])))


def _is_made_up(reading: Reading, node: exp.Expr) -> bool:
    """Whether a star is not in the text: FROM t alone."""
    place = reading.span(node)
    return isinstance(node, exp.Star) and (place is None or not reading.text[slice(*place)].startswith("*"))


def null_safe_equality(reading: Reading) -> Iterator[Rewrite]:
    """A <=> b → (a IS NOT DISTINCT FROM b)."""
    for node in reading.tree.find_all(exp.NullSafeEQ):
        left, right, whole = reading.span(node.this), reading.span(node.expression), reading.span(node)
        if left and right and whole and "<=>" in reading.text[left[1] : right[0]]:
            sides = _in_parentheses(left, node.this), _in_parentheses(right, node.expression)
            yield Rewrite(*whole, ("(", *sides[0], " IS NOT DISTINCT FROM ", *sides[1], ")"))


def powers(reading: Reading) -> Iterator[Rewrite]:
    """A ** b, a ^ b → power(CAST(a AS DOUBLE), b)."""
    wide = {"B": "FLOAT64", "P": "DOUBLE PRECISION", "R": "DOUBLE PRECISION"}.get(DIALECTS[reading.dialect], "DOUBLE")
    for node in reading.tree.find_all(exp.Pow):
        left, right, whole = reading.span(node.this), reading.span(node.expression), reading.span(node)
        if left and right and whole and reading.text[left[1] : right[0]].strip(" \n()") in {"**", "^"}:
            yield Rewrite(*whole, ("power(CAST(", left, f" AS {wide}), ", right, ")"))


def whole_divisions(reading: Reading) -> Iterator[Rewrite]:
    """A // b → divide(a, b), the function that DuckDB has for it; a DIV b → div(a, b), that of Spark."""
    for node in reading.tree.find_all(exp.IntDiv):
        left, right, whole = reading.span(node.this), reading.span(node.expression), reading.span(node)
        if left and right and whole and "//" in reading.text[left[1] : right[0]]:
            yield Rewrite(*whole, ("divide(", left, ", ", right, ")"))
        elif left and right and whole and reading.text[left[1] : right[0]].strip().upper() == "DIV":
            yield Rewrite(*whole, ("div(", left, ", ", right, ")"))


def quantified_patterns(reading: Reading) -> Iterator[Rewrite]:
    """S LIKE ANY ('a', 'b') → (s LIKE 'a' OR s LIKE 'b')."""
    for node in reading.tree.find_all(exp.Like, exp.ILike):
        patterns = node.expression
        if not isinstance(patterns, exp.Any | exp.All) or isinstance(patterns.this.unnest(), exp.Column):
            continue
        listed = patterns.this.unnest()
        items = listed.expressions if isinstance(listed, exp.Tuple | exp.Array) else [listed]
        text, whole = reading.span(node.this), reading.span(node)
        places = [reading.span(item) for item in items]
        if text is None or whole is None or any(place is None for place in places):
            continue
        word, joint = ("LIKE" if isinstance(node, exp.Like) else "ILIKE"), " OR "
        joint = joint if isinstance(patterns, exp.Any) else " AND "
        pieces: list[Piece] = ["("]
        for place in places:
            assert place is not None
            pieces += [joint] if len(pieces) > 1 else []
            pieces += [*_in_parentheses(text, node.this), f" {word} ", place]
        before = reading.text[text[1] : places[0][0] if places[0] else text[1]]
        if re.match(r"\s*NOT\b", before, re.IGNORECASE):
            if reading.dialect != "postgres" or not node.args.get("negate"):
                continue  # what NOT LIKE ANY means is not the same everywhere
            pieces = [f" NOT{piece}" if piece == f" {word} " else piece for piece in pieces]
        yield Rewrite(*whole, (*pieces, ")"))


def globs(reading: Reading) -> Iterator[Rewrite]:
    """S GLOB 'a*' → regexp_full_match(s, '(?s:a.*)')."""
    for node in reading.tree.find_all(exp.Glob):
        pattern, text, whole = node.expression, reading.span(node.this), reading.span(node)
        if text is None or whole is None or not isinstance(pattern, exp.Literal) or "[" in pattern.name:
            continue
        words = {"*": ".*", "?": "."}
        found = "".join(words.get(one, one if one.isalnum() or one in " _" else f"\\{one}") for one in pattern.name)
        if "\\\\" not in found:
            quoted = found.replace("'", "''")
            yield Rewrite(*whole, ("regexp_full_match(", text, f", '(?s:{quoted})')"))


def whole_matches(reading: Reading) -> Iterator[Rewrite]:
    """S RLIKE 'a' → rlike(s, 'a'), which is of the whole text in Snowflake, and a search in Spark."""
    function = {"S": "rlike", "K": "rlike"}.get(DIALECTS[reading.dialect])
    if function is None:
        return
    for node in reading.tree.find_all(exp.RegexpLike, exp.RegexpFullMatch):
        text, pattern, whole = reading.span(node.this), reading.span(node.expression), reading.span(node)
        if not (text and pattern and whole):
            continue
        between = reading.text[text[1] : pattern[0]].strip().upper()
        if between in {"RLIKE", "REGEXP"}:
            yield Rewrite(*whole, (f"{function}(", text, ", ", pattern, ")"))
        elif between in {"NOT RLIKE", "NOT REGEXP"}:
            yield Rewrite(*whole, (f"(NOT {function}(", text, ", ", pattern, "))"))


def order_by_all(reading: Reading) -> Iterator[Rewrite]:
    """SELECT a, b FROM t ORDER BY ALL → ORDER BY 1, 2."""
    if DIALECTS[reading.dialect] not in "DK":
        return
    for select in reading.tree.find_all(exp.Select):
        order = select.args.get("order")
        items = order.expressions if isinstance(order, exp.Order) else []
        if (
            len(items) != 1
            or not isinstance(items[0].this, exp.Var | exp.Column)
            or items[0].this.name.upper() != "ALL"
        ):
            continue
        assert order is not None
        place, whole = reading.tokens_of(items[0]), reading.span(order)
        if place is None or whole is None or any(item.is_star for item in select.selects):
            continue
        start = reading.tokens[place[0]].end + 1
        words = reading.text[start : whole[1]].strip()
        keys = ", ".join(f"{number} {words}".strip() for number in range(1, len(select.selects) + 1))
        yield Rewrite(*whole, (f"ORDER BY {keys}",))


def offsets(reading: Reading) -> Iterator[Rewrite]:
    """l[OFFSET(0)] → l[0], l[ORDINAL(1)] → l[0]: lists begin at 0 in BigQuery, as the habits know."""
    if reading.dialect != "bigquery":
        return
    tokens = reading.tokens
    for number in range(1, len(tokens) - 4):
        word = tokens[number].text.upper().removeprefix("SAFE_")
        around = [tokens[at].text for at in (number - 1, number + 1, number + 3, number + 4)]
        count = tokens[number + 2]
        if word in {"OFFSET", "ORDINAL"} and around == ["[", "(", ")", "]"] and count.token_type == TokenType.NUMBER:
            index = int(count.text) - (1 if word == "ORDINAL" else 0)
            yield Rewrite(tokens[number].start, tokens[number + 3].end + 1, (str(index),))


def trims(reading: Reading) -> Iterator[Rewrite]:
    """trim('a', s) of Spark → btrim(s, 'a'), as what is taken off comes first."""
    if reading.dialect != "spark":
        return
    for node in reading.tree.find_all(exp.Trim):
        sides = [place for one in (node.this, node.args.get("expression")) if one and (place := reading.span(one))]
        whole = reading.span(node)
        if len(sides) == 2 and whole is not None:  # noqa: PLR2004 — what is taken off, and the text
            first, second = sorted(sides)
            if reading.text[first[1] : second[0]].strip() == ",":
                yield Rewrite(*whole, ("btrim(", second, ", ", first, ")"))


def intervals(reading: Reading) -> Iterator[Rewrite]:
    """INTERVAL (n) DAY → CAST(CAST(n AS VARCHAR) || ' day' AS INTERVAL)."""
    if DIALECTS[reading.dialect] not in "DBK":
        return
    text = "STRING" if DIALECTS[reading.dialect] in "BK" else "VARCHAR"
    for node in reading.tree.find_all(exp.Interval):
        value, unit = node.this, node.args.get("unit")
        constant = value.unnest() if isinstance(value, exp.Expr) else value
        negative = isinstance(constant, exp.Neg) and isinstance(constant.this, exp.Literal)
        if (
            constant is None
            or not isinstance(unit, exp.Var)
            or (isinstance(constant, exp.Literal) and constant is value)
        ):
            continue
        place, whole = reading.span(value), reading.span(node)
        if place is None or whole is None or (negative and constant is value):
            continue
        inner = reading.span(constant)
        if inner is not None:
            word = unit.name.lower()
            yield Rewrite(*whole, ("CAST(CAST(", inner, f" AS {text}) || ' {word}' AS INTERVAL)"))


def safe_casts(reading: Reading) -> Iterator[Rewrite]:
    """SAFE_CAST(x AS INT64) → TRY_CAST(x AS INT64)."""
    for token in reading.tokens:
        if token.text.upper() == "SAFE_CAST" and reading.text[token.start : token.end + 1].upper() == "SAFE_CAST":
            yield Rewrite(token.start, token.end + 1, ("TRY_CAST",), renamed=True)


def limits(reading: Reading) -> Iterator[Rewrite]:
    """SELECT TOP 3 a → SELECT a … LIMIT 3; FETCH FIRST 3 ROWS ONLY → LIMIT 3."""
    for node in reading.tree.find_all(exp.Fetch):
        place, count = reading.tokens_of(node), node.args.get("count")
        if place is None or count is None or node.args.get("limit_options") is not None:
            continue
        first = place[0]
        last = place[1]
        while first > 0 and reading.tokens[first].token_type != TokenType.FETCH:
            first -= 1
        yield Rewrite(reading.tokens[first].start, reading.tokens[last].end + 1, (f"LIMIT {count.name}",))


def top_rows(reading: Reading) -> Iterator[Rewrite]:
    """SELECT TOP 3 a FROM t ORDER BY a → SELECT a FROM t ORDER BY a LIMIT 3."""
    if DIALECTS[reading.dialect] not in "SR":
        return
    for select in reading.tree.find_all(exp.Select):
        limit, place = select.args.get("limit"), reading.tokens_of(select)
        if not isinstance(limit, exp.Limit) or place is None:
            continue
        for number in range(place[0], min(place[0] + 4, place[1])):
            word, count = reading.tokens[number : number + 2]
            if word.text.upper() == "TOP" and count.token_type == TokenType.NUMBER:
                end = reading.tokens[place[1]].end + 1
                yield Rewrite(word.start, count.end + 1, ())
                yield Rewrite(end, end, (f" LIMIT {count.text}",))


_SERIES = {
    "postgres": {"generate_series": ""},
    "duckdb": {"generate_series": "generate_series", "range": "range"},
    "spark": {"range": "id"},
}
"""Dialect → functions that yield numbers in FROM → what their one column is called; "" for as the table is."""


def series(reading: Reading) -> Iterator[Rewrite]:
    """FROM generate_series(1, 3) AS g → AS g(g), FROM range(3) → AS range(id): the column is called as it is there."""
    known = _SERIES.get(reading.dialect, {})
    for table in reading.tree.find_all(exp.Table):
        function, alias = table.this, table.args.get("alias")
        name = str(function.this).lower() if isinstance(function, exp.Anonymous) else ""
        if name not in known or (isinstance(alias, exp.TableAlias) and alias.columns):
            continue
        place = reading.span(alias if isinstance(alias, exp.TableAlias) else function)
        if place is None:
            continue
        if isinstance(alias, exp.TableAlias):
            yield Rewrite(place[1], place[1], (f"({known[name] or alias.name})",))
        else:
            yield Rewrite(place[1], place[1], (f" AS {name}({known[name] or name})",))


def minus(reading: Reading) -> Iterator[Rewrite]:
    """A MINUS b → a EXCEPT b."""
    for token in reading.tokens:
        if token.token_type == TokenType.EXCEPT and token.text.upper() == "MINUS":
            yield Rewrite(token.start, token.end + 1, ("EXCEPT",))


_BEGINS_QUERY = {"SELECT", "WITH", "VALUES", "FROM", "("}


def materialized(reading: Reading) -> Iterator[Rewrite]:
    """WITH a AS [NOT] MATERIALIZED (SELECT 1) → WITH a AS (SELECT 1): it says how the rows are computed, not which.

    FROM t AS materialized (a) is a table's alias.
    """
    tokens = reading.tokens
    for number in range(2, len(tokens) - 2):
        words = [token.text.upper() for token in tokens[number - 2 : number + 3]]
        is_alias = words[4] not in _BEGINS_QUERY or tokens[number].token_type == TokenType.IDENTIFIER
        if words[2:4] != ["MATERIALIZED", "("] or is_alias:
            continue
        if words[1] == "AS" or words[:2] == ["AS", "NOT"]:
            begin = tokens[number if words[1] == "AS" else number - 1].start
            yield Rewrite(begin, tokens[number + 1].start, ())


CONSTRUCTS: tuple[Construct, ...] = (
    from_first,
    statement_pivots,
    pivots,
    null_safe_equality,
    powers,
    whole_divisions,
    quantified_patterns,
    globs,
    whole_matches,
    order_by_all,
    offsets,
    trims,
    intervals,
    safe_casts,
    limits,
    top_rows,
    series,
    minus,
    materialized,
    groups_of_constants,
)

_LIST_ROWS = "the elements as rows: SELECT array_agg(x + 1) FROM (SELECT unnest(l) AS x FROM t) AS q"
_JSON = (
    "there are no JSON functions here: a column of its own for the field, where the source is read (docs/sources.md),"
    " or a function in Python (docs/python.md)"
)
REFUSED: dict[type[exp.Expr], tuple[str, str]] = {
    exp.Lambda: ("a lambda has no counterpart here", _LIST_ROWS),
    exp.Comprehension: ("a list comprehension has no counterpart here", _LIST_ROWS),
    exp.TableSample: ("a sample of rows cannot be repeated", "write WHERE with a condition on a key"),
    exp.MatchRecognize: ("MATCH_RECOGNIZE has no counterpart here", "write lag, lead and QUALIFY"),
    exp.JSONExtract: ("a path into JSON has no counterpart here", _JSON),
    exp.JSONExtractScalar: ("a path into JSON has no counterpart here", _JSON),
    exp.JSONBExtract: ("a path into JSON has no counterpart here", _JSON),
    exp.JSONBExtractScalar: ("a path into JSON has no counterpart here", _JSON),
    exp.JSONBContains: ("a test of JSON has no counterpart here", _JSON),
    exp.JSON: ("a test of JSON has no counterpart here", _JSON),
    exp.Connect: ("CONNECT BY has no counterpart here", "write WITH RECURSIVE"),
    exp.Collate: ("a collation has no counterpart here", "leave it out: texts are compared by their characters"),
    exp.Into: ("a rule makes no other table", "leave out INTO"),
    exp.Glob: ("this GLOB pattern has no counterpart here", "write s LIKE 'a%' or regexp_full_match(s, 'a.*')"),
    exp.IntDiv: ("this division has no counterpart here", "write a / b of integers"),
    exp.Pivot: (
        "this PIVOT has no counterpart here",
        "list the values with IN; or write SUM(n) FILTER (WHERE s = 'x') AS x, one for each column",
    ),
    exp.Lateral: ("LATERAL has no counterpart here", "write SELECT unnest(t.list) AS x FROM t"),
    exp.Columns: ("COLUMNS(…) has no counterpart here", "write the columns by name, or * EXCEPT (a, b)"),
    exp.HavingMax: ("HAVING MAX in an aggregate has no counterpart here", "write first_value(s ORDER BY n DESC)"),
    exp.WithinGroup: ("WITHIN GROUP has no counterpart here", "write the order in the call: array_agg(n ORDER BY m)"),
    exp.PositionalColumn: ("columns by number have no counterpart here", "write the column's name"),
}
"""Nodes that are left when there is no more to rewrite → why they are refused, and what to write."""
_CALLS_REFUSED = {"columns": REFUSED[exp.Columns], "flatten": REFUSED[exp.Lateral]}
_MATCHES = "write regexp_matches(s, 'a') or regexp_full_match(s, 'a')"
_QUANTIFIERS = (exp.Any, exp.All)
_JOINS = {
    "ASOF": "write JOIN, then QUALIFY row_number() OVER (PARTITION BY … ORDER BY … DESC) = 1",
    "POSITIONAL": "write JOIN on a row_number() of each",
}


def refused(reading: Reading) -> tuple[exp.Expr, str, str] | None:
    """Return the first construct of a text that has no counterpart, why, and what to write."""
    found: list[tuple[int, exp.Expr, str, str]] = []
    for node in reading.tree.walk():
        message = REFUSED.get(type(node)) if not _is_read(node) else None
        message = message or _of_lists(node)
        if message is None and isinstance(node, exp.Anonymous):
            name = str(node.this).lower()
            message = None if reading.dialect == "duckdb" and name == "flatten" else _CALLS_REFUSED.get(name)
        if message is None and isinstance(node, exp.PropertyEQ) and isinstance(node.parent, exp.Anonymous):
            message = ("a named argument has no counterpart here", "write named_struct('f', n)")
        if message is None and isinstance(node, exp.RegexpLike | exp.RegexpFullMatch) and reading.dialect == "duckdb":
            message = ("~ is a search in DuckDB 2, and was of the whole text before", _MATCHES)
        if message is None and isinstance(node, exp.Substring) and getattr(node.args.get("start"), "is_string", False):
            message = ("SUBSTRING with a pattern has no counterpart here", "write (regexp_match(s, 'a.'))[1]")
        if message is None and isinstance(node, exp.Ordered) and isinstance(node.this, exp.Var | exp.Star):
            message = (
                "ORDER BY ALL of the columns of a * has no counterpart here",
                "write ORDER BY 1, 2, 3, or the names",
            )
        if message is None and isinstance(node, exp.Like | exp.ILike) and isinstance(node.expression, _QUANTIFIERS):
            message = ("a pattern of several has no counterpart here", "write NOT (s LIKE 'a' OR s LIKE 'b')")
        if message is None and isinstance(node, exp.Join):
            word = next((one for one in (node.method, node.kind) if one in _JOINS), None)
            message = (f"{word} JOIN has no counterpart here", _JOINS[word]) if word else None
        if message is not None:
            place = reading.span(node)
            found.append((place[0] if place else 0, node, *message))
    return min(found, key=lambda one: one[0])[1:] if found else None


def _is_read(node: exp.Expr) -> bool:
    """Whether WITHIN GROUP is of a call that has it here, too, or that a table says more of."""
    call = node.this if isinstance(node, exp.WithinGroup) else None
    return call is not None and not (isinstance(call, exp.Anonymous) and str(call.this).lower() == "array_agg")


def _of_lists(node: exp.Expr) -> tuple[str, str] | None:
    """Return why a use of a list is refused, and what to write."""
    if isinstance(node, exp.In) and node.args.get("unnest") is not None:
        return "IN UNNEST(…) has no counterpart here", "write array_has(l, n)"
    if isinstance(node, exp.Limit) and isinstance(node.parent, exp.Anonymous):
        return "a LIMIT in an aggregate has no counterpart here", "write array_slice(array_agg(n ORDER BY m), 1, 3)"
    if isinstance(node, exp.Unnest) and node.args.get("offset"):
        return "positions beside elements have no counterpart here", _ROWS_OF_LISTS
    if isinstance(node, exp.Unnest) and any(one.find(exp.Column) is not None for one in node.expressions):
        return "UNNEST over a column in FROM has no counterpart here", _ROWS_OF_LISTS
    return None


_ROWS_OF_LISTS = "write SELECT unnest(t.list) AS x FROM t"
