"""The names here of functions of other engines, which queries from elsewhere call.

The examples read `a` and `b`, two timestamps, `n`, a number, and `s`, a text. Tests run each.
"""

from __future__ import annotations

from compiler.sql.functions import suggest

_DAYS = "CAST(b AS DATE) - CAST(a AS DATE) for days, (extract(epoch FROM b) - extract(epoch FROM a)) / 60 for minutes"

_WRITTEN = {
    "date_diff datediff datetime_diff timestamp_diff timestampdiff": _DAYS,
    "date_add dateadd datetime_add timestamp_add timestampadd adddate": "a + INTERVAL '3 days'",
    "date_sub datesub datetime_sub timestamp_sub subdate": "a - INTERVAL '3 days'",
    "strptime str_to_date parse_datetime parse_timestamp try_to_timestamp": "to_timestamp(s, '%Y-%m-%d')",
    "parse_date try_to_date": "to_date(s, '%Y-%m-%d')",
    "strftime format_date format_datetime format_timestamp": "to_char(a, '%Y-%m-%d')",
    "to_varchar to_string": "CAST(n AS VARCHAR)",
    "to_number to_numeric to_decimal try_to_number try_to_numeric": "TRY_CAST(s AS DECIMAL(18, 2))",
    "iff if": "CASE WHEN n > 0 THEN 1 ELSE 2 END",
    "last_day": "CAST(date_trunc('month', a) + INTERVAL '1 month' - INTERVAL '1 day' AS DATE)",
    "timestamp_trunc datetime_trunc": "date_trunc('month', a)",
    "listagg group_concat": "string_agg(s, ',')",
    "len": "length(s)",
    "safe_divide div0 div0null": "n / NULLIF(n, 0)",
    "countif count_if": "COUNT(*) FILTER (WHERE n > 0)",
    "sumif sum_if": "SUM(n) FILTER (WHERE n > 0)",
    "logical_or boolor_agg": "bool_or(n > 0)",
    "logical_and booland_agg": "bool_and(n > 0)",
    "getdate sysdate current_datetime": "now()",
    "charindex locate": "strpos(s, 'x')",
    "zeroifnull": "COALESCE(n, 0)",
    "nullifzero": "NULLIF(n, 0)",
    "isnull": "n IS NULL",
    "epoch unix_timestamp unix_seconds epoch_seconds": "extract(epoch FROM a)",
    "date": "CAST(a AS DATE)",
    "timestamp datetime": "CAST(s AS TIMESTAMP)",
    "regexp_extract regexp_substr": "regexp_match(s, 'a(.)')[1]",
    "regexp_contains regexp_matches rlike": "regexp_like(s, 'a.')",
    "startswith": "starts_with(s, 'a')",
    "endswith": "ends_with(s, 'a')",
    "approx_count_distinct": "approx_distinct(n)",
    "quantile percentile percentile_disc": "percentile_cont(0.5) WITHIN GROUP (ORDER BY n)",
    "arg_max argmax max_by": "first_value(s ORDER BY n DESC)",
    "arg_min argmin min_by": "first_value(s ORDER BY n)",
    "first": "first_value(s ORDER BY n)",
    "last": "last_value(s ORDER BY n)",
    "hash farm_fingerprint": "md5(s)",
    "generate_uuid uuid_string gen_random_uuid": "uuid()",
    "list_value": "make_array(n, n)",
    "struct_pack object_construct": "named_struct('field', n)",
    "explode posexplode": "unnest(make_array(n))",
    "year": "extract(year FROM a)",
    "quarter": "extract(quarter FROM a)",
    "month": "extract(month FROM a)",
    "week weekofyear week_of_year": "extract(week FROM a)",
    "day dayofmonth day_of_month": "extract(day FROM a)",
    "hour": "extract(hour FROM a)",
    "minute": "extract(minute FROM a)",
    "second": "extract(second FROM a)",
    "dayofweek day_of_week weekday": "extract(dow FROM a)",
    "dayofyear day_of_year": "extract(doy FROM a)",
}

ELSEWHERE = {name: text for names, text in _WRITTEN.items() for name in names.split()}
"""Function of another engine, in lower case → how it is written here."""


def function_hint(name: str) -> str | None:
    """Return what to write instead of an unknown function: its name here, or a function of a similar name."""
    written = ELSEWHERE.get(name.lower())
    if written is not None:
        return f"write {written}"
    close = suggest(name)
    return f"did you mean '{close}'?" if close else None
