"""Checks that need no language: conflict markers, large and binary files, what debugging left behind."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence

from adws.builtin import fences, languages, tested
from adws.builtin.delta import LARGE, File
from adws.builtin.findings import Finding, Severity

MARKER = re.compile(r"(<<<<<<<|>>>>>>>|=======|\|\|\|\|\|\|\|)(?: (.*))?")
EDIT = frozenset({"SEARCH", "REPLACE"})
PROSE = (".md", ".markdown", ".rst", ".txt", ".adoc")
BREAKS = frozenset({"breakpoint", "set_trace", "post_mortem"})
SCRIPTS = re.compile(r"\.[cm]?[jt]sx?$")
LEFT = (
    (SCRIPTS, re.compile(r"^\s*debugger\s*;?\s*$"), Severity.BLOCKER, "`debugger` stops every run"),
    (SCRIPTS, re.compile(r"^\s*console\.(?:log|debug|trace)\("), Severity.MINOR, "prints to the console"),
    (
        re.compile(r"\.rb$"),
        re.compile(r"^\s*(?:binding\.(?:pry|irb)|byebug)\b"),
        Severity.BLOCKER,
        "stops every run",
    ),
    (re.compile(r"\.rs$"), re.compile(r"\bdbg!\("), Severity.MAJOR, "`dbg!` prints while debugging"),
)
CONFIG = re.compile(r"(^|/)(pyproject\.toml|\.?pytest\.(ini|toml)|tox\.ini|setup\.cfg|conftest\.py)$")
DESELECTS = (
    (
        Severity.BLOCKER,
        re.compile(r"--deselect\b|\bcollect_ignore(_glob)?\b|--ignore(-glob)?[= ]\S*(test|\.py)"),
    ),
    (Severity.MAJOR, re.compile(r"\bpytest_(collection_modifyitems|ignore_collect)\b|\baddopts\b.* -k\b")),
)


def conflicts(files: Sequence[File]) -> Iterator[Finding]:
    """Markers of a merge that nobody finished, an added one among them."""
    for file in files:
        found = list(_markers(file))
        kinds = [kind for _, kind in found]
        whole = "<<<<<<<" in kinds and "=======" in kinds and ">>>>>>>" in kinds
        for number, kind in found:
            if number in file.added and kind != "=======":
                severe = whole and not (file.path.endswith(".py") and _parses(file.new))
                severity = Severity.BLOCKER if severe else Severity.MAJOR
                yield _finding(severity, "conflict-marker", file, number, f"`{kind}` of an unfinished merge")
                break


def large(files: Sequence[File]) -> Iterator[Finding]:
    for file in files:
        if file.gone:
            continue
        if file.size > LARGE:
            yield _finding(
                Severity.MAJOR, "large-file", file, 1, f"{file.size / LARGE:.1f} MiB go into the history"
            )
        elif file.binary and not file.was:
            yield _finding(Severity.MINOR, "binary-file", file, 1, f"a new binary file of {file.size} bytes")


def leftovers(files: Sequence[File]) -> Iterator[Finding]:
    """What stops or clutters every later run. A file that did so before may be about debugging."""
    for file in files:
        if file.path.endswith(".py"):
            known = any(True for _ in _breaks(file.old))
            severity = Severity.MAJOR if known else Severity.BLOCKER
            for number, name in _breaks(file.new):
                if number in file.added:
                    yield _finding(severity, "debug-leftover", file, number, f"`{name}` stops every run")
        for suffix, shape, severity, what in LEFT:
            if suffix.search(file.path) and not languages.is_test(file.path):
                for number in _matching(file, shape):
                    yield _finding(severity, "debug-leftover", file, number, what)


def deselected(files: Sequence[File]) -> Iterator[Finding]:
    """Settings of pytest that take tests out without touching them."""
    for file in files:
        if CONFIG.search(file.path):
            for severity, shape in DESELECTS:
                for number in _matching(file, shape):
                    message = "takes tests out of the run"
                    yield _finding(severity, "test-deselected", file, number, message)


ALL: tuple[Callable[[Sequence[File]], Iterator[Finding]], ...] = (conflicts, large, leftovers, deselected)


def _markers(file: File) -> Iterator[tuple[int, str]]:
    """Lines that are markers; in prose, those in a fenced block are an example."""
    prose = file.path.lower().endswith(PROSE)
    fence = None
    for number, line in enumerate(file.lines, start=1):
        if prose and fence is None:
            fence = fences.opened(line)
        elif fence is not None:
            fence = None if fence.closed(fence.dedent(line), exact=False) else fence
            continue
        marker = MARKER.fullmatch(line.rstrip("\r"))
        if marker and marker[2] not in EDIT and (marker[2] or marker[1] != "<<<<<<<"):
            yield number, marker[1]


def _breaks(text: str) -> Iterator[tuple[int, str]]:
    if not any(name in text for name in BREAKS):
        return
    for node in ast.walk(tested.python(text) or ast.Module(body=[], type_ignores=[])):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name == "breakpoint" or (name.rpartition(".")[2] in BREAKS and "." in name):
                yield node.lineno, f"{name}()"


def _matching(file: File, shape: re.Pattern[str]) -> Iterator[int]:
    lines = file.lines
    return (n for n in sorted(file.added) if n <= len(lines) and shape.search(lines[n - 1]))


def _parses(text: str) -> bool:
    return tested.python(text) is not None


def _finding(severity: Severity, rule: str, file: File, line: int, message: str) -> Finding:
    return Finding(severity=severity, rule=rule, path=file.path, line=line, message=message)
