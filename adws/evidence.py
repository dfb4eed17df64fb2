"""Evidence: test reports that are really there, really parse, and really show green tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any


def fault(out: Path, reports: Iterable[str]) -> str:
    """What is wrong with the first bad report below `out`, in the user's words; empty when all are green.

    Every report has to be a plain file (`out` was empty when the attempt began, so it is from this
    attempt), parse as JUnit XML, and show at least one test that ran and none that failed.
    """
    return next((said for report in reports if (said := _fault(out, report))), "")


def _fault(out: Path, name: str) -> str:
    from junitparser import JUnitXml, TestSuite  # only a phase with evidence pays for it

    path = out / name
    if path.resolve() != out.resolve() / name or not path.is_file():
        return f"left no test report: {name} is not in ADW_OUT"
    try:
        parsed: Any = JUnitXml.fromfile(str(path))
        suites = [parsed] if isinstance(parsed, TestSuite) else list(parsed)
        cases = [case for suite in suites for case in suite]
        kinds = [{type(outcome).__name__ for outcome in case.result} for case in cases]
        broken = sum((suite.failures or 0) + (suite.errors or 0) for suite in suites)
    except Exception as error:  # noqa: BLE001  the report is the phase's: whatever is wrong with it is its failure
        said = (str(error).splitlines() or [type(error).__name__])[0]
        return f"left a test report that cannot be read: {name}: {said}"
    failed = [case for case, kind in zip(cases, kinds, strict=True) if kind & {"Failure", "Error"}]
    if failed:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        return f"has failing tests: {failed[0].name}{more}, of {len(cases)}"
    if broken:
        return f"has failing tests: {name} counts {broken}"
    if all("Skipped" in kind for kind in kinds):
        return (
            f"ran no test: all {len(cases)} in {name} are skipped"
            if cases
            else f"ran no test: {name} shows none"
        )
    return ""
