"""What bandit holds to be dangerous in the Python lines that a change wrote, as the project set it up."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adws.builtin import command, languages
from adws.builtin.delta import File
from adws.builtin.findings import Finding, Severity

LEVELS = ("--severity-level", "high", "--confidence-level", "medium")


def check(root: Path, files: Sequence[File]) -> Iterator[Finding]:
    """No blockers: of its 12 findings in 4,200 commits of 13 projects, two were mistakes."""
    python = [file for file in files if file.new and file.path.endswith(".py")]
    code = [file for file in python if not languages.is_test(file.path)]
    if not code:
        return
    known = {os.path.realpath(root / file.path): file for file in code}
    said, trouble = _bandit(root, sorted(f"./{file.path}" for file in code))
    for entry in said:
        file = known.get(os.path.realpath(root / entry["filename"]))
        if file and not file.added.isdisjoint(entry["line_range"]):
            place = (file.path, entry["line_number"])
            yield _finding(Severity.MAJOR, entry["test_id"], *place, entry["issue_text"])
    if trouble:
        yield _finding(Severity.MINOR, "bandit", min(file.path for file in code), 1, trouble)


def _bandit(root: Path, paths: Sequence[str]) -> tuple[list[dict[str, Any]], str]:
    """Its findings, and why there are none or why they are not by the project's settings."""
    # -P: the reviewed project may have a `bandit.py`; --output: its settings may name a file
    call = [sys.executable, "-P", "-m", "bandit", "--quiet", "--exit-zero", *LEVELS]
    call += ["--format", "json", "--output", "/dev/stdout"]
    own = [*_own(root)]
    code, out, words = command.output([*call, *own, "--", *paths], root)
    trouble = ""
    if code and own:
        why = words.rpartition("\t")[2]  # behind `[main]` and `ERROR`
        trouble = f"bandit cannot use the project's settings ({why}); its own were used"
        code, out, words = command.output([*call, "--", *paths], root)
    if code:
        return [], f"bandit exited {code}, so nothing was looked at: {words}"
    return json.loads(out)["results"], trouble


def _own(root: Path) -> Iterator[str]:
    pyproject = root / "pyproject.toml"
    if pyproject.is_file() and b"[tool.bandit" in pyproject.read_bytes():
        yield from ("-c", "pyproject.toml")
    if (root / ".bandit").is_file():
        yield from ("--ini", ".bandit")


def _finding(severity: Severity, rule: str, path: str, line: int, message: str) -> Finding:
    return Finding(severity=severity, rule=rule, path=path, line=line, message=message)
