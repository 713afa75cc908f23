"""Where a distribution of Apache Spark is on this machine, for who starts a cluster here. The client needs none."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from pathlib import Path

from rules.engine.spark.identity import COMPARED
from rules.errors import UserError

_CORE = re.compile(r"spark-core_[\d.]+-(\d+\.\d+\.\d+.*)\.jar")


def spark_home() -> Path:
    """Return the folder of the distribution: SPARK_HOME, that of an installed `pyspark`, or where spark-submit is.

    Raises `UserError` if there is none, if it is of another version than rules are translated for, or without Java.
    """
    home = next((one for one in _candidates() if (one / "bin" / "spark-class").is_file()), None)
    if home is None:
        raise UserError(
            "Apache Spark is not installed here",
            code="no-spark",
            hint=f"install 'pyspark=={COMPARED}' into another environment, and set SPARK_HOME to its folder pyspark",
        )
    versions = [found[1] for jar in (home / "jars").glob("spark-core_*.jar") if (found := _CORE.fullmatch(jar.name))]
    if versions != [COMPARED]:
        raise UserError(
            f"Apache Spark in {home} is {versions[0] if versions else 'of an unknown version'}, not {COMPARED}",
            code="no-spark",
            hint=f"results were compared with those of {COMPARED} only; set SPARK_HOME to such a one",
        )
    java = os.environ.get("JAVA_HOME")
    if not ((java and (Path(java) / "bin" / "java").is_file()) or shutil.which("java")):
        raise UserError(
            "Java is not installed here, in which Spark runs", code="no-spark", hint="install Java 17, or set JAVA_HOME"
        )
    return home


def _candidates() -> list[Path]:
    found = [Path(os.environ["SPARK_HOME"]).expanduser()] if os.environ.get("SPARK_HOME") else []
    package = importlib.util.find_spec("pyspark")
    if package is not None and package.origin is not None:
        found.append(Path(package.origin).parent)
    program = shutil.which("spark-submit")
    if program is not None:
        found.append(Path(program).resolve().parent.parent)
    return found
