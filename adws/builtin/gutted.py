"""Tests that a change deletes, skips, or leaves with less to check than they had.

A file that has fewer cases or checks than before stops the run; one that makes up for what it loses is only
noted, and so is what goes together with the code that it tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adws.builtin import compared, subjects
from adws.builtin.compared import Compared, Pair
from adws.builtin.delta import File
from adws.builtin.findings import Finding, Severity
from adws.builtin.tested import Unit

NAMED = 4
"""Lost tests that a message names."""


def check(files: Sequence[File]) -> Iterator[Finding]:
    removed = subjects.removed(files)
    for one in compared.compare(files):
        excused = [unit for unit in one.lost if removed & subjects.words(unit.body)]
        lost = [unit for unit in one.lost if unit not in excused]
        counting = [pair for pair in one.pairs if not _is_excused(pair, removed)]
        severity = Severity.BLOCKER if _loses(one, counting, lost) else Severity.MAJOR
        if lost:
            what = "the file is gone with" if one.file.gone else "gone:"
            yield _finding(severity, "test-removed", one.file.path, 1, f"{what} {_listed(lost)}")
        if excused:
            message = f"gone with what they test: {_listed(excused)}"
            yield _finding(Severity.MAJOR, "test-removed", one.file.path, 1, message)
        for pair in one.pairs:
            yield from _judged(pair, severity if pair in counting else Severity.MAJOR)
        for unit in one.fresh:
            if unit.skips:
                message = f"the new `{unit.name}` is skipped or may fail"
                yield _finding(Severity.MAJOR, "test-skipped", one.file.path, unit.line, message)


def _is_excused(pair: Pair, removed: frozenset[str]) -> bool:
    """It lost what spoke of code that is gone."""
    return bool(removed & (subjects.words(pair.old.body) - subjects.words(pair.new.body)))


def _loses(one: Compared, pairs: Sequence[Pair], lost: Sequence[Unit]) -> bool:
    """Whether the file has fewer cases or checks than before, as far as reading it can tell."""
    known = [pair for pair in pairs if pair.comparable]
    cases = sum((pair.new.cases or 1) - (pair.old.cases or 1) for pair in known)
    cases += sum(unit.cases or 1 for unit in one.fresh) - sum(unit.cases or 1 for unit in lost)
    checks = sum(pair.new.weight - pair.old.weight for pair in known)
    checks += sum(unit.weight for unit in one.fresh) - sum(unit.weight for unit in lost)
    return cases < 0 or checks < 0


def _judged(pair: Pair, severity: Severity) -> Iterator[Finding]:
    old, new, what = pair.old, pair.new, f"`{pair.new.name}`"
    severity = severity if pair.comparable else Severity.MAJOR
    place = (pair.path, new.line)
    if old.checks and not new.checks:
        message = f"{what} checks nothing any more; it had {_number(old.checks, 'check')}"
        yield _finding(Severity.BLOCKER, "test-emptied", *place, message)
    elif new.is_idle and not old.is_idle:
        yield _finding(Severity.BLOCKER, "test-emptied", *place, f"{what} does nothing any more")
    elif new.checks < old.checks and new.weight < old.weight:
        message = f"{what} has {_number(new.checks, 'check')} instead of {old.checks}"
        yield _finding(severity, "test-weakened", *place, message)
    if new.cases is not None and old.cases is not None and new.cases < old.cases:
        message = f"{what} is run with {_number(new.cases, 'case')} instead of {old.cases}"
        yield _finding(severity, "test-cases-removed", *place, message)
    if new.skips > old.skips:
        yield _finding(Severity.BLOCKER, "test-skipped", *place, f"{what} is skipped or may fail")
    elif new.maybe > old.maybe:
        yield _finding(Severity.MAJOR, "test-skipped", *place, f"{what} is skipped on a condition")


def _listed(units: Sequence[Unit]) -> str:
    more = f" and {len(units) - NAMED} more" if len(units) > NAMED else ""
    return f"{_number(len(units), 'test')}: {', '.join(unit.name for unit in units[:NAMED])}{more}"


def _number(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _finding(severity: Severity, rule: str, path: str, line: int, message: str) -> Finding:
    return Finding(severity=severity, rule=rule, path=path, line=line, message=message)
