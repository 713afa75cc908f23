"""TPC-H tables as the TPC's own generator makes them, as Parquet: by `tpchgen-cli`, a rewrite of it in a wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

FIXTURE = Path(__file__).resolve().parents[2] / "fixtures" / "tpch"
_GENERATOR = Path(sys.executable).parent / "tpchgen-cli"


def make_standard_project(root: Path, scale: float = 1) -> Path:
    """Make the TPC-H project in `root`, with data of a scale, and return it.

    Scale 1 has 6 million line items and takes some seconds; every query has rows there. Raises
    subprocess.CalledProcessError.
    """
    shutil.copytree(FIXTURE / "rules", root / "rules", dirs_exist_ok=True)
    shutil.copy(FIXTURE / "rules.toml", root)
    command = [_GENERATOR, "parquet", "--scale-factor", str(scale), "--output-dir", root / "data", "--quiet"]
    subprocess.run([str(word) for word in command], check=True)
    return root
