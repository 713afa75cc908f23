"""Results → the documentation: docs/benchmarks.md with every figure, and the table and the plot of the README."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from benchmarks.versus.report import compared_sizes, markdown, short
from benchmarks.versus.results import Results

_MARKS = ("<!-- benchmarks: written by tasks.py bench --publish -->\n", "<!-- /benchmarks -->\n")
_HEAD = """# Benchmarks

Measured by `python3 tasks.py bench --publish`, which also installs the other tools and repeats all of this.
`benchmarks/versus` is the whole of it: what each tool is given, and which command it is run with.
"""


def publish(results: Results, plots: Iterable[Path], root: Path) -> None:
    """Write figures into the documentation below `root`. Raises ValueError if the README has no place for them."""
    shown = [path for path in plots if path.suffix == ".svg"]
    for path in shown:
        shutil.copyfile(path, root / "docs" / path.name)
    images = "\n".join(f"![{path.stem}]({path.name})" for path in shown)
    (root / "docs" / "benchmarks.md").write_text(f"{_HEAD}\n{images}\n\n{markdown(results)}", encoding="utf-8")
    sizes = compared_sizes(results)
    if sizes:
        readme = root / "README.md"
        readme.write_text(_with_figures(readme.read_text(encoding="utf-8"), results, sizes[-1]), encoding="utf-8")


def _with_figures(text: str, results: Results, size: int) -> str:
    before, begin, rest = text.partition(_MARKS[0])
    _, end, after = rest.partition(_MARKS[1])
    if not end:
        raise ValueError(f"README.md has no lines {_MARKS[0].strip()} … {_MARKS[1].strip()}")
    plot = f"![A rebuild of {size:,} models with four tools](docs/versus-{size}.svg)"
    more = "All figures are in [docs/benchmarks.md](docs/benchmarks.md)."
    return f"{before}{begin}\n{plot}\n\n{short(results, size)} {more}\n\n{end}{after}"
