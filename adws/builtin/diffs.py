"""Unified diffs as data: which file, what happens to it, and hunks whose counts are what their lines say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from adws.builtin import names, text
from adws.errors import UserError

NUMBERED = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
EXTENDED = re.compile(
    r"(old mode|new mode|deleted file mode|new file mode|copy from|copy to|rename from|rename to"
    r"|similarity index|dissimilarity index|index) (.*)"
)
BINARY = ("GIT binary patch", "Binary files ")
SPECIAL = {"120": "a symlink", "160": "a submodule"}


@dataclass(frozen=True, kw_only=True)
class Hunk:
    line: int
    """Where its `@@` stands, counted from 1 in the text that was read."""
    start: int | None
    """The line of the old file it says it begins at; None where it says none."""
    body: tuple[str, ...]
    """Its lines with their ` `, `+` or `-`, and the notes on missing ends of lines."""

    @property
    def old(self) -> tuple[str, ...]:
        return tuple(line[1:] for line in self.body if line[0] in " -")

    @property
    def new(self) -> tuple[str, ...]:
        return tuple(line[1:] for line in self.body if line[0] in " +")

    @property
    def ended(self) -> bool | None:
        """Whether the new file's last line has an end; None where the hunk says nothing of it."""
        before = [self.body[n - 1][0] for n, line in enumerate(self.body) if line[0] == "\\" and n]
        return None if not before else before[-1] == "-"


@dataclass(frozen=True, kw_only=True)
class Section:
    """What a diff does to one file."""

    old: str | None
    new: str | None
    """The two names, which differ for a rename or a copy; None: the file is not there."""
    copied: bool
    executable: bool | None
    """The new mode where the diff sets one."""
    hunks: tuple[Hunk, ...]
    refused: str
    """Why this kind of change is not applied; empty when it is."""

    @property
    def path(self) -> str:
        return self.new or self.old or ""

    @property
    def from_nothing(self) -> bool:
        """The hunk says `-0,0`: the old file is empty or, where the head forgot to say so, not there."""
        return len(self.hunks) == 1 and self.hunks[0].start == 0 and not self.hunks[0].old


def starts(lines: Sequence[str], at: int) -> bool:
    """A file's part of a diff begins here: `diff --git`, or `---`, `+++` and `@@` one after another."""
    if lines[at].startswith("diff --git "):
        return True
    first, second, third = (*lines[at : at + 3], "", "")[:3]
    return first.startswith("--- ") and second.startswith("+++ ") and third.startswith("@@")


def read(lines: Sequence[str], at: int, *, bare: bool) -> tuple[Section, int]:
    """The section that begins at index `at`, and the index behind it; `lines` are those of the issue.

    `bare`: the diff stands in running text, so an empty line after a complete hunk ends it.
    """
    head: dict[str, str] = {}
    if lines[at].startswith("diff --git "):
        head["git"] = lines[at].removeprefix("diff --git ")
        at += 1
        while at < len(lines) and (found := EXTENDED.match(lines[at])):
            head[found[1]] = found[2]
            at += 1
    if at + 1 < len(lines) and lines[at].startswith("--- ") and lines[at + 1].startswith("+++ "):
        head["---"], head["+++"] = lines[at][4:], lines[at + 1][4:]
        at += 2
    binary = at < len(lines) and lines[at].startswith(BINARY)
    at += binary
    hunks = []
    while at < len(lines) and lines[at].startswith("@@"):
        hunk, at = _hunk(lines, at, bare)
        hunks.append(hunk)
    return _section(head, tuple(hunks), binary), at


def _hunk(lines: Sequence[str], at: int, bare: bool) -> tuple[Hunk, int]:
    numbered = NUMBERED.match(lines[at])
    if lines[at].startswith("@@@"):
        raise UserError(f"line {at + 1} of the issue: a combined diff, of a merge, cannot be applied")
    start = int(numbered[1]) if numbered else None
    stated = (int(numbered[2] or 1), int(numbered[4] or 1)) if numbered else None
    end = _end(lines, at + 1, stated, bare)
    body = tuple(line or " " for line in lines[at + 1 : end])
    hunk = Hunk(line=at + 1, start=start, body=body)
    after = lines[end] if end < len(lines) else ""
    if stated and after and not after.startswith(("@@", "--", "diff ")) and not _fills(hunk, stated):
        raise UserError(f"line {end + 1} of the issue is no line of a diff: `{text.shown(after)}`")
    return hunk, end


def _fills(hunk: Hunk, stated: tuple[int, int]) -> bool:
    return len(hunk.old) >= stated[0] and len(hunk.new) >= stated[1]


def _end(lines: Sequence[str], at: int, stated: tuple[int, int] | None, bare: bool) -> int:
    """The index behind a hunk's last line: where its counts say when they fit, else where its lines end."""
    old, new, complete, first = 0, 0, None, at
    while at < len(lines) and (not lines[at] or lines[at][0] in " +-\\"):
        if (old, new) == stated and not lines[at].startswith("\\"):
            complete = at
            if bare and not lines[at]:
                return at
        # removed `-- x` and added `++ y` look like the next file's header: the counts know better
        if starts(lines, at) and (old + 1, new + 1) != stated:
            break
        old += not lines[at].startswith(("+", "\\"))
        new += not lines[at].startswith(("-", "\\"))
        at += 1
    if complete is not None and all(line in ("", "-- ", "--") for line in lines[complete:at]):
        return complete
    if (old, new) != stated:
        while at > first and (not lines[at - 1] or _signature(lines, at - 1)):
            at -= 1
    return at


def _signature(lines: Sequence[str], at: int) -> bool:
    """`git format-patch` ends a mail with `-- ` and its version."""
    return lines[at] in ("-- ", "--") and (at + 1 == len(lines) or bool(re.match(r"\d+\.\d", lines[at + 1])))


def _section(head: dict[str, str], hunks: tuple[Hunk, ...], binary: bool) -> Section:
    old, new = names.of(head)
    modes = [mode for key, mode in head.items() if key.endswith(" mode")]
    modes += head.get("index", "").split(" ")[1:]
    special = next((SPECIAL[mode[:3]] for mode in modes if mode[:3] in SPECIAL), "")
    mode = head.get("new mode") or head.get("new file mode")
    refused = f"it is about {special}, and only files are edited" if special else ""
    if binary:
        refused = "it is a binary change, and only text is edited"
    return Section(
        old=None if "new file mode" in head or head.get("---") == names.NULL else old,
        new=None if "deleted file mode" in head or head.get("+++") == names.NULL else new,
        copied="copy from" in head,
        executable=None if mode is None else mode.endswith("755"),
        hunks=hunks,
        refused=refused,
    )
