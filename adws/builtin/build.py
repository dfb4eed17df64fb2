"""build: applies exactly what the issue spells out, all of it or nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from adws.builtin import blocks, checkout, edits, patch
from adws.builtin.context import Context, write_result
from adws.builtin.edits import Edit, Kind
from adws.builtin.tree import InPlaceError, Tree
from adws.errors import UserError

NOTHING = "the issue spells out no edit; it needs an agent: AGENT=claude, or put a diff into the issue"
LISTED = 6
"""Files that the summary names."""


def run(ctx: Context, args: Sequence[str]) -> int:
    found = edits.parse(ctx.issue)
    if not found:
        raise UserError(NOTHING)
    tree = _applied(ctx.root, found)
    changed = tree.changed()
    _refuse_ignored(ctx.root, tree.added())
    tree.write()
    files = [checkout.shown(path) for path in changed]
    summary = f"applied {_count(found, 'edit')} to {_count(files, 'file')}: {_listed(files)}"
    write_result(ctx, summary=summary, files=files)
    print(summary)
    return 0


def _applied(root: Path, found: Sequence[Edit]) -> Tree:
    """The tree with every edit in it; raises UserError with all that do not apply."""
    tree, broken = Tree(root), set()
    faults: list[str] = []
    in_place = 0
    for number, edit in enumerate(found, start=1):
        if edit.path in broken:  # what follows on an edit that failed says nothing new
            continue
        try:
            _apply(tree, edit)
        except UserError as error:
            in_place += isinstance(error, InPlaceError)
            broken.add(edit.path)
            where = f"edit {number} of {len(found)} ({edit.kind}, line {edit.line} of the issue)"
            faults.append(f"{where}: {error}")
    if in_place == len(faults) and not tree.changed():
        raise UserError("the issue's edits are already in place")
    if faults:
        raise UserError("\n".join([*faults, "nothing was changed"]))
    return tree


def _apply(tree: Tree, edit: Edit) -> None:
    if "\ufffd" in edit.body:
        raise UserError("it holds U+FFFD, which stands for text that was not UTF-8; save the issue as UTF-8")
    if edit.kind is Kind.DIFF:
        patch.apply(tree, patch.parse(edit.body), edit.line)
    elif edit.kind is Kind.REPLACE:
        blocks.replaced(tree, edit.path, edit.body)
    else:
        blocks.written(tree, edit.path, edit.body, fresh=edit.kind is Kind.NEW)


def _refuse_ignored(root: Path, added: Sequence[str]) -> None:
    """A file that git ignores would be written here and be missing from the commit."""
    names = "".join(f"{path}\0" for path in added)
    try:
        ignored = checkout.git(root, "check-ignore", "-z", "--stdin", stdin=os.fsencode(names))
    except UserError:  # it also exits with 1 when none of them is ignored
        return
    first = checkout.shown(ignored.split(b"\0")[0])
    raise UserError(f"{first} is ignored by git, so the commit would lack it; nothing was changed")


def _count(things: Sequence[object], word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


def _listed(files: Sequence[str]) -> str:
    more = f" and {len(files) - LISTED} more" if len(files) > LISTED else ""
    return ", ".join(files[:LISTED]) + more
