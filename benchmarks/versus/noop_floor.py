"""The floor of a build that has nothing to do: look at every file once, read one record of the index, and end.

Usage: python -I -S noop_floor.py PROJECT
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys


def main() -> None:
    """Run the command line."""
    root = sys.argv[1]
    index = sqlite3.connect(f"file:{root}/.rules/index.sqlite?mode=ro", uri=True)
    json.loads(index.execute("SELECT record FROM snapshots WHERE kind = 'built'").fetchone()[0])
    os.stat(f"{root}/rules.toml")  # noqa: PTH116
    for folder in ("rules", "data", ".rules/products"):
        with os.scandir(f"{root}/{folder}") as entries:
            for entry in entries:
                entry.stat()


if __name__ == "__main__":
    main()
