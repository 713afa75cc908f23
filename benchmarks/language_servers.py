"""Print what our language server and SQLMesh's answer: `python -m benchmarks.language_servers [RULES] [RUNS]`.

Both have the same generated project: RULES rules (1,000), which SQLMesh runs on DuckDB. Each answer is measured in
RUNS runs (20), of which the median and the 99th percentile are printed. Each server is spoken to as an editor does,
over a pipe. One file is open, a rule that reads others and that others read. Its text alternates between one without
findings and one that selects a column that does not exist; measured is the time until the findings are those of the
text: after a key, which SQLMesh's server does not look at, and after a save. Then what hovering, completion, a
definition and references take, on the name of an input; and the memory of the server at its end.

Ours needs the `lsp` extra in this environment; SQLMesh is installed into one of its own.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

from benchmarks.generated import queries, write_project
from benchmarks.versus.environments import programs
from benchmarks.versus.peers import Sqlmesh
from benchmarks.versus.tools import Tool

ENVIRONMENTS = Path("benchmarks/results/environments")
ROWS = 1000
_PATIENCE = 60
"""Seconds for an answer."""
_LINTER = "linter:\n  enabled: true\n  rules: [ambiguousorinvalidcolumn, invalidselectstarexpansion]\n"
_CAPABILITIES = lsp.ClientCapabilities(
    text_document=lsp.TextDocumentClientCapabilities(publish_diagnostics=lsp.PublishDiagnosticsClientCapabilities())
)


class Server:
    """A language server with one file open."""

    def __init__(self, root: Path, path: str) -> None:
        self._client = LanguageClient("benchmark", "1")
        self._root, self._file = root, root / path
        self._found: list[lsp.Diagnostic] | None = None
        self._news = asyncio.Event()
        self._version = self._turn = 0
        self.text = self._file.read_text(encoding="utf-8")

    async def start(self, *command: str) -> None:
        """Start it, open the file, and wait for the first findings."""

        @self._client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)  # type: ignore[untyped-decorator]
        def published(params: lsp.PublishDiagnosticsParams) -> None:
            if params.uri == self._file.as_uri():
                self._found = list(params.diagnostics)
                self._news.set()

        for told in ("workspace/diagnostic/refresh", "workspace/inlayHint/refresh", "window/showMessage"):
            self._client.feature(told)(lambda *_: None)
        # Nobody reads what it logs; a pipe that is full would stop it.
        await self._client.start_io("sh", "-c", 'exec "$0" "$@" 2>/dev/null', *command, cwd=self._root)
        uri = self._root.as_uri()
        folders = [lsp.WorkspaceFolder(uri, "generated")]
        asked = lsp.InitializeParams(_CAPABILITIES, root_uri=uri, workspace_folders=folders)
        await self._client.initialize_async(asked)
        self._client.initialized(lsp.InitializedParams())
        item = lsp.TextDocumentItem(self._file.as_uri(), "sql", 0, self.text)
        self._client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))
        await self._until(lambda found: not found)

    async def stop(self) -> None:
        """End it."""
        await self._client.shutdown_async(None)
        self._client.exit(None)
        await self._client.stop()  # type: ignore[no-untyped-call]

    def type(self, text: str) -> None:
        """Let the text be another, unsaved."""
        self._version += 1
        self._found = None
        document = lsp.VersionedTextDocumentIdentifier(self._version, self._file.as_uri())
        change = lsp.TextDocumentContentChangeWholeDocument(text)
        self._client.text_document_did_change(lsp.DidChangeTextDocumentParams(document, [change]))

    async def typed(self, _: int) -> None:
        """Type a text, and wait for its findings: others each time, since a server need not say the same again."""
        self._turn += 1
        self.type(_text(self.text, self._turn))
        await self._until(_wanted(self._turn))

    async def saved(self, _: int) -> None:
        """Save a text, and wait for its findings."""
        self._turn += 1
        text = _text(self.text, self._turn)
        self.type(text)
        self._file.write_text(text, encoding="utf-8")
        document = lsp.TextDocumentIdentifier(self._file.as_uri())
        self._client.text_document_did_save(lsp.DidSaveTextDocumentParams(document))
        await self._until(_wanted(self._turn))

    def questions(self) -> dict[str, Callable[[int], Awaitable[object]]]:
        """Return what is asked about the name of the rule's input."""
        before = self.text[: self.text.index(" AS ", self.text.index("FROM ")) - 1]
        place = lsp.Position(before.count("\n"), len(before) - before.rfind("\n") - 1)
        document, client = lsp.TextDocumentIdentifier(self._file.as_uri()), self._client
        context = lsp.ReferenceContext(include_declaration=True)
        return {
            "hover": lambda _: client.text_document_hover_async(lsp.HoverParams(document, place)),
            "completion": lambda _: client.text_document_completion_async(lsp.CompletionParams(document, place)),
            "definition": lambda _: client.text_document_definition_async(lsp.DefinitionParams(document, place)),
            "references": lambda _: client.text_document_references_async(
                lsp.ReferenceParams(context, document, place)
            ),
        }

    @property
    def peak(self) -> str:
        """The most memory that the process had, as the kernel says it."""
        server = self._client._server  # noqa: SLF001 — pygls does not give it out
        assert server is not None
        status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
        kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
        return f"{int(kib) / 1024:,.0f} MiB"

    async def _until(self, wanted: Callable[[list[lsp.Diagnostic]], bool]) -> None:
        while self._found is None or not wanted(self._found):
            await self._news.wait()
            self._news.clear()


def _text(text: str, turn: int) -> str:
    """Return a rule's text, of every other run with a column that does not exist."""
    alias = text[text.index("SELECT ") + len("SELECT ")]
    return text.replace("SELECT ", f"SELECT {alias}.missing_{turn}, ", 1) if turn % 2 else f"{text}\n-- {turn}\n"


def _wanted(turn: int) -> Callable[[list[lsp.Diagnostic]], bool]:
    return lambda found: any(f"missing_{turn}" in one.message for one in found) if turn % 2 else not found


async def measured(title: str, runs: int, work: Callable[[int], Awaitable[object]]) -> None:
    """Print the median and the 99th percentile of some runs, of which the first two are not counted."""
    taken = []
    for run in range(runs + 2):
        began = time.perf_counter()
        try:
            await asyncio.wait_for(work(run), _PATIENCE)
        except TimeoutError:
            print(f"  {title:<36}{f'no answer in {_PATIENCE} s':>24}", flush=True)
            return
        taken.append(time.perf_counter() - began)
    counted = sorted(taken[2:])
    late = counted[math.ceil(runs * 0.99) - 1]
    print(f"  {title:<36}{statistics.median(counted) * 1000:>10.1f} ms{late * 1000:>10.1f} ms p99", flush=True)


async def judge(server: Server, runs: int, *command: str, looks_at_keys: bool) -> None:
    """Measure one server."""
    began = time.perf_counter()
    await server.start(*command)
    print(f"  {'started, and one file looked at':<36}{(time.perf_counter() - began) * 1000:>10.1f} ms", flush=True)
    for title, ask in server.questions().items():
        await measured(title, runs, ask)
    if looks_at_keys:
        await measured("a key, to findings", runs, server.typed)
    else:
        print(f"  {'a key, to findings':<36}{'no findings':>13}")
    await measured("a save, to findings", runs, server.saved)
    print(f"  {'peak memory':<36}{server.peak:>13}")
    await server.stop()


def _sqlmesh(tool: Tool, texts: dict[str, str]) -> None:
    tool.write(texts)
    tool.write_sources(ROWS)
    config = tool.folder / "config.yaml"
    config.write_text(config.read_text(encoding="utf-8") + _LINTER, encoding="utf-8")
    for command in tool.prepare():
        subprocess.run(command, cwd=tool.folder, check=True)


def main(size: int, runs: int) -> None:
    """Measure both on a project of `size` rules."""
    texts = queries(size)
    rule = "int_000"
    with tempfile.TemporaryDirectory() as folder:
        ours = Path(folder).resolve() / "ours"
        write_project(ours, size, rows=ROWS)
        print(f"rules lsp, {size:,} rules")
        command = str(Path(sys.executable).parent / "rules")
        asyncio.run(judge(Server(ours, f"rules/{rule}.sql"), runs, command, "lsp", looks_at_keys=True))
        tool = Sqlmesh(Path(folder).resolve() / "sqlmesh", programs(ENVIRONMENTS, "SQLMesh-lsp"))
        _sqlmesh(tool, texts)
        print(f"sqlmesh_lsp, {size:,} models")
        server = Server(tool.folder, f"models/{rule}.sql")
        asyncio.run(judge(server, runs, str(tool.programs / "sqlmesh_lsp"), looks_at_keys=False))


if __name__ == "__main__":
    main(*[int(word) for word in (*sys.argv[1:3], *["1000", "20"][len(sys.argv) - 1 :])][:2])
