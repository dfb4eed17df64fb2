"""What a review finds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from adws.builtin import checkout, markdown


class Severity(StrEnum):
    BLOCKER = "blocker"
    MAJOR = "major"
    MINOR = "minor"


RANK = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, kw_only=True)
class Finding:
    severity: Severity
    rule: str
    path: str
    line: int
    """Counted from 1 in the file as it is now; 1 where it is about the whole file."""
    message: str

    @property
    def text(self) -> str:
        return f"{self.path}:{self.line}: {self.message} ({self.rule})"


def ordered(found: Iterable[Finding]) -> list[Finding]:
    """Each once, the gravest first, then by place; fit to be written as JSON and to a terminal."""
    clean = {
        Finding(
            severity=finding.severity,
            rule=finding.rule,
            path=markdown.literal(checkout.shown(finding.path)),
            line=finding.line,
            message=markdown.literal(finding.message),
        )
        for finding in found
    }
    return sorted(clean, key=lambda f: (RANK[f.severity], f.path, f.line, f.rule, f.message))


def as_json(found: Iterable[Finding]) -> list[dict[str, object]]:
    return [asdict(finding) for finding in found]


def counted(found: Sequence[Finding]) -> str:
    """`2 blockers, 1 minor`; empty for none."""
    tally = {severity: sum(f.severity is severity for f in found) for severity in Severity}
    plural = {Severity.BLOCKER: "blockers"}
    return ", ".join(f"{n} {plural.get(s, s) if n > 1 else s}" for s, n in tally.items() if n)
