"""Secrets in added lines: known shapes of keys, and passwords that look real. No value is repeated."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from adws.builtin import languages
from adws.builtin.delta import File
from adws.builtin.findings import Finding, Severity

RULE = "secret"
SHAPES = (
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{60,})\b")),
    ("a GitLab token", re.compile(r"\bglpat-[\w-]{20,}")),
    ("a Slack token", re.compile(r"\bxox[abeprs]-[0-9A-Za-z-]{20,}")),
    ("a Slack webhook", re.compile(r"hooks\.slack\.com/services/T\w{6,}/B\w{6,}/\w{20,}")),
    ("a Google API key", re.compile(r"\bAIza[\w-]{35}(?![\w-])")),
    ("an Anthropic key", re.compile(r"\bsk-ant-[\w-]{30,}")),
    ("an OpenAI key", re.compile(r"\bsk-(?!ant-)(?:[a-z]+-)?[\w-]{32,}")),
    ("a Stripe key", re.compile(r"\b[rs]k_live_[0-9A-Za-z]{20,}")),
    ("an npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("a PyPI token", re.compile(r"\bpypi-AgEIcHlwaS5vcmc[\w-]{40,}")),
    ("a Hugging Face token", re.compile(r"\bhf_[A-Za-z]{30,}\b")),
)
PRIVATE = re.compile(r"-----BEGIN (?:[A-Z]+ ){0,2}PRIVATE KEY(?: BLOCK)?-----(.*)")
BASE64 = re.compile(r"""[\s"'\\nr]*[A-Za-z0-9+/=]{40,}""")
WORDS = "passw(?:or)?d|passphrase|secret|api_?key|auth_?token|access_?token|private_?key"
NAME = rf"(?<![\w.-])([\w.-]{{0,60}}?(?:{WORDS})(?:s|_?\d+)?)"
SET = r"""["']?\s*(?::\s*\w+\s*)?(?:=>|:=|=|:)\s*[bru]?"""
QUOTED = re.compile(NAME + SET + r"""["']([^"'\s]{8,128})["']""", re.IGNORECASE)
BARE = re.compile(NAME + r"\s*[=:]\s*([^\s\"'#]{12,128})\s*$", re.IGNORECASE)
IN_TESTS = re.compile(r"(^|/)(tests?|testdata|fixtures|examples?|__tests__)/")
"""Where keys are made up, as a server in a test needs one."""
SETTINGS = re.compile(r"(^|/)\.env|\.(env|ini|cfg|conf|properties|ya?ml|toml)$")
PLACEHOLDER = re.compile(
    r"(?i)example|sample|dummy|fake|test|placeholder|change.?me|your|insert|redacted|secret|passw|token|key"
    r"|xxx|\.\.\.|\*\*\*|[<>{}$%]|^[a-z_. /:-]+$|://"
)


def check(files: Sequence[File]) -> Iterator[Finding]:
    for file in files:
        lines = file.lines
        for number in sorted(file.added):
            if number <= len(lines):
                yield from _line(file, lines, number)


def _line(file: File, lines: Sequence[str], number: int) -> Iterator[Finding]:
    line = lines[number - 1][:4096]
    for what, value in _values(line):
        yield _finding(Severity.BLOCKER, file, number, f"{what} (`{value[:4]}…`, {len(value)} characters)")
    begun = PRIVATE.search(line)
    following = lines[number] if number < len(lines) else ""
    if begun and (BASE64.match(begun[1]) or BASE64.match(following)):
        severity = Severity.MAJOR if IN_TESTS.search(file.path) else Severity.BLOCKER
        yield _finding(severity, file, number, "a private key")
    shapes = (QUOTED, BARE) if SETTINGS.search(file.path) else (QUOTED,)
    for name, value in (found.groups() for shape in shapes for found in shape.finditer(line)):
        if is_random(value) and not PLACEHOLDER.search(value):
            severity = (
                Severity.MINOR
                if IN_TESTS.search(file.path) or languages.is_test(file.path)
                else Severity.BLOCKER
            )
            yield _finding(severity, file, number, f"`{name}` is given a value of {len(value)} characters")


def _values(line: str) -> Iterator[tuple[str, str]]:
    for what, shape in SHAPES:
        for found in shape.finditer(line):
            value = found[0]
            if is_random(value) and not re.search(r"(?i)example|x{5}|1234567|abcdef", value):
                yield what, value


def is_random(value: str) -> bool:
    """Letters and digits mixed as a machine mixes them: at least 3 bits a character of what it could be."""
    counts = Counter(value)
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    has_both = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return has_both and bits >= min(3.2, 0.85 * math.log2(len(value)))


def _finding(severity: Severity, file: File, line: int, what: str) -> Finding:
    message = f"looks like a secret: {what}; take it out and revoke it"
    return Finding(severity=severity, rule=RULE, path=file.path, line=line, message=message)
