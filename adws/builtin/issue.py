"""What an issue's text says of itself: its title, its prose, and the symbols and paths that it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from adws.builtin import fences

COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
HEADS = ("index ", "+++ ", "--- ", "diff --git ")
"""What stands above the hunks of a diff."""
SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
URL = re.compile(r"\b[A-Za-z]{1,15}://\S+")
CHAIN = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
NAMED = re.compile(
    rf"""(?<![\w.])(?:
        {CHAIN}(?=\()                       # a call: parse()
      | [^\W\d]\w*(?:\.[^\W\d]\w*)+         # a dotted name: dates.parse
      | _*[^\W\d_]+_\w*                     # snake_case, _private
      | \w*[a-z0-9][A-Z]\w*                 # camelCase, CamelCase
    )""",
    re.VERBOSE,
)
FRAME = re.compile(r'^[ \t]*File "[^"\n]+", line \d+, in (\w+)', re.MULTILINE)
TOKEN = re.compile(r"[^\s\"'`<>()\[\]{},;:|*=]+")
PATH = re.compile(r"\w[/\\]\w|\.\w+$")
DEEPEST = 8
"""Parts of a dotted name."""
READ = 1 << 16
"""Characters of an issue that are read for its words; what is longer is a log."""


def title(text: str) -> str:
    """The first line that says something, without its `#`; at most 120 characters."""
    for line in prose(text[:READ]).splitlines():
        words = " ".join(line.strip().strip("#").split())
        if re.search(r"\w", words):
            return words if len(words) <= 120 else words[:119].rstrip() + "…"
    return "Untitled issue"


def prose(text: str) -> str:
    """The text without its code: no fenced block, no diff, no SEARCH/REPLACE block; and no comment."""
    return COMMENT.sub("", "\n".join(_prose_lines(text)))


def names(text: str) -> frozenset[str]:
    """Symbols the text names: in code spans, dotted, called, or written the way only code is written."""
    said = URL.sub(" ", prose(text))
    found = set(FRAME.findall(text)) | set(NAMED.findall(said))
    for span in SPAN.finditer(said):
        found.update(re.findall(rf"(?<![\w.-]){CHAIN}", span[2]))
    return frozenset(name for name in found if len(name) > 1 and name.count(".") < DEEPEST)


def modules(text: str) -> frozenset[tuple[str, ...]]:
    """What in the names may be a module, as its parts: `shop.dates.parse` may be, and so may `shop.dates`."""
    chains = (tuple(name.split(".")) for name in names(text))
    return frozenset(chain[:end] for chain in chains for end in {len(chain), *range(2, len(chain))})


def paths(text: str) -> frozenset[tuple[str, ...]]:
    """Paths the text names, as their parts: `src/a.py` in a sentence, a diff or a traceback."""
    plain = URL.sub(" ", text)
    words = {word.rstrip(".") for word in TOKEN.findall(plain) if is_path(word)}
    words |= {span[2].strip() for span in SPAN.finditer(prose(plain))}
    return frozenset(parts for word in words if (parts := _parts(word)))


def is_path(word: str) -> bool:
    """Whether one word looks like a path: it has a slash, or a suffix."""
    return bool(PATH.search(word)) and not re.search(r"\s", word)


def _parts(path: str) -> tuple[str, ...]:
    parts = tuple(part for part in re.split(r"[/\\]", path) if part not in ("", ".", ".."))
    return parts[1:] if len(parts) > 1 and parts[0] in ("a", "b") else parts  # as diffs write them


def _prose_lines(text: str) -> Iterator[str]:
    ends: Callable[[str], bool] | None = None
    for line in text.splitlines():
        if ends:
            ends = None if ends(line) else ends
            continue
        ends = _end_of_block(line)
        if ends is None and not line.startswith(HEADS):
            yield line


def _end_of_block(line: str) -> Callable[[str], bool] | None:
    """Tells the last line of the block that `line` opens; None where it opens none."""
    if line.startswith("<<<<<<<"):
        return lambda line: line.startswith(">>>>>>>")
    if line.startswith("@@ "):
        return lambda line: not line  # a hunk that stands in the open ends at the first empty line
    fence = fences.opened(line)
    return (lambda line: fence.closed(fence.dedent(line), exact=False)) if fence else None
