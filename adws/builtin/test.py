"""test: runs the project's own tests and reads the report that they leave.

`test` alone finds out how; `test -- CMD ARG...` runs exactly that, which has to leave $ADW_OUT/junit.xml.
"""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from adws.builtin import command, covered, junit, suite
from adws.builtin.context import Context, write_result
from adws.builtin.junit import Report
from adws.builtin.suite import Suite
from adws.errors import UserError

REPORT = "junit.xml"
NAMED = 3
"""Failed tests that the summary names."""


def run(ctx: Context, args: Sequence[str]) -> int:
    """The tests' own exit code, unless they did not show that anything passed."""
    report = ctx.out / REPORT
    for name in (REPORT, *covered.REPORTS):
        (ctx.out / name).unlink(missing_ok=True)
    before = _coverage(ctx.root)
    with tempfile.TemporaryDirectory(prefix="adws-test-") as scratch:
        chosen = _given(args) or suite.detect(ctx.root, report, Path(scratch))
        code = command.run(chosen.command, ctx.root, {"ADW_OUT": str(ctx.out), **chosen.env})
    _keep(ctx, before)
    if not report.is_file():
        raise UserError(f"{chosen.name} exited {code} and left no {REPORT} in ADW_OUT")
    found = junit.read(report)
    summary = _summary(found, chosen.name)
    results = {
        "tests": found.tests,
        "failures": found.failures,
        "errors": found.errors,
        "skipped": found.skipped,
    }
    write_result(ctx, summary=summary, results=results)
    if not found.passed and not found.broken:
        raise UserError(summary)
    if (code == 0) == bool(found.broken):
        raise UserError(f"{summary}, and yet it exited {code}")
    print(summary)
    return code


def _coverage(root: Path) -> dict[str, int]:
    """The coverage reports in the checkout, and when each was written."""
    return {name: (root / name).stat().st_mtime_ns for name in covered.REPORTS if (root / name).is_file()}


def _keep(ctx: Context, before: Mapping[str, int]) -> None:
    """Keep the coverage reports of these tests for the phases behind; what was not there before is moved."""
    for name, written in _coverage(ctx.root).items():
        if before.get(name) != written:
            shutil.copyfile(ctx.root / name, ctx.out / name)
            if name not in before:
                (ctx.root / name).unlink()


def _given(args: Sequence[str]) -> Suite | None:
    words = tuple(args[1:] if args[:1] == ["--"] else args)
    if not words:
        return None
    if words[0].startswith("-"):
        raise UserError(f"`{words[0]}` is no command; the tests' own goes behind `--`: test -- CMD ARG...")
    return Suite(name=f"`{shlex.join(words)}`", command=words)


def _summary(found: Report, name: str) -> str:
    if not found.tests:
        return f"{name} found no tests"
    if found.broken:
        more = f" and {len(found.broken) - NAMED} more" if len(found.broken) > NAMED else ""
        which = ", ".join(found.broken[:NAMED])
        return f"{len(found.broken)} of {_tests(found.tests)} failed in {name}: {which}{more}"
    if not found.passed:
        return f"{name} ran no test: all {found.skipped} are skipped"
    skipped = f", {found.skipped} skipped," if found.skipped else ""
    return f"{_tests(found.passed)} passed{skipped} in {name}"


def _tests(number: int) -> str:
    return f"{number} test{'' if number == 1 else 's'}"
