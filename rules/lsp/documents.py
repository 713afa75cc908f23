"""What editors say of projects and files: opened, changed, saved, closed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types as lsp

from rules.errors import UserError
from rules.files.project_paths import find_root
from rules.lsp.server import file_of

if TYPE_CHECKING:
    from rules.lsp.server import RulesServer


def register(server: RulesServer) -> None:
    """Let a server take what is said of documents."""
    server.feature(lsp.INITIALIZE)(_initialize)
    server.feature(lsp.INITIALIZED)(_initialized)
    server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)(_opened)
    server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)(_changed)
    server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)(_saved)
    server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)(_closed)
    server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)(_others_changed)
    server.feature(lsp.WORKSPACE_DID_CHANGE_CONFIGURATION)(_configured)


def _initialize(ls: RulesServer, params: lsp.InitializeParams) -> None:
    options = params.initialization_options
    given = options if isinstance(options, dict) else {}
    ls.trusted = bool(given.get("runsPython", False))
    folders = [one.uri for one in params.workspace_folders or []] or [params.root_uri or ""]
    for uri in folders:
        root = _root_at_or_above(Path(file_of(uri))) if file_of(uri) else None
        if root is not None and ls.bench is None:
            ls.begin(root)


def _initialized(ls: RulesServer, _params: lsp.InitializedParams) -> None:
    if ls.checker is not None:
        ls.checker.wake(saved=True)


def _opened(ls: RulesServer, params: lsp.DidOpenTextDocumentParams) -> None:
    file = file_of(params.text_document.uri)
    if ls.bench is None and file:
        root = _root_at_or_above(Path(file).parent)
        if root is not None:
            ls.begin(root)
    path = ls.path_of(params.text_document.uri)
    if path is not None and ls.bench is not None and ls.checker is not None:
        ls.bench.open(path, params.text_document.text)
        ls.checker.wake()


def _changed(ls: RulesServer, params: lsp.DidChangeTextDocumentParams) -> None:
    path = ls.path_of(params.text_document.uri)
    if path is not None and ls.bench is not None and ls.checker is not None:
        ls.bench.change(path, params.content_changes)
        ls.checker.wake()


def _saved(ls: RulesServer, _params: lsp.DidSaveTextDocumentParams) -> None:
    if ls.checker is not None:
        ls.checker.wake(saved=True)


def _closed(ls: RulesServer, params: lsp.DidCloseTextDocumentParams) -> None:
    path = ls.path_of(params.text_document.uri)
    if path is not None and ls.bench is not None and ls.checker is not None:
        ls.bench.close(path)
        ls.checker.wake()


def _others_changed(ls: RulesServer, _params: lsp.DidChangeWatchedFilesParams) -> None:
    if ls.checker is not None:
        ls.checker.wake(saved=True)


def _configured(ls: RulesServer, params: lsp.DidChangeConfigurationParams) -> None:
    settings = params.settings if isinstance(params.settings, dict) else {}
    own = settings.get("rules", settings)
    if ls.bench is not None and ls.checker is not None and isinstance(own, dict) and "runsPython" in own:
        ls.bench.runs_python = ls.trusted = bool(own["runsPython"])
        ls.checker.wake(saved=True)


def _root_at_or_above(folder: Path) -> Path | None:
    """Return the project that a folder is in; None if it is in none."""
    try:
        return find_root(str(folder))
    except UserError:
        return None
