"""Tests that a change deletes, skips, or leaves with less to check than they had.

A test that is found again under another name or in another file of the change is not lost. A file that has
fewer cases or checks than before stops the run; one that makes up for what it loses is only noted.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from adws.builtin import counted, pytests, subjects
from adws.builtin.delta import File
from adws.builtin.findings import Finding, Severity
from adws.builtin.tested import Unit

ALIKE = 0.6
"""From this ratio on two bodies are one test that was renamed."""
NAMED = 4
"""Lost tests that a message names."""
FEW = 40
"""Among more new tests than that, a renamed one is known by an equal body alone."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A test file before and after; the lists are filled while its tests are looked for."""

    file: File
    pairs: list[tuple[Unit, Unit]] = field(default_factory=list)
    """What there was and what it is now, be it under another name or in another file."""
    lost: list[Unit] = field(default_factory=list)
    fresh: list[Unit] = field(default_factory=list)
    excused: list[Unit] = field(default_factory=list)
    """What lost something together with the code that it tests."""

    def net(self) -> tuple[int, int]:
        """How many cases and checks the file has won, as far as reading it can tell."""
        pairs = [(old, new) for old, new in self.pairs if old not in self.excused and _comparable(old, new)]
        cases = sum((new.cases or 1) - (old.cases or 1) for old, new in pairs)
        cases += sum(unit.cases or 1 for unit in self.fresh) - sum(unit.cases or 1 for unit in self.lost)
        checks = sum(new.weight - old.weight for old, new in pairs)
        checks += sum(unit.weight for unit in self.fresh) - sum(unit.weight for unit in self.lost)
        return cases, checks


def _comparable(old: Unit, new: Unit) -> bool:
    """Both are run a known number of times, or neither is."""
    return (old.cases is None) == (new.cases is None)


def check(files: Sequence[File]) -> Iterator[Finding]:
    suites = list(_suites(files))
    for suite in suites:
        for unit in list(suite.lost):
            _find_again(unit, suite, suites)
    removed = subjects.removed(files)
    for suite in suites:
        _excuse(suite, removed)
        yield from _judged(suite)


def _excuse(suite: Suite, removed: frozenset[str]) -> None:
    """Set aside what speaks of removed code where it lost something."""
    for unit in list(suite.lost):
        if removed & subjects.words(unit.body):
            suite.lost.remove(unit)
            suite.excused.append(unit)
    for old, new in suite.pairs:
        if removed & (subjects.words(old.body) - subjects.words(new.body)):
            suite.excused.append(old)


def _suites(files: Sequence[File]) -> Iterator[Suite]:
    python = [file for file in files if _is_python(file)]
    helped = frozenset().union(*(pytests.helpers(file.old) for file in python))
    helps = frozenset().union(*(pytests.helpers(file.new) for file in python))
    for file in files:
        if _is_python(file):
            old = pytests.units(file.old, helped) if counted.is_test(file.was) else {}
            new = pytests.units(file.new, helps) if counted.is_test(file.path) and not file.gone else {}
        elif known := counted.family(file.was) or counted.family(file.path):
            old = counted.units(file.old, known)
            new = counted.units(file.new, known) if counted.family(file.path) else {}
        else:
            continue
        if old is not None and new is not None:  # what does not parse is the linter's to say
            yield _suite(file, old, new)


def _is_python(file: File) -> bool:
    return bool(counted.PYTHON.search(file.path) or counted.PYTHON.search(file.was))


def _suite(file: File, old: Mapping[str, Unit], new: Mapping[str, Unit]) -> Suite:
    suite = Suite(file=file)
    for name, unit in old.items():
        now = new.get(name)
        if unit.is_test and not (now and now.is_test):
            suite.lost.append(unit)
        elif now:
            suite.pairs.append((unit, now))
    suite.fresh.extend(unit for name, unit in new.items() if unit.is_test and name not in old)
    return suite


def _find_again(unit: Unit, suite: Suite, suites: Sequence[Suite]) -> None:
    """Take the test that `unit` became out of what is lost and what is new."""
    fresh = [(place, other) for place in (suite, *suites) for other in place.fresh]
    last = unit.name.rpartition(".")[2]
    same = [(place, other) for place, other in fresh if other.name.rpartition(".")[2] == last]
    same = same or [(place, other) for place, other in fresh if other.body == unit.body]
    if not same and len(fresh) <= FEW:
        same = [(place, other) for place, other in fresh if _alike(unit.body, other.body)]
    if same:
        place, other = same[0]
        place.fresh.remove(other)
        suite.lost.remove(unit)
        suite.pairs.append((unit, other))


def _alike(one: str, two: str) -> bool:
    compared = difflib.SequenceMatcher(None, one.split("\n"), two.split("\n"), autojunk=False)
    return compared.quick_ratio() >= ALIKE and compared.ratio() >= ALIKE


def _judged(suite: Suite) -> Iterator[Finding]:
    cases, checks = suite.net()
    severity = Severity.BLOCKER if cases < 0 or checks < 0 else Severity.MAJOR
    if suite.lost:
        what = "the file is gone with" if suite.file.gone else "gone are"
        yield _finding(severity, "test-removed", suite, 1, f"{what} {_listed(suite.lost)}")
    paired = [old for old, _ in suite.pairs]
    if gone := [unit for unit in suite.excused if unit not in paired]:
        yield _finding(
            Severity.MAJOR, "test-removed", suite, 1, f"gone with what they test are {_listed(gone)}"
        )
    for old, new in suite.pairs:
        yield from _compared(suite, old, new, Severity.MAJOR if old in suite.excused else severity)
    for unit in suite.fresh:
        if unit.skips:
            message = f"the new `{unit.name}` is skipped or may fail"
            yield _finding(Severity.MAJOR, "test-skipped", suite, unit.line, message)


def _compared(suite: Suite, old: Unit, new: Unit, severity: Severity) -> Iterator[Finding]:
    what = f"`{new.name}`"
    severity = severity if _comparable(old, new) else Severity.MAJOR
    if old.checks and not new.checks:
        message = f"{what} checks nothing any more; it had {_number(old.checks, 'check')}"
        yield _finding(Severity.BLOCKER, "test-emptied", suite, new.line, message)
    elif new.checks < old.checks and new.weight < old.weight:
        message = f"{what} has {_number(new.checks, 'check')} instead of {old.checks}"
        yield _finding(severity, "test-weakened", suite, new.line, message)
    if new.cases is not None and old.cases is not None and new.cases < old.cases:
        message = f"{what} is run with {_number(new.cases, 'case')} instead of {old.cases}"
        yield _finding(severity, "test-cases-removed", suite, new.line, message)
    if new.skips > old.skips:
        yield _finding(Severity.BLOCKER, "test-skipped", suite, new.line, f"{what} is skipped or may fail")
    elif new.maybe > old.maybe:
        message = f"{what} is skipped on a condition"
        yield _finding(Severity.MAJOR, "test-skipped", suite, new.line, message)


def _listed(units: Sequence[Unit]) -> str:
    more = f" and {len(units) - NAMED} more" if len(units) > NAMED else ""
    return f"{_number(len(units), 'test')}: {', '.join(unit.name for unit in units[:NAMED])}{more}"


def _number(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _finding(severity: Severity, rule: str, suite: Suite, line: int, message: str) -> Finding:
    return Finding(severity=severity, rule=rule, path=suite.file.path, line=line, message=message)
