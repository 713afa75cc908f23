"""R022: functions on a slower rung than they must be on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.inprocess import run
from support.projects import SampleProject

DOCS = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")
HEADER = "import math\n\nimport pandas as pd\n\nfrom rules import udf\n\nLIMIT = 2.0\n\n\n"


def _found(tmp_path: Path, text: str) -> list[dict[str, object]]:
    project = SampleProject(tmp_path / "project", sources=["t"])
    project.parquet("t", {"x": [1.0]})
    project.sql("plain", "SELECT t.x FROM t")
    project.write("rules/f.py", HEADER + text)
    first = run(project, "check", "--json", expect=None).document["findings"]
    assert run(project, "check", "--json", expect=None).document["findings"] == first  # as remembered
    return [one for one in first if one["code"] == "R022"]


MEASURED = "times as slow, measured on a million rows"
CALL = f"'f' is called for every value, and does what {{}} of the engine does: 12 {MEASURED}"
EXPRESSION = f"'f' is called for every value, and is an expression of the engine: 24 {MEASURED}"
SERIES = f"'f' goes through pandas, and does what upper of the engine does: 2.5 {MEASURED}"
SLOW = {
    "a method": ("python", "(x: str) -> str:\n    return x.lower()", CALL.format("lower")),
    "with a docstring": (
        "python",
        '(x: str) -> int:\n    """Doc."""\n    return len(x)',
        CALL.format("character_length"),
    ),
    "guarded": (
        "python",
        "(x: str, y: str) -> bool:\n    if x is None or y is None:\n        return None\n    return x.startswith(y)",
        CALL.format("starts_with"),
    ),
    "arithmetic": ("python", "(x: float, y: float) -> float:\n    return None if x is None else x * y + 1", EXPRESSION),
    "comparison": ("python", "(x: float) -> bool:\n    return x * 2.0 > 1", EXPRESSION),
    "pandas": ("pandas", "(x: str) -> str:\n    return x.str.upper()", SERIES),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_function_that_the_engine_has_is_told(tmp_path: Path, name: str) -> None:
    rung, text, message = SLOW[name]
    (found,) = _found(tmp_path, f"@udf.{rung}\ndef f{text}\n")
    assert (found["message"], found["path"], found["line"]) == (message, "rules/f.py", 10)


GOOD = {
    "integers, which wrap around in the engine": "@udf.python\ndef f(x: int) -> int:\n    return x * 2 + 1\n",
    "division, which raises": "@udf.python\ndef f(x: float) -> float:\n    return x / 2.0\n",
    "a value for NULL": "@udf.python\ndef f(x: str) -> str:\n    return '' if x is None else x.upper()\n",
    "several steps": "@udf.python\ndef f(x: str) -> str:\n    y = x.upper()\n    return y.lower()\n",
    "a function of the project": "def len(x): ...\n\n\n@udf.python\ndef f(x: str) -> int:\n    return len(x)\n",
    "of another type": "@udf.python\ndef f(x: bytes) -> bytes:\n    return x.upper()\n",
    "a global": "@udf.python\ndef f(x: float) -> float:\n    return x * LIMIT\n",
    "options of a method": "@udf.python\ndef f(x: str) -> bool:\n    return x.startswith('a', 1)\n",
    "over arrays": "@udf.pyarrow\ndef f(x: float) -> float:\n    return x\n",
    "what is meant": "@udf.python  # rules: ignore[R022]\ndef f(x: str) -> str:\n    return x.lower()\n",
}


@pytest.mark.parametrize("name", GOOD)
def test_others_are_not(tmp_path: Path, name: str) -> None:
    assert _found(tmp_path, GOOD[name]) == []


def test_what_is_meant_stays_so_where_the_file_has_an_error_too(tmp_path: Path) -> None:
    broken = "\n\n@udf.python\ndef g(x: str) -> str:\n    return open(x).read() + str(globals())\n"
    project = SampleProject(tmp_path / "project", sources=["t"])
    project.parquet("t", {"x": [1.0]})
    project.write("rules/f.py", HEADER + GOOD["what is meant"] + broken)
    found = run(project, "check", "--json", expect=1).document["findings"]
    assert [one["code"] for one in found if one["path"] == "rules/f.py"] == ["R902"]


@pytest.mark.parametrize(("kind", "count"), [("bad", 1), ("good", 0)])
def test_the_examples_of_the_docs(tmp_path: Path, kind: str, count: int) -> None:
    (text,) = re.findall(rf"^```python {kind}\n(.*?)^```$", DOCS, flags=re.MULTILINE | re.DOTALL)
    assert len(_found(tmp_path, text)) == count
