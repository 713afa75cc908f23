"""Engine settings that can change any result: set in every session and part of every fingerprint."""

from __future__ import annotations

from collections.abc import Mapping

RESULT_SETTINGS: Mapping[str, str] = {
    "datafusion.execution.time_zone": "+00:00",
    "datafusion.sql_parser.parse_float_as_decimal": "false",
    "datafusion.sql_parser.enable_ident_normalization": "true",
    # Otherwise ORDER BY … LIMIT over a UNION ALL whose branches hold different constants in a sort key loses rows: each
    # branch is sorted without that key, yet all branches share one TopK threshold.
    "datafusion.optimizer.repartition_sorts": "false",
}
