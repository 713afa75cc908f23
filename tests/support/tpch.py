"""The TPC-H sample project, copied to a folder of the test's own with freshly generated data."""

import shutil
import subprocess
import sys
from pathlib import Path

FIXTURE = Path(__file__).resolve().parents[2] / "fixtures" / "tpch"
GENERATOR = FIXTURE / "generate.py"


def make_project(path: Path, scale: float = 0.01, seed: int = 1) -> Path:
    """Make the project in `path` (created if missing) and return it.

    The default scale has 60,000 line items and takes about 2 seconds, scale 0.001 has 6,000 and takes under one; only
    at the default scale and seed is every query known to have rows. Raises subprocess.CalledProcessError for a bad
    scale.
    """
    shutil.copytree(FIXTURE / "rules", path / "rules", dirs_exist_ok=True)
    shutil.copy(FIXTURE / "rules.toml", path)
    subprocess.run([sys.executable, GENERATOR, path, "--scale", str(scale), "--seed", str(seed)], check=True)
    return path
