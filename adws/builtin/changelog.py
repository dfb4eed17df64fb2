"""CHANGELOG.md in the form of Keep a Changelog: where an entry belongs, and the text with it put there."""

from __future__ import annotations

import re
from collections.abc import Sequence

KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
"""In the order of keepachangelog.com; a title that says none of these words is a change."""
WORDS = (
    ("Security", r"security|vulnerab\w+|cve(-\d+)*"),
    ("Deprecated", r"deprecat\w+"),
    ("Fixed", r"fix(e[sd])?|bugs?|crash(es|ed)?|errors?|fails?|broken|wrong|regression|leaks?|hangs?"),
    ("Removed", r"remov(e[sd]?|al)|drop(s|ped)?|delet(e[sd]?|ion)"),
    ("Added", r"add(s|ed)?|new|support(s|ed)?|introduc(e[sd]?|tion)|implement(s|ed)?|allow(s|ed)?|feature"),
)
UNRELEASED = re.compile(r"##\s+\[?unreleased\]?", re.IGNORECASE)
RELEASE = re.compile(r"##\s+\[?v?\d+\.\d+")
ENDS = re.compile(r"##\s|\[[^\]]+\]:\s")
"""What ends a release: the next one, or the links at the bottom."""
PART = re.compile(r"###\s+(\w+)")
FENCE = re.compile(r" {0,3}(?:```|~~~)")


def kind(title: str) -> str:
    """The heading an entry with this title belongs under."""
    said = (name for name, words in WORDS if re.search(rf"\b({words})\b", title, re.IGNORECASE))
    return next(said, "Changed")


def insert(text: str, entry: Sequence[str], heading: str) -> str | None:
    """The changelog with the entry's lines in it, unchanged where they are; None if it has another form."""
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    start = _first(UNRELEASED, lines)
    if start is None:
        start = _first(RELEASE, lines)
        if start is None:
            return None
        lines[start:start] = ["## [Unreleased]", ""]
    stop = _first(ENDS, lines, start + 1) or len(lines)
    entry = _in_their_style(entry, lines)
    if entry[0] in lines[start:stop]:
        return text
    at, block = _place(lines, start, stop, entry, heading)
    if at < len(lines) and lines[at].strip():
        block = [*block, ""]
    lines[at:at] = block
    return ("\r\n" if "\r\n" in text else "\n").join([*lines, ""])


def _place(
    lines: Sequence[str], start: int, stop: int, entry: Sequence[str], heading: str
) -> tuple[int, list[str]]:
    """(before which line, what): in the part of that name, in the only list, or in a part of its own."""
    parts = [(at, found[1]) for at in range(start, stop) if (found := PART.match(lines[at]))]
    for number, (at, name) in enumerate(parts):
        if name == heading:
            end = _written(lines, parts[number + 1][0] if number + 1 < len(parts) else stop)
            return end, [*([""] if end == at + 1 else []), *entry]
    end = _written(lines, stop)
    if not parts and end > start + 1:
        return end, [*([] if re.match(r"\s*[-*+] |\s{2,}", lines[end - 1]) else [""]), *entry]
    later = [at for at, name in parts if name in KINDS and KINDS.index(name) > KINDS.index(heading)]
    return _written(lines, later[0] if later else stop), ["", f"### {heading}", "", *entry]


def _written(lines: Sequence[str], end: int) -> int:
    """The line after the last one before `end` that is not empty."""
    while not lines[end - 1].strip():
        end -= 1
    return end


def _in_their_style(entry: Sequence[str], lines: Sequence[str]) -> list[str]:
    stars = sum(line.startswith("* ") for line in lines) > sum(line.startswith("- ") for line in lines)
    return [re.sub(r"^(\s*)- ", r"\1* ", line) for line in entry] if stars else list(entry)


def _first(pattern: re.Pattern[str], lines: Sequence[str], start: int = 0) -> int | None:
    """The first line from `start` that matches and is not in a code block."""
    inside = False
    for at, line in enumerate(lines):
        inside ^= bool(FENCE.match(line))
        if at >= start and not inside and pattern.match(line):
            return at
    return None
