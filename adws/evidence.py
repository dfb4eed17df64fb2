"""Evidence: test reports that are really there, really parse, and really show green tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_SUITES = ("testsuites", "testsuite")
_NOT_RUN = ("notrun", "disabled")


def fault(out: Path, reports: Iterable[str]) -> str:
    """What is wrong with the first bad report below `out`, in the user's words; empty when all are green.

    Every report has to be a plain file (`out` was empty when the attempt began, so it is from this
    attempt), parse as JUnit XML, and show at least one test that ran and none that failed.
    """
    return next((said for report in reports if (said := _fault(out, report))), "")


def _fault(out: Path, name: str) -> str:
    from xml.etree import ElementTree  # only a phase with evidence pays for it

    path = out / name
    if path.resolve() != out.resolve() / name or not path.is_file():
        return f"left no test report: {name} is not in ADW_OUT"
    try:
        # expat bounds the expansion of entities itself, since 2.4
        root = ElementTree.parse(path).getroot()  # noqa: S314
        if root.tag not in _SUITES:
            return f"left a test report that cannot be read: {name}: its root is <{root.tag}>"
        counted = sum(
            int(e.get(k) or 0) for e in root.iter() if e.tag in _SUITES for k in ("failures", "errors")
        )
    except (ElementTree.ParseError, ValueError) as error:
        return f"left a test report that cannot be read: {name}: {error}"
    # all of them, wherever they stand: Node's reporter puts some directly under the root
    cases = list(root.iter("testcase"))
    failed = [case for case in cases if {"failure", "error"} & {child.tag for child in case}]
    if failed:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        return f"has failing tests: {failed[0].get('name')}{more}, of {len(cases)}"
    if counted:
        return f"has failing tests: {name} counts {counted}"
    if all(case.find("skipped") is not None or case.get("status") in _NOT_RUN for case in cases):
        return (
            f"ran no test: all {len(cases)} in {name} are skipped"
            if cases
            else f"ran no test: {name} shows none"
        )
    return ""
