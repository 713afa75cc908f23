"""The floor: a script on the bare engine that knows what was added, reads that alone and merges by hand.

Usage: python floor.py PROJECT append
       python floor.py PROJECT cold [added]     with the models that are added in the middle
       python floor.py PROJECT judge [added]    the same, in files that are quicker to write

What is of one day is written as a file for each run; the rest are kept as totals, to which those of the new day are
added. It handles no other change, and nothing tells it when it is wrong.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import SessionConfig, SessionContext

from benchmarks.growing.models import MODELS, SOURCES, Model, models

# How the totals of old and new rows are added up; what is not here is made of other totals.
MERGED = {
    "by_category": "SELECT category, SUM(n) AS n, SUM(margin) AS margin FROM both GROUP BY category",
    "by_user": "SELECT user_id, SUM(n) AS n, SUM(cents) AS cents, MAX(most) AS most FROM both GROUP BY user_id",
    "by_product": "SELECT product_id, SUM(n) AS n, SUM(cents) AS cents FROM both GROUP BY product_id",
    "by_segment": "SELECT segment, category, SUM(cents) AS cents, SUM(margin) AS margin FROM both "
    "GROUP BY segment, category",
    "buyers": "SELECT DISTINCT user_id, country FROM both",
    "last_order": "SELECT user_id, day, id, cents FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY user_id "
    "ORDER BY day DESC, id DESC) AS place FROM both) WHERE place = 1",
}


def main() -> None:
    """Run the command line."""
    folder, scenario, *added = sys.argv[1:]
    if scenario == "append":
        append(Path(folder), Path(folder) / "out")
    else:
        how = ("lz4", None) if scenario == "judge" else ("zstd", 3)
        compute(Path(folder), Path(folder) / "out", models(added=bool(added)), *how)


def compute(folder: Path, out: Path, wanted: Mapping[str, Model], compression: str, level: int | None) -> None:
    """Compute all models from all files."""
    shutil.rmtree(out, ignore_errors=True)
    session = _session(folder)
    session.register_parquet("orders", str(folder / "data" / "orders"))
    for name, model in wanted.items():
        place = out / f"{name}.parquet"
        place.mkdir(parents=True)
        file = place / "00000.parquet"
        session.sql(_text(model)).write_parquet(str(file), compression=compression, compression_level=level)
        session.register_parquet(name, str(file))


def append(folder: Path, out: Path) -> None:
    """Read the last file of orders, and add what it holds to the tables that there are."""
    session = _session(folder)
    session.register_parquet("orders", str(max((folder / "data" / "orders").iterdir())))
    for name, model in MODELS.items():
        made = session.sql(_text(model)).to_arrow_table()
        place = out / f"{name}.parquet"
        if model.by_day:
            pq.write_table(made, place / f"{len(list(place.iterdir())):05d}.parquet", compression="zstd")
        else:
            file = place / "00000.parquet"
            if name in MERGED:
                both = pa.concat_tables([pq.read_table(file).cast(made.schema), made])
                _register(session, "both", both)
                made = session.sql(MERGED[name]).to_arrow_table().cast(made.schema)
                session.deregister_table("both")
            pq.write_table(made, file, compression="zstd")
        # A sum over all days reads the table as it is now; the rest of what is to come reads the new rows.
        known = pq.read_table(place) if name == "by_day" else made
        _register(session, name, known)


def _register(session: SessionContext, name: str, table: pa.Table) -> None:
    empty = pa.RecordBatch.from_pylist([], schema=table.schema)
    session.register_record_batches(name, [table.to_batches() or [empty]])


def _session(folder: Path) -> SessionContext:
    session = SessionContext(SessionConfig().with_target_partitions(2))
    for name in SOURCES[1:]:
        session.register_parquet(name, str(folder / "data" / f"{name}.parquet"))
    return session


def _text(model: Model) -> str:
    return model.sql.format(**{one: one for one in model.inputs})


if __name__ == "__main__":
    main()
