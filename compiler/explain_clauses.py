"""What the engine says of clauses, windows, subqueries and recursion, as sentences in SQL's terms."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlglot import exp

from compiler import functions
from compiler.engine_types import in_sql
from compiler.explain_types import Said, Teller, Told, calls

_JOIN = "write it as a join to a query that is grouped by what it compares with"


def _plain(message: str, hint: str | None, *kinds: type[exp.Expr]) -> Teller:
    """Return a teller of a fixed sentence about nodes of some kinds."""
    return lambda _, said: Told(message, hint, tuple(said.query.find_all(*kinds)) if kinds else ())


# Aggregates, grouping, windows


def _aggregates(query: exp.Query) -> list[exp.Expr]:
    return [*query.find_all(exp.AggFunc), *(one for one in query.find_all(exp.Func) if _is_grouping(one))]


def _is_grouping(node: exp.Expr) -> bool:
    return functions.function_name(node) == "grouping"


def _stands_in(node: exp.Expr, *kinds: type[exp.Expr]) -> bool:
    """Whether a node of these kinds is around `node` and within its own query."""
    return isinstance(node.find_ancestor(*kinds, exp.Select), kinds)


def _in_where(_: re.Match[str], said: Said) -> Told:
    nodes = tuple(node for node in _aggregates(said.query) if _stands_in(node, exp.Where))
    return Told("an aggregate cannot stand in WHERE", "filter groups with HAVING", nodes[:1])


def _nested(_: re.Match[str], said: Said) -> Told:
    nodes = tuple(node for node in _aggregates(said.query) if _stands_in(node, exp.AggFunc) or _filters(node))
    return Told("an aggregate cannot stand inside another", "compute the inner one in a CTE", nodes[:1])


def _filters(node: exp.Expr) -> bool:
    """Whether a node stands in the condition of FILTER."""
    around = node.find_ancestor(exp.Filter, exp.Select)
    return isinstance(around, exp.Filter) and _is_below(node, around.expression)


def _windows_within(*kinds: type[exp.Expr], what: str) -> Teller:
    def tell(_: re.Match[str], said: Said) -> Told:
        nodes = tuple(node for node in said.query.find_all(exp.Window) if _stands_in(node, *kinds) or _filters(node))
        return Told(f"a window function cannot stand inside {what}", "compute the inner one in a CTE", nodes[:1])

    return tell


def _ungrouped(match: re.Match[str], said: Said) -> Told:
    table, name = match["table"] or "", match["column"]
    hint = f"group by it too, or take one of its values: MIN({name})"
    return Told(f"column '{name}' must stand in GROUP BY or inside an aggregate", hint, _ungrouped_uses(said.query, table, name))


def _ungrouped_uses(query: exp.Query, table: str, name: str) -> tuple[exp.Expr, ...]:
    """Return the first use of a column in a grouped query, outside its aggregates and GROUP BY."""
    for select in query.find_all(exp.Select):
        order = select.args.get("order")
        items = [*select.selects, *(one for one in (select.args.get("having"), select.args.get("qualify"), order) if one)]
        if not (select.args.get("group") or select.args.get("having") or any(item.find(exp.AggFunc) for item in items)):
            continue
        grouped = {str(key) for key in select.args["group"].expressions} if select.args.get("group") else set()
        for item in items:
            for column in item.find_all(exp.Column):
                outside = column.find_ancestor(exp.AggFunc, exp.Select) is select
                if outside and column.name == name and table in {"", column.table} and str(column) not in grouped:
                    return (column,)
    return ()


def _having(match: re.Match[str], said: Said) -> Told:
    nodes = tuple(said.query.find_all(exp.Having))
    return Told("HAVING reads what is neither grouped nor aggregated", "filter rows with WHERE", nodes[:1])


def _grouping(match: re.Match[str], said: Said) -> Told:
    name = match["column"].rpartition(".")[2]
    nodes = tuple(one for one in said.query.find_all(exp.Func) if _is_grouping(one) and name in str(one))
    return Told(f"GROUPING asks for '{name}', which is not in GROUP BY", "it takes expressions of the GROUP BY", nodes[:1])


def _distinct_order(match: re.Match[str], said: Said) -> Told:
    nodes = [select.args["order"] for select in said.query.find_all(exp.Select) if select.args.get("distinct") and select.args.get("order")]
    return Told("SELECT DISTINCT can be ordered only by what it selects", "select the column too, or order by an output", tuple(nodes[:1]))


def _misused(match: re.Match[str], said: Said) -> Told:
    name = match["name"]
    known = functions.lookup(name)
    if known is not None and known.kinds == {"window"}:
        bare = [one for one in calls(said.query, name) if not isinstance(one.parent, exp.Window | exp.IgnoreNulls | exp.RespectNulls)]
        return Told(f"'{name}' is a window function", f"write {name}(…) OVER (…)", tuple(bare))
    if name in {"rollup", "cube"}:
        return Told(f"{name.upper()} cannot stand there", "write out the GROUPING SETS", tuple(said.query.find_all(exp.Group)))
    return Told(f"'{name}' cannot be called here", None, calls(said.query, name))


def _frame(match: re.Match[str], said: Said) -> Told:
    why = match["why"]
    if "non negative" in why:
        why = "its bounds are whole numbers that are not negative"
    elif "larger" in why:
        why = "it would end before it starts"
    else:
        why = why.replace("start bound cannot", "it cannot start").replace("end bound cannot", "it cannot end")
        why = why.replace("be UNBOUNDED", "with UNBOUNDED")
    nodes = tuple(one for one in said.query.find_all(exp.WindowSpec))
    return Told(f"the window's frame is wrong: {why}", "write ROWS BETWEEN … PRECEDING AND … FOLLOWING", nodes or tuple(said.query.find_all(exp.Window)))


def _named_window(match: re.Match[str], said: Said) -> Told:
    nodes = tuple(one for one in said.query.find_all(exp.Window) if match["name"] in str(one))
    return Told(f"there is no window '{match['name']}'", f"declare it: WINDOW {match['name']} AS (…)", nodes[:1])


def _nulls(match: re.Match[str], said: Said) -> Told:
    nodes = tuple(said.query.find_all(exp.IgnoreNulls, exp.RespectNulls)) or calls(said.query, match["name"])
    return Told(f"IGNORE NULLS and RESPECT NULLS are not for '{match['name']}'", "leave them out", nodes[:1])


def _literal_argument(match: re.Match[str], said: Said) -> Told:
    wants = ("ntile", "lag", "lead", "nth_value")
    nodes = tuple(one for one in said.query.find_all(exp.Window) if functions.function_name(one) in wants)
    name = functions.function_name(nodes[0]) if len(nodes) == 1 else None
    shown = f"'{name}'" if name else "a window function"
    return Told(f"{shown} needs a constant as its offset or count", "write a number", nodes)


def _positive_ntile(_: re.Match[str], said: Said) -> Told:
    nodes = tuple(one for one in said.query.find_all(exp.Window) if functions.function_name(one) == "ntile")
    return Told("'ntile' needs a positive number", None, nodes)


def _qualify(_: re.Match[str], said: Said) -> Told:
    """Of a name that is a column and an output, the engine means the column, as in WHERE."""
    for clause in said.query.find_all(exp.Qualify):
        select = clause.parent
        windows = {item.alias for item in select.selects if item.find(exp.Window)} if isinstance(select, exp.Select) else ()
        for column in clause.find_all(exp.Column):
            if column.name in windows:
                message = f"'{column.name}' in QUALIFY is the column {column.table}.{column.name}, not the output"
                return Told(message, "give the output another name, or write the window function itself", (column,))
    nodes = tuple(said.query.find_all(exp.Qualify))
    return Told("QUALIFY filters by window functions, and there is none", "filter rows with WHERE, groups with HAVING", nodes[:1])


# Subqueries


def _unplanned(match: re.Match[str], said: Said) -> Told:
    """Tell what is left in the plan that cannot be executed."""
    kind = match["kind"]
    query = said.query
    if kind in {"Exists", "InSubquery", "SetComparison", "ScalarSubquery"}:
        return _subquery(kind, query)
    if kind == "OuterReferenceColumn":
        lateral = tuple(query.find_all(exp.Lateral))
        if lateral:
            hint = "write a join; for the first rows of each, number them with ROW_NUMBER() and filter"
            return Told("LATERAL over a query with LIMIT, a set operation or no table cannot be run", hint, lateral[:1])
        return Told("a subquery refers to the outer query where it cannot be run", _JOIN, _correlated(query)[:1])
    if kind == "WindowFunction":
        windows = [one for one in query.find_all(exp.Window) if one.find_ancestor(exp.Where, exp.Having, exp.Group, exp.Join, exp.Select) and _stands_in(one, exp.Where, exp.Having, exp.Group, exp.Join)]
        where = _clause(windows[0]) if windows else "WHERE"
        hint = "filter with QUALIFY" if where in {"WHERE", "HAVING"} else "compute it in a CTE"
        return Told(f"a window function cannot stand in {where}", hint, tuple(windows[:1]))
    if kind == "AggregateFunction":
        found = [one for one in _aggregates(query) if _stands_in(one, exp.Where, exp.Group, exp.Join)]
        where = _clause(found[0]) if found else "this place"
        return Told(f"an aggregate cannot stand in {where}", "compute it in a CTE", tuple(found[:1]))
    if kind == "Wildcard":
        stars = [one for one in query.find_all(exp.Star) if isinstance(one.parent, exp.Func)]
        return Told("* can be the only argument of COUNT alone", "write COUNT(*), or name a column", tuple(stars[:1]))
    return Told("the engine cannot run a part of this query", None, ())


def _clause(node: exp.Expr) -> str:
    clause = node.find_ancestor(exp.Where, exp.Having, exp.Group, exp.Join)
    names: dict[type[exp.Expr], str] = {exp.Where: "WHERE", exp.Having: "HAVING", exp.Group: "GROUP BY", exp.Join: "ON"}
    return names[type(clause)] if clause is not None else "this place"


_IS: dict[str, tuple[str, tuple[type[exp.Expr], ...]]] = {
    "Exists": ("EXISTS", (exp.Exists,)),
    "InSubquery": ("IN with a subquery", (exp.In, exp.EQ, exp.NEQ)),
    "SetComparison": ("ANY or ALL with a subquery", (exp.Any, exp.All)),
    "ScalarSubquery": ("a subquery for a value", (exp.Subquery,)),
}


def _subquery(kind: str, query: exp.Query) -> Told:
    what, kinds = _IS[kind]
    found = [one for one in query.find_all(*kinds) if _is_subquery(one)]
    # Where several are meant, one that stands where the engine takes none, or that is correlated, comes first.
    found.sort(key=lambda one: (not _is_odd(one), not _is_correlated(one)))
    node = found[0] if found else None
    correlated = node is not None and _is_correlated(node)
    place = _standing(node) if node is not None else ""
    if kind == "ScalarSubquery" and correlated and node is not None:
        return _scalar(node, place)
    hints = {
        "Exists": "write a join to a query that is distinct: LEFT JOIN (SELECT DISTINCT …) AS q ON …, and test q for NULL",
        "InSubquery": "write a join to a query that is distinct: LEFT JOIN (SELECT DISTINCT …) AS q ON …, and test q for NULL",
        "SetComparison": "compare with MIN or MAX of the subquery",
        "ScalarSubquery": "write it as a join",
    }
    return Told(f"{'a correlated ' if correlated and kind != 'ScalarSubquery' else ''}{what} cannot be run{place}", hints[kind], (node,) if node else ())


def _scalar(node: exp.Expr, place: str) -> Told:
    if node.find(exp.Limit) is not None:
        hint = "take MIN or MAX, or number the rows with ROW_NUMBER() in a join"
        return Told(f"a correlated subquery with LIMIT cannot be run{place}", hint, (node,))
    if node.find(exp.SetOperation) is not None:
        return Told(f"a correlated subquery with a set operation cannot be run{place}", _JOIN, (node,))
    inside = _tables_inside(node)
    outer = [column for column in node.find_all(exp.Column) if column.table and column.table not in inside]
    if all(isinstance(column.find_ancestor(exp.Predicate, exp.Select), exp.EQ) for column in outer):
        return Told(f"a correlated subquery cannot be run{place}", _JOIN, (node,))
    return Told(f"a correlated subquery{place} can compare with the outer query by = alone", _JOIN, (node,))


def _standing(node: exp.Expr) -> str:
    """Return where a subquery stands, in words."""
    around: exp.Expr | None = node
    while around is not None and not isinstance(around.parent, exp.Select | None):
        if isinstance(around, exp.Or):
            return " under OR"
        if isinstance(around, exp.Join):
            return " in ON"
        if isinstance(around, exp.AggFunc):
            return " inside an aggregate"
        if isinstance(around, exp.Group):
            return " in GROUP BY"
        around = around.parent
    if isinstance(around, exp.Join):
        return " in ON"
    if isinstance(around, exp.Group):
        return " in GROUP BY"
    return " in the SELECT list" if around is not None and around.arg_key == "expressions" else ""


def _is_odd(node: exp.Expr) -> bool:
    return _standing(node) != ""


def _is_subquery(node: exp.Expr) -> bool:
    if isinstance(node, exp.In):
        return node.args.get("query") is not None
    if isinstance(node, exp.EQ | exp.NEQ):
        return isinstance(node.expression, exp.Any | exp.All)
    return not (isinstance(node, exp.Subquery) and isinstance(node.parent, exp.From | exp.Join | exp.Lateral | exp.In | exp.Exists))


def _is_correlated(node: exp.Expr) -> bool:
    """Whether a column inside belongs to no table inside."""
    inside = _tables_inside(node)
    left = node.this if isinstance(node, exp.In) else None
    return any(column.table not in inside for column in node.find_all(exp.Column) if column.table and not _is_below(column, left))


def _tables_inside(node: exp.Expr) -> set[str]:
    return {source.alias_or_name for source in node.find_all(exp.Table, exp.Subquery, exp.Values, exp.Unnest)}


def _is_below(node: exp.Expr, top: exp.Expr | None) -> bool:
    around: exp.Expr | None = node
    while around is not None and top is not None:
        if around is top:
            return True
        around = around.parent
    return False


def _correlated(query: exp.Query) -> tuple[exp.Expr, ...]:
    kinds = (exp.Exists, exp.In, exp.Subquery, exp.Any, exp.All)
    found = [one for one in query.find_all(*kinds) if _is_subquery(one) and _is_correlated(one)]
    return tuple(sorted(found, key=lambda one: -sum(1 for _ in _around(one))))


def _around(node: exp.Expr) -> Iterable[exp.Expr]:
    around = node.parent
    while around is not None:
        if isinstance(around, exp.Select):
            yield around
        around = around.parent


def _lost_column(match: re.Match[str], said: Said) -> Told:
    """A column that the engine's own rewriting of subqueries has lost."""
    column = match["column"].rpartition(".")[2].strip('"')
    table = match["column"].rpartition(".")[0].strip('"')
    limits = [one for one in said.query.find_all(exp.Limit, exp.Offset) if one.find(exp.Column)]
    if limits:
        return Told("LIMIT and OFFSET need a whole number, not a column", None, tuple(limits[:1]))
    uses = [
        one
        for one in _correlated(said.query)
        if any(each.name == column and each.table == table for each in one.find_all(exp.Column))
    ]
    joined = [one for one in uses if _stands_in(one, exp.Join)]
    if joined:
        return Told("a correlated subquery in ON cannot be run", "move the condition to WHERE, or write a join", tuple(joined[:1]))
    message = "a subquery cannot be run that refers to an outer query in this way"
    if uses and len(list(_around(uses[0]))) > 1:
        message = "a subquery cannot refer to a query two levels further out"
    return Told(message, _JOIN, tuple(uses[:1]) or _correlated(said.query)[:1])


def _about_correlated(message: str, hint: str) -> Teller:
    def tell(_: re.Match[str], said: Said) -> Told:
        found = [one for one in _correlated(said.query) if isinstance(one, exp.Subquery)] or list(_correlated(said.query))
        return Told(message, hint, tuple(found[:1]))

    return tell


def _misplaced(_: re.Match[str], said: Said) -> Told:
    found = [
        one
        for one in said.query.find_all(exp.Exists, exp.In, exp.Subquery, exp.Any, exp.All)
        if _is_subquery(one) and _stands_in(one, exp.Order, exp.Window, exp.Join, exp.Group, exp.Limit)
    ]
    return Told("a subquery cannot stand here", "compute it as a column of a CTE, and refer to that", tuple(found[:1]))


def _columns(_: re.Match[str], said: Said) -> Told:
    found = [
        one
        for one in said.query.find_all(exp.In, exp.Subquery, exp.Any, exp.All)
        if _is_subquery(one) and (inner := one.find(exp.Select)) is not None and len(inner.selects) > 1
    ]
    return Told("a subquery that is compared with a value yields one column", "select one column; for several write EXISTS", tuple(found[:1]))


def _doubled(_: re.Match[str], said: Said) -> Told:
    hint = "name the columns in a CTE that selects each once"
    return Told("the engine names two columns alike when it plans this query", hint, _correlated(said.query)[:1])


# FROM, VALUES, LIMIT, the rest


def _values(match: re.Match[str], said: Said) -> Told:
    one, other = in_sql(match["one"]), in_sql(match["other"])
    nodes = tuple(said.query.find_all(exp.Values))
    message = f"VALUES has {one} and {other} in column {int(match['column']) + 1}, which have no common type"
    return Told(message, "cast them to one type", _row(nodes, int(match["row"]), int(match["column"])))


def _row(values: tuple[exp.Expr, ...], row: int, column: int) -> tuple[exp.Expr, ...]:
    if len(values) != 1:
        return values
    rows = values[0].expressions
    cells = rows[row].expressions if row < len(rows) else []
    return (cells[column],) if column < len(cells) else values


def _values_length(match: re.Match[str], said: Said) -> Told:
    message = f"a row of VALUES has {match['given']} columns where the first has {match['wanted']}"
    nodes = tuple(said.query.find_all(exp.Values))
    return Told(message, None, _row(nodes, int(match["row"]), 0))


def _alias_length(match: re.Match[str], said: Said) -> Told:
    message = f"a table of {match['has']} columns is given {match['named']} names"
    nodes = [one for one in said.query.find_all(exp.TableAlias) if len(one.args.get("columns") or ()) == int(match["named"])]
    return Told(message, "name each column once", tuple(nodes))


def _limit(match: re.Match[str], said: Said) -> Told:
    word = match["word"]
    nodes = tuple(said.query.find_all(exp.Offset if word == "OFFSET" else exp.Limit))
    return Told(f"{word} needs a whole number that is not negative", None, nodes[:1])


def _series(match: re.Match[str], said: Said) -> Told:
    message = f"argument {match['number']} of generate_series and range must be a constant whole number"
    return Told(message, "join to a series up to a constant, and filter it", _series_calls(said.query))


def _series_calls(query: exp.Query) -> tuple[exp.Expr, ...]:
    return tuple(one for one in query.find_all(exp.Func) if functions.function_name(one) in {"generate_series", "range"})


def _unknown_relation(match: re.Match[str], said: Said) -> Told:
    name = match["name"]
    nodes = tuple(one for one in said.query.find_all(exp.Table) if one.name == name)
    recursive = any(one.args.get("recursive") for one in said.query.find_all(exp.With))
    if recursive:
        hint = "write WITH RECURSIVE name AS (start UNION ALL step), where only the step reads name"
        return Told(f"'{name}' cannot be read here: it is not yet defined", hint, nodes[:1])
    return Told(f"unknown table '{name}'", None, nodes[:1])


def _recursive(message: str, hint: str) -> Teller:
    def tell(_: re.Match[str], said: Said) -> Told:
        found = [one for one in said.query.find_all(exp.With) if one.args.get("recursive")]
        return Told(message, hint, tuple(cte for one in found[:1] for cte in one.expressions[:1]))

    return tell


def _empty_in(_: re.Match[str], said: Said) -> Told:
    found = tuple(one for one in said.query.find_all(exp.In) if not one.args.get("query") and not one.expressions)
    message = "IN needs at least one value" if found else "an expression is missing"
    return Told(message, "for no value at all write FALSE" if found else None, found)


def _unnest(_: re.Match[str], said: Said) -> Told:
    found = [*said.query.find_all(exp.Explode, exp.Unnest)]
    return Told("unnest can stand only as a column of SELECT, or in FROM", "unnest in a CTE, and refer to its column", tuple(found[:1]))


def _unnest_type(match: re.Match[str], said: Said) -> Told:
    found = tuple(said.query.find_all(exp.Explode, exp.Unnest))
    return Told("unnest takes an array or a struct", "make_array(…) makes an array", found)


CLAUSE_TELLERS: tuple[tuple[str, Teller], ...] = (
    (r"Aggregate functions are not allowed in the WHERE clause", _in_where),
    (r"Aggregate function calls cannot be nested", _nested),
    (r"Aggregate function calls cannot contain window", _windows_within(exp.AggFunc, what="an aggregate")),
    (r"Window function calls cannot be nested", _windows_within(exp.Window, what="another")),
    (r'column "(?:(?P<table>[^".]+)\.)?(?P<column>[^".]+)" must appear in the GROUP BY', _ungrouped),
    (r"HAVING clause references: (?P<what>.*) must appear in the GROUP BY", _having),
    (r"Argument (?P<column>\S+) to grouping function is not in grouping columns", _grouping),
    (r"For SELECT DISTINCT, ORDER BY expressions", _distinct_order),
    (r"SELECT DISTINCT ON expressions must match initial ORDER BY", _plain("DISTINCT ON must be ordered by its own expressions first", "begin ORDER BY with them", exp.Distinct)),
    (r"QUALIFY clause requires window functions", _qualify),
    (r"Invalid function '(?P<name>\w+)'", _misused),
    (r"Invalid window frame: (?P<why>.*)", _frame),
    (r"RANGE requires exactly one ORDER BY column", _plain("a frame in RANGE needs exactly one ORDER BY column", "write ROWS BETWEEN, or order by one column", exp.WindowSpec, exp.Window)),
    (r'The window "(?P<name>\w+)" is not defined', _named_window),
    (r"NULLS are not permitted for (?P<name>\w+)", _nulls),
    (r"WITHIN GROUP is only supported for ordered-set", _plain("WITHIN GROUP is for percentiles alone", "write the order inside: array_agg(x ORDER BY y)", exp.WithinGroup)),
    (r"There is only support Literal types for field at idx|Expected a signed integer literal for the second argument of nth_value", _literal_argument),
    (r"NTILE requires a positive integer", _positive_ntile),
    (r"(?:Physical plan does not support logical expression|Unsupported LIMIT expression: Some\() ?(?P<kind>\w+)", _unplanned),
    (r"Too many columns! The subquery should only return one column", _columns),
    (r"[Cc]orrelated scalar subquery must be aggregated", _about_correlated("a correlated subquery for a value could yield several rows", "aggregate in it: MIN(…), MAX(…)")),
    (r"A GROUP BY clause in a scalar correlated subquery", _about_correlated("a correlated subquery for a value cannot be grouped by its own columns", "leave GROUP BY out, or write a join to the grouped query")),
    (r"(?:subquery can only be used in|[Ss]ubquery can only be used in)", _misplaced),
    (r"Empty tuple not supported", _plain("() cannot stand there", None, exp.Group, exp.Tuple)),
    (r"rojections require unique expression names|contains duplicate|duplicate unqualified field|duplicate qualified field|mbiguous reference", _doubled),
    (r"No field named (?P<column>\S+?)\.?(?= |$)", _lost_column),
    (r"Inconsistent data type across values list at row (?P<row>\d+) column (?P<column>\d+)\. Was (?P<one>.+) but found (?P<other>.+)$", _values),
    (r"Inconsistent data length across values list: got (?P<given>\d+) values in row (?P<row>\d+) but expected (?P<wanted>\d+)", _values_length),
    (r"Source table contains (?P<has>\d+) columns but only (?P<named>\d+) names", _alias_length),
    (r"Expected (?P<word>LIMIT|OFFSET) to be an integer", _limit),
    (r"(?P<word>LIMIT|OFFSET) must be >= ?0", _limit),
    (r"Argument #(?P<number>\d+) must be an? [\w, ]+ or NULL", _series),
    (r"LATERAL syntax is not supported for", _plain("LATERAL can stand behind JOIN, CROSS JOIN and LEFT JOIN alone", "turn the join round", exp.Lateral)),
    (r"Multiple recursive references to the same CTE", _recursive("a recursive CTE can read itself once", "read it once, and join that to other tables")),
    (r"Recursive queries? with a distinct UNION|recursive.*UNION", _recursive("a recursive CTE needs UNION ALL", "write UNION ALL, and end the recursion with WHERE")),
    (r"table 'datafusion\.public\.(?P<name>\w+)' not found", _unknown_relation),
    (r"Unnest should be rewritten", _unnest),
    (r"unnest\(\) (?:can only be applied|does not support)", _unnest_type),
    (r"Unsupported ast node in sqltorel", _plain("the zone of AT TIME ZONE must be a constant text", "write AT TIME ZONE 'UTC'", exp.AtTimeZone)),
    (r"Expected: an expression, found: \)", _empty_in),
    (r"Substring without for/from", _plain("'substr' needs at least 2 arguments, not 1", "write substr(text, start) or substr(text, start, length)", exp.Func)),
    (r"Invalid escape character in LIKE", _plain("ESCAPE takes a single character", "write ESCAPE '\\'", exp.Escape)),
    (r"Unsupported type '(?P<type>.+?)'\. Must be", lambda match, said: Told(f"there is no type '{match['type']}'", "write CAST(… AS BIGINT), or a type such as 'Int32' for arrow_cast", calls(said.query, "arrow_cast"))),
)  # fmt: skip
"""From what the engine says to who tells it; the first that fits does."""
