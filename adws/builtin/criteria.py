"""Acceptance criteria an issue states: its checklists, what it says should or must be, the tests it names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adws.builtin import issue
from adws.builtin.markdown import code, inline

MOST, LONGEST = 20, 300
ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+(?:\[([ xX])\]\s+)?(.*)")
HEADING = re.compile(r" {0,3}(#{1,6})\s")
LABEL = re.compile(r"\s*\**([^*:.]{3,40})\**:\**\s*$")
ASKING = re.compile(r"\b(accept\w*|criteria|expect\w*|require\w*|definition of done|goals?)\b", re.IGNORECASE)
WANTED = re.compile(r"\b(should|must|shall|expected|expects?|needs? to|has to|have to)\b", re.IGNORECASE)
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[^\s\da-z])")
TEST = re.compile(r"\b(?:[\w./-]{1,200}\.py::)?(?:\w{1,99}::){0,3}test_\w+\b(?!\.py|/)|\bTest[A-Z]\w+\b")


def of(text: str) -> list[str]:
    """As Markdown, one line each, in the issue's order; one that is derived where the issue states none."""
    stated = [found[:LONGEST] for found in _stated(issue.prose(text))]
    lines = [inline(words) for words in stated if re.search(r"\w", words) and not issue.is_path(words)]
    lines += [f"{code(name)} passes." for name in TEST.findall(text) if not _said(name, stated)]
    derived = f"What the title says is done: {inline(issue.title(text))}"
    return list(dict.fromkeys(lines))[:MOST] or [derived]


def _said(name: str, stated: list[str]) -> bool:
    return any(name in words for words in stated)


def _stated(prose: str) -> Iterator[str]:
    """Items of checklists and of lists under a heading that asks, and the sentences with a wish in them."""
    asking = False
    for block in _blocks(prose):
        heading, item = HEADING.match(block), ITEM.match(block)
        if heading or (LABEL.match(block) and not item):
            asking = bool(ASKING.search(block)) and (heading is None or len(heading[1]) > 1)
        elif item and (item[1] is not None or asking):
            yield item[2]
        else:
            words = item[2] if item else block
            yield from (said for said in SENTENCE.split(words) if asking or WANTED.search(said))


def _blocks(prose: str) -> Iterator[str]:
    """Paragraphs, headings and list items, each joined to one line."""
    block: list[str] = []
    for line in [*prose.splitlines(), ""]:
        if block and (not line.strip() or ITEM.match(line) or HEADING.match(line) or HEADING.match(block[0])):
            yield " ".join(block)
            block = []
        if line.strip():
            block.append(line.strip() if block else line.rstrip())
