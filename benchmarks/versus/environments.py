"""Environments of the peers: each in a folder of its own, made by the benchmark, never a dependency of the project.

dbt-core 1.12 depends on a package that downloads a program from elsewhere while it is built; 1.11 is the newest that an
index alone can install.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PINS = {
    "dbt": ("dbt-core==1.11.16", "dbt-duckdb==1.11.1", "duckdb==2.0.0"),
    "dbt-postgres": ("dbt-core==1.11.16", "dbt-postgres==1.11.0"),
    "SQLMesh": ("sqlmesh==0.236.4", "duckdb==1.5.6"),
    "SQLMesh-lsp": ("sqlmesh[lsp]==0.236.4", "duckdb==1.5.6"),
    "ninja": ("ninja==1.13.2", "duckdb==2.0.0"),
    "sqlfluff": ("sqlfluff==4.5.0",),
    "Dagster": ("dagster==1.13.29",),
    "Airflow": ("apache-airflow==3.3.2",),
}


def programs(folder: Path, tool: str) -> Path:
    """Return the folder of a peer's programs, installed if it is not there with these versions yet."""
    environment = folder.resolve() / f"{tool.lower()}-{sys.version_info.major}.{sys.version_info.minor}"
    stamp = environment / "pins.json"
    pins = list(PINS[tool])
    if not stamp.is_file() or json.loads(stamp.read_text(encoding="utf-8")) != pins:
        print(f"installing {', '.join(pins)}", file=sys.stderr, flush=True)
        python = environment / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        pip: list[str | Path] = [
            python,
            "-m",
            "pip",
            "install",
            "-qq",
            "--disable-pip-version-check",
            "--no-input",
            *pins,
        ]
        subprocess.run(pip, check=True)
        stamp.write_text(json.dumps(pins), encoding="utf-8")
    return environment / "bin"
