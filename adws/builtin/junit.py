"""What a JUnit report says: how many tests there were, and which of them failed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from adws.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Report:
    tests: int
    failures: int
    errors: int
    skipped: int
    broken: tuple[str, ...]
    """The names of the tests that failed or could not be run."""

    @property
    def passed(self) -> int:
        return self.tests - self.failures - self.errors - self.skipped


def read(path: Path) -> Report:
    """Count by case, as the sums that a report gives of itself are often wrong."""
    from junitparser import Error, Failure, JUnitXml, Skipped, TestSuite  # not for `--help` to pay

    try:
        _gather_loose_cases(path)
        parsed: Any = JUnitXml.fromfile(str(path))
        suites = [parsed] if isinstance(parsed, TestSuite) else list(parsed)
        cases = [
            (case.name or "", {type(said) for said in case.result}) for suite in suites for case in suite
        ]
    except Exception as error:  # the report is the project's, and so is whatever is wrong with it
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"the test report cannot be read: {said}") from error
    failures = sum(Failure in kinds for _, kinds in cases)
    errors = sum(Error in kinds and Failure not in kinds for _, kinds in cases)
    skipped = sum(kinds == {Skipped} for _, kinds in cases)
    broken = tuple(name for name, kinds in cases if kinds & {Failure, Error})
    return Report(tests=len(cases), failures=failures, errors=errors, skipped=skipped, broken=broken)


def _gather_loose_cases(path: Path) -> None:
    """Node's runner puts cases outside of every suite, where no reader of JUnit looks: give them one."""
    tree = ElementTree.parse(path)  # noqa: S314 - no more than what the reader below does
    root = tree.getroot()
    loose = [child for child in root if child.tag == "testcase"]
    if root.tag == "testsuites" and loose:
        suite = ElementTree.SubElement(root, "testsuite", name="loose", tests=str(len(loose)))
        for case in loose:
            root.remove(case)
            suite.append(case)
        tree.write(path, encoding="utf-8", xml_declaration=True)
