// The client of `rules lsp`: starts the server and shows what its lenses answer. Everything else the protocol does.

import { commands, ExtensionContext, window, workspace } from "vscode";
import { ExecuteCommandRequest, LanguageClient, LanguageClientOptions, ServerOptions } from "vscode-languageclient/node";

interface Shown {
  name?: string;
  text?: string;
}

let client: LanguageClient | undefined;

function start(): LanguageClient {
  const settings = workspace.getConfiguration("rules");
  const server: ServerOptions = { command: settings.get<string>("command", "rules"), args: ["lsp"] };
  const options: LanguageClientOptions = {
    documentSelector: [
      { scheme: "file", language: "sql" },
      { scheme: "file", pattern: "**/rules.toml" },
      { scheme: "file", language: "python" },
    ],
    initializationOptions: { runsPython: workspace.isTrusted && settings.get<boolean>("runsPython", false) },
    synchronize: { fileEvents: workspace.createFileSystemWatcher("**/*.{sql,py,toml,parquet,csv,json}") },
    middleware: {
      executeCommand: async (command, parameters, _next) => {
        const answer: Shown | null = (await client?.sendRequest(ExecuteCommandRequest.type, {
          command,
          arguments: parameters,
        })) as Shown | null;
        if (answer?.text !== undefined) {
          const document = await workspace.openTextDocument({ content: answer.text, language: "plaintext" });
          await window.showTextDocument(document, { preview: true, preserveFocus: true });
        }
        return answer;
      },
    },
  };
  const started = new LanguageClient("rules", "rules", server, options);
  void started.start();
  return started;
}

export function activate(context: ExtensionContext): void {
  client = start();
  context.subscriptions.push(
    commands.registerCommand("rules.restart", async () => {
      await client?.stop();
      client = start();
    }),
  );
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}
