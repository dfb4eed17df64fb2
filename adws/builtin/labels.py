"""The line or mark that says which file a block of an issue is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from adws.errors import UserError

ATTRIBUTE = re.compile(r"""(?:^|[\s{,])path=(?:"([^"]+)"|'([^']+)'|([^\s},"']+))""")
ORDER = re.compile(r"(write|new) file:\s*(.*)", re.IGNORECASE)
ORNAMENT = re.compile(r"\s*(?:[-*+]\s+|\d+[.)]\s+|#+\s+|//\s+)?(.*?)\s*:?\s*")
QUOTED = re.compile(r"`\s*([^`]+?)\s*`")


@dataclass(frozen=True, kw_only=True)
class Order:
    """The order to write a whole file."""

    path: str
    fresh: bool
    """There must be none so far."""


def order(info: str, lines: Sequence[str], at: int) -> Order | None:
    """What a fence at index `at` with this info is told to be the content of."""
    if found := ATTRIBUTE.search(info):
        return Order(path=found[1] or found[2] or found[3], fresh=False)
    said = ORDER.fullmatch(_plain(_before(lines, at)))
    if not said:
        return None
    named = path(said[2], sure=True)
    if not named:
        what = f"`{said[1]} file:` takes one path, in backticks if it has blanks in it"
        raise UserError(f"line {at} of the issue: {what}")
    return Order(path=named, fresh=said[1].lower() == "new")


def path_before(lines: Sequence[str], at: int) -> str:
    return path(_before(lines, at), sure=False)


def _before(lines: Sequence[str], at: int) -> str:
    """The line before; an empty line may be between."""
    return next((line for line in reversed(lines[max(at - 2, 0) : at]) if line.strip()), "")


def path(line: str, *, sure: bool) -> str:
    """The path that a line consists of, else nothing; `sure`: where only a path can stand."""
    words = re.sub(r"^(file|path):\s*", "", _plain(line), flags=re.IGNORECASE)
    if quoted := QUOTED.fullmatch(words):
        return quoted[1]
    likely = sure or re.search(r"/|\.\w", words) or not line.rstrip().endswith((".", ":", "!", "?"))
    return words if likely and not re.search(r"\s", words) else ""


def _plain(line: str) -> str:
    """A line without a list's or heading's mark, without bold, without a colon at its end."""
    found = ORNAMENT.fullmatch(line.replace("**", ""))
    return found[1] if found else ""
