"""Whether a project's Python depends on the time zone of the machine, and what tells one such zone from another.

`datetime.fromtimestamp`, `time.localtime` and their like take the zone from TZ, else from /etc/localtime, where nobody
sees them look. So what is written is looked at: code that names one of them has read both.
"""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cache.filedigest import file_digest
from rules.files.surrounding_state import state_of_variable
from rules.python.surroundings import Reads

VARIABLE = "TZ"
FILE = "/etc/localtime"
_LOCAL = frozenset({
    "astimezone", "fromtimestamp", "localtime", "mktime", "ctime", "tzlocal", "get_localzone", "tzname", "altzone",
    "timestamp",
})  # fmt: skip
_WORDS = re.compile(rb"\b(?:%s)\b|(?<!date)time\.timezone\b" % b"|".join(name.encode() for name in sorted(_LOCAL)))
_WITH_ZONE = {"fromtimestamp": 2}
"""Of methods that take a zone: the number of arguments with which they have been given one."""


def zone_read_by(path: str, digest_of: Callable[[str], str | None]) -> Reads:
    """Return what the code of a file reads to know the machine's zone: nothing if it does not ask for it.

    digest_of: returns that of a file, None if there is none.
    """
    if not _text_depends_on_zone(Path(path).read_bytes()):
        return Reads()
    return Reads(files={FILE: digest_of(FILE)}, variables={VARIABLE: state_of_variable(VARIABLE)})


def _text_depends_on_zone(text: bytes) -> bool:
    if not _WORDS.search(text):
        return False
    try:
        return depends_on_zone(ast.parse(text))
    except (SyntaxError, ValueError):
        return True


def depends_on_zone(node: ast.AST) -> bool:
    """Whether code names what depends on the machine's zone, other than in calls that are given a zone."""
    return any(True for _ in _local(node, in_call=None))


def is_local(value: Any) -> bool:
    """Whether a value is a function that takes the machine's zone."""
    return any(value is one for one in (time.localtime, time.mktime, time.ctime))


def zone_state() -> list[str | None]:
    """Return what tells the machine's zone from others."""
    return [state_of_variable(VARIABLE), file_digest(FILE) if Path(FILE).is_file() else None]


def _local(node: ast.AST, in_call: ast.Call | None) -> Iterator[ast.AST]:
    """Yield the names of code that depend on the zone. in_call: the call whose function the node is."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else None
    imported = isinstance(node, ast.alias) and node.name in _LOCAL
    if imported or (name in _LOCAL and not _has_zone(name, in_call)) or _is_offset(node):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _local(child, node if isinstance(node, ast.Call) and child is node.func else None)


def _has_zone(name: str | None, call: ast.Call | None) -> bool:
    """Whether a call needs no zone of the machine: a constructor of types is called `timestamp` too."""
    if call is None:
        return False
    if name == "timestamp":
        return bool(call.args or call.keywords)
    return len(call.args) >= _WITH_ZONE.get(str(name), 99) or any(one.arg in {"tz", "tzinfo"} for one in call.keywords)


def _is_offset(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "timezone"
        and isinstance(node.value, ast.Name)
        and node.value.id == "time"
    )
