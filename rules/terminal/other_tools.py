"""Words of dbt and SQLMesh: commands and options that are not ours → what does that here, in one line each."""

from __future__ import annotations

_COMMANDS = {
    # dbt
    "run": "rules build runs what must run, and nothing else; rules plan says what that is",
    "test": "rules build runs a product's checks before it is published; docs/contracts.md says how to declare them",
    "compile": "rules check compiles every rule without data; rules explain NAME prints the SQL that is executed",
    "parse": "rules check reads and compiles every rule",
    "docs": "rules lineage --format html draws the project, rules contract NAME prints what a product promises",
    "seed": "declare the file as a source in rules.toml; rules build reads it",
    "deps": "there are no packages to install: rules that several projects share are files or Python modules",
    "snapshot": "no table is changed in place: keep history in a source; rules diff --data NAME compares two builds",
    "source": "rules plan looks at every source and says what its changes reach; there is no freshness to declare",
    "debug": "rules check looks at rules.toml, the sources and the rules; there is no connection to try",
    "clean": "delete the folder .rules: it holds what builds have stored, and the next one makes it again",
    "list": "rules ls lists the products",
    "retry": "rules build runs the products that failed, and those skipped because of them; the rest is up to date",
    "run-operation": "there are no macros to run: products are made by rules alone",
    "clone": "nothing has to be cloned: what any branch has computed in this store is taken from there",
    "freshness": "rules plan looks at every source and says what its changes reach; there is no freshness to declare",
    # SQLMesh
    "apply": "rules build does what rules plan says",
    "fetchdf": 'rules query "SELECT …" prints the rows; in Python: Project.open().table("NAME")',
    "evaluate": "rules show NAME.CTE runs a part of a rule, rules query any other query; nothing is stored",
    "create_test": "a check is declared in the rule's contract: docs/contracts.md",
    "create_external_models": "declare the tables as sources in rules.toml; files tell the types of their columns",
    "table_diff": "rules diff --data NAME compares a product's table with the one before it",
    "janitor": "rules gc removes what nothing needs any more",
    "invalidate": "there are no environments: each work tree of a repository has products of its own",
    "environments": "there are no environments: each work tree of a repository has products of its own",
    "destroy": "delete the folder .rules: it holds what builds have stored, and the next one makes it again",
    "render": "rules explain NAME prints the SQL that is executed",
    "dag": "rules lineage --format html draws the project; mermaid and dot are formats too",
    "format": "any formatter of SQL does: a rule is plain SQL; rules check --fix fixes what it can",
    "lint": "rules check finds errors in rules; rules check --fix fixes what it can",
    "info": "rules check looks at rules.toml, the sources and the rules",
    "migrate": "the store is upgraded by the next build, which runs nothing again for that",
    "rollback": "rules restore BUILD lets products be what they were; check out the files of that time to stay with it",
    "state": "the store is the folder .rules; rules log lists what builds did",
    "ui": "rules lineage --format html writes a page to look at",
    "check_intervals": "there are no intervals: rules plan says what is not up to date",
    "table_name": "a product is the file .rules/products/NAME.parquet",
}

_SYNONYMS = {
    "add": "init", "new": "init", "make": "build", "status": "plan", "dry-run": "plan", "cat": "show", "head": "show",
    "preview": "show", "select": "query", "sql": "query", "verify": "audit", "trace": "lineage", "columns": "lineage",
    "compare": "diff", "changes": "diff", "why": "explain", "describe": "explain", "history": "log",
    "schema": "contract", "ddl": "contract", "unload": "export", "save": "export", "write": "export",
}  # fmt: skip
"""What the same thing is called elsewhere."""

_OPTIONS = {
    # dbt
    "--full-refresh": "rules build --force NAME runs a product again whatever is stored",
    "--defer": "it is not needed: what another branch has computed in this store is taken from there",
    "--favor-state": "it is not needed: what another branch has computed in this store is taken from there",
    "--state": "-s changed selects rules that differ from their last build; rules diff --against REF compares commits",
    "--models": "write -s, --select",
    "-m": "write -s, --select",
    "--selector": "write -s, --select; there are no named selectors, but tags: -s tag:daily",
    "--vars": "write --var NAME=VALUE, once for each variable",
    "--target": "there are no targets: a project has one store; --profile NAME is about the engine's settings",
    "-t": "there are no targets: a project has one store; --profile NAME is about the engine's settings",
    "--threads": "write -j, --jobs",
    "--profiles-dir": "profiles are in rules.toml, under [profiles.NAME]",
    "--project-dir": "write -C, --project",
    "--fail-fast": "that is what a build does; -k, --keep-going goes on with what does not need what failed",
    "-x": "that is what a build does; -k, --keep-going goes on with what does not need what failed",
    "--store-failures": "failing rows are always kept: rules show NAME.CHECK prints them",
    "--empty": "rules check plans every rule on tables without rows",
    "--sample": "write a rule that samples, or a $variable that limits",
    "--inline": 'rules show "SELECT …" runs a query',
    "--output": "write --json, or --format if a command has formats",
    "--resource-type": "everything that is built is a product",
    # SQLMesh
    "--auto-apply": "nothing ever asks: rules build does what rules plan says",
    "--no-prompts": "nothing ever asks: rules build does what rules plan says",
    "--select-model": "write -s, --select",
    "--backfill-model": "write -s, --select",
    "--restate-model": "rules build --force NAME runs a product again whatever is stored",
    "--forward-only": "there is nothing to declare: what an edit reaches is proved, and only that runs",
    "--skip-backfill": "rules plan says what a build would do, without doing it",
    "--start": "there are no intervals: a rule is computed whole, from all that its sources hold",
    "--end": "there are no intervals: a rule is computed whole, from all that its sources hold",
    "--gateway": "there are no gateways: a project has one store",
    "--environment": "there are no environments: each work tree of a repository has products of its own",
}


def command_hint(word: str, commands: set[str]) -> str | None:
    """Return what does here what another tool's command `word` does; None for a word that no tool has."""
    written = word.lower().replace("-", "_")
    for spelled in (word.lower(), written):
        if spelled in _COMMANDS:
            return _COMMANDS[spelled]
    meant = _SYNONYMS.get(word.lower())
    return f"did you mean '{meant}'?" if meant in commands else None


def option_hint(word: str) -> str | None:
    """Return what is written here in place of another tool's option, as given: --vars, or --vars=x."""
    return _OPTIONS.get(word.partition("=")[0])
