"""review: looks through the change of the run so far, writes down what it finds, and stops at a blocker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adws.builtin import checks, covered, delta, findings, gutted, leaks, linted, unsafe
from adws.builtin.context import Context, write_result
from adws.builtin.delta import File
from adws.builtin.findings import Finding, Severity
from adws.errors import UserError

NAMED = 3
"""Blockers that the last line names."""


def run(ctx: Context, args: Sequence[str]) -> int:
    if args:
        raise UserError(f"`{args[0]}` is too much; review takes no arguments")
    files = delta.read(ctx.root, delta.since(ctx))
    found = findings.ordered(_found(ctx, files))
    number = f"{len(files)} changed file{'' if len(files) == 1 else 's'}"
    summary = f"{findings.counted(found) or 'no findings'} in {number}"
    write_result(ctx, summary=summary, findings=findings.as_json(found), patches=[])
    for finding in found:
        print(f"{finding.severity}: {finding.text}")
    blockers = [finding.text for finding in found if finding.severity is Severity.BLOCKER]
    if blockers:
        more = f"; and {len(blockers) - NAMED} more" if len(blockers) > NAMED else ""
        raise UserError(f"{summary}: {'; '.join(blockers[:NAMED])}{more}")
    print(summary)
    return 0


def _found(ctx: Context, files: Sequence[File]) -> Iterator[Finding]:
    for check in (*checks.ALL, leaks.check, gutted.check):
        yield from check(files)
    yield from linted.check(ctx.root, files)
    yield from unsafe.check(ctx.root, files)
    yield from covered.check(ctx, files)
