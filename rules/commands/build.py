"""`rules build`: bring products up to date, running only what must run."""

from __future__ import annotations

import argparse
from pathlib import Path

from rules.errors import FAILED
from rules.output import Output
from rules.report import nothing_to_do
from rules.roots import find_root, store_root

_EPILOG = """selectors: NAME, +NAME (and what it reads), NAME+ (and its readers), 2+NAME, globs, tag:T, path:DIR,
source:S+, changed; a space or a second -s adds, a comma intersects"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.epilog = _EPILOG
    parser.add_argument("-s", "--select", action="append", default=[], metavar="SELECT", help="build only these products")
    parser.add_argument("--exclude", action="append", default=[], metavar="SELECT", help="leave these products out")
    parser.add_argument("--force", action="append", default=[], metavar="SELECT", help="run these even if nothing changed")
    parser.add_argument("-j", "--jobs", type=_positive, metavar="N", help="products executed at once (default: one a core)")
    parser.add_argument("-k", "--keep-going", action="store_true", help="after a failure, go on with what does not need it")
    parser.add_argument("--profile", default="prod_fast", metavar="NAME", help="engine settings (default: prod_fast)")


def run(options: argparse.Namespace, output: Output) -> int:
    """Build; 1 when a product failed."""
    root = find_root(Path(options.project).resolve())
    if not (options.select or options.exclude or options.force) and _is_noop(root, options.profile, output):
        return 0
    from rules.build import Request, build
    from rules.project import load_project
    from rules.report import build_document, build_lines, error_lines

    request = Request(
        select=tuple(options.select),
        exclude=tuple(options.exclude),
        force=tuple(options.force),
        profile=options.profile,
        jobs=options.jobs,
        keep_going=options.keep_going,
    )
    observer = output.observer()
    try:
        report = build(load_project(root), request, observer)
    finally:
        observer.close()
    if output.as_json:
        output.document(build_document(report))
        return 0 if report.ok else FAILED
    for result in report.results.values():
        if result.error is not None:
            for line in error_lines(result.error):
                output.message(line)
    output.result(build_lines(report))
    return 0 if report.ok else FAILED


def _is_noop(root: Path, profile: str, output: Output) -> bool:
    """Recognise an unchanged project, and say so."""
    store = store_root(root)
    if not (store / "index.sqlite").exists():
        return False
    from cache.errors import StoreError
    from cache.index import Index
    from rules.noop import up_to_date

    try:
        with Index(store / "index.sqlite", existing=True) as index:
            count = up_to_date(root, store, index, profile)
            if count is None:
                return False
            if output.as_json:
                from rules.report import build_document
                from rules.results import clean_report

                output.document(build_document(clean_report(index)))
            else:
                output.result([nothing_to_do(count)])
    except StoreError:
        return False  # the long way meets the same trouble, and explains it
    return True


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
