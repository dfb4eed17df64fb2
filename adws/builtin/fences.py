"""Markdown's fenced blocks, also indented in a list."""

from __future__ import annotations

import re
from dataclasses import dataclass

OPENING = re.compile(r"([ \t]*)(`{3,}|~{3,})(.*)")
CLOSING = re.compile(r"([ \t]*)(`{3,}|~{3,})[ \t]*")
SLACK = 3
"""Columns that Markdown lets a closing fence stand further in than the opening one."""


@dataclass(frozen=True, kw_only=True)
class Fence:
    indent: int
    marker: str
    """The backticks or tildes it opens with."""
    info: str
    """What follows them."""

    @property
    def mark(self) -> str:
        """The first word of the info, which names the language."""
        return (self.info.lower().split() or [""])[0]

    def dedent(self, line: str) -> str:
        """A line of the block without the indentation of its fence."""
        return line[min(self.indent, len(line) - len(line.lstrip(" \t"))) :]

    def closed(self, dedented: str, *, exact: bool) -> bool:
        """Whether the line closes the block; `exact`: only in the fence's own column.

        A diff of a Markdown file has fences as context, one column further in than its own.
        """
        found = CLOSING.fullmatch(dedented)
        if not found or len(found[1]) > (0 if exact else SLACK):
            return False
        return found[2][0] == self.marker[0] and len(found[2]) >= len(self.marker)


def opened(line: str) -> Fence | None:
    """The fence that a line opens."""
    found = OPENING.match(line)
    if not found or (found[2][0] == "`" and "`" in found[3]):
        return None
    return Fence(indent=len(found[1]), marker=found[2], info=found[3].strip())
