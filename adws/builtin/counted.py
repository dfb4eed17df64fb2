"""The units of test files that are not Python, by counting what looks like a test and like a check."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence

from adws.builtin.languages import Family
from adws.builtin.tested import Unit

MARKS = re.compile(r"(?:^[ \t]*(?:@|#\[|\[)[^\n]*\n)+[ \t]*\Z", re.MULTILINE)
"""The lines with annotations right before a place."""
GROUP = re.compile(
    r"^([ \t]*)(?:RSpec\.)?(?:describe|context|suite)\b[^'\"`\n]*('[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`)",
    re.MULTILINE,
)
HELPER = re.compile(
    r"\b(?:function|func|fn|def) (\w+)|\b(?:const|let|var) (\w+) = (?:async )?(?:function\b|\()"
)
TRIVIAL = re.compile(r"\b(?:expect|assert\w*(?:\.\w+)?|EXPECT_TRUE|ASSERT_TRUE)!?\s*\(\s*(?:true|1)\s*[,)]")
"""A check that cannot fail."""
HEAD = "<head>"
"""The unit of what stands before the first test."""


def units(text: str, known: Family) -> dict[str, Unit]:
    """By name. What stands between one test's beginning and the next one's belongs to the first."""
    plain = TRIVIAL.sub("", known.comment.sub("", text))
    begins = list(known.test.finditer(plain))
    starts = [_with_marks(plain, found.start()) for found in begins]
    head = plain[: starts[0]] if starts else plain
    check = _with_helpers(plain, known, begins)
    found = {HEAD: _unit(HEAD, head, known, check, line=1)}
    names = _names(plain, begins)
    line, at = 1, 0
    for begin, name, start, end in zip(begins, names, starts, [*starts[1:], len(plain)], strict=False):
        while name in found:
            name += "'"
        line += plain.count("\n", at, begin.start())
        at = begin.start()
        found[name] = _unit(name, plain[start:end], known, check, line=line)
    return found


def _with_helpers(plain: str, known: Family, tests: Sequence[re.Match[str]]) -> re.Pattern[str]:
    """What checks, and a call of one of the file's own functions that checks something."""
    own = {test.end(): test for test in tests}
    functions = list(HELPER.finditer(plain))
    begins = {found.start() for found in (*tests, *functions)}
    places = [*sorted(begins), len(plain)]
    names = set()
    for found in functions:
        end = places[bisect.bisect_right(places, found.start(), hi=len(places) - 1)]
        is_test = any(at in own for at in (found.end(), found.end() + 1))
        if not is_test and known.check.search(plain, found.end(), end):
            names.add(found[1] or found[2])
    called = "|".join(sorted(names))
    return re.compile(rf"{known.check.pattern}|\b(?:{called})\(") if names else known.check


def _names(plain: str, tests: Sequence[re.Match[str]]) -> Iterator[str]:
    """The tests' names behind those of the groups that they stand in, as the indentation tells."""
    groups = list(GROUP.finditer(plain))
    above: list[tuple[int, str]] = []
    for test in tests:
        while groups and groups[0].start() < test.start():
            group = groups.pop(0)
            above = [*_outside(above, len(group[1])), (len(group[1]), group[2][1:-1])]
        own = next((part for part in test.groups() if part), test[0]).strip("\"'` ")
        line = plain[plain.rfind("\n", 0, test.start()) + 1 : test.end()].lstrip("\n")
        above = _outside(above, len(line) - len(line.lstrip()))
        yield " > ".join([*(name for _, name in above), own])


def _outside(groups: Sequence[tuple[int, str]], indent: int) -> list[tuple[int, str]]:
    return [(column, name) for column, name in groups if column < indent]


def _with_marks(plain: str, at: int) -> int:
    above = MARKS.search(plain, max(at - 400, 0), at)
    return above.start() if above else at


def _unit(name: str, body: str, known: Family, check: re.Pattern[str], *, line: int) -> Unit:
    return Unit(
        name=name,
        own=name,
        line=line,
        is_test=name != HEAD,
        checks=0 if name == HEAD else len(check.findall(body)),
        skips=len(known.skip.findall(body)),
        maybe=0,
        cases=1,
        body=body,
    )
