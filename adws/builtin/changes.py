"""What the run has changed so far: the files with their lines, and the Python API."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from adws.builtin import api, checkout, delta, files
from adws.errors import UserError

PLAIN = ("-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-relative")


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """One file; the lines are None where it is binary."""

    path: str
    added: int | None
    removed: int | None


def of_files(root: Path, since: str, *, but: Sequence[str]) -> list[FileChange]:
    """The files that differ between a commit and the checkout, untracked ones too, without those of `but`."""
    listed = checkout.git(root, "diff", "--numstat", *PLAIN, since, "--")
    found = []
    for entry in listed.split(b"\0")[:-1]:
        added, removed, raw = entry.split(b"\t", 2)
        path = checkout.shown(os.fsdecode(raw))
        found.append(FileChange(path=path, added=_number(added), removed=_number(removed)))
    for raw in _untracked(root):
        text = files.text_of(root / os.fsdecode(raw))
        lines = None if text is None else len(text.splitlines())
        found.append(FileChange(path=checkout.shown(os.fsdecode(raw)), added=lines, removed=0))
    return sorted((file for file in found if file.path not in but), key=lambda file: file.path)


def of_api(root: Path, since: str) -> list[api.Change]:
    """The changes of public Python names between the commit `since` and the checkout."""
    changed = [file for file in delta.read(root, since) if not file.binary and file.size <= delta.LARGE]
    old = {checkout.shown(file.was): file.old for file in changed if file.was}
    new = {checkout.shown(file.path): file.new for file in changed}
    packages = {
        str(parent / "__init__.py") for path in {*old, *new} for parent in PurePosixPath(path).parents
    }
    # unchanged, but through them a changed module may be known by another name
    same = {
        path: text for path in packages - {*old, *new} if (text := files.text_of(root / path)) is not None
    }
    return api.compare(same | old, same | new)


def commit(root: Path, name: str) -> str | None:
    """The id of the commit a name stands for; None where there is none."""
    try:
        return checkout.git(root, "rev-parse", "--verify", "-q", f"{name}^{{commit}}").decode().strip()
    except UserError:
        return None


def _untracked(root: Path) -> list[bytes]:
    return checkout.git(root, "ls-files", "-z", "--others", "--exclude-standard").split(b"\0")[:-1]


def _number(word: bytes) -> int | None:
    return None if word == b"-" else int(word)
