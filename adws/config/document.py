"""YAML text -> nodes that know their place and note what is wrong with them. No bytes can crash it.

PyYAML keeps the last of duplicate keys, turns `NO` into False and `12:30` into 750, and its C composer
segfaults on deep nesting. So we take only its events, and make text, lists and mappings of them ourselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from adws.errors import UserError, suggest

MAX_BYTES, MAX_DEPTH = 256 * 1024, 40
MAX_SHOWN = 50

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 8 times as fast; every wheel of PyYAML has it
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
# what PyYAML refuses to read, without saying where; and what comes in by an escape and no file name can have
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_NEVER = re.compile("[\0\ud800-\udfff]")
_BEGAN = re.compile("quoted|flow|an? (alias|anchor|tag)|simple key")
"""Mistakes that are to be shown where they began, not where PyYAML noticed them."""
_DEEP = "nested too deep for a pipeline"
_HINTS = (
    ("maximum nesting depth", _DEEP),  # libyaml counts for itself since 0.2.6, and reads ahead of its events
    ("quoted scalar.*end of stream", "this quote is never closed"),
    ("flow ", "this bracket is not closed, or a `,` is missing in it"),
    ("an? (alias|anchor|tag)", "a value cannot begin with `*`, `&` or `!`; put it in quotes"),
    ("cannot start any token", "a value cannot begin with this character; put it in quotes"),
    ("mapping values", "a `: ` where no key can be; quote a value that has one, or check the indentation"),
    ("block |document start", "this does not continue what is above; check the indentation and the quotes"),
)
"""What PyYAML's context and problem mean in practice."""


@dataclass(frozen=True)
class Source:
    """A file, and what has been found wrong with it so far: line and column, from 0, and the message."""

    name: str
    lines: list[str]
    problems: list[tuple[int, int, str]] = field(default_factory=list)

    def error(self, *problems: tuple[int, int, str]) -> UserError:
        """These problems in one message, sorted by place."""
        shown = [self._render(*each) for each in sorted(problems)[:MAX_SHOWN]]
        more = [f"... and {len(problems) - MAX_SHOWN} more"] if len(problems) > MAX_SHOWN else []
        return UserError("\n".join(shown + more))

    def _render(self, line: int, column: int, message: str) -> str:
        start = max(0, column - 80)  # a file may be one long line
        text = self.lines[line][start : start + 120]
        said = _printable(f"{self.name}:{line + 1}:{column + 1}: {message}")
        return f"{said}\n{line + 1:>7} | {_printable(text)}\n{'':7} | {' ' * (column - start)}^"


class Node:
    """A value with its place."""

    line: int
    column: int
    source: Source
    plain = False
    """Text without quotes, so that `true` is a boolean and `1` a number."""

    @property
    def empty(self) -> bool:
        return self.plain and str(self) in ("", "~", "null", "Null", "NULL")

    @property
    def shown(self) -> str:
        """What a message calls it."""
        if not isinstance(self, Text):
            kind, empty = ("list", "list") if isinstance(self, List) else ("mapping", "one")
            return f"a {kind}" if self else f"an empty {empty}"
        quoted = f"{'' if self.plain else 'the text '}`{self[:100]}`"
        return "nothing" if self.empty or not self.strip() else quoted

    def at(self, key: str) -> Node:
        """The value of the key, or the nearest there is to it."""
        return self.get(key, self) if isinstance(self, Map) else self

    def wrong(self, message: str, *, word: str = "", known: Iterable[str] = ()) -> None:
        """Note a problem; `word` is looked up in `known` for a "did you mean"."""
        # looking up takes long in a long file, and nobody reads so far
        hint = suggest(word[:100], known) if len(self.source.problems) < MAX_SHOWN else ""
        self.source.problems.append((self.line, self.column, message[:2000] + hint))


class Text(Node, str):
    """A scalar, as it was written."""


class List(Node, list[Node]):
    """A sequence."""


class Map(Node, dict[Any, Node]):
    """A mapping. Its keys are Text, each with its place; any string finds them."""


def parse(source: bytes, name: str) -> Node:
    """The file's one top-level value. UserError at once where it is no YAML or more than a pipeline needs."""
    if len(source) > MAX_BYTES:
        raise UserError(f"{name}: {len(source)} bytes are too much for a pipeline; at most {MAX_BYTES}")
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    file = Source(name, [*_BREAK.split(text), ""])  # libyaml also names the line behind the last
    if bad := _FORBIDDEN.search(text):
        *above, line = _BREAK.split(text[: bad.start()])
        raise file.error((len(above), len(line), f"U+{ord(bad[0]):04X} is no character for a pipeline"))
    events = _events(text, file)
    try:
        roots = [_node(events, event, file) for event in events]
    except yaml.MarkedYAMLError as error:
        raise file.error(_explain(error, file)) from None
    if not roots or roots[0].empty:
        raise UserError(f"{name}: empty; a pipeline begins with `version: 1`")
    return roots[0]


def _events(text: str, source: Source) -> Iterator[Any]:
    """What the one document consists of; stops at the first thing that is not allowed."""
    depth = documents = 0
    events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        fault = (
            (depth > MAX_DEPTH and _DEEP)
            or (documents > 1 and "a second document begins here; a pipeline is one")
            or (getattr(event, "anchor", None) and "`&` and `*` share values; use `defaults`, or quotes")
            or (getattr(event, "tag", None) and "`!` begins a tag, and a pipeline has none; use quotes")
        )
        if fault:
            raise source.error((event.start_mark.line, event.start_mark.column, fault))
        if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            yield event


def _node(events: Iterator[Any], event: Any, source: Source) -> Node:
    """The value that begins with `event`. Recursion is safe: `_events` ends at MAX_DEPTH."""
    node: Node
    line, column = event.start_mark.line, event.start_mark.column
    if isinstance(event, yaml.ScalarEvent):
        node = Text(event.value)
        node.plain = not event.style
    else:
        children = []
        while not isinstance(child := next(events), yaml.CollectionEndEvent):
            children.append(_node(events, child, source))
        node = List(children) if isinstance(event, yaml.SequenceStartEvent) else _map(children)
    node.line, node.column, node.source = line, column, source
    if isinstance(node, Text) and _NEVER.search(node):
        node.wrong("there is a character in it that no command and no file name can have")
    return node


def _map(children: list[Node]) -> Map:
    found, first = Map(), dict[str, Text]()
    for key, value in zip(children[::2], children[1::2], strict=True):
        if not isinstance(key, Text) or not key:
            key.wrong("a key has to be a word")
        elif first.setdefault(key, key) is not key:
            key.wrong(f"`{key}` is already on line {first[key].line + 1}; remove one of the two")
        else:
            found[key] = value
    return found


def _explain(error: yaml.MarkedYAMLError, source: Source) -> tuple[int, int, str]:
    """Where a syntax error really is, and what it means."""
    said = f"{error.context}: {error.problem}"
    mark: Any = (_BEGAN.search(said) and error.context_mark) or error.problem_mark
    tab = source.lines[mark.line][mark.column : mark.column + 1] == "\t"
    hints = (hint for pattern, hint in _HINTS if re.search(pattern, said))
    hint = "a tab; indent with spaces" if tab else next(hints, f"not YAML: {error.problem}")
    return mark.line, mark.column, hint


def _printable(text: str) -> str:
    """Without what could steer a terminal or turn the text around."""
    return "".join(char if char.isprintable() else " " for char in text)
