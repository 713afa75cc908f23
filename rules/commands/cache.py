"""`rules cache`: verify, list or remove what is stored, tell what it has saved; make a key for the shared cache."""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rules.config.project import load_project
from rules.errors import FAILED, UserError
from rules.files.project_paths import find_root
from rules.report.runs import document
from rules.storage.store import open_store
from rules.wording import byte_size, duration, plural, table_lines

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from cache.shared_index import SharedUsage
    from cache.usage import Savings
    from rules.storage.collecting import Stored
    from rules.storage.store import Store
    from rules.storage.verification import BadObject, Verified
    from rules.terminal.output import Output

_EPILOG = """actions:
  verify    compare all objects with their digests: a build reads no table that it need not read
  stats     how much is stored, and what it has saved
  ls        list what is stored, the largest first, and why; of one product: rules cache ls NAME
  rm        remove tables: NAME@BUILD, or an artifact as ls prints it, or how only it starts
  push      send what products and checks are now to the shared cache
  keygen    write a secret key of a writer of the shared cache to FILE, and print its public key"""
_ARTIFACT = re.compile(r"[0-9a-f]{4,}")
_OUTCOMES = {
    ("restored", False): "restored",
    ("restored", True): "restored",
    ("removed", False): "removed",
    ("removed", True): "forgotten",
    ("lost", False): "removed; it cannot be computed again now",
    ("lost", True): "forgotten; it cannot be computed again now",
}
"""What is said of a bad object, by what became of it and whether it was missing."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "action", choices=tuple(_ACTIONS), metavar="ACTION", help="verify, stats, ls, rm, push or keygen"
    )
    parser.add_argument("what", nargs="*", default=[], metavar="WHAT", help="what to list or remove; the file of a key")
    parser.add_argument(
        "--remote", action="store_true", help="verify: read all that is in the shared cache, in place of the store"
    )
    parser.add_argument(
        "--repair",
        action="store_true",
        help="verify: restore what can be, and remove the rest, which the next build makes again",
    )
    parser.add_argument(
        "--force", action="store_true", help="rm: remove also what is needed; the next build makes it again"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Do what the action says."""
    for name, action in (("repair", "verify"), ("force", "rm"), ("remote", "verify")):
        if getattr(options, name) and options.action != action:
            raise UserError(f"--{name} is an option of rules cache {action}", code="usage")
    if options.what and options.action in {"verify", "stats", "push"}:
        raise UserError(f"unexpected argument '{options.what[0]}'", code="usage", hint="see rules cache --help")
    return _ACTIONS[options.action](options, output)


def _verify(options: argparse.Namespace, output: Output) -> int:
    """Verify; 1 when an object is bad, also where it is repaired."""
    root = find_root(options.project)
    if options.remote:
        return _verify_shared(root, options, output)
    with open_store(root, output.message, building=False, collecting=options.repair) as store:
        from rules.storage.verification import verify_store

        found = verify_store(store, repair=options.repair)
    if output.as_json:
        status = "failed" if found.bad else "ok"
        bad = [_bad_fields(one, root) for one in found.bad]
        output.document(document("cache", status=status, checked=found.checked, bad=bad))
    else:
        lines = [_bad_line(one, root) for one in found.bad]
        output.result([*lines, *([_verified(found)] if output.verbosity >= 0 else ())])
    return FAILED if found.bad else 0


def _verify_shared(root: Path, options: argparse.Namespace, output: Output) -> int:
    """Verify the shared cache; 1 when something in it is bad."""
    if options.repair:
        hint = "a build that needs what is bad computes it, and writes it again"
        raise UserError("--repair is for the store, not for the shared cache", code="usage", hint=hint)
    load_project(root)
    from rules.storage.shared_keeping import verify_shared

    checked, bad = verify_shared(root)
    if output.as_json:
        status = "failed" if bad else "ok"
        output.document(document("cache", status=status, checked=checked, bad=[one._asdict() for one in bad]))
    else:
        summary = f"{len(bad):,} of {plural(checked, 'object')} bad" if bad else f"{plural(checked, 'object')} verified"
        lines = [f"{one.name}: it {one.problem}" for one in bad]
        output.result([*lines, *([summary] if output.verbosity >= 0 else ())])
    return FAILED if bad else 0


def _push(options: argparse.Namespace, output: Output) -> int:
    """Send what products and checks are now to the shared cache; 1 when something could not be sent."""
    project = load_project(find_root(options.project))
    from rules.build import push  # with the compiler

    report = push(project, output.message)
    for warning in report.warnings:
        output.message(warning)
    if output.as_json:
        output.document(document("cache", status="failed" if report.unsent else "ok", **report.fields))
    elif output.verbosity >= 0:
        nothing = "nothing was sent" if report.unsent else "nothing to send: the shared cache has it all"
        output.result([report.line or nothing])
    return FAILED if report.unsent else 0


def _keygen(options: argparse.Namespace, output: Output) -> int:
    """Write a fresh secret key to a file that does not exist yet; print the public one."""
    if len(options.what) != 1:
        raise UserError("name one file for the secret key", code="usage", hint="rules cache keygen FILE")
    from cache.remote.signing import Signer, generate
    from cache.removal import create
    from rules.storage.shared_connection import INSTALL

    try:
        secret = generate()
        public = Signer.of(secret).public
    except ImportError as error:
        message = "keys need the package cryptography, which is not installed"
        raise UserError(message, code="cache-key", hint=INSTALL) from error
    place = os.path.expanduser(options.what[0])  # noqa: PTH111 — shown as it was given
    try:
        if place.endswith("/"):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        create(Path(place), f"{secret}\n".encode(), 0o600)
    except OSError as error:
        message = f"the key cannot be written to {options.what[0]}: {error.strerror}"
        raise UserError(message, code="cache-key", hint="no file is replaced by a key") from error
    if output.as_json:
        output.document(document("cache", status="ok", public_key=public, key_file=options.what[0]))
    else:
        output.result([public])
    return 0


def _stats(options: argparse.Namespace, output: Output) -> int:
    root = find_root(options.project)
    with open_store(root, output.message, building=False, asked=True) as store:
        from cache.collection import every_object
        from cache.downloads import Downloads
        from cache.reachable import reasons

        sizes = [status.st_size for _, status in every_object(store.objects)]
        known = store.index.sizes()
        live = sum(known[artifact].bytes for artifact in reasons(store.index, {}) if artifact in known)
        usage, index = store.index.usage(), store.index.pages()[1]
        copies = Downloads(store.objects.root).bytes()
        shared = store.index.shared_usage()
    if output.as_json:
        fields = {"objects": len(sizes), "bytes": sum(sizes), "live_bytes": live, "index_bytes": index}
        fields["download_bytes"] = copies
        tables = {"products": _usage_fields(usage, "product"), "months": _usage_fields(usage, "month")}
        of_shared = {"shared": {**_sum_shared(shared), "months": [_shared_fields(one) for one in shared]}}
        output.document(document("cache", status="ok", **fields, **_sum(usage), **tables, **of_shared))
        return 0
    total = _sum(usage)
    stored = f"{plural(len(sizes), 'object')}, {byte_size(sum(sizes))}, of which products need {byte_size(live)}"
    saved = f"saved {duration(total['seconds_saved'])} and {byte_size(total['bytes_saved'])}"
    counts = f"{plural(total['hits'], 'hit')}, {total['misses']:,} misses"
    lines = [
        f"{stored}; index: {byte_size(index)}"
        + (f"; copies of objects from elsewhere: {byte_size(copies)}" if copies else ""),
        f"{counts}: {saved}, spent {duration(total['seconds_spent'])}",
    ]
    if shared:
        sums = _sum_shared(shared)
        summary = f"{plural(sums['hits'], 'hit')}, {sums['misses']:,} misses, {sums['refused']:,} refused"
        moved = f"{byte_size(sums['fetched_bytes'])} fetched, {byte_size(sums['sent_bytes'])} sent"
        lines.append(f"shared cache: {summary}, {sums['failures']:,} failed; {moved}")
    for key in ("product", "month"):
        rows = [
            [
                one["name"],
                f"{one['hits']:,}",
                f"{one['misses']:,}",
                duration(one["seconds_saved"]),
                byte_size(one["bytes_saved"]),
                duration(one["seconds_spent"]),
            ]
            for one in _usage_fields(usage, key)
        ]
        header = [key, "hits", "misses", "saved", "bytes", "spent"]
        lines += ["", *table_lines(header, rows, right=[1, 2, 3, 4, 5])] if rows else []
    output.result(lines)
    return 0


def _usage_fields(usage: Iterable[Savings], key: str) -> list[dict[str, Any]]:
    """Return usage by product or by month."""
    groups: dict[str, list[Savings]] = {}
    for one in usage:
        groups.setdefault(getattr(one, key), []).append(one)
    return [{"name": name, **_sum(groups[name])} for name in sorted(groups)]


def _sum(usage: Iterable[Savings]) -> dict[str, Any]:
    counted: Counter[str] = Counter()
    names = ("hits", "misses", "seconds_saved", "bytes_saved", "seconds_spent")
    for one in usage:
        counted.update({name: getattr(one, name) for name in names})
    return {name: round(counted[name], 6) for name in names}


def _sum_shared(usage: Iterable[SharedUsage]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for one in usage:
        counted.update({name: count for name, count in one._asdict().items() if name != "month"})
    names = ("hits", "misses", "fetched_bytes", "sent_bytes", "refused", "failures")
    return {name: counted[name] for name in names}


def _shared_fields(one: SharedUsage) -> dict[str, Any]:
    fields = one._asdict()
    return {"name": fields.pop("month"), **fields}


def _ls(options: argparse.Namespace, output: Output) -> int:
    project = load_project(find_root(options.project))
    with open_store(project.root, output.message, building=False, asked=True) as store:
        from rules.storage.collecting import listed

        found = listed(store, project.limits)
    known = {product for one in found for product in one.products}
    for name in options.what:
        if name not in known:
            hint = "rules cache ls lists everything"
            raise UserError(f"no stored table is of '{name}'", code="unknown-product", hint=hint)
    if options.what:
        found = [one for one in found if not set(options.what).isdisjoint(one.products)]
    if output.as_json:
        output.document(document("cache", status="ok", objects=[_stored_fields(one) for one in found]))
    elif output.verbosity < 0:
        output.result([one.artifact for one in found])
    else:
        rows = [[one.artifact, byte_size(one.bytes), one.why, one.build, ", ".join(one.products)] for one in found]
        header = ["artifact", "size", "kept as", "build", "products"]
        output.result(table_lines(header, rows, right=[1]) if rows else ["nothing is stored"])
    return 0


def _stored_fields(one: Stored) -> dict[str, Any]:
    fields = {"artifact": one.artifact, "bytes": one.bytes, "reason": one.why}
    return {**fields, "build": one.build or None, "products": list(one.products)}


def _rm(options: argparse.Namespace, output: Output) -> int:
    if not options.what:
        raise UserError("nothing is named that should be removed", code="usage", hint="rules cache ls lists all")
    project = load_project(find_root(options.project))
    with open_store(project.root, output.message, building=False, asked=True, collecting=True) as store:
        from rules.storage.collecting import discard, listed

        stored = {one.artifact: one for one in listed(store, project.limits)}
        found = {artifact: stored[artifact] for word in options.what for artifact in [_named(store, stored, word)]}
        for one in found.values():
            if one.why in {"product", "input", "pin"} and not options.force:
                of = {"product": "it is what a product is now", "input": "a product was made from it"}
                message = f"{one.artifact} is needed: {of.get(one.why, 'it is pinned')}"
                hint = "--force removes it all the same"
                raise UserError(message, code="needed", hint=hint, exit_code=FAILED)
        discard(store, found)
    removed = {"objects": len(found), "bytes": sum(one.bytes for one in found.values())}
    if output.as_json:
        output.document(document("cache", status="ok", removed=removed, artifacts=list(found)))
    elif output.verbosity >= 0:
        output.result([f"{plural(removed['objects'], 'object')} removed, {byte_size(removed['bytes'])}"])
    return 0


def _named(store: Store, stored: dict[str, Stored], word: str) -> str:
    """Return the artifact that NAME@BUILD, or the start of an artifact, names. Raises `UserError`."""
    from rules.inspect.history import after_build, past_of, require_stored

    past = past_of(store.index, word)
    if past is not None:
        return require_stored(store, past.name, after_build(store.index, *past))
    found = [artifact for artifact in stored if artifact.startswith(word)] if _ARTIFACT.match(word) else []
    if len(found) != 1:
        message = f"'{word}' could be any of {len(found):,} artifacts" if found else f"no stored table is '{word}'"
        raise UserError(message, code="unknown-artifact", hint="rules cache ls lists artifacts; or write NAME@BUILD")
    return found[0]


def _bad_fields(one: BadObject, root: Path) -> dict[str, Any]:
    return {
        "artifact": one.artifact,
        "path": os.path.relpath(one.path, root),
        "problem": one.problem,
        "products": list(one.products),
        "repaired": one.repaired,
        "outcome": one.outcome,
        "message": one.obstacle or None,
    }


def _bad_line(one: BadObject, root: Path) -> str:
    of = f" of {', '.join(one.products)}" if one.products else ""
    done = one.obstacle if one.outcome == "left" else _OUTCOMES[one.outcome, one.problem == "missing"]
    return f"{one.problem:<8} {os.path.relpath(one.path, root)}{of}{f' ({done})' if done else ''}"


def _verified(found: Verified) -> str:
    if not found.bad:
        return f"{plural(found.checked, 'object')} verified"
    left = sum(not one.repaired for one in found.bad)
    restored = sum(one.outcome == "restored" for one in found.bad)
    hint = "rules build makes again what is needed"
    if left:
        hint = "rules cache verify --repair restores or removes them"
    elif restored == len(found.bad):
        hint = "all restored"
    return f"{len(found.bad):,} of {plural(found.checked, 'object')} bad; {hint}"


_ACTIONS: dict[str, Callable[[argparse.Namespace, Output], int]] = {
    "verify": _verify,
    "stats": _stats,
    "ls": _ls,
    "rm": _rm,
    "push": _push,
    "keygen": _keygen,
}
