"""Functions and constructs of other dialects, as data: each with what to write here.

A row is `pattern => text : dialects` or `pattern ~> text : dialects`. `=>` is exact: whatever the arguments, the value is
the one that the dialect gives, so `rules check --fix` writes it. `~>` is what to
look at: it needs a decision of the author. Dialects: D DuckDB, S Snowflake, B BigQuery, K Spark, P PostgreSQL, R Redshift.

A parameter is one letter, perhaps with the kind of value that the row requires (`s:text`); tests call each row with
values of these kinds: a, b timestamps; d, e dates; n, m, k integers; x, y floats; s, t, p texts; c, f conditions; l, r
lists; u, v, w anything. `'…'` in a pattern is that very constant, one letter any (f, r: a format of dates), `<day>` a unit, quoted or not. `s...` is one argument
or several. {s} in the text is the argument, in parentheses if it needs them.
"""

from __future__ import annotations

DIALECTS = {
    "duckdb": "D", "snowflake": "S", "bigquery": "B", "spark": "K", "postgres": "P", "redshift": "R",
}  # fmt: skip
"""Dialects of `from_dialect`, by SQLGlot's names → their letters in the rows."""

TITLES = {
    "duckdb": "DuckDB", "snowflake": "Snowflake", "bigquery": "BigQuery", "spark": "Spark", "postgres": "PostgreSQL",
    "redshift": "Redshift",
}  # fmt: skip

_EPOCH = "CAST(extract(epoch FROM date_trunc('{unit}', {{{later}}})) - extract(epoch FROM date_trunc('{unit}', {{{first}}})) AS BIGINT)"


def _differences() -> str:
    """Return the rows of differences of two moments: the boundaries between them, which all of these engines count."""
    exact = {
        "day": "CAST({b} AS DATE) - CAST({a} AS DATE)",
        "week": "(CAST(date_trunc('week', {b}) AS DATE) - CAST(date_trunc('week', {a}) AS DATE)) / 7",
        "month": "(extract(year FROM {b}) - extract(year FROM {a})) * 12 + extract(month FROM {b}) - extract(month FROM {a})",
        "quarter": "(extract(year FROM {b}) - extract(year FROM {a})) * 4 + extract(quarter FROM {b})"
        " - extract(quarter FROM {a})",
        "year": "extract(year FROM {b}) - extract(year FROM {a})",
    }
    for unit, seconds in (("hour", 3600), ("minute", 60), ("second", 1)):
        text = _EPOCH.format(unit=unit, later="b", first="a")
        exact[unit] = text if seconds == 1 else f"{text} / {seconds}"
    rows = []
    for unit, text in exact.items():
        if unit == "week":  # DuckDB 2 counts whole weeks, and DuckDB 1 those that begin on Mondays
            rows.append(f"datediff(<{unit}>, a, b) => {text} : S")
        else:
            rows.append(f"date_diff(<{unit}>, a, b) => {text} : D")
            rows.append(f"datediff(<{unit}>, a, b) => {text} : DSR")
        rows.append(f"timestampdiff(<{unit}>, a, b) => {text} : S")
    for unit in ("day", "month", "quarter", "year"):
        text = exact[unit].replace("{b}", "{e}").replace("{a}", "{d}")
        rows += [f"date_diff(e:date, d:date, <{unit}>) => {text} : B"]
    return "\n".join(rows)


def _additions() -> str:
    """Return the rows of sums of a moment and a constant number of units."""
    rows = []
    for unit in ("day", "week", "month", "year"):
        rows.append(f"dateadd(<{unit}>, #, a) => {{a}} + INTERVAL '# {unit}' : SR")
        rows.append(f"timestampadd(<{unit}>, #, a) => {{a}} + INTERVAL '# {unit}' : S")
    for unit in ("hour", "minute", "second"):
        rows.append(f"dateadd(<{unit}>, #, a:ts) => {{a}} + INTERVAL '# {unit}' : SR")
        rows.append(f"timestampadd(<{unit}>, #, a:ts) => {{a}} + INTERVAL '# {unit}' : S")
    text = "a + INTERVAL '3 days'; n days: a + CAST(concat(n, ' days') AS INTERVAL)"
    rows += [f"{name}(u...) ~> {text} : DSBKR" for name in ("dateadd", "date_add", "timestampadd")]
    return "\n".join(rows)


_PARTS = "\n".join(
    f"{name}(a) => extract({part} FROM {{a}}) : {dialects}"
    for name, part, dialects in (
        ("year", "year", "DSK"), ("quarter", "quarter", "DSK"), ("month", "month", "DSK"), ("day", "day", "DSK"),
        ("dayofmonth", "day", "DSK"), ("day_of_month", "day", ""), ("hour", "hour", "DSK"), ("minute", "minute", "DSK"),
        ("second", "second", "DS"), ("dayofyear", "doy", "DSK"), ("day_of_year", "doy", ""), ("week", "week", "DS"),
        ("weekofyear", "week", "DSK"), ("weekiso", "week", "S"), ("isodow", "isodow", "D"),
        ("dayofweekiso", "isodow", "S"), ("dayofweek", "dow", "DS"), ("weekday", "dow", "D"),
    )
    if dialects
)  # fmt: skip

FUNCTIONS = f"""
# Conditions and NULL
iff(c, u, v) => CASE WHEN {{c}} THEN {{u}} ELSE {{v}} END : S
if(c, u, v) => CASE WHEN {{c}} THEN {{u}} ELSE {{v}} END : DBK
zeroifnull(n) => COALESCE({{n}}, 0) : S
nullifzero(n) => NULLIF({{n}}, 0) : S
isnull(u) => {{u}} IS NULL : K
isnotnull(u) => {{u}} IS NOT NULL : K
isnull(u, v) => COALESCE({{u}}, {{v}}) :
equal_null(u, v) => {{u}} IS NOT DISTINCT FROM {{v}} : S
error(s) ~> CAST(s AS BIGINT), which fails on a text that is no number; or a check with severity = "error" : D
div0(n, m) ~> CASE WHEN m = 0 THEN 0 ELSE n / m END : S
div0null(n, m) ~> CASE WHEN m = 0 OR m IS NULL THEN 0 ELSE n / m END : S
safe_divide(x, y) => CASE WHEN {{y}} <> 0 THEN CAST({{x}} AS DOUBLE) / {{y}} END : B
div(n:int, m:int) => ({{n}} - {{n}} % {{m}}) / {{m}} : BK
div(n:int, m:int) => CAST({{n}} / {{m}} AS DECIMAL(38, 0)) : P
divide(n:int, m:int) => ({{n}} - {{n}} % {{m}}) / {{m}} : D
divide(x:float, y) => {{x}} / CAST({{y}} AS DOUBLE) : D
divide(x:decimal, y) => CAST({{x}} AS DOUBLE) / CAST({{y}} AS DOUBLE) : D
ifelse(u...) ~> CASE WHEN c THEN u ELSE v END :
booland(n:int, m:int) => {{n}} <> 0 AND {{m}} <> 0 : S
boolor(n:int, m:int) => {{n}} <> 0 OR {{m}} <> 0 : S
boolnot(n:int) => NOT {{n}} <> 0 : S
regr_valx(y, x) ~> CASE WHEN y IS NOT NULL THEN x END : S

# Numbers
mod(n, m) => {{n}} % {{m}} : DSBKPR
sign(n:int) => CAST(signum({{n}}) AS BIGINT) : DSBKPR
sign(x:float) => signum({{x}}) : BK
ceiling(x) => ceil({{x}}) : DSBKPR
pow2(x) ~> power(2, x) :
square(x:float) => {{x}} * {{x}} : S
truncate(x) => trunc({{x}}) : S
truncate(x, n) => trunc({{x}}, {{n}}) : S
even(x) ~> 2 * ceil(x / 2.0) : D
xor(n, m) => ({{n}} | {{m}}) - ({{n}} & {{m}}) : D
bitand(n, m) => {{n}} & {{m}} : S
bitor(n, m) => {{n}} | {{m}} : S
bitxor(n, m) => ({{n}} | {{m}}) - ({{n}} & {{m}}) : S
shiftleft(n, m) ~> n << m, of 64 bits where Spark shifts an INT within 32 : K
is_nan(x) => isnan({{x}}) : B
isinf(x) => abs({{x}}) = CAST('inf' AS DOUBLE) : D
is_inf(x) => abs({{x}}) = CAST('inf' AS DOUBLE) : B
isfinite(x) => abs({{x}}) < CAST('inf' AS DOUBLE) : D
ieee_divide(x, y) => CAST({{x}} AS DOUBLE) / CAST({{y}} AS DOUBLE) : B
uniform(u...) ~> random(), in a rule that declares volatile = true : S
width_bucket(u...) ~> floor((x - 0.0) / (10.0 - 0.0) * 5) + 1 : SKP
to_number(s) ~> TRY_CAST(s AS DECIMAL(18, 2)) : SKP
to_numeric(s) ~> TRY_CAST(s AS DECIMAL(18, 2)) : S
to_decimal(s) ~> TRY_CAST(s AS DECIMAL(18, 2)) : S
try_to_number(s) ~> TRY_CAST(s AS DECIMAL(18, 2)) : SK
try_to_decimal(s) ~> TRY_CAST(s AS DECIMAL(18, 2)) : S
try_to_numeric(s) ~> TRY_CAST(s AS DECIMAL(18, 2)) : S
to_double(s) => CAST({{s}} AS DOUBLE) : S
try_to_double(s) ~> TRY_CAST(s AS DOUBLE), which takes no blanks around the number : S
to_boolean(s) => CAST({{s}} AS BOOLEAN) :
bin(n) ~> to_hex(n), which is hexadecimal : DK
hex(n:int) => upper(to_hex(CAST({{n}} AS BIGINT))) : K
bround(u...) ~> round(x), which rounds halves away from zero : K
pmod(n:int, m:int) => CASE WHEN {{n}} % {{m}} < 0 THEN ({{n}} % {{m}} + {{m}}) % {{m}} ELSE {{n}} % {{m}} END : K
pmod(u...) ~> n % m, which has the sign of n : K
int(u) ~> CAST(x AS INT) : K
bigint(u) ~> CAST(x AS BIGINT) : K
smallint(u) ~> CAST(x AS SMALLINT) : K
double(u) ~> CAST(x AS DOUBLE) : K
float(u) ~> CAST(x AS REAL) : K
boolean(u) ~> CAST(s AS BOOLEAN) : K
decimal(u) ~> CAST(x AS DECIMAL(10, 0)) : K
format_number(u...) ~> CAST(n AS VARCHAR) : K

# Texts
len(s:text) => length({{s}}) : DSR
len(l:list) => array_length({{l}}) : D
strlen(s) => octet_length({{s}}) : D
byte_length(s:text) => octet_length({{s}}) : B
charindex(s, t) => strpos({{t}}, {{s}}) : SK
charindex(s, t) ~> strpos(t, s), which finds an empty text at 1 : R
locate(s, t) => strpos({{t}}, {{s}}) : K
prefix(s, t) => starts_with({{s}}, {{t}}) : D
suffix(s, t) => ends_with({{s}}, {{t}}) : D
startswith(s, t) => starts_with({{s}}, {{t}}) : SK
endswith(s, t) => ends_with({{s}}, {{t}}) : SK
ucase(s) => upper({{s}}) : DK
lcase(s) => lower({{s}}) : DK
string_split(s, 't') => CASE WHEN {{s}} = '' THEN [''] ELSE string_to_array({{s}}, '#') END : D
string_split(s, t) => CASE WHEN {{t}} IS NULL THEN CASE WHEN {{s}} IS NOT NULL THEN [{{s}}] END WHEN {{t}} = '' THEN string_to_array({{s}}, NULL) WHEN {{s}} = '' THEN [''] ELSE string_to_array({{s}}, {{t}}) END : D
str_split(s, 't') => CASE WHEN {{s}} = '' THEN [''] ELSE string_to_array({{s}}, '#') END : D
str_split(s, t) => CASE WHEN {{t}} IS NULL THEN CASE WHEN {{s}} IS NOT NULL THEN [{{s}}] END WHEN {{t}} = '' THEN string_to_array({{s}}, NULL) WHEN {{s}} = '' THEN [''] ELSE string_to_array({{s}}, {{t}}) END : D
string_split_regex(s, p) ~> string_to_array(regexp_replace(s, p, ',', 'g'), ',') : D
split(s, 't') => CASE WHEN {{s}} = '' THEN [''] ELSE string_to_array({{s}}, '#') END : SB
regexp_split_to_array(s, p) ~> string_to_array(regexp_replace(s, p, ',', 'g'), ',') : P
regexp_matches(s, p) => regexp_like({{s}}, {{p}}) : D
regexp_full_match(s, 'p') => regexp_like({{s}}, '^(?:#)$') : D
regexp_contains(s, p) => regexp_like({{s}}, {{p}}) : B
rlike(s, 'p') => regexp_like({{s}}, '^(?:#)$') : S
rlike(s, p) => regexp_like({{s}}, {{p}}) : K
regexp(s, p) => regexp_like({{s}}, {{p}}) : K
regexp_extract(s, 'p', <1>) => CASE WHEN {{s}} IS NOT NULL THEN COALESCE(array_element(regexp_match({{s}}, '#'), 1), '') END : DK
regexp_extract(s, 'p') => CASE WHEN {{s}} IS NOT NULL THEN COALESCE(array_element(regexp_match({{s}}, '(#)'), 1), '') END : D
regexp_extract(s, 'p', <0>) => CASE WHEN {{s}} IS NOT NULL THEN COALESCE(array_element(regexp_match({{s}}, '(#)'), 1), '') END : DK
regexp_extract(s, p) => array_element(regexp_match({{s}}, {{p}}), 1) : B
regexp_extract(u...) ~> regexp_match(s, 'a(.)')[1], which is NULL where nothing matches : DBK
regexp_substr(s, 'p') => array_element(regexp_match({{s}}, '(#)'), 1) : SK
regexp_substr(u...) ~> regexp_match(s, 'a.')[1] : SKPR
regexp_extract_all(u...) ~> regexp_match(s, 'a(.)'), of the first match : DBK
format(u...) ~> concat(s, ': ', n) : DBP
printf(u...) ~> concat(s, ': ', n) : DK
format_string(u...) ~> concat(s, ': ', n) : K
unicode(s) => ascii({{s}}) : S
unicode(s) => CASE WHEN {{s}} = '' THEN -1 ELSE ascii({{s}}) END : D
ord(s) => CASE WHEN {{s}} = '' THEN -1 ELSE ascii({{s}}) END : D
char(n) => chr({{n}}) : S
char(n:int) => CASE WHEN {{n}} < 0 THEN '' ELSE chr({{n}} % 256) END : K
bit_length_of(s) ~> bit_length(s) :
space(n) => repeat(' ', {{n}}) : SK
insert(s, n, m, t) ~> overlay(s PLACING t FROM n FOR m) : S
editdist3(s, t) => levenshtein({{s}}, {{t}}) : D
editdistance(s, t) => levenshtein({{s}}, {{t}}) : S
edit_distance(s, t) => levenshtein({{s}}, {{t}}) : B
to_varchar(u) ~> CAST(n AS VARCHAR) : S
to_string(u) ~> CAST(n AS VARCHAR) :
string(u) ~> CAST(n AS VARCHAR) : BK
hash(u...) ~> md5(s) : DSK
farm_fingerprint(u) ~> md5(s) : B
sha2(s, '256') ~> encode(sha256(s), 'hex') : SK
xxhash64(u...) ~> md5(s), another digest : K
crc32(s) ~> md5(s), another digest : K
func_sha1(s) ~> md5(s), another digest : R
sha1(s) ~> md5(s), another digest : DSBK
to_base64(s) ~> encode(s, 'base64') : D
base64_encode(s) ~> encode(s, 'base64') : S
quote_literal(s) ~> concat('''', s, '''') : P
soundex(s) ~> levenshtein(s, 'other') < 3 : SBK
strip_accents(s) ~> translate(s, 'éè', 'ee') : D
contains_substr(s, t) => contains(lower({{s}}), lower({{t}})) :

# Moments
{_PARTS}
dayofweek(a) => extract(dow FROM {{a}}) + 1 : K
weekday(a) => extract(isodow FROM {{a}}) - 1 : K
{_differences()}
date_diff(u...) ~> CAST(b AS DATE) - CAST(a AS DATE) for days, (extract(epoch FROM b) - extract(epoch FROM a)) / 60 for minutes : DBK
datediff(e, d) => CAST({{e}} AS DATE) - CAST({{d}} AS DATE) : K
datediff(u...) ~> CAST(b AS DATE) - CAST(a AS DATE) for days, (extract(epoch FROM b) - extract(epoch FROM a)) / 60 for minutes : DSKR
datetime_diff(u...) ~> CAST(b AS DATE) - CAST(a AS DATE) for days, (extract(epoch FROM b) - extract(epoch FROM a)) / 60 for minutes : B
timestamp_diff(u...) ~> CAST(b AS DATE) - CAST(a AS DATE) for days, (extract(epoch FROM b) - extract(epoch FROM a)) / 60 for minutes : B
timestampdiff(u...) ~> CAST(b AS DATE) - CAST(a AS DATE) for days, (extract(epoch FROM b) - extract(epoch FROM a)) / 60 for minutes : SK
months_between(u...) ~> (extract(year FROM b) - extract(year FROM a)) * 12 + extract(month FROM b) - extract(month FROM a) : SKR
age(a, b) ~> a - b : DPR
{_additions()}
second(a) => CAST(to_char({{a}}, '%S') AS BIGINT) : K
date_add(d:date, #) => {{d}} + # : K
date_add(d:date, i:interval) => CAST({{d}} + {{i}} AS DATE) : B
date_add(d:date, i:interval) => CAST({{d}} AS TIMESTAMP(6)) + {{i}} : D
date_add(a:ts, i:interval) => {{a}} + {{i}} : D
date_sub(d:date, i:interval) => CAST({{d}} - {{i}} AS DATE) : B
datetime_add(a:ts, i:interval) => {{a}} + {{i}} : B
datetime_sub(a:ts, i:interval) => {{a}} - {{i}} : B
timestamp_add(a:ts, i:interval) => {{a}} + {{i}} : B
timestamp_sub(a:ts, i:interval) => {{a}} - {{i}} : B
date_sub(d:date, #) => {{d}} - # : K
add_months(d:date, #) ~> d + INTERVAL '1 month', which keeps the 28th of February where Snowflake and Redshift go to the 31st : SKR
date_sub(u...) ~> a - INTERVAL '3 days' : DBK
datetime_add(u...) ~> a + INTERVAL '3 days' : B
datetime_sub(u...) ~> a - INTERVAL '3 days' : B
timestamp_add(u...) ~> a + INTERVAL '3 days' : B
timestamp_sub(u...) ~> a - INTERVAL '3 days' : B
subdate(u...) ~> a - INTERVAL '3 days' :
adddate(u...) ~> a + INTERVAL '3 days' :
last_day(a) => CAST(date_trunc('month', {{a}}) + INTERVAL '1 month' - INTERVAL '1 day' AS DATE) : DSBKR
last_day(a, <month>) => CAST(date_trunc('month', {{a}}) + INTERVAL '1 month' - INTERVAL '1 day' AS DATE) : SB
last_day(a, <quarter>) => CAST(date_trunc('quarter', {{a}}) + INTERVAL '3 months' - INTERVAL '1 day' AS DATE) : SB
last_day(a, <year>) => CAST(date_trunc('year', {{a}}) + INTERVAL '1 year' - INTERVAL '1 day' AS DATE) : SB
monthname(a) => to_char({{a}}, '%B') : D
decade(a) => CAST(floor(extract(year FROM {{a}}) / 10.0) AS BIGINT) : D
century(a) ~> CAST(ceil(extract(year FROM a) / 100.0) AS BIGINT) : D
millennium(a) ~> CAST(ceil(extract(year FROM a) / 1000.0) AS BIGINT) : D
era(a) ~> CASE WHEN extract(year FROM a) > 0 THEN 1 ELSE 0 END : D
to_months(n) ~> CAST(concat(n, ' months') AS INTERVAL) : D
to_years(n) ~> CAST(concat(n, ' years') AS INTERVAL) : D
to_hours(n) ~> CAST(concat(n, ' hours') AS INTERVAL) : D
to_minutes(n) ~> CAST(concat(n, ' minutes') AS INTERVAL) : D
to_seconds(n) ~> CAST(concat(n, ' seconds') AS INTERVAL) : D
make_interval(u...) ~> CAST(concat(n, ' days') AS INTERVAL) : P
justify_days(u) ~> leave it out: 30 days are no month here : P
monthname(a) => to_char({{a}}, '%b') : S
dayname(a) => to_char({{a}}, '%A') : D
dayname(a) => to_char({{a}}, '%a') : S
yearweek(a) => CAST(to_char({{a}}, '%G%V') AS BIGINT) : D
strftime(a, 'f') => to_char({{a}}, '#') : D
strftime('f', a) => to_char({{a}}, '#') : D
format_date('f', d) => to_char({{d}}, '#') : B
format_datetime('f', a) => to_char({{a}}, '#') : B
format_timestamp('f', a) => to_char({{a}}, '#') : B
strptime(s, 'r') => to_timestamp({{s}}, '#') : D
parse_date('r', s) => to_date({{s}}, '#') : B
parse_datetime('p', s) ~> to_timestamp(s, '%Y-%m-%d') : B
parse_timestamp('p', s) ~> to_timestamp(s, '%Y-%m-%d') : B
strftime(u...) ~> to_char(a, '%Y-%m-%d') : D
format_date(u...) ~> to_char(a, '%Y-%m-%d') : B
format_datetime(u...) ~> to_char(a, '%Y-%m-%d') : B
format_timestamp(u...) ~> to_char(a, '%Y-%m-%d') : B
strptime(u...) ~> to_timestamp(s, '%Y-%m-%d') : D
try_strptime(u...) ~> to_timestamp(s, '%Y-%m-%d'), which fails on a text that is none : D
str_to_date(u...) ~> to_date(s, '%Y-%m-%d') :
parse_date(u...) ~> to_date(s, '%Y-%m-%d') : B
parse_datetime(u...) ~> to_timestamp(s, '%Y-%m-%d') : B
parse_timestamp(u...) ~> to_timestamp(s, '%Y-%m-%d') : B
try_to_timestamp(u...) ~> TRY_CAST(s AS TIMESTAMP) : S
try_to_date(s) ~> TRY_CAST(s AS DATE) : S
timestamp_trunc(a, <day>) => date_trunc('day', {{a}}) : B
timestamp_trunc(a, <month>) => date_trunc('month', {{a}}) : B
timestamp_trunc(a, <year>) => date_trunc('year', {{a}}) : B
timestamp_trunc(a, <hour>) => date_trunc('hour', {{a}}) : B
timestamp_trunc(u...) ~> date_trunc('month', a) : B
datetime_trunc(a, <day>) => date_trunc('day', {{a}}) : B
datetime_trunc(a, <month>) => date_trunc('month', {{a}}) : B
datetime_trunc(a, <hour>) => date_trunc('hour', {{a}}) : B
datetime_trunc(u...) ~> date_trunc('month', a) : B
time_bucket(u...) ~> date_bin(INTERVAL '1 hour', a) : D
time_slice(u...) ~> date_bin(INTERVAL '1 hour', a) : S
epoch(a:ts) => extract(epoch FROM {{a}}) : D
epoch(u) ~> extract(epoch FROM a) : D
epoch_ms(a:ts) => CAST(round((CAST(floor(extract(epoch FROM date_trunc('second', {{a}}))) AS DOUBLE) * 1000000 + CAST(date_part('microsecond', {{a}}) AS BIGINT) % 1000000) / 1000) AS BIGINT) : D
epoch_us(a:ts) => CAST(floor(extract(epoch FROM date_trunc('second', {{a}}))) AS BIGINT) * 1000000 + CAST(date_part('microsecond', {{a}}) AS BIGINT) % 1000000 : D
unix_millis(a:ts) => CAST(floor(extract(epoch FROM date_trunc('second', {{a}}))) AS BIGINT) * 1000 + CAST((date_part('millisecond', {{a}}) % 1000) AS BIGINT) : BK
unix_micros(a:ts) => CAST(floor(extract(epoch FROM date_trunc('second', {{a}}))) AS BIGINT) * 1000000 + CAST((date_part('microsecond', {{a}}) % 1000000) AS BIGINT) : BK
unix_timestamp(a:ts) => CAST(floor(extract(epoch FROM date_trunc('second', {{a}}))) AS BIGINT) : K
unix_timestamp(u...) ~> CAST(extract(epoch FROM a) AS BIGINT) : K
unix_seconds(a:ts) => CAST(floor(extract(epoch FROM date_trunc('second', {{a}}))) AS BIGINT) : BK
unix_seconds(a) ~> CAST(extract(epoch FROM a) AS BIGINT) : BK
epoch_seconds(a) ~> CAST(extract(epoch FROM a) AS BIGINT) :
date(a) => CAST({{a}} AS DATE) : DK
date(a:ts) => CAST({{a}} AS DATE) : B
date(d:date) => CAST({{d}} AS DATE) : B
date(n:int, m:int, k:int) ~> make_date(n, m, k) : B
date(u...) ~> CAST(a AS DATE) : B
timestamp_seconds(n:int) => to_timestamp({{n}}) : BK
timestamp_millis(n:int) => to_timestamp_millis({{n}}) : BK
timestamp_micros(n:int) => to_timestamp_micros({{n}}) : BK
to_timestamp_ntz(n:int) => to_timestamp({{n}}) : S
to_timestamp_ntz(u...) ~> CAST(s AS TIMESTAMP), or to_timestamp(s, '%Y-%m-%d') : S
to_timestamp_ltz(u...) ~> CAST(s AS TIMESTAMP) AT TIME ZONE 'UTC' : S
to_timestamp_tz(u...) ~> CAST(s AS TIMESTAMP) AT TIME ZONE 'UTC' : S
to_utc_timestamp(u...) ~> to_local_time(a AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'UTC') : K
to_days(n) ~> CAST(concat(n, ' days') AS INTERVAL) : D
timestamp(u...) ~> CAST(s AS TIMESTAMP) : BK
datetime(u...) ~> CAST(s AS TIMESTAMP) : B
date_from_parts(n, m, k) ~> make_date(n, m, k), which takes no month 13 : S
datefromparts(n, m, k) ~> make_date(n, m, k), which takes no month 13 : S
getdate() ~> now(), in a rule that declares volatile = true : SR
sysdate() ~> now(), in a rule that declares volatile = true : SR
current_datetime() ~> now(), in a rule that declares volatile = true : B
convert_timezone(u...) ~> to_local_time(a AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin') : SR
from_utc_timestamp(a, s) ~> to_local_time(a AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin') : K
next_day(u...) ~> date_trunc('week', a) + INTERVAL '7 days', the next Monday : SKR
generate_date_array(u...) ~> generate_series(d, e, INTERVAL '1 day') : B
sequence(n, m) => generate_series({{n}}, {{m}}) :
generate_array(n, m) => generate_series({{n}}, {{m}}) : B

# Aggregates
count_if(c) => COUNT(*) FILTER (WHERE {{c}}) : DSK
countif(c) => COUNT(*) FILTER (WHERE {{c}}) : DB
sum_if(n, c) => SUM({{n}}) FILTER (WHERE {{c}}) :
sumif(n, c) => SUM({{n}}) FILTER (WHERE {{c}}) :
logical_or(c) => bool_or({{c}}) : B
logical_and(c) => bool_and({{c}}) : B
boolor_agg(c:bool) => bool_or({{c}}) : S
booland_agg(c:bool) => bool_and({{c}}) : S
some(c) => bool_or({{c}}) : K
every(c) => bool_and({{c}}) : KP
bool_xor(c) ~> COUNT(*) FILTER (WHERE c) % 2 = 1 :
listagg(s:text, 't') => string_agg({{s}}, '#') : R
listagg(s, t) ~> string_agg(s, ',') : DR
listagg(s, t) ~> COALESCE(string_agg(s, ','), ''), as a list of nothing is an empty text in Snowflake : S
group_concat(s:text, 't') => string_agg({{s}}, '#') : D
group_concat(u...) ~> string_agg(s, ',') :
max_by(u, v) => first_value({{u}} ORDER BY {{v}} DESC) FILTER (WHERE {{v}} IS NOT NULL) : SBK
min_by(u, v) => first_value({{u}} ORDER BY {{v}}) FILTER (WHERE {{v}} IS NOT NULL) : SK
min_by(u, v) ~> first_value(n ORDER BY m) FILTER (WHERE m IS NOT NULL); in BigQuery NaN is the least : B
max_by(u, v) => first_value({{u}} ORDER BY {{v}} DESC) FILTER (WHERE {{u}} IS NOT NULL AND {{v}} IS NOT NULL) : D
min_by(u, v) => first_value({{u}} ORDER BY {{v}}) FILTER (WHERE {{u}} IS NOT NULL AND {{v}} IS NOT NULL) : D
arg_max(u, v) => first_value({{u}} ORDER BY {{v}} DESC) FILTER (WHERE {{u}} IS NOT NULL AND {{v}} IS NOT NULL) : D
arg_min(u, v) => first_value({{u}} ORDER BY {{v}}) FILTER (WHERE {{u}} IS NOT NULL AND {{v}} IS NOT NULL) : D
argmax(u, v) => first_value({{u}} ORDER BY {{v}} DESC) FILTER (WHERE {{u}} IS NOT NULL AND {{v}} IS NOT NULL) : D
argmin(u, v) => first_value({{u}} ORDER BY {{v}}) FILTER (WHERE {{u}} IS NOT NULL AND {{v}} IS NOT NULL) : D
arg_max_null(u, v) => first_value({{u}} ORDER BY {{v}} DESC) FILTER (WHERE {{v}} IS NOT NULL) : D
arg_min_null(u, v) => first_value({{u}} ORDER BY {{v}}) FILTER (WHERE {{v}} IS NOT NULL) : D
first(u) ~> first_value(s ORDER BY n) : DK
last(u) ~> last_value(s ORDER BY n) : DK
approx_count_distinct(u) ~> approx_distinct(n) : DSBK
approx_quantile(u, v) ~> approx_percentile_cont(n, 0.5) : D
approx_percentile_approx(u...) ~> approx_percentile_cont(n, 0.5) : K
percentile(u, v) ~> approx_percentile_cont(n, 0.5) : SK
approx_quantiles(u, v) ~> approx_percentile_cont(n, 0.5) : B
percentile(x, 'p') ~> percentile_cont(0.5) WITHIN GROUP (ORDER BY n) : K
quantile(u, v) ~> percentile_cont(0.5) WITHIN GROUP (ORDER BY n) : D
quantile_disc(u, v) ~> percentile_cont(0.5) WITHIN GROUP (ORDER BY n) : D
percentile_disc(u) ~> percentile_cont(0.5) WITHIN GROUP (ORDER BY n) : DSBKPR
mode(u) ~> a GROUP BY with COUNT(*), then first_value(s ORDER BY k DESC) : DSKP
variance(x) => var_samp({{x}}) : DSBKPR
variance_samp(x) => var_samp({{x}}) : S
variance_pop(x) => var_pop({{x}}) : S
product(x) ~> exp(sum(ln(x))), of numbers above 0 : D
fsum(x) ~> sum(x) : D
kurtosis(x) ~> avg(power(x, 4)) : DSK
skewness(x) ~> avg(power(x, 3)) : DK
histogram(u) ~> a GROUP BY with COUNT(*) : D
collect_list(u) => array_agg({{u}}) FILTER (WHERE {{u}} IS NOT NULL) :
collect_list(u) ~> array_agg(n ORDER BY n) FILTER (WHERE n IS NOT NULL), in an order : K
collect_set(u) ~> array_agg(DISTINCT n) FILTER (WHERE n IS NOT NULL) : K
array_concat_agg(u) ~> flatten(array_agg(l)) : B
bitand_agg(n) => bit_and({{n}}) : S
bitor_agg(n) => bit_or({{n}}) : S
ratio_to_report(n) ~> CAST(n AS DOUBLE) / SUM(n) OVER () : SR
group_id() ~> grouping(n) : S

# Lists, structs, maps
list_value(u...) => make_array({{u}}) : D
list_pack(u...) => make_array({{u}}) : D
array_construct(u...) => make_array({{u}}) : S
array(u...) => make_array({{u}}) : K
list(u) => array_agg({{u}}) : D
list_aggregate(u...) ~> array_sum(l), array_max(l) or array_min(l) : D
list_count(l) ~> array_length(array_compact(l)) : D
list_unique(l) ~> array_length(array_distinct(array_compact(l))) : D
list_append_all(l, r) ~> array_concat(l, r) :
list_reverse_sort(l) => array_sort({{l}}, 'DESC', 'NULLS LAST') : D
array_size(l) => array_length({{l}}) : SK
size(l) ~> array_length(l), which is NULL of NULL : K
list_transform(u...) ~> SELECT array_agg(x + 1) FROM (SELECT unnest(l) AS x FROM t) AS q, the elements as rows : D
list_filter(u...) ~> SELECT array_agg(x) FILTER (WHERE x > 1) FROM (SELECT unnest(l) AS x FROM t) AS q, the elements as rows : D
list_reduce(u...) ~> array_sum(l); or the elements as rows, with unnest : D
transform(u...) ~> the elements as rows: SELECT array_agg(x + 1) FROM (SELECT unnest(l) AS x FROM t) AS q : K
filter(u...) ~> the elements as rows: SELECT array_agg(x) FILTER (WHERE x > 1) FROM (SELECT unnest(l) AS x FROM t) AS q : K
struct_pack(u...) ~> named_struct('field', n) : D
list_min(l) => array_min({{l}}) : D
bit_count(n) ~> a function in Python (docs/python.md) : D
array_upper(l, n) ~> array_length(l), of a list that is not empty : P
array_lower(l, n) ~> 1, of a list that is not empty : P
trim_array(l, n) ~> array_slice(l, 1, array_length(l) - n) : P
num_nulls(u...) ~> CASE WHEN n IS NULL THEN 1 ELSE 0 END + CASE WHEN m IS NULL THEN 1 ELSE 0 END : P
num_nonnulls(u...) ~> CASE WHEN n IS NOT NULL THEN 1 ELSE 0 END + CASE WHEN m IS NOT NULL THEN 1 ELSE 0 END : P
struct_extract(u, n:int) ~> the field by its name: get_field(u, 'a') : D
struct_extract(u, 's') => get_field({{u}}, '#') : D
object_construct(u...) ~> named_struct('field', n) : S
map_from_arrays(l, r) => map({{l}}, {{r}}) : K
explode(u) => unnest({{u}}) : K
sort_array(l) => array_sort({{l}}, 'ASC', 'NULLS FIRST') : K
sort_array(u...) ~> array_sort(l, 'DESC', 'NULLS LAST') : K
stack(u...) ~> UNION ALL of one SELECT for each row : K
posexplode(u) ~> unnest(make_array(n)) : K
flatten_table(u...) ~> unnest(l) :
json_extract(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : DSB
json_extract_string(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : D
json_extract_scalar(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : B
json_value(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : DB
json_query(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : B
get_json_object(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : K
json_extract_path_text(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : SPR
parse_json(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : SB
from_json(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : DK
get_path(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : S
try_parse_json(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : S
json_extract_path(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : P
jsonb_extract_path(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : P
jsonb_extract_path_text(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : P
json_query_array(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : B
json_value_array(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : B
json_extract_array(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : B
json_array_length(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : DKP
jsonb_array_length(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : P
json_array_elements(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : P
jsonb_array_elements(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : P
json_tuple(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : K
schema_of_json(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : K
json_build_object(u...) ~> named_struct('field', n), which is stored as a struct : P
jsonb_build_object(u...) ~> named_struct('field', n), which is stored as a struct : P
json_object(u...) ~> named_struct('field', n), which is stored as a struct : DB
json_agg(u...) ~> array_agg(n ORDER BY m), which is stored as a list : P
jsonb_agg(u...) ~> array_agg(n ORDER BY m), which is stored as a list : P
object_agg(u...) ~> map(array_agg(s ORDER BY n), array_agg(m ORDER BY n)) : S
to_json(u...) ~> named_struct('field', n), which is stored as a struct : DSBKP
row_get_path(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : S
try_parse_json(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : S
json_extract_path(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : P
jsonb_extract_path(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : P
jsonb_extract_path_text(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : P
json_query_array(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : B
json_value_array(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : B
json_extract_array(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : B
json_array_length(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : DKP
jsonb_array_length(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : P
json_array_elements(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : P
jsonb_array_elements(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : P
json_tuple(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : K
schema_of_json(u...) ~> a column of its own for the field, where the source is read (docs/sources.md), or a function in Python (docs/python.md) : K
json_build_object(u...) ~> named_struct('field', n), which is stored as a struct : P
jsonb_build_object(u...) ~> named_struct('field', n), which is stored as a struct : P
json_object(u...) ~> named_struct('field', n), which is stored as a struct : DB
json_agg(u...) ~> array_agg(n ORDER BY m), which is stored as a list : P
jsonb_agg(u...) ~> array_agg(n ORDER BY m), which is stored as a list : P
object_agg(u...) ~> map(array_agg(s ORDER BY n), array_agg(m ORDER BY n)) : S
to_json(u...) ~> named_struct('field', n), which is stored as a struct : DP
generate_uuid() ~> uuid(), in a rule that declares volatile = true : B
uuid_string() ~> uuid(), in a rule that declares volatile = true : S
gen_random_uuid() ~> uuid(), in a rule that declares volatile = true : DP
typeof(u) ~> arrow_typeof(n), which spells types as Arrow does : DSKP
pg_typeof(u) ~> arrow_typeof(n), which spells types as Arrow does : P
"""
"""Calls of functions that the engine does not have under that name."""

MEANINGS = """
# R047 regex-flavour
regexp_replace(s, p, t) => regexp_replace({s}, {p}, {t}, 'g') : BKR
regexp_replace(s, p, t) => regexp_replace({s}, {p}, {t}, 'g') : S
regexp_like(s, 'p') => regexp_like({s}, '^(?:#)$') : S
regexp_like(u...) ~> regexp_like(s, '^(?:…)$'), which is of the whole text : S
# R046 other-meaning
decode(u, v, w) => CASE WHEN {u} IS NOT DISTINCT FROM {v} THEN {w} END : SKR
decode(u, v, w, x) => CASE WHEN {u} IS NOT DISTINCT FROM {v} THEN {w} ELSE {x} END : SKR
decode(u, v, w, x, y) => CASE WHEN {u} IS NOT DISTINCT FROM {v} THEN {w} WHEN {u} IS NOT DISTINCT FROM {x} THEN {y} END : SKR
decode(u, v, w, x, y, z) => CASE WHEN {u} IS NOT DISTINCT FROM {v} THEN {w} WHEN {u} IS NOT DISTINCT FROM {x} THEN {y} ELSE {z} END : SKR
decode(u...) ~> CASE WHEN u IS NOT DISTINCT FROM v THEN w … ELSE x END : SKR
log(x) => ln({x}) : B
log(x) => CASE WHEN {x} > 0 THEN ln({x}) END : K
log(x, y) => CASE WHEN {x} > 0 AND {y} > 0 THEN log({x}, {y}) END : K
array_append(l, v) => CASE WHEN {l} IS NOT NULL THEN array_append({l}, {v}) END : K
array_prepend(u...) ~> CASE WHEN l IS NOT NULL THEN array_prepend(v, l) END, with the value first : K
ln(x) => CASE WHEN {x} > 0 THEN ln({x}) END : K
log2(x) => CASE WHEN {x} > 0 THEN log2({x}) END : K
log10(x) => CASE WHEN {x} > 0 THEN log10({x}) END : K
isnan(x) => COALESCE(isnan({x}), FALSE) : K
trim(s, t) => btrim({t}, {s}) : K
ltrim(s, t) ~> ltrim(s, 'x'), with the text first, which Spark has last : K
rtrim(s, t) ~> rtrim(s, 'x'), with the text first, which Spark has last : K
left(s, #) => left({s}, #) : SK
left(s, n) => CASE WHEN {n} < 0 THEN left({s}, 0) ELSE left({s}, {n}) END : SK
right(s, #) => right({s}, #) : SK
right(s, n) => CASE WHEN {n} < 0 THEN right({s}, 0) ELSE right({s}, {n}) END : SK
array_agg(u...) ~> array_agg(n ORDER BY m) FILTER (WHERE n IS NOT NULL), in an order; of no rows it is NULL here : K
log(x, y) ~> log(y, x), with the base first : B
position(s, t) => strpos({t}, {s}) : SK
array_position(l, v) => CASE WHEN {l} IS NOT NULL AND {v} IS NOT NULL THEN COALESCE(array_position({l}, {v}), 0) END : K
array_position(u...) ~> array_position(l, n) - 1, with the list first : S
array_contains(u...) ~> array_has(l, n), with the list first : S
array_agg(u) => array_agg({u}) FILTER (WHERE {u} IS NOT NULL) : S
initcap(s) ~> initcap(s), which begins a word after whatever is no letter or digit : SBK
trunc(d, s) ~> date_trunc('month', d) : SK
array_agg(u...) ~> array_agg(n ORDER BY m) FILTER (WHERE n IS NOT NULL) : S
log(x, y) ~> log(x, y), with the base first : P
to_hex(n:int) => upper(to_hex({n})) : D
string_to_array(s, 't') => CASE WHEN {s} = '' THEN [''] ELSE string_to_array({s}, '#') END : D
string_to_array(s, t) => CASE WHEN {t} IS NULL THEN CASE WHEN {s} IS NOT NULL THEN [{s}] END WHEN {t} = '' THEN string_to_array({s}, NULL) WHEN {s} = '' THEN [''] ELSE string_to_array({s}, {t}) END : D
array_contains(l, v) => CASE WHEN cardinality({l}) = 0 THEN FALSE WHEN {l} IS NOT NULL AND {v} IS NOT NULL THEN COALESCE(array_has({l}, {v}), FALSE) END : D
list_contains(l, v) => CASE WHEN cardinality({l}) = 0 THEN FALSE WHEN {l} IS NOT NULL AND {v} IS NOT NULL THEN COALESCE(array_has({l}, {v}), FALSE) END : D
array_has(l, v) => CASE WHEN cardinality({l}) = 0 THEN FALSE WHEN {l} IS NOT NULL AND {v} IS NOT NULL THEN COALESCE(array_has({l}, {v}), FALSE) END : D
list_has(l, v) => CASE WHEN cardinality({l}) = 0 THEN FALSE WHEN {l} IS NOT NULL AND {v} IS NOT NULL THEN COALESCE(array_has({l}, {v}), FALSE) END : D
list_sort(l, 'asc', 'nulls last') => array_sort({l}, 'ASC', 'NULLS LAST') : D
list_sort(l, 'desc', 'nulls last') => array_sort({l}, 'DESC', 'NULLS LAST') : D
list_sort(l, 'asc', 'nulls first') => array_sort({l}, 'ASC', 'NULLS FIRST') : D
list_sort(l, 'desc', 'nulls first') => array_sort({l}, 'DESC', 'NULLS FIRST') : D
list_sort(l, 'desc') => array_sort({l}, 'DESC', 'NULLS LAST') : D
list_sort(l, 'asc') => array_sort({l}, 'ASC', 'NULLS LAST') : D
list_sort(l) => array_sort({l}, 'ASC', 'NULLS LAST') : D
list_sort(u...) ~> array_sort(l, 'ASC', 'NULLS LAST') : D
array_sort(l, 'asc', 'nulls last') => array_sort({l}, 'ASC', 'NULLS LAST') : D
array_sort(l, 'desc', 'nulls last') => array_sort({l}, 'DESC', 'NULLS LAST') : D
array_sort(l, 'asc', 'nulls first') => array_sort({l}, 'ASC', 'NULLS FIRST') : D
array_sort(l, 'desc', 'nulls first') => array_sort({l}, 'DESC', 'NULLS FIRST') : D
array_sort(l, 'desc') => array_sort({l}, 'DESC', 'NULLS LAST') : D
array_sort(l, 'asc') => array_sort({l}, 'ASC', 'NULLS LAST') : D
array_sort(l) => array_sort({l}, 'ASC', 'NULLS LAST') : D
array_sort(u...) ~> array_sort(l, 'ASC', 'NULLS LAST') : D
reverse(l:list) => array_reverse({l}) : K
concat(l:list, r...) ~> array_concat(l, r), where neither is NULL : K
concat_ws(s, l:list) ~> array_to_string(l, ',') : K
contains(l:list, v) => CASE WHEN cardinality({l}) = 0 THEN FALSE WHEN {l} IS NOT NULL AND {v} IS NOT NULL THEN COALESCE(array_has({l}, {v}), FALSE) END : D
length(l:list) => array_length({l}) : D
char_length(l:list) => array_length({l}) : D
character_length(l:list) => array_length({l}) : D
array_has_all(u...) ~> array_has_all(l, array_compact(r)), as a NULL is in every list in DuckDB : D
list_has_all(u...) ~> array_has_all(l, array_compact(r)), as a NULL is in every list in DuckDB : D
max(n, m) ~> array_slice(array_agg(n ORDER BY n DESC NULLS LAST), 1, 3) : D
min(n, m) ~> array_slice(array_agg(n ORDER BY n NULLS LAST), 1, 3) : D
list_distinct(u) ~> array_sort(array_distinct(array_compact(l))): DuckDB drops NULLs, and says nothing of the order : D
array_distinct(u) ~> array_sort(array_distinct(array_compact(l))): DuckDB drops NULLs, and says nothing of the order : D
list_intersect(u...) ~> array_sort(array_intersect(array_compact(l), r)): DuckDB drops NULLs, and says nothing of the order : D
array_intersect(u...) ~> array_sort(array_intersect(array_compact(l), r)): DuckDB drops NULLs, and says nothing of the order : D
list_concat(u...) ~> l || r, if neither is NULL : D
list_cat(u...) ~> l || r, if neither is NULL : D
array_concat(u...) ~> l || r, if neither is NULL : D
array_cat(u...) ~> l || r, if neither is NULL : D
list_has_any(u...) ~> array_has_any(array_compact(l), r), as a NULL matches none in DuckDB : D
array_has_any(u...) ~> array_has_any(array_compact(l), r), as a NULL matches none in DuckDB : D
array_to_string(u...) ~> array_to_string(l, ','), which is an empty text where all elements are NULL, and NULL in DuckDB : D
corr(u...) ~> corr(n, m), which is NULL of one row where DuckDB has NaN : D
regr_slope(u...) ~> regr_slope(n, m), which is NULL of one row where DuckDB has NaN : D
date_trunc(d:date, <day>) => CAST({d} AS DATE) : B
date_trunc(d:date, <isoweek>) => CAST(date_trunc('week', {d}) AS DATE) : B
date_trunc(d:date, <month>) => CAST(date_trunc('month', {d}) AS DATE) : B
date_trunc(d:date, <quarter>) => CAST(date_trunc('quarter', {d}) AS DATE) : B
date_trunc(d:date, <year>) => CAST(date_trunc('year', {d}) AS DATE) : B
date_trunc(d:date, <week>) => CAST({d} AS DATE) - CAST(date_part('dow', {d}) AS BIGINT) : B
date_trunc(u...) ~> date_trunc('month', a), with the unit first : B
date_trunc(<day>, d:date) => CAST({d} AS DATE) : S
date_trunc(<week>, d:date) => CAST(date_trunc('week', {d}) AS DATE) : S
date_trunc(<month>, d:date) => CAST(date_trunc('month', {d}) AS DATE) : S
date_trunc(<quarter>, d:date) => CAST(date_trunc('quarter', {d}) AS DATE) : S
date_trunc(<year>, d:date) => CAST(date_trunc('year', {d}) AS DATE) : S
mean(n:int) => avg({n}) : DK
mean(x:float) => avg({x}) : DK
mean(x:decimal) => avg(CAST({x} AS DOUBLE)) : D
mean(u) ~> avg(n) : DK
md5(s) ~> md5(s), a text of 32 characters, which TO_HEX(MD5(s)) is in BigQuery : B
to_hex(u...) ~> md5(s), or encode(sha256(s), 'hex'), for TO_HEX of a digest : B
array_length(u...) ~> array_length(l), which is 0 of an empty list where PostgreSQL has NULL : P
cardinality(u) ~> array_length(l) : P
from_unixtime(n:int) => to_char(to_timestamp({n}), '%Y-%m-%d %H:%M:%S') : K
from_unixtime(u...) ~> to_char(to_timestamp(n), '%Y-%m-%d') : K
date_bin(u...) ~> date_bin(INTERVAL '15 minutes', a) : P
map(u...) ~> map(['a'], [1]), with the keys and the values as lists : K
element_at(u...) ~> l[1], which is NULL where Spark fails; map_extract(m, 'a')[1] of a map : K
array_to_string(u...) ~> array_to_string(l, ','), which leaves out NULLs where Snowflake has empty texts : S
array_concat(l, r) => CASE WHEN {l} IS NOT NULL AND {r} IS NOT NULL THEN array_concat({l}, {r}) END : B
array_concat(u...) ~> l || r, if neither is NULL : B
string_agg(s:text) => string_agg({s}, ',') : B
date_part('second', u) ~> CAST(date_part('microsecond', a) AS DOUBLE) / 1000000 : PK
regexp_count(s, 'p') => regexp_count({s}, '#') : S
regexp_count(u...) ~> regexp_count(s, 'a') : S
last_value(u, v) ~> last_value(n) IGNORE NULLS, which is what TRUE says : K
first_value(u, v) ~> first_value(n) IGNORE NULLS, which is what TRUE says : K
array_contains(l, v) => CASE WHEN array_has({l}, {v}) THEN TRUE WHEN cardinality(array_compact({l})) = cardinality({l}) THEN array_has({l}, {v}) END : K
chr(n:int) => CASE WHEN {n} < 0 THEN '' ELSE chr({n} % 256) END : K
nvl(n:int, x:decimal) => COALESCE({n}, {x}) : SKR
nvl(x:decimal, n:int) => COALESCE({x}, {n}) : SKR
ifnull(n:int, x:decimal) => COALESCE({n}, {x}) : DSBKR
ifnull(x:decimal, n:int) => COALESCE({x}, {n}) : DSBKR
# R045 day-numbering
date_part('yearofweekiso', a) => date_part('isoyear', {a}) : S
date_part('yearofweek', a) => date_part('isoyear', {a}) : K
date_part('weekday', a) => date_part('dow', {a}) : R
date_part('dayofweek', a) => date_part('dow', {a}) : R
date_part('dayofyear', a) => date_part('doy', {a}) : R
date_part('dayofweek', a) => date_part('dow', {a}) + 1 : BK
date_part('dayofweek', a) => date_part('dow', {a}) : SD
date_part('weekday', a) => date_part('dow', {a}) : D
date_part('dayofweekiso', a) => date_part('isodow', {a}) : S
date_part('dayofweek_iso', a) => date_part('isodow', {a}) : SK
date_part('dayofyear', a) => date_part('doy', {a}) : BSD
date_part('isoweek', a) => date_part('week', {a}) : B
date_part('weekiso', a) => date_part('week', {a}) : S
date_part('weekofyear', a) => date_part('week', {a}) : D
date_part('date', a) => CAST({a} AS DATE) : B
date_part('dow', a) => date_part('dow', {a}) + 1 : K
date_part('century', u) ~> CAST(ceil(extract(year FROM a) / 100.0) AS BIGINT) : DPR
date_part('millennium', u) ~> CAST(ceil(extract(year FROM a) / 1000.0) AS BIGINT) : DPR
date_part('decade', a) => CAST(floor(extract(year FROM {a}) / 10.0) AS BIGINT) : DPR
date_part('week', a) ~> extract(week FROM a), which is ISO's week, from Monday : B
# R030 rounding
round(x:float) => round({x}) - CASE WHEN abs({x} - trunc({x})) = 0.5 AND round({x}) % 2 <> 0 THEN signum({x}) ELSE 0 END : P
round(x:float) ~> round(x), which rounds halves away from zero; Redshift's documentation does not say : R
# R048 second-fraction
date_part('epoch', a:ts) => CAST(floor(extract(epoch FROM date_trunc('second', {a}))) AS BIGINT) : S
date_part('epoch', a:tz) => CAST(floor(extract(epoch FROM date_trunc('second', {a}))) AS BIGINT) : S
date_part('epoch_second', a:ts) => CAST(floor(extract(epoch FROM date_trunc('second', {a}))) AS BIGINT) : S
date_part('epoch_millisecond', a:ts) => CAST(floor(extract(epoch FROM date_trunc('second', {a}))) AS BIGINT) * 1000 + CAST(date_part('millisecond', {a}) AS BIGINT) % 1000 : S
date_part('epoch_microsecond', a:ts) => CAST(floor(extract(epoch FROM date_trunc('second', {a}))) AS BIGINT) * 1000000 + CAST(date_part('microsecond', {a}) AS BIGINT) % 1000000 : S
date_part('millisecond', a) => date_part('millisecond', {a}) % 1000 : BR
date_part('microsecond', a) => date_part('microsecond', {a}) % 1000000 : BR
date_part('milliseconds', a) => date_part('millisecond', {a}) % 1000 : R
date_part('ms', a) => date_part('millisecond', {a}) % 1000 : R
date_part('microseconds', a) => date_part('microsecond', {a}) % 1000000 : R
date_part('us', a) => date_part('microsecond', {a}) % 1000000 : R
date_part('nanosecond', a) => date_part('nanosecond', {a}) % 1000000000 : S
date_part('time', a:ts) => CAST({a} AS TIME) : B
date_part('second', a:ts) => CAST(date_part('microsecond', {a}) AS DOUBLE) / 1000000 : PK
date_part('milliseconds', a:ts) => CAST(date_part('microsecond', {a}) AS DOUBLE) / 1000 : P
date_part('millisecond', a:ts) => CAST(date_part('microsecond', {a}) AS DOUBLE) / 1000 : P
"""
"""Calls of functions that the engine has, too, with another meaning; under the code and name of the check for them."""

CONSTRUCTS = """
a // b ~> a / b of integers; floor(a / b) of others : D
a ** b ~> power(a, b) : DP
a <=> b ~> a IS NOT DISTINCT FROM b : SK
a ? 'b' ~> a column of its own for the field, where the source is read : P
json -> 'a' ~> a column of its own for the field, where the source is read : DP
json ->> 'a' ~> a column of its own for the field, where the source is read : DP
json:a.b ~> a column of its own for the field, where the source is read : S
FROM t SELECT a ~> SELECT t.a FROM t : D
FROM t ~> SELECT t.* FROM t : D
PIVOT ~> SUM(n) FILTER (WHERE s = 'x') AS x, one for each column : DSBK
UNPIVOT ~> UNION ALL of one SELECT for each column : DSBK
COLUMNS(…) ~> the columns by name, or * EXCEPT (a, b) : D
ORDER BY ALL ~> ORDER BY 1, 2, … : D
x -> x + 1, a lambda ~> the elements as rows: SELECT array_agg(x + 1) FROM (SELECT unnest(l) AS x FROM t) AS q : DSK
* RENAME ~> * EXCEPT (a), a AS b : SD
* REPLACE ~> the same here : DB
* EXCLUDE ~> * EXCEPT (a, b) : DS
QUALIFY ~> the same here : DSB
SAMPLE, TABLESAMPLE ~> WHERE with a condition on a key : DSBKP
ASOF JOIN ~> JOIN, then QUALIFY row_number() OVER (PARTITION BY … ORDER BY … DESC) = 1 : DS
POSITIONAL JOIN ~> JOIN on a row_number() of each : D
LATERAL VIEW explode(l) ~> SELECT unnest(l) : K
LATERAL FLATTEN(input => l) ~> SELECT unnest(l) : S
UNNEST(l) WITH ORDINALITY ~> SELECT unnest(l) : P
DISTINCT ON (a) ~> the same here : DP
GROUP BY ALL ~> the same here : DSB
GROUPING SETS, CUBE, ROLLUP ~> the same here : DSBKPR
GROUP BY a WITH ROLLUP ~> GROUP BY ROLLUP (a) : K
LIMIT 10 PERCENT ~> QUALIFY percent_rank() OVER (ORDER BY a) < 0.1 : D
FETCH FIRST 3 ROWS ONLY ~> LIMIT 3 : SP
TOP 3 ~> LIMIT 3 : SR
LIKE 'a' ESCAPE '!' ~> the same with the escape character \\ : DSPR
LIKE ANY ('a', 'b') ~> s LIKE 'a' OR s LIKE 'b' : SBK
s GLOB 'a*' ~> s LIKE 'a%' : D
s NOT REGEXP 'a' ~> NOT regexp_like(s, 'a') : S
`a` ~> "a" : BK
"a", a text ~> 'a' : BK
e'a\\n' ~> the same here : DP
$$a$$ ~> 'a' : SP
STRUCT(1 AS a) ~> the same here : B
{'a': 1} ~> the same here : D
[1, 2] ~> the same here : DB
ARRAY[1, 2] ~> the same here : P
l[OFFSET(0)] ~> l[1] : B
l[SAFE_ORDINAL(1)] ~> l[1] : B
MAP {'a': 1} ~> map(['a'], [1]) : D
SELECT AS STRUCT ~> SELECT named_struct('a', a) AS s : B
IF(c, 1, 2) ~> CASE WHEN c THEN 1 ELSE 2 END : BK
x::INT ~> the same here : DSPR
TRY_CAST(x AS INT) ~> the same here : DS
SAFE_CAST(x AS INT64) ~> TRY_CAST(x AS BIGINT) : B
SAFE.f(x) ~> TRY_CAST, or CASE around f(x) : B
CONNECT BY ~> WITH RECURSIVE : S
WITH RECURSIVE ~> the same here : DSBP
a COLLATE "C" ~> a: texts are compared by their characters : DSP
INTERVAL 3 DAY ~> the same here : DBK
INTERVAL n DAY ~> CAST(concat(n, ' days') AS INTERVAL) : DB
AT TIME ZONE ~> to_local_time(…) around the second of two : DSP
MATCH_RECOGNIZE ~> lag, lead and QUALIFY : S
GENERATOR(ROWCOUNT => 3) ~> FROM generate_series(1, 3) AS t(n) : S
1_000 ~> 1000 : D
x IS [NOT] JSON ~> a column of its own for the field, where the source is read : P
WITHIN GROUP (ORDER BY a) ~> the same here for percentile_cont; string_agg(s, ',' ORDER BY a) : SPR
IGNORE NULLS ~> the same here, after the parenthesis : DSBKR
EXCLUDE in a window frame ~> a FILTER or a CASE in the aggregate : DP
VALUES (1), (2) ~> the same here : DSPR
"""
"""Constructs of other dialects, for the documentation and for errors."""
