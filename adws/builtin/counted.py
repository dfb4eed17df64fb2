"""Test files of any language told by their names, and the units of those that are not Python by counting."""

from __future__ import annotations

import re
from dataclasses import dataclass

from adws.builtin.tested import Unit

FOLDER = r"(^|/)(tests?|specs?|__tests__)/(.*/)?[^/]+"
SLASHES = re.compile(r"(?<!:)//[^\n]*|/\*.*?\*/", re.DOTALL)
HASHES = re.compile(r"(?<!\S)#[^\n]*")
MARKS = re.compile(r"(?:^[ \t]*(?:@|#\[|\[)[^\n]*\n)+[ \t]*\Z", re.MULTILINE)
"""The lines with annotations right before a place."""
GROUP = re.compile(
    r"^([ \t]*)(?:describe|context|suite|RSpec\.describe)\b[^'\"`\n]*('[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`)", re.M
)
HELPER = re.compile(
    r"\b(?:function|func|fn|def) (\w+)|\b(?:const|let|var) (\w+) = (?:async )?(?:function\b|\()"
)
TRIVIAL = re.compile(r"\b(?:expect|assert\w*(?:\.\w+)?|EXPECT_TRUE|ASSERT_TRUE)!?\s*\(\s*(?:true|1)\s*[,)]")
"""A check that cannot fail."""
HEAD = "<head>"
"""The unit of what stands before the first test."""


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
        check=r"\bexpect\w*\s*\(|\bassert(?:\.\w+)*\s*\(|\.should\b|\bt\.(?:is|not|true|false|\w*[eE]qual|throws\w*)\(",
        skip=r"(?<![?:] )\b(?:it|test|describe|suite|context)\.(?:skip|todo|only|fails|failing)\b|\b[xf](?:it|describe)\s*\(",
    ),
    _family(
        r"_test\.go$",
        test=r"^func ((?:Test|Fuzz|Example)\w*)\(",
        check=r"\b[tb]\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\b|\b(?:assert|require|is|qt|c)\.\w+\(",
        skip=r"\b[tb]\.Skip\w*\(",
    ),
    _family(
        RUST,
        test=r"#\[(?:\w+::)*(?:test|rstest|test_case)\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:pub )?(?:async )?fn (\w+)",
        check=r"\bassert\w*!|\bpanic!|\bunwrap_err\(|\bexpect_err\(|#\[should_panic",
        skip=r"#\[ignore\b",
    ),
    _family(
        rf"(Tests?|Spec|IT)\.(java|kt|scala|groovy|cs)$|{FOLDER}\.(java|kt|scala|groovy|cs)$",
        test=r"(?:@(?:Test|ParameterizedTest|RepeatedTest)|\[(?:Fact|Theory|Test|TestMethod))\b[^;{]*?\b"
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


def units(text: str, known: Family) -> dict[str, Unit]:
    """By name. What stands between one test's beginning and the next one's belongs to the first."""
    plain = TRIVIAL.sub("", known.comment.sub("", text))
    begins = list(known.test.finditer(plain))
    starts = [_with_marks(plain, found.start()) for found in begins]
    ends = [*starts[1:], len(plain)]
    head = plain[: starts[0]] if starts else plain
    helpers = "|".join(sorted({name for found in HELPER.finditer(plain) for name in found.groups() if name}))
    check = re.compile(rf"{known.check.pattern}|\b(?:{helpers})\(") if helpers else known.check
    found = {HEAD: _unit(HEAD, head, known, check, line=1)}
    for begin, start, end in zip(begins, starts, ends, strict=False):
        name = _name(plain, begin)
        while name in found:
            name += "'"
        line = plain.count("\n", 0, begin.start()) + 1
        found[name] = _unit(name, plain[start:end], known, check, line=line)
    return found


def _name(plain: str, begin: re.Match[str]) -> str:
    """A test's name behind those of the groups that it stands in, as the indentation tells."""
    own = next((group for group in begin.groups() if group), begin[0]).strip("\"'` ")
    indent = len(begin[0]) - len(begin[0].lstrip()) or begin.start() - plain.rfind("\n", 0, begin.start()) - 1
    names = [own]
    for group in reversed(list(GROUP.finditer(plain, 0, begin.start()))):
        if len(group[1]) < indent:
            names.append(group[2][1:-1])
            indent = len(group[1])
    return " > ".join(reversed(names))


def _with_marks(plain: str, at: int) -> int:
    above = MARKS.search(plain, max(at - 400, 0), at)
    return above.start() if above else at


def _unit(name: str, body: str, known: Family, check: re.Pattern[str], *, line: int) -> Unit:
    return Unit(
        name=name,
        line=line,
        is_test=name != HEAD,
        checks=0 if name == HEAD else len(check.findall(body)),
        skips=len(known.skip.findall(body)),
        maybe=0,
        cases=1,
        body=body,
    )
