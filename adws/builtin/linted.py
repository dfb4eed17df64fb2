"""What ruff says of the Python lines that a change wrote, by the project's own rules where it has some."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adws.builtin import command, tested
from adws.builtin.delta import File
from adws.builtin.findings import Finding, Severity
from adws.errors import UserError

GRAVE = re.compile(r"E9|F821$|F811$")
SYNTAX = frozenset({None, "invalid-syntax", "E999"})
RULES = "E4,E7,E9,F"
"""What is looked at where the project says nothing: what is likely to be wrong, nothing of style."""
USAGE = 2
"""ruff's exit code when its configuration cannot be used."""


def check(root: Path, files: Sequence[File]) -> Iterator[Finding]:
    known = {os.path.realpath(root / f.path): f for f in files if f.new and f.path.endswith((".py", ".pyi"))}
    if not known:
        return
    said, trouble = _ruff(root, sorted(f"./{file.path}" for file in known.values()))
    for entry in said:
        file = known.get(os.path.realpath(entry["filename"]))
        if file is not None:
            yield from _finding(file, entry)
    if trouble:
        path = min(file.path for file in known.values())
        yield Finding(severity=Severity.MINOR, rule="ruff", path=path, line=1, message=trouble)


def _ruff(root: Path, paths: Sequence[str]) -> tuple[list[dict[str, Any]], str]:
    """Its findings, and why they are not by the project's rules where it has some."""
    # -P: the reviewed project may have a `ruff.py` of its own
    call = [sys.executable, "-P", "-m", "ruff", "check", "--no-cache", "--no-fix", "--quiet"]
    call += ["--force-exclude", "--output-format", "json"]
    own = [] if _has_rules(root) else ["--select", RULES]
    code, out, words = command.output([*call, *own, "--", *paths], root)
    trouble = ""
    if code >= USAGE:
        trouble = f"ruff cannot use the project's configuration ({words}); {RULES} were looked at"
        code, out, words = command.output([*call, "--isolated", "--select", RULES, "--", *paths], root)
    if code >= USAGE or code < 0:
        raise UserError(f"ruff exited {code}: {words}")
    return json.loads(out or b"[]"), trouble


def _has_rules(root: Path) -> bool:
    pyproject = root / "pyproject.toml"
    has_section = pyproject.is_file() and b"[tool.ruff" in pyproject.read_bytes()
    return has_section or (root / "ruff.toml").is_file() or (root / ".ruff.toml").is_file()


def _finding(file: File, entry: Mapping[str, Any]) -> Iterator[Finding]:
    code, line = entry["code"], entry["location"]["row"]
    syntax = code in SYNTAX
    grave = syntax or bool(GRAVE.match(code))
    caused = line in file.added
    if syntax:
        caused = caused or tested.python(file.old) is not None
    elif code == "F821":
        grave = _undone(file.old, entry["message"])
        caused = caused or grave
    if caused:
        severity = Severity.BLOCKER if grave else Severity.MINOR
        rule = "syntax-error" if syntax else code
        yield Finding(severity=severity, rule=rule, path=file.path, line=line, message=entry["message"])


def _undone(old: str, message: str) -> bool:
    """The change made the name undefined: it was defined before, or it was not used."""
    quoted = re.search(r"`(\w+)`", message)
    tree = tested.python(old)
    if not quoted or tree is None:
        return True
    nodes = list(ast.walk(tree))
    used = any(isinstance(node, ast.Name) and node.id == quoted[1] for node in nodes)
    return not used or any(quoted[1] in _bound(node) for node in nodes)


def _bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.arg(arg=name):
            yield name
        case ast.alias(name=name, asname=asname):
            yield asname or name.partition(".")[0]
