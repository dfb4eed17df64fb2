"""The edits that an issue spells out, in order of appearance.

Three forms are edits; everything else in an issue is text, however much it looks like code.

1. A unified diff: a fenced block marked `diff`, `patch` or `udiff`; a block without a mark that begins with
   a diff; or a diff in the open (`diff --git`, or `---`, `+++` and `@@` one after another). A block marked
   `diff` that has neither a file's name nor an `@@` is a picture of a difference, no edit.
2. A SEARCH/REPLACE block, in the open or at the beginning of a fenced block; several may follow each other.

       src/x.py
       <<<<<<< SEARCH
       the lines as they are
       =======
       the lines as they are to be
       >>>>>>> REPLACE

   The path stands alone on the line before the block, or before its fence. An empty SEARCH creates a file.
3. A whole file: a fenced block with `path=` (```` ```python path=src/x.py ````), or one that follows a line
   `Write file: src/x.py` (`New file: src/x.py` where there must be none yet). A mere path or title above a
   block is not enough, as that is how an issue shows what a file looks like now.

Not read: what stands in an HTML comment, in a quotation, or in a block of another kind, such as a longer
fence around an example of all this. A fence in a list is read without the list's indentation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from adws.builtin import diffs, fences, labels
from adws.builtin.blocks import DIVIDER
from adws.builtin.diffs import Section
from adws.builtin.fences import Fence
from adws.errors import UserError

SEARCH = "<<<<<<< SEARCH"
REPLACE = ">>>>>>> REPLACE"
MARKS = frozenset({"diff", "patch", "udiff"})


class Kind(StrEnum):
    DIFF = "diff"
    REPLACE = "SEARCH/REPLACE"
    WRITE = "whole file"
    NEW = "new file"


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One edit of one file."""

    kind: Kind
    path: str
    """As the issue spells it, without a diff's `a/` and `b/`; the new name where it is renamed."""
    line: int
    """Where it begins in the issue, counted from 1."""
    body: str
    """The diff; what is between the SEARCH and REPLACE marks; or the content."""


def parse(issue: str) -> tuple[Edit, ...]:
    """All edits of the issue; raises UserError for one that is begun but cannot be read."""
    lines = issue.replace("\r\n", "\n").split("\n")
    return tuple(_edits(lines))


def _edits(lines: Sequence[str]) -> Iterator[Edit]:
    at = 0
    while at < len(lines):
        fence = fences.opened(lines[at])
        if lines[at].lstrip().startswith("<!--"):
            at = next((n for n in range(at, len(lines)) if "-->" in lines[n]), len(lines)) + 1
        elif fence:
            inner = lines
            if fence.indent:
                inner = [*lines[: at + 1], *map(fence.dedent, lines[at + 1 :])]
            end = _end(inner, at, fence)
            yield from _fenced(inner[:end], at, fence, closed=end < len(lines))
            at = end + 1
        elif diffs.starts(lines, at):
            section, end = diffs.read(lines, at, bare=True)
            yield _diff(section, lines, at, end)
            at = end
        elif lines[at].rstrip() == SEARCH:
            found, at = _blocks(lines, at, labels.path_before(lines, at))
            yield from found
        else:
            at += 1


def _end(lines: Sequence[str], at: int, fence: Fence) -> int:
    """The index of the line that closes the fence opened at `at`; no line of a SEARCH/REPLACE block does."""
    blocks, exact = _first_block(lines, at) is not None, fence.mark in MARKS
    at += 1
    while at < len(lines) and not fence.closed(lines[at], exact=exact):
        at = _block_end(lines, at) if blocks and lines[at].rstrip() == SEARCH else at
        at += 1
    return min(at, len(lines))


def _fenced(lines: Sequence[str], at: int, fence: Fence, *, closed: bool) -> Iterator[Edit]:
    """The edits in the fenced block that opens at `at` and ends with `lines`."""
    ordered = labels.order(fence.info, lines, at)
    path = ordered.path if ordered else ""
    first = _first_block(lines, at)
    found: list[Edit] = []
    if fence.mark in MARKS or (not fence.mark and _begins_with_diff(lines, at)):
        found = list(_diffs(lines, at + 1))
    elif first is not None:
        named = labels.path(lines[first - 1], sure=True) if first - 1 > at else ""
        found, _ = _blocks(lines, first, named or path or labels.path_before(lines, at), inside=True)
    elif ordered:
        body = "".join(f"{line}\n" for line in lines[at + 1 :])
        kind = Kind.NEW if ordered.fresh else Kind.WRITE
        found = [Edit(kind=kind, path=path, line=at + 1, body=body)]
    if found and not closed:
        raise UserError(f"line {at + 1} of the issue: the fence that opens here is never closed")
    yield from found


def _begins_with_diff(lines: Sequence[str], at: int) -> bool:
    first = next((n for n in range(at + 1, len(lines)) if lines[n].strip()), None)
    return first is not None and diffs.starts(lines, first)


def _diffs(lines: Sequence[str], at: int) -> Iterator[Edit]:
    """Every section of a fenced diff; what else is in it may only be a mail's head and the like."""
    begun = False
    while at < len(lines):
        if diffs.starts(lines, at):
            section, end = diffs.read(lines, at, bare=False)
            yield _diff(section, lines, at, end)
            at, begun = end, True
            continue
        begun = begun and not lines[at].startswith("From ")
        where = f"line {at + 1} of the issue"
        if not begun and lines[at].startswith("@@"):
            raise UserError(f"{where}: the diff names no file; put `--- a/x` and `+++ b/x` before it")
        if begun and lines[at].startswith(("+", "-", "@@")) and lines[at] not in ("---", "-- ", "--"):
            raise UserError(f"{where} belongs to no hunk; a line before it is no line of a diff")
        at += 1


def _diff(section: Section, lines: Sequence[str], at: int, end: int) -> Edit:
    return Edit(kind=Kind.DIFF, path=section.path, line=at + 1, body="\n".join(lines[at:end]))


def _first_block(lines: Sequence[str], at: int) -> int | None:
    """Where the SEARCH/REPLACE blocks of a fence begin: at once, or after a line with their path."""
    filled = (n for n in range(at + 1, len(lines)) if lines[n].strip())
    first, second = next(filled, at), next(filled, at)
    if lines[first].rstrip() == SEARCH:
        return first
    return second if lines[second].rstrip() == SEARCH and labels.path(lines[first], sure=True) else None


def _blocks(lines: Sequence[str], at: int, path: str, *, inside: bool = False) -> tuple[list[Edit], int]:
    """The SEARCH/REPLACE blocks that follow each other from `at`, and the index behind them.

    One without a path of its own goes to the file of the one before it.
    """
    found = []
    while True:
        edit, at = _block(lines, at, path)
        found.append(edit)
        after = next((n for n in range(at, len(lines)) if lines[n].strip()), None)
        if inside:
            after = next((n for n in range(at, len(lines)) if lines[n].rstrip() == SEARCH), None)
        if after is None or lines[after].rstrip() != SEARCH:
            return found, at
        path = labels.path("".join(lines[at:after]), sure=True) or path
        at = after


def _block(lines: Sequence[str], at: int, path: str) -> tuple[Edit, int]:
    """The SEARCH/REPLACE block at `at`, and the index behind it."""
    where = f"line {at + 1} of the issue: the SEARCH/REPLACE block"
    end = _block_end(lines, at)
    inner = [DIVIDER if line.rstrip() == DIVIDER else line for line in lines[at + 1 : end]]
    if end == len(lines):
        raise UserError(f"{where} is never closed with `{REPLACE}`")
    if DIVIDER not in inner:
        raise UserError(f"{where} has no `{DIVIDER}` between its halves")
    if not path:
        raise UserError(f"{where} names no file; put the path alone on the line before it")
    return Edit(kind=Kind.REPLACE, path=path, line=at + 1, body="\n".join(inner)), end + 1


def _block_end(lines: Sequence[str], at: int) -> int:
    return next((n for n in range(at, len(lines)) if lines[n].rstrip() == REPLACE), len(lines))
