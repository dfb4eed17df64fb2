"""Other people's text inside our Markdown: it stays readable and can neither end its place nor hide."""

from __future__ import annotations

import re

UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # what hides, or turns the reading order round
    "\ud800-\udfff]"  # halves of characters, which UTF-8 cannot hold
)
SPAN = re.compile(r"(?<!`)`[^`]+`(?!`)")
ACTIVE = re.compile(r"[\\<\[\]*`]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])|~(?=~)")
BEGINS = re.compile(r"^(\d*)([#>+.)=-])")
"""What would begin a heading, a quotation or a list."""


def plain(text: str) -> str:
    """Every character that cannot be seen is spelled out, `\\x1b`; line ends are as they were."""
    return UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def literal(text: str) -> str:
    """`plain` text on one line with its line ends and tabs spelled out, as a path needs it."""
    return plain(text).replace("\n", "\\n").replace("\t", "\\t")


def line(text: str) -> str:
    """`plain` text on one line."""
    return plain(" ".join(re.split(r"[\n\t ]+", text))).strip()


def inline(text: str) -> str:
    """Prose for one line: its code spans stay, everything else that Markdown would act on is escaped."""
    text = line(text)
    found, at = [], 0
    for span in SPAN.finditer(text):
        found += [ACTIVE.sub(r"\\\g<0>", text[at : span.start()]), span[0]]
        at = span.end()
    found.append(ACTIVE.sub(r"\\\g<0>", text[at:]))
    return BEGINS.sub(r"\1\\\2", "".join(found))


def code(text: str) -> str:
    """A code span that holds any text: a path, a signature, a command."""
    text = literal(text)
    ticks = "`" * (_longest(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def fenced(text: str, language: str = "") -> str:
    """A block that the text cannot end: its fence is longer than any run of backticks in it."""
    fence = "`" * max(3, _longest(text) + 1)
    return f"{fence}{language}\n{plain(text).strip(chr(10))}\n{fence}"


def _longest(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
