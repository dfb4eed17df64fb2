"""YAML text -> nodes that know their place, and a list of all that is wrong with them. No bytes can crash it.

PyYAML keeps the last of duplicate keys, turns `NO` into False and `12:30` into 750, and its C composer
segfaults on deep nesting. So we take only its events, and make text, lists and mappings of them ourselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from adws.errors import UserError, suggest

MAX_BYTES = 256 * 1024
MAX_DEPTH = 40
MAX_EVENTS = 50_000  # 1,000 phases are 20,000
MAX_SHOWN = 50  # problems in one message

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 8 times as fast; every wheel of PyYAML has it
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_HINTS = (
    ("quoted scalar.*end of stream", "this quote is never closed"),
    ("flow (sequence|mapping)", "this bracket is not closed, or a `,` is missing in it"),
    ("scanning an? (alias|anchor|tag)", "a value cannot begin with `*`, `&` or `!`; put it in quotes"),
    ("cannot start any token", "a value cannot begin with this character; put it in quotes"),
    ("mapping values", "a `: ` where no key can be; quote a value that has one, or check the indentation"),
    ("simple key", "a line without `key:`"),
    ("block |document start", "this does not continue what is above; check the indentation and the quotes"),
)
"""What PyYAML's (C or Python) context and problem mean in practice."""


class Problem(NamedTuple):
    """Something wrong at a place; lines and columns count from 0."""

    line: int
    column: int
    message: str
    word: str = ""
    known: Iterable[str] = ()
    """Where to look for what `word` was meant to be; asked only when the problem is shown."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A source text, and what has been found wrong with it so far."""

    name: str
    lines: list[str]
    problems: list[Problem] = field(default_factory=list)

    def check(self) -> None:
        """Raise what was found, if anything was."""
        if self.problems:
            raise self.error()

    def error(self, *last: Problem) -> UserError:
        """All problems as one error, sorted by place."""
        found = sorted([*self.problems, *last], key=lambda problem: problem[:2])
        more = [f"... and {len(found) - MAX_SHOWN} more"] if len(found) > MAX_SHOWN else []
        return UserError("\n".join([*map(self._render, found[:MAX_SHOWN]), *more]))

    def _render(self, problem: Problem) -> str:
        line, column, message, word, known = problem
        start = max(0, column - 80)  # a file may be one long line
        text = self.lines[line][start : start + 120] if line < len(self.lines) else ""
        indent = "".join("\t" if char == "\t" else " " for char in text[: column - start])
        said = f"{self.name}:{line + 1}:{column + 1}: {message[:2000]}{suggest(word, known)}"
        return _printable(said) + f"\n{line + 1:>7} | {_printable(text)}\n{'':7} | {indent}^"


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """A value with its place. A mapping's keys are nodes that hold text, each text once."""

    value: str | list[Node] | dict[Node, Node]
    plain: bool
    """Written without quotes, so that `true` is a boolean and `1` a number."""
    line: int
    column: int
    document: Document

    @property
    def text(self) -> str:
        return self.value if isinstance(self.value, str) else ""

    @property
    def empty(self) -> bool:
        return self.plain and self.value in ("", "~", "null", "Null", "NULL")

    @property
    def shown(self) -> str:
        """What a message calls it."""
        if not isinstance(self.value, str):
            return "a list" if isinstance(self.value, list) else "a mapping"
        if self.empty:
            return "nothing"
        return f"`{self.value[:100]}`" if self.plain else f"the text `{self.value[:100]}`"

    def wrong(self, message: str, *, word: str = "", known: Iterable[str] = ()) -> None:
        """Note a problem; `word` is looked up in `known` for a "did you mean"."""
        self.document.problems.append(Problem(self.line, self.column, message, word, known))


def parse(source: bytes, name: str) -> Node:
    """The file's one top-level value. UserError at once where it is no YAML or more than a pipeline needs."""
    if len(source) > MAX_BYTES:
        raise UserError(f"{name}: {len(source)} bytes are too much for a pipeline; at most {MAX_BYTES}")
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    document = Document(name=name, lines=_BREAK.split(text))
    if bad := _FORBIDDEN.search(text):
        before = _BREAK.split(text[: bad.start()])
        message = f"the character U+{ord(bad[0]):04X} cannot be in a pipeline"
        raise document.error(Problem(len(before) - 1, len(before[-1]), message))
    events = _events(text, document)
    try:
        first = next(events, None)
        if first is None:
            raise UserError(f"{name}: empty; a pipeline begins with `version: 1`")
        return _node(events, first, document)
    except yaml.MarkedYAMLError as error:
        raise document.error(_explain(error, document)) from None


def _events(text: str, document: Document) -> Iterator[yaml.Event]:
    """What the one document consists of; stops at the first thing that is not allowed."""
    depth = documents = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if fault := _fault(event, count, depth, documents):
            raise document.error(Problem(*_place(event.start_mark), fault))
        if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            yield event


def _fault(event: yaml.Event, count: int, depth: int, documents: int) -> str:
    if count > MAX_EVENTS or depth > MAX_DEPTH:
        return "too many values for a pipeline" if count > MAX_EVENTS else "nested too deep for a pipeline"
    if documents > 1:
        return "a second document begins here; a pipeline is one"
    if tag := getattr(event, "tag", None):
        return f"`{tag}` is a tag, and a pipeline has none; put a value that begins with `!` in quotes"
    if name := getattr(event, "anchor", None):
        shown = f"`*{name}` is an alias" if isinstance(event, yaml.AliasEvent) else f"`&{name}` is an anchor"
        return f"{shown}, and a pipeline has none; `defaults` has what phases share, and a text can be quoted"
    return ""


def _node(events: Iterator[yaml.Event], event: yaml.Event, document: Document) -> Node:
    """The value that begins with `event`. Recursion is safe here: `_events` ends at MAX_DEPTH."""
    line, column = _place(event.start_mark)
    if isinstance(event, yaml.ScalarEvent):
        return Node(event.value, not event.style, line, column, document)
    children = []
    while not isinstance(child := next(events), yaml.CollectionEndEvent):
        children.append(_node(events, child, document))
    if isinstance(event, yaml.SequenceStartEvent):
        return Node(children, False, line, column, document)
    return Node(_mapping(children), False, line, column, document)


def _mapping(children: list[Node]) -> dict[Node, Node]:
    first: dict[str, Node] = {}
    for key in children[::2]:
        if not isinstance(key.value, str) or not key.value:
            key.wrong("a key has to be a word")
        elif key.plain and key.value == "<<":
            key.wrong("`<<` is a merge key, and a pipeline has none; put what phases share in `defaults`")
        elif (known := first.setdefault(key.value, key)) is not key:
            key.wrong(f"{key.shown} is already on line {known.line + 1}; remove one of the two")
    pairs = zip(children[::2], children[1::2], strict=True)
    return {key: value for key, value in pairs if first.get(key.text) is key}


def _explain(error: yaml.MarkedYAMLError, document: Document) -> Problem:
    """Where a syntax error really is, and what it means."""
    said = f"{error.context}: {error.problem}"
    mark = error.problem_mark
    if error.context_mark and re.search("quoted|flow|alias|anchor|tag|simple key", said):
        mark = error.context_mark  # where it began, not where the file ended
    line, column = _place(mark)
    if document.lines[line][column : column + 1] == "\t":
        return Problem(line, column, "a tab; indent with spaces")
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, said)), f"not YAML: {error.problem}")
    return Problem(line, column, hint)


def _place(mark: Any) -> tuple[int, int]:
    return (mark.line, mark.column) if mark else (0, 0)


def _printable(text: str) -> str:
    """Without what could steer a terminal or turn the text around."""
    return "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in text)
