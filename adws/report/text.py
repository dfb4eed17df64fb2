"""The report in plain text: one line per event while it runs, and at the end always the same table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adws.errors import printable

_TAIL = 20
"""Lines of a failed phase's log that are shown."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    verdict: str
    seconds: float | None
    produced: str


def table(rows: Sequence[Row]) -> str:
    """The rows under their headings, as wide as the widest."""
    cells = [("phase", "verdict", "seconds", "what it produced")]
    cells += [
        (r.name, r.verdict, "" if r.seconds is None else f"{r.seconds:.1f}", one_line(r.produced))
        for r in rows
    ]
    width = [max(len(row[column]) for row in cells) for column in range(3)]
    lines = [f"{a:<{width[0]}}  {b:<{width[1]}}  {c:>{width[2]}}  {d}".rstrip() for a, b, c, d in cells]
    return "\n".join(lines)


def one_line(text: str, limit: int = 90) -> str:
    """Text from a phase, fit for one line of a terminal."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def tail(log: Path) -> list[str]:
    """The last lines of a log, without what could steer the terminal; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 64 * 1024))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [printable(line.expandtabs()) for line in lines[-_TAIL:]]
