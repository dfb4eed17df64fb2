"""Apply one SEARCH/REPLACE block, or one whole file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adws.builtin import text
from adws.builtin.tree import File, InPlaceError, Tree
from adws.errors import UserError

DIVIDER = "======="


def replaced(tree: Tree, path: str, body: str) -> None:
    """Put the REPLACE half of `body` in the place of its SEARCH half, which has to be there exactly once."""
    halves = _halves(body)
    if not halves[0][0]:
        _create(tree, path, halves[0][1])
        return
    file = tree.known(path)
    if text.is_binary(file.data):
        raise UserError(f"{path} is a binary file, and only text is edited")
    whole = text.decode(file.data)
    # a divider may also be a line of the text (a heading's underline): the longest SEARCH that fits is meant
    found = [(search, new, places) for search, new in halves if (places := whole.find(search))]
    if not found:
        raise _missing(whole, path, halves[len(halves) // 2])
    search, new, places = found[-1]
    if len(places) > 1:
        where = f"at lines {text.numbers(places)}"
        raise UserError(f"its SEARCH is in {path} {where}; add lines that make it unique")
    tree.put(path, replace(file, data=whole.splice(places[0], len(search), new).encode()))


def written(tree: Tree, path: str, body: str, *, fresh: bool) -> None:
    """Make `body` the file's content; `fresh`: there must be none so far."""
    lines = body.split("\n")[:-1]
    there = tree.get(path)
    if there is None or not there.data:
        executable = there is not None and there.executable
        tree.put(path, File(data=body.encode("utf-8", "surrogateescape"), executable=executable))
        return
    data = text.decode(there.data).rewritten(lines).encode()
    if fresh and data != there.data:
        raise UserError(f"{path} exists already; say `Write file:` to replace it whole")
    tree.put(path, replace(there, data=data))


def _create(tree: Tree, path: str, lines: Sequence[str]) -> None:
    there = tree.get(path)
    if there and there.data:
        if text.decode(there.data).lines == tuple(lines):
            raise InPlaceError(path)
        raise UserError(f"{path} exists already; an empty SEARCH creates a file")
    written(tree, path, "".join(f"{line}\n" for line in lines), fresh=True)


def _missing(whole: text.Text, path: str, halves: tuple[list[str], list[str]]) -> UserError:
    search, new = halves
    if new and whole.find(new):
        return InPlaceError(path)
    return UserError(f"its SEARCH is not in {path}: {text.closest(whole.lines, search)}")


def _halves(body: str) -> list[tuple[list[str], list[str]]]:
    """Every way to read a block's body as (SEARCH, REPLACE), the shortest SEARCH first."""
    lines = body.split("\n")
    return [(lines[:at], lines[at + 1 :]) for at, line in enumerate(lines) if line == DIVIDER]
