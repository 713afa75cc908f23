"""What the site says → its files: a page and its scripts as they are shipped, and data that they ask for when needed.

Data is JSON in scripts of one call each, since a page that is opened as a file may load scripts and nothing else. What
every view needs is in data/index.js; a table's details, a build, the graph and the lineage are files of their own.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from compiler.fingerprint import digest_of
from rules.config.project import NAME
from rules.config.secret_values import masked
from rules.printable import printable_block
from rules.site.graph_layout import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rules.site.gathering import Facts

SHIPPED = ("index.html", "site.css", "base.js", "views.js", "graph.js", "sql.js")
_KINDS = ("control", "value")
"""Of lineage, by their numbers in the data."""


def pages(facts: Facts) -> dict[str, bytes]:
    """Return the files of the site by their paths in it. Raises `UserError` without Graphviz."""
    shown = _Shown(facts.secrets)
    names = [one["name"] for one in facts.tables]
    numbers = {name: number for number, name in enumerate(names)}
    made = {"index.html" if name == "index.html" else f"assets/{name}": _shipped(name) for name in SHIPPED}
    tables = [
        shown(one) | {"file": _file_of(one["name"]), "inputs": [numbers[it] for it in one["inputs"] if it in numbers]}
        for one in facts.tables
    ]
    index = shown({"project": facts.project, "builds": facts.builds, "checks": facts.checks}) | {"tables": tables}
    made["data/index.js"] = _script("index", index)
    links = sorted((entry, number) for number, one in enumerate(tables) for entry in one["inputs"])
    made["data/graph.js"] = _script("graph", lay_out(names, links))
    made["data/lineage.js"] = _script("lineage", shown(_lineage(facts, numbers)))
    for name, details in facts.details.items():
        made[f"data/tables/table-{_file_of(name)}.js"] = _script(f"table:{_file_of(name)}", shown(details))
    for build, results in facts.build_results.items():
        made[f"data/builds/build-{build}.js"] = _script(f"build:{build}", shown({"results": results}))
    return made


def _file_of(name: str) -> str:
    """Return by what the file of a table is called: its name, but for a rule file that can give no name."""
    return name if NAME.match(name) else digest_of(name.encode("utf-8", "surrogatepass"))


class _Shown:
    """Makes data fit to be shown: without secrets, and without characters that nobody sees or that turn text round."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secrets)

    def __call__(self, value: Any) -> Any:
        if isinstance(value, str):
            return printable_block(masked(value, self._secrets))
        if isinstance(value, dict):
            return {self(key): self(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self(item) for item in value]
        return value


def _lineage(facts: Facts, numbers: Mapping[str, int]) -> dict[str, Any]:
    """Return the edges of column lineage; tables and, in each, columns are known by their numbers in the index.

    links: from table and column, to table and column (-1: every column), kind, number of the expression.
    """
    columns = {one["name"]: {name: at for at, name in enumerate(one["columns"])} for one in facts.tables}
    expressions: dict[str, int] = {}
    links = [
        [
            numbers[edge.input],
            columns[edge.input][edge.column],
            numbers[table],
            -1 if edge.output is None else columns[table][edge.output],
            _KINDS.index(edge.kind),
            expressions.setdefault(edge.expression, len(expressions)),
        ]
        for table, edges in sorted(facts.lineage.edges.items())
        for edge in edges
        if edge.column in columns.get(edge.input, ()) and (edge.output is None or edge.output in columns[table])
    ]
    return {"links": links, "expressions": list(expressions)}


def _script(name: str, document: Mapping[str, Any]) -> bytes:
    """Return a script that hands over a document; each element of a list is on a line, as versions are compared."""
    fields = [f"{_json(key)}:{_lines(value)}" for key, value in document.items()]
    return f"site.receive({_json(name)},{{{','.join(fields)}}});\n".encode("utf-8", "backslashreplace")


def _lines(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return _json(value)
    return "[\n" + ",\n".join(map(_json, value)) + "\n]"


def _json(value: Any) -> str:
    """Return JSON that is a JavaScript expression too, and cannot end a script."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _shipped(name: str) -> bytes:
    return files("rules.site").joinpath("static", name).read_bytes()
