"""`rules init`: write a small project that builds at once."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from cache.removal import create_all
from rules.errors import UserError
from rules.files.project_paths import FILE, writable_file
from rules.report.runs import document

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output

_FILES = {
    FILE: """[project]
name = "{name}"

[sources.orders]
path = "data/orders.csv"
columns = {{ ordered_on = "date", amount = "decimal(10, 2)" }}

[vars]
large_order = 100          # used in SQL as $large_order
""",
    "data/orders.csv": """order_id,customer,ordered_on,status,amount
1,ada,2026-01-03,paid,120.00
2,grace,2026-01-04,open,35.50
3,ada,2026-01-09,paid,80.25
4,edsger,2026-01-11,cancelled,15.00
5,grace,2026-02-02,paid,210.10
""",
    "rules/paid_orders.sql": """-- /// rule
-- description = "Orders that were paid, with a mark on the large ones"
-- key = ["order_id"]
-- ///
SELECT
    o.order_id,
    o.customer,
    o.ordered_on,
    o.amount,
    o.amount >= $large_order AS is_large
FROM orders AS o
WHERE o.status = 'paid'
""",
    "rules/customer_revenue.sql": """-- /// rule
-- description = "What each customer has paid"
-- key = ["customer"]
-- ///
SELECT
    p.customer,
    COUNT(*) AS orders,
    SUM(p.amount) AS revenue
FROM paid_orders AS p
GROUP BY p.customer
""",
    "rules/monthly_revenue.sql": """-- /// rule
-- description = "Revenue by month"
-- key = ["month"]
-- ///
SELECT
    date_trunc('month', p.ordered_on) AS month,
    SUM(p.amount) AS revenue,
    COUNT(*) FILTER (WHERE p.is_large) AS large_orders
FROM paid_orders AS p
GROUP BY date_trunc('month', p.ordered_on)
ORDER BY month
""",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument("folder", metavar="FOLDER", nargs="?", default=".", help="where to write it (default: here)")


def run(options: argparse.Namespace, output: Output) -> int:
    """Write the project; an existing file is never touched."""
    shown = os.path.normpath(Path(options.project, options.folder))
    root = Path(shown).resolve()
    name = re.sub(r"\W+", "_", root.name).strip("_") or "project"
    texts = {path: text.format(name=name) if path == FILE else text for path, text in _FILES.items()}
    # rules.toml comes last: without it, files that are just these are what an init that was killed has left.
    lacking = {path: texts[path].encode() for path in sorted(texts, key=lambda path: path == FILE)}
    if not os.path.lexists(root / FILE):
        lacking = {path: data for path, data in lacking.items() if not _holds(root / path, data)}
    existing = [path for path in _FILES if path in lacking and os.path.lexists(root / path)]
    if existing:
        message = f"there is a {existing[0]} in {root} already"
        raise UserError(message, code="exists", hint="rules init never overwrites; name another folder")
    for path in _FILES:
        writable_file(root, path)
    try:
        create_all({root / path: data for path, data in lacking.items()})
    except OSError as error:
        raise UserError(f"cannot write {error.filename}: {error.strerror}", code="unwritable") from error
    if output.as_json:
        output.document(document("init", status="ok", root=str(root), files=list(_FILES)))
    elif output.verbosity >= 0:
        output.result([f"wrote {Path(shown) / path}" for path in _FILES])
        output.message(f"next: rules build{'' if shown == '.' else f' -C {shlex.quote(shown)}'}")
    return 0


def _holds(file: Path, data: bytes) -> bool:
    """Whether a file is there with these bytes; a link is none."""
    try:
        return not file.is_symlink() and file.is_file() and file.read_bytes() == data
    except OSError:
        return False
