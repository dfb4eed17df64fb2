"""What a model says in one answer, whoever's model it is: words, and the use of tools by what they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FRESH, CACHED, OUT = 1000, 200, 50
"""Tokens of each answer."""


@dataclass(frozen=True)
class Say:
    words: str


@dataclass(frozen=True)
class Use:
    tool: str
    """`read`, `edit`, `write`, `shell`; each of `clis` knows what they are called there."""
    given: dict[str, Any]


Turn = list[Say | Use]


def read(path: str) -> Use:
    return Use("read", {"path": path})


def edit(path: str, old: str, new: str) -> Use:
    return Use("edit", {"path": path, "old": old, "new": new})


def write(path: str, content: str) -> Use:
    return Use("write", {"path": path, "content": content})


def shell(command: str) -> Use:
    return Use("shell", {"command": command})
