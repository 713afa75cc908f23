"""What parses, compiles and plans, as one digest: a part of the key of every memo."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import compiler
from cache.filedigest import file_digest
from compiler.fingerprint import FORMAT, digest_of
from compiler.sql.catalogue import ENGINE


def _compiler_identity() -> str:
    """Return what parses, compiles and plans: versions of SQLGlot and of the function catalogue, and our own source."""
    own = Path(__file__).parents[1]
    folders = (Path(compiler.__file__).parent, own / "engine", own / "python")
    sources = sorted([*(path for folder in folders for path in folder.rglob("*.py")), own / "storage" / "types.py"])
    digests = " ".join(file_digest(path) for path in sources)
    return digest_of(f"{FORMAT} {version('sqlglot')} {version('ibis-framework')} {ENGINE} {digests}".encode())


COMPILER = _compiler_identity()
"""Part of every memo key. Only memos depend on it: fingerprints carry the format version, which changes seldom."""
