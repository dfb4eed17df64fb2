"""Evidence: test reports that are really there, really parse, and really show green tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SUITES = ("testsuites", "testsuite")
_NOT_RUN = ("notrun", "disabled")


def fault(out: Path, reports: Iterable[str], since: float) -> str:
    """What is wrong with the first bad report below `out`, in the user's words; empty when all are green.

    Every report has to be a plain file, written after `since` (seconds of time.time), parse as JUnit XML, and
    show at least one test that ran and none that failed.
    """
    return next((said for report in reports if (said := _fault(out, report, since))), "")


def lost(out: Path, before: Path, reports: Iterable[str], *, unrun: bool = False) -> str:
    """Which of the tests that passed in the reports below `before` did not pass in those below `out`.

    With `unrun`: which of all tests that ran there, red ones too, did not run here; no report shows none.
    """
    from xml.etree import ElementTree

    when = "before its repair" if unrun else "before the change"
    counts: Callable[[Element], Counter[str]] = _ran if unrun else _passed
    for name in reports:
        try:
            then, now = (ElementTree.parse(folder / name).getroot() for folder in (before, out))  # noqa: S314
        except (OSError, ElementTree.ParseError, ValueError, LookupError):
            if unrun:
                continue
            return f"has nothing to be compared with: its `baseline` left no readable {name}"
        here, there = counts(now), Counter(map(_id, now.iter("testcase")))
        if gone := [test for test, times in counts(then).items() if here[test] < times]:
            more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
            what = "ran" if unrun else "passed"
            return f"{'skips' if there[gone[0]] else 'does not run'} what {what} {when}: {gone[0]}{more}"
    return ""


def _passed(root: Element) -> Counter[str]:
    return Counter(_id(case) for case in root.iter("testcase") if not _skipped(case) and not _failed(case))


def _ran(root: Element) -> Counter[str]:
    return Counter(_id(case) for case in root.iter("testcase") if not _skipped(case))


def _id(case: Element) -> str:
    return "::".join(filter(None, (case.get("classname"), case.get("name"))))


def _skipped(case: Element) -> bool:
    return case.find("skipped") is not None or case.get("status") in _NOT_RUN


def _failed(case: Element) -> bool:
    return not {"failure", "error"}.isdisjoint(child.tag for child in case)


def _fault(out: Path, name: str, since: float) -> str:
    from xml.etree import ElementTree  # only a phase with evidence pays for it

    path = out / name
    if path.resolve() != out.resolve() / name or not path.is_file():
        return f"left no test report: {name} is not in ADW_OUT"
    if path.stat().st_mtime < since:
        return f"left an old test report: {name} was written before this attempt began"
    try:
        # expat bounds the expansion of entities itself, since 2.4
        root = ElementTree.parse(path).getroot()  # noqa: S314
        if root.tag not in _SUITES:
            return f"left a test report that cannot be read: {name}: its root is <{root.tag}>"
        counted = sum(
            int(e.get(k) or 0) for e in root.iter() if e.tag in _SUITES for k in ("failures", "errors")
        )
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the last for an encoding
        return f"left a test report that cannot be read: {name}: {error}"
    # all of them, wherever they stand: Node's reporter puts some directly under the root
    cases = list(root.iter("testcase"))
    failed = list(filter(_failed, cases))
    if failed:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        return f"has failing tests: {failed[0].get('name')}{more}, of {len(cases)}"
    if counted:
        return f"has failing tests: {name} counts {counted}"
    if all(map(_skipped, cases)):
        return (
            f"ran no test: all {len(cases)} in {name} are skipped"
            if cases
            else f"ran no test: {name} shows none"
        )
    return ""
