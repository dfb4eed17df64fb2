"""What the run has changed so far: the files with their lines, and the Python API."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from adws.builtin import api, checkout, files
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
    found: list[api.Change] = []
    for path, old, new in _python_pairs(root, since):
        before, after = api.read(old), api.read(new)
        if before and after:  # what is not Python on one side cannot be compared
            found += api.compare(api.module(path), before, after)
    return found


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


def _python_pairs(root: Path, since: str) -> Iterator[tuple[str, str, str]]:
    """(path, old text, new text) of each public module that differs; empty text for none."""
    raw = checkout.git(root, "diff", "--raw", "--no-abbrev", *PLAIN, since, "--", "*.py").split(b"\0")
    pairs = [(path, head.split()[2].decode()) for head, path in zip(raw[:-1:2], raw[1::2], strict=True)]
    pairs += [(path, "") for path in _untracked(root) if path.endswith(b".py")]
    public = [(path, old) for path, old in sorted(pairs) if api.is_public(checkout.shown(os.fsdecode(path)))]
    texts = _blobs(root, [old for _, old in public if old.strip("0")])
    for path, old in public:
        now = files.text_of(root / os.fsdecode(path))
        yield checkout.shown(os.fsdecode(path)), texts.get(old, ""), now or ""


def _blobs(root: Path, ids: Sequence[str]) -> dict[str, str]:
    """The texts of blobs, all by one process."""
    raw = checkout.git(root, "cat-file", "--batch", stdin="".join(f"{name}\n" for name in ids).encode())
    texts = {}
    at = 0
    for name in ids:
        head, _, _ = raw[at:].partition(b"\n")
        at += len(head) + 1
        size = int(head.split()[-1])
        texts[name] = raw[at : at + size].decode("utf-8-sig", "replace")
        at += size + 1
    return texts
