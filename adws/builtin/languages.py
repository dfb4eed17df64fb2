"""How tests look in each language: which files have them, and what stands for a test, a check, a skip."""

from __future__ import annotations

import re
from dataclasses import dataclass

FOLDER = r"(^|/)(tests?|specs?|__tests__)/(.*/)?[^/]+"
SLASHES = re.compile(r"(?<!:)//[^\n]*|/\*.*?\*/", re.DOTALL)
HASHES = re.compile(r"(?<!\S)#[^\n]*")


@dataclass(frozen=True, kw_only=True)
class Family:
    """How a language's test files look; the first group of `test` is a test's name."""

    files: re.Pattern[str]
    test: re.Pattern[str]
    check: re.Pattern[str]
    skip: re.Pattern[str]
    comment: re.Pattern[str]


def _family(
    files: str | re.Pattern[str], *, test: str, check: str, skip: str, comment: re.Pattern[str] = SLASHES
) -> Family:
    return Family(
        files=re.compile(files),
        test=re.compile(test, re.MULTILINE),
        check=re.compile(check),
        skip=re.compile(skip, re.MULTILINE),
        comment=comment,
    )


PYTHON = re.compile(rf"(^|/)(test_[^/]*|[^/]*_tests?|tests|conftest)\.py$|{FOLDER}\.py$")
RUST = re.compile(r"\.rs$")
FAMILIES = (
    _family(
        rf"\.(test|spec)\.[cm]?[jt]sx?$|{FOLDER}\.[cm]?[jt]sx?$",
        test=r"\b(?:it|test|specify)(?:\.\w+)*\s*\(\s*('[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`)\s*,",
        check=r"\bexpect\w*\s*\(|\bassert(?:\.\w+)*\s*\(|\.should\b"
        r"|\bt\.(?:is|not|true|false|\w*[eE]qual|throws\w*)\(",
        skip=r"(?<![?:] )\b(?:it|test|describe|suite|context)\.(?:skip|todo|only|fails|failing)\b"
        r"|\b[xf](?:it|describe)\s*\(",
    ),
    _family(
        r"_test\.go$",
        test=r"^func ((?:Test|Fuzz|Example)\w*)\(",
        check=r"\b[tb]\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\b|\b(?:assert|require|is|qt|c)\.\w+\(",
        skip=r"\b[tb]\.Skip\w*\(",
    ),
    _family(
        RUST,
        test=r"#\[(?:\w+::)*(?:test|rstest|test_case)\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*"
        r"(?:pub )?(?:async )?fn (\w+)",
        check=r"\bassert\w*!|\bpanic!|\bunwrap_err\(|\bexpect_err\(|#\[should_panic",
        skip=r"#\[ignore\b",
    ),
    _family(
        rf"(Tests?|Spec|IT)\.(java|kt|scala|groovy|cs)$|{FOLDER}\.(java|kt|scala|groovy|cs)$",
        test=r"(?:@(?:Test|ParameterizedTest|RepeatedTest)|\[(?:Fact|Theory|Test|TestMethod))\b[^;{]{0,400}?\b"
        r"(?:void|fun|Task)\s+(`[^`]+`|\w+)",
        check=r"\bassert\w*\s*[(.]|\bAssert\w*\.|\bverify\s*\(|\bfail\s*\(|\b[sS]hould\w*\b",
        skip=r"@(?:Disabled|Ignore)\b|\[Ignore\b|\bSkip\s*=",
    ),
    _family(
        rf"_(spec|test)\.rb$|{FOLDER}\.rb$",
        test=r"^\s*(?:it|specify|test)\s+('[^'\n]*'|\"[^\"\n]*\")|^\s*def (test_\w+)",
        check=r"\bexpect\b|\bassert\w*|\brefute\w*|\.should\b|\b(?:must|wont)_\w+",
        skip=r"^\s*(?:xit|xdescribe|xcontext|fit|fdescribe|pending|skip)\b",
        comment=HASHES,
    ),
    _family(
        rf"_(test|unittest)\.(c|cc|cpp|cxx)$|{FOLDER}\.(c|cc|cpp|cxx|h|hpp)$",
        test=r"\bTEST(?:_[FP]|_CASE)?\s*\(([^)]*)\)",
        check=r"\b(?:EXPECT|ASSERT|CHECK|REQUIRE|cr_assert|ck_assert)\w*\s*\(|\bassert\s*\(",
        skip=r"\bGTEST_SKIP\b|\bDISABLED_",
    ),
    _family(
        rf"Test\.php$|{FOLDER}\.php$",
        test=r"\bfunction (test\w+)",
        check=r"(?:->|::)(?:assert|expect)\w+\(",
        skip=r"\bmarkTest(?:Skipped|Incomplete)\b",
    ),
    _family(
        rf"_test\.exs$|{FOLDER}\.exs$",
        test=r"^\s*test\s+(\"[^\"\n]*\")",
        check=r"\b(?:assert|refute)\w*",
        skip=r"@tag :skip",
        comment=HASHES,
    ),
)


def is_test(path: str) -> bool:
    """Whether the name says that the file is about tests."""
    known = family(path)
    if known and known.files is RUST:
        return bool(re.search(FOLDER, path))
    return bool(known or PYTHON.search(path))


def family(path: str) -> Family | None:
    """How the tests in the file are told; None where its name says that it has none, or that it is Python."""
    return next((known for known in FAMILIES if known.files.search(path)), None)
