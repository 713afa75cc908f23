"""A client of `rules lsp`, which is started as a process of its own and spoken to as an editor does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

from support.projects import RULES, SampleProject

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE = 90.0
"""Seconds after which a test gives up."""


class Editor:
    """An editor with a project open. Offsets are found by the text at them: `o.am|ount` is between m and o."""

    def __init__(self, project: SampleProject) -> None:
        self.project = project
        self.client = LanguageClient("tests", "1")
        self.diagnostics: dict[str, list[lsp.Diagnostic]] = {}
        self.shown: list[str] = []
        self._texts: dict[str, str] = {}
        self._version = 0
        self._news = asyncio.Event()

    async def start(self, **options: Any) -> None:
        @self.client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: lsp.PublishDiagnosticsParams) -> None:
            self.diagnostics[params.uri] = list(params.diagnostics)
            self._news.set()

        @self.client.feature(lsp.WINDOW_SHOW_MESSAGE)
        def shown(params: lsp.ShowMessageParams) -> None:
            self.shown.append(params.message)

        @self.client.feature(lsp.WINDOW_LOG_MESSAGE)
        def logged(params: lsp.LogMessageParams) -> None:
            self.shown.append(params.message)

        await self.client.start_io(str(RULES), "lsp")
        uri = self.project.root.as_uri()
        encodings = [lsp.PositionEncodingKind.Utf8, lsp.PositionEncodingKind.Utf32, lsp.PositionEncodingKind.Utf16]
        agreed = await self.client.initialize_async(
            lsp.InitializeParams(
                lsp.ClientCapabilities(general=lsp.GeneralClientCapabilities(position_encodings=encodings)),
                root_uri=uri,
                workspace_folders=[lsp.WorkspaceFolder(uri, "sample")],
                initialization_options=options,
            )
        )
        assert agreed.capabilities.position_encoding == lsp.PositionEncodingKind.Utf16  # the units of `at`
        self.client.initialized(lsp.InitializedParams())

    async def stop(self) -> None:
        await asyncio.wait_for(self.client.shutdown_async(None), _PATIENCE)
        self.client.exit(None)
        server = self.client._server  # noqa: SLF001 — pygls does not give it out
        assert server is not None
        assert await asyncio.wait_for(server.wait(), _PATIENCE) == 0  # before the client ends it
        await self.client.stop()

    def uri(self, path: str) -> str:
        return (self.project.root / path).as_uri()

    def document(self, path: str) -> lsp.TextDocumentIdentifier:
        return lsp.TextDocumentIdentifier(self.uri(path))

    def open(self, path: str) -> None:
        self._texts[path] = self.project.read(path)
        item = lsp.TextDocumentItem(self.uri(path), "sql", 0, self._texts[path])
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))

    def type(self, path: str, text: str) -> None:
        """Let the whole text be another, unsaved."""
        self._version += 1
        self._texts[path] = text
        document = lsp.VersionedTextDocumentIdentifier(self._version, self.uri(path))
        change = lsp.TextDocumentContentChangeWholeDocument(text)
        self.client.text_document_did_change(lsp.DidChangeTextDocumentParams(document, [change]))

    def replace(self, path: str, old: str, new: str) -> None:
        """Let a piece of the text be another, unsaved, and tell the server of that piece alone."""
        place = lsp.Range(self.at(path, f"|{old}"), self.at(path, f"{old}|"))
        self._version += 1
        self._texts[path] = self._texts[path].replace(old, new)
        document = lsp.VersionedTextDocumentIdentifier(self._version, self.uri(path))
        change = lsp.TextDocumentContentChangePartial(place, new)
        self.client.text_document_did_change(lsp.DidChangeTextDocumentParams(document, [change]))

    def show_version(self, path: str, text: str) -> None:
        """Show another version of a file beside it, as an editor does that compares with a commit."""
        uri = self.uri(path).replace("file:", "git:", 1)
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(uri, "sql", 0, text)))

    def close(self, path: str) -> None:
        """Throw away what is not saved."""
        self._texts.pop(path, None)
        self.client.text_document_did_close(lsp.DidCloseTextDocumentParams(self.document(path)))

    def files_changed(self) -> None:
        """Say that files were changed by others."""
        event = lsp.FileEvent(self.uri("rules.toml"), lsp.FileChangeType.Changed)
        self.client.workspace_did_change_watched_files(lsp.DidChangeWatchedFilesParams([event]))

    @property
    def pid(self) -> int:
        """The server's process."""
        server = self.client._server  # noqa: SLF001 — pygls does not give it out
        assert server is not None
        return int(server.pid)

    def save(self, path: str) -> None:
        self.project.write(path, self._texts[path])
        self.client.text_document_did_save(lsp.DidSaveTextDocumentParams(self.document(path)))

    def at(self, path: str, marked: str) -> lsp.Position:
        """Return the place of the | in a piece of a text, which is there once without it."""
        text = self._texts.get(path) or self.project.read(path)
        before, _, after = marked.partition("|")
        assert text.count(before + after) == 1, marked
        offset = text.index(before + after) + len(before)
        line = text.count("\n", 0, offset)
        start = text.rfind("\n", 0, offset) + 1
        return lsp.Position(line, len(text[start:offset].encode("utf-16-le", errors="surrogatepass")) // 2)

    async def until(self, wanted: Callable[[dict[str, list[lsp.Diagnostic]]], bool]) -> None:
        """Wait until the diagnostics, by path, are as wanted."""

        async def wait() -> None:
            root = self.project.root.as_uri() + "/"
            while not wanted({uri.removeprefix(root): found for uri, found in self.diagnostics.items()}):
                await self._news.wait()
                self._news.clear()

        try:
            await asyncio.wait_for(wait(), _PATIENCE)
        except TimeoutError:
            raise AssertionError(f"{self.diagnostics} {self.shown}") from None

    def applied(self, edit: lsp.WorkspaceEdit | None) -> dict[str, str]:
        """Return the texts that an edit makes, by path; files that are renamed by their new paths."""
        assert edit is not None
        root, found = self.project.root.as_uri() + "/", dict[str, str]()
        moved: dict[str, str] = {}
        changes: list[tuple[str, list[Any]]] = [(uri, list(edits)) for uri, edits in (edit.changes or {}).items()]
        for one in edit.document_changes or []:
            if isinstance(one, lsp.TextDocumentEdit):
                changes.append((one.text_document.uri, list(one.edits)))
            elif isinstance(one, lsp.RenameFile):
                moved[one.old_uri.removeprefix(root)] = one.new_uri.removeprefix(root)
        for uri, edits in changes:
            path = uri.removeprefix(root)
            lines = (self._texts.get(path) or self.project.read(path)).split("\n")
            for each in sorted(edits, key=lambda one: (one.range.start.line, one.range.start.character), reverse=True):
                start, end = each.range.start, each.range.end
                before, after = lines[start.line][: start.character], lines[end.line][end.character :]
                lines[start.line : end.line + 1] = f"{before}{each.new_text}{after}".split("\n")
            found[path] = "\n".join(lines)
        for was, now in moved.items():
            found[now] = found.pop(was) if was in found else self.project.read(was)
        return found


def asked(project: SampleProject, path: str, marked: str) -> tuple[str, str]:
    """Return what an editor with one rule open shows of a place in it: the hover, and the file of the definition."""

    async def session() -> tuple[str, str]:
        editor = Editor(project)
        await editor.start()
        try:
            editor.open(path)
            await editor.until(bool)
            document, place = editor.document(path), editor.at(path, marked)
            hovered = await editor.client.text_document_hover_async(lsp.HoverParams(document, place))
            defined = await editor.client.text_document_definition_async(lsp.DefinitionParams(document, place))
        finally:
            await editor.stop()
        assert hovered is not None
        assert isinstance(hovered.contents, lsp.MarkupContent)
        assert isinstance(defined, list)
        (one,) = defined
        assert isinstance(one, lsp.Location)
        return hovered.contents.value, one.uri.removeprefix(f"{project.root.as_uri()}/")

    return asyncio.run(session())
