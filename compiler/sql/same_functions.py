"""The functions that mean the same here and in another dialect: what a rule in that dialect may call.

DuckDB's and PostgreSQL's were executed side by side with ours, the others are those of their documentation that have no
options, formats or numbering of their own. A function that is in no table is refused in a rule in another dialect, as
nobody has shown that it means the same.
"""

from __future__ import annotations

from functools import cache

from compiler.sql.foreign_table import DIALECTS

_SAME = {
    "DSBKPR": """
        abs acos asin atan atan2 cbrt ceil cos degrees exp floor radians sin tan sinh cosh tanh pi sqrt power
        pow round trunc cot ln coalesce nullif greatest least ascii trim ltrim rtrim concat left right length
        lower upper lpad rpad repeat replace reverse split_part substr substring chr position initcap count
        sum avg min max stddev stddev_pop stddev_samp var_samp var_pop row_number rank dense_rank percent_rank
        cume_dist ntile lag lead first_value last_value nth_value date_part date_trunc current_date now
        current_timestamp grouping
    """,
    "DSBKR": "ifnull nvl contains",
    "DSKPR": "cbrt bit_and bit_or bit_xor char_length",
    "DSBK": "corr covar_pop covar_samp any_value",
    "DSP": "regr_slope regr_intercept regr_r2 regr_count regr_sxx regr_sxy regr_syy regr_avgx regr_avgy",
    "D": """
        log10 log2 log gcd lcm factorial isnan asinh bit_length char_length character_length concat_ws
        ends_with starts_with instr md5 strpos translate levenshtein sha256 make_date array_append list_append
        array_length list_max array_position list_position
        array_prepend list_prepend array_reverse list_reverse array_sort list_sort array_slice list_slice
        list_sum list_avg list_element array_has_all list_has_all array_resize list_resize flatten cardinality
        array_pop_back array_pop_front list_product list_any_value element_at map_extract median quantile_cont
        percentile_cont bool_and bool_or string_agg array_agg unnest make_array array_contains
        list_contains array_has list_has map generate_series range regexp_replace to_timestamp overlay row
        struct named_struct btrim list_indexof array_indexof datepart datetrunc
    """,
    "P": """
        log10 log gcd lcm factorial asinh btrim bit_length character_length concat_ws starts_with md5
        octet_length strpos translate to_hex overlay string_to_array regexp_replace regexp_like regexp_count
        regexp_match make_date to_timestamp array_append array_cat array_position array_prepend
        array_to_string bool_and bool_or string_agg array_agg percentile_cont unnest make_array to_char
        to_date generate_series any_value
    """,
    "S": """
        log md5 octet_length bit_length translate median percentile_cont string_agg array_agg to_char to_date
        to_timestamp decode regexp_replace regexp_like signum btrim make_array nvl2 unnest listagg
    """,
    "B": """
        log log10 strpos starts_with ends_with octet_length char_length string_agg array_agg array_length
        array_to_string regexp_replace translate instr unnest make_array bit_and bit_or bit_xor
        array_reverse percentile_cont named_struct struct generate_series array_concat
    """,
    "K": """
        log10 log2 log bit_length char_length character_length concat_ws octet_length translate levenshtein
        md5 instr array_contains array_distinct array_max array_min array_position array_append array_prepend
        bool_and bool_or regexp_replace regexp_like regexp_count median signum btrim overlay to_date
        to_timestamp date_format decode factorial make_date nvl2 array_agg percentile_cont unnest make_array
        named_struct struct find_in_set substring_index flatten cardinality array_join isnan regr_count
        regr_avgx regr_avgy range
    """,
    "R": """
        log btrim bit_length octet_length char_length character_length strpos translate md5 median
        percentile_cont to_char to_date to_timestamp decode regexp_replace regexp_count nvl2 bool_and bool_or
    """,
}


@cache
def same_functions(dialect: str) -> frozenset[str]:
    """Return the functions of the engine that mean the same in a dialect, as far as its habits do not say otherwise."""
    letter = DIALECTS[dialect]
    return frozenset(name for letters, names in _SAME.items() if letter in letters for name in names.split())
