"""The language server: what the protocol asks, answered from the workbench.

A check runs in a thread of its own, begun a moment after the last key, and what is asked meanwhile is answered from the
one before. What can take long (references, renames, quick fixes, previews) runs in threads of a pool, so that no
request holds up another, and one that was cancelled before its turn is not answered.
"""

from __future__ import annotations

import os
import threading
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from compiler.lint.codes import BY_CODE
from rules.errors import UserError, UserErrors
from rules.files.project_paths import FILE
from rules.lsp.protocol import Protocol
from rules.lsp.texts import Text
from rules.lsp.workbench import Workbench
from rules.watching.changes import Changes, outside_folders

if TYPE_CHECKING:
    from compiler.lint.findings import Finding
    from rules.errors import Where
    from rules.lsp.workbench import Known

_PAUSE = 0.02
"""Seconds after the last key before a check begins."""
_SOURCE = "rules"


class RulesServer(LanguageServer):
    """The server of one project, the one that the first folder or file is in."""

    def __init__(self) -> None:
        from importlib.metadata import version

        super().__init__("rules", version("leastwork-rules"), protocol_cls=Protocol, max_workers=4)
        self.bench: Workbench | None = None
        self.trusted = False
        self.published: dict[str, list[lsp.Diagnostic]] = {}
        self.checker: Checker | None = None

    def begin(self, root: Path) -> None:
        """Work on a project from now on."""
        self.bench = Workbench(root, runs_python=self.trusted)
        self.checker = Checker(self)
        self.checker.start()

    def path_of(self, uri: str) -> str | None:
        """Return the path of a file in the project, None for one that is in none.

        A text that is no file is in none either, such as an earlier version that an editor shows beside it.
        """
        file = file_of(uri)
        return path_within(self.bench.root, file) if self.bench is not None and file else None

    def uri_of(self, path: str) -> str:
        """Return the URI of a file of the project."""
        assert self.bench is not None
        return (self.bench.root / path).as_uri()

    def asked(self, document: lsp.TextDocumentIdentifier) -> tuple[Workbench, str, Text] | None:
        """Return the workbench, the path and the text of what a request is about; None for a file of no project."""
        path = self.path_of(document.uri)
        if self.bench is None or path is None:
            return None
        try:
            return self.bench, path, Text(self.bench.text(path))
        except UserError:
            return None

    def publish(self, known: Known) -> None:
        """Show the findings of a check: those of files that have others than before."""
        bench = self.bench
        assert bench is not None
        wanted = {path: self._diagnostics(path, found) for path, found in known.findings.items()}
        if known.error is not None:
            where = known.error.where
            place = self._place(where)
            said = lsp.Diagnostic(lsp.Range(place, place), said_of(known.error), lsp.DiagnosticSeverity.Error)
            path = where.path if where is not None else FILE
            wanted.setdefault(path, []).append(said)
        for path in {*wanted, *self.published, *bench.open_paths}:
            found = wanted.get(path, [])
            if self.published.get(path) != found:
                self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(self.uri_of(path), found))
                self.published[path] = found

    def refresh(self) -> None:
        """Let the editor ask again for what comes from a plan and from schemas."""
        workspace = self.client_capabilities.workspace
        if workspace is not None and workspace.code_lens is not None and workspace.code_lens.refresh_support:
            self.workspace_code_lens_refresh(None)
        if workspace is not None and workspace.inlay_hint is not None and workspace.inlay_hint.refresh_support:
            self.workspace_inlay_hint_refresh(None)

    def _place(self, where: Where | None) -> lsp.Position:
        """Return where an error is, which counts characters, in the units of the protocol."""
        line, column = (where.line or 1, where.column or 1) if where is not None else (1, 1)
        assert self.bench is not None
        try:
            text = Text(self.bench.checked_text(where.path if where is not None else FILE))
        except UserError:  # it cannot be read, which is what the error says
            return lsp.Position(line - 1, column - 1)
        return text.position_of(line, column)

    def _diagnostics(self, path: str, found: list[Finding]) -> list[lsp.Diagnostic]:
        assert self.bench is not None
        try:
            text = Text(self.bench.checked_text(path))
        except UserError:  # it is not UTF-8, which is what the finding says
            text = Text("")
        return [diagnostic(one, text) for one in found]


def diagnostic(one: Finding, text: Text) -> lsp.Diagnostic:
    """Return a finding as editors have it. text: of its file."""
    code = BY_CODE.get(one.code)
    message = f"{one.found.message}; {one.found.hint}" if one.found.hint else one.found.message
    severity = lsp.DiagnosticSeverity.Warning if code is not None and code.advice else lsp.DiagnosticSeverity.Error
    span = text.range(one.found.start, one.found.end)
    if not text.text or "\0" in text.text:  # in a file that is no text, of which there are no characters to count
        line, column, *_ = one.place
        place = text.position_of(line, column) if text.text else lsp.Position(line - 1, column - 1)
        span = lsp.Range(place, place)
    return lsp.Diagnostic(span, message, severity, one.code, source=_SOURCE)


def said_of(error: UserError) -> str:
    """Return an error in one line."""
    return f"{error.message}; {error.hint}" if error.hint else error.message


def file_of(uri: str) -> str:
    """Return the path of the file that a URI names; "" if it names something else."""
    try:
        named = urllib.parse.urlparse(uri)
    except ValueError:  # file://[x
        return ""
    file = urllib.parse.unquote(named.path) if named.scheme == "file" else ""
    return "" if "\0" in file else file


def path_within(root: Path, file: str) -> str | None:
    """Return the path of a file in a project, None for one that is outside.

    Links inside of the project stay as they are: rules are called by them. Those that lead there are followed.
    """
    real = os.path.realpath(root)
    above, inside = os.path.split(os.path.normpath(file))
    while os.path.realpath(above) != real:
        above, name = os.path.split(above)
        if not name:  # of no project; but it may be a link to a file of one
            shown = os.path.relpath(os.path.realpath(file), real).replace(os.sep, "/")
            return None if shown.split("/")[0] == os.pardir else shown
        inside = f"{name}/{inside}"
    return inside


class Checker(threading.Thread):
    """Checks after changes, one check at a time, and plans after saves."""

    def __init__(self, server: RulesServer) -> None:
        super().__init__(daemon=True, name="checker")
        self._server = server
        self._changed = threading.Event()
        self._saved = True
        self._watcher: Watcher | None = None

    def wake(self, *, saved: bool = False) -> None:
        """Say that something changed."""
        self._saved |= saved
        self._changed.set()

    def run(self) -> None:
        """Check until the process ends."""
        server = self._server
        bench = server.bench
        assert bench is not None
        while True:
            self._changed.wait()
            while self._changed.is_set():
                self._changed.clear()
                threading.Event().wait(_PAUSE)
            try:
                server.publish(bench.check(_Quiet().say))
                self._watch()
                if self._saved and not self._changed.is_set():
                    self._saved = False
                    bench.make_plan(_Quiet())
                    server.refresh()
                    bench.learn_signatures()
            except Exception as error:  # noqa: BLE001 — a bug costs this answer, and not the server
                server.window_log_message(lsp.LogMessageParams(lsp.MessageType.Error, f"internal error: {error!r}"))

    def _watch(self) -> None:
        """Begin to watch the files, once it is known where all of them are."""
        if self._watcher is None:
            self._watcher = Watcher(self._server, self)
            self._watcher.start()


class Watcher(threading.Thread):
    """Wakes the checker when files change, whoever changes them: another editor, a program, a branch checked out.

    Not every editor tells, and none of what is outside of its folders. Without the package that watches, editors must.
    """

    def __init__(self, server: RulesServer, checker: Checker) -> None:
        super().__init__(daemon=True, name="watcher")
        self._server, self._checker = server, checker

    def run(self) -> None:
        """Watch until the process ends."""
        bench = self._server.bench
        assert bench is not None
        try:
            for _ in Changes(bench.root, self._outside, self._gone).batches():
                self._checker.wake(saved=True)
        except (UserError, OSError, RuntimeError) as error:  # no package; no more files may be watched
            why = said_of(error) if isinstance(error, UserError) else str(error)
            said = f"files that others change are noticed only where the editor tells of them: {why}"
            self._server.window_log_message(lsp.LogMessageParams(lsp.MessageType.Warning, said))

    def _outside(self) -> list[Path]:
        known = self._server.bench.known if self._server.bench is not None else None
        return outside_folders(known.project) if known is not None else []

    def _gone(self) -> None:
        self._checker.wake(saved=True)


class _Quiet:
    """An observer of plans that says nothing."""

    def say(self, message: str) -> None:
        """Say nothing."""


class refusing:  # noqa: N801 — used as a function
    """Turns an error that the user can correct into the refusal of a request."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        """Refuse."""
        if isinstance(error, UserErrors):
            error = error.errors[0]
        if isinstance(error, UserError):
            raise JsonRpcInvalidParams(said_of(error)) from error
