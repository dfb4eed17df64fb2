"""Apply one file's part of a unified diff.

Where a hunk belongs is decided by its context alone: the stated line when the context stands there, else the
one place where it does. `git apply` was measured first and is too strict for a diff that a person or a model
wrote (it refuses a hunk that says line 1 and belongs elsewhere, one without trailing context, an LF diff of a
CRLF file, a trailing empty line) and too bold (of several places that fit it silently takes the nearest).
On diffs that git wrote, both do the same.
"""

from __future__ import annotations

from dataclasses import replace

from adws.builtin import diffs, text
from adws.builtin.diffs import Hunk, Section
from adws.builtin.text import Text
from adws.builtin.tree import File, InPlaceError, Tree
from adws.errors import UserError


def apply(tree: Tree, section: Section, line: int) -> None:
    """Apply to the tree; `line` is where the section begins in the issue."""
    if section.refused:
        raise UserError(f"{section.path} is not touched: {section.refused}")
    if section.new is None:
        _delete(tree, section, line)
    elif section.old is None or (section.from_nothing and tree.get(section.new) is None):
        _create(tree, section, line)
    else:
        _change(tree, section, section.old, section.new, line)


def _create(tree: Tree, section: Section, line: int) -> None:
    path = section.path
    made = _patched(Text(), section, line).encode()
    there = tree.get(path)
    if there is not None:
        if text.decode(there.data).lines == text.decode(made).lines:
            raise InPlaceError(path)
        raise UserError(f"{path} exists already; the diff would create it")
    tree.put(path, File(data=made, executable=bool(section.executable)))


def _delete(tree: Tree, section: Section, line: int) -> None:
    file = tree.known(section.path)
    left = _patched(_text(file, section), section, line)
    if left.lines:
        raise UserError(f"{section.path} has {len(left.lines)} more lines than the diff deletes")
    tree.put(section.path, None)


def _change(tree: Tree, section: Section, old: str, new: str, line: int) -> None:
    file = tree.known(old)
    if section.hunks:
        whole = _text(file, section)
        if _in_place(whole, section.hunks):
            raise InPlaceError(new)
        file = replace(file, data=_patched(whole, section, line).encode())
    elif old == new and section.executable is None:
        raise UserError(f"{new}: the diff has no hunk")
    if section.executable is not None:
        file = replace(file, executable=section.executable)
    if old != new and not section.copied:
        tree.put(old, None)
    if old != new and tree.get(new) is not None:
        verb = "copy" if section.copied else "rename"
        raise UserError(f"{new} exists already; the diff would {verb} {old} to it")
    tree.put(new, file)


def _text(file: File, section: Section) -> Text:
    if text.is_binary(file.data) and section.hunks:
        raise UserError(f"{section.path} is a binary file, and only text is edited")
    return text.decode(file.data)


def _patched(whole: Text, section: Section, line: int) -> Text:
    moved = 0
    for number, hunk in enumerate(section.hunks, start=1):
        said = f"{section.path}: hunk {number} of {len(section.hunks)} (line {line + hunk.line - 1})"
        if not any(row[0] in "+-" for row in hunk.body):
            raise UserError(f"{said} changes nothing")
        at = _place(whole, hunk, moved)
        if isinstance(at, str):
            raise UserError(f"{said} {at}")
        whole = whole.splice(at, len(hunk.old), hunk.new)
        if hunk.ended is not None:
            whole = whole.ended(hunk.ended)
        if hunk.start is not None:
            moved = at - max(hunk.start - 1, 0) + len(hunk.new) - len(hunk.old)
    return whole


def _place(whole: Text, hunk: Hunk, moved: int) -> int | str:
    """The index where the hunk goes, or why there is none; `moved`: how far the hunks before it shifted."""
    old = hunk.old
    if not old:
        return "adds lines without any context, so where they go is a guess" if whole.lines else 0
    places = whole.find(old)
    if hunk.start is not None and hunk.start - 1 + moved in places:
        return hunk.start - 1 + moved
    if len(places) == 1:
        return places[0]
    if places:
        return f"fits at lines {text.numbers(places)} and not where it says; give it more context"
    return f"does not fit: {text.closest(whole.lines, old)}"


def _in_place(whole: Text, hunks: tuple[Hunk, ...]) -> bool:
    """All that the diff makes is there, a line that it adds among it, and nothing that it wants changed."""
    adds = any(row[0] == "+" for hunk in hunks for row in hunk.body)
    return adds and all(whole.find(hunk.new) and not whole.find(hunk.old) for hunk in hunks)


def parse(body: str) -> Section:
    """The section that is an edit's body."""
    return diffs.read(body.split("\n"), 0, bare=False)[0]
