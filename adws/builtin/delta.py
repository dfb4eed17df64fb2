"""What a review looks at: the change of the run so far, file by file, with both texts."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from adws.builtin import checkout, text
from adws.builtin.context import Context

LARGE = 1 << 20
"""Bytes; a larger file is looked at by its size alone."""
COMMIT = re.compile(r"[0-9a-f]{40,64}")
HUNK = re.compile(rb"@@ -\S+ \+(\d+)(?:,(\d+))? @@")
PLAIN = ("-M", "--no-ext-diff", "--no-textconv", "--no-color", "--no-relative", "--submodule=short")
REGULAR = "100"


@dataclass(frozen=True, kw_only=True)
class File:
    """One file that differs. A text is empty where there is none: no file, not text, too large."""

    path: str
    """Its name now; for a deleted file, the one it had."""
    was: str
    """Its name before; empty for a new file."""
    gone: bool
    old: str
    new: str
    added: frozenset[int]
    """The lines of the new text that the change wrote, counted from 1."""
    size: int
    binary: bool

    @property
    def lines(self) -> list[str]:
        return self.new.split("\n")


@dataclass(frozen=True, kw_only=True)
class _Entry:
    path: str
    was: str
    blob: str
    """Object id of the old content; empty where there is none that is text."""
    gone: bool
    sections: int
    """How often `git diff` speaks of it."""


def since(ctx: Context) -> str:
    """Where the run began; by hand, before what is not committed yet, or else before the last commit."""
    bases = [str(result.get("base", "")) for result in ctx.state.values()]
    known = [base for base in bases if COMMIT.fullmatch(base)]
    if known:
        found = checkout.git(ctx.root, "merge-base", "--octopus", *known, "HEAD")
        return found.decode().strip()
    if checkout.git(ctx.root, "status", "--porcelain", "-z"):
        return "HEAD"
    _, *parents = checkout.git(ctx.root, "rev-list", "--parents", "-n1", "HEAD").decode().split()
    empty = checkout.git(ctx.root, "hash-object", "-t", "tree", "--stdin")
    return parents[0] if parents else empty.decode().strip()


def read(root: Path, commit: str) -> tuple[File, ...]:
    """The files that differ between the commit and the checkout, untracked ones too, sorted by path."""
    entries = list(_entries(root, commit))
    blobs = _blobs(root, [entry.blob for entry in entries if entry.blob])
    ranges = _written(root, commit, entries)
    files = [_file(root, entry, blobs.get(entry.blob, b""), ranges.get(entry.path)) for entry in entries]
    untracked = checkout.git(root, "ls-files", "-z", "--others", "--exclude-standard").split(b"\0")[:-1]
    for raw in untracked:
        entry = _Entry(path=os.fsdecode(raw), was="", blob="", gone=False, sections=0)
        files.append(_file(root, entry, b"", None))
    return tuple(sorted(files, key=lambda file: file.path))


def _entries(root: Path, commit: str) -> Iterator[_Entry]:
    raw = os.fsdecode(checkout.git(root, "diff", "--raw", "-z", "--no-abbrev", *PLAIN, commit, "--"))
    parts = iter(raw.split("\0")[:-1])
    seen = set()
    for about in parts:
        mode, _, blob, _, status = about.removeprefix(":").split()
        was = next(parts)
        path = next(parts) if status[0] in "RC" else was
        if path not in seen:  # an unmerged file is listed twice
            seen.add(path)
            yield _Entry(
                path=path,
                was="" if status[0] in "AC" else was,
                blob=blob if mode.startswith(REGULAR) else "",
                gone=status[0] == "D",
                sections=2 if status[0] == "T" else 1,
            )


def _file(root: Path, entry: _Entry, blob: bytes, written: frozenset[int] | None) -> File:
    size, data = _content(root / entry.path)
    binary = text.is_binary(data)
    old, new = (_decoded(raw) for raw in (blob, data))
    if written is None:  # new, or git was told not to show its lines: those that were not there before
        before = frozenset(old.split("\n"))
        written = frozenset(n for n, line in enumerate(new.split("\n"), start=1) if line not in before)
    return File(
        path=entry.path,
        was=entry.was,
        gone=entry.gone,
        old=old,
        new=new,
        added=written,
        size=size,
        binary=binary,
    )


def _content(path: Path) -> tuple[int, bytes]:
    try:
        kind = path.lstat()
        if not stat.S_ISREG(kind.st_mode):
            return 0, b""
        if kind.st_size > LARGE:
            with path.open("rb") as file:
                return kind.st_size, b"\0" * (b"\0" in file.read(8192))
        return kind.st_size, path.read_bytes()
    except OSError:  # deleted
        return 0, b""


def _decoded(data: bytes) -> str:
    if text.is_binary(data):
        return ""
    return data.decode("utf-8-sig", "replace").replace("\r\n", "\n")


def _blobs(root: Path, ids: Sequence[str]) -> dict[str, bytes]:
    """The contents of blobs that are not too large, by two processes in all."""
    asked = "".join(f"{name}\n" for name in dict.fromkeys(ids)).encode()
    sizes = checkout.git(root, "cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=asked).decode()
    known = [line.split() for line in sizes.splitlines()]
    small = [name for name, size in known if size.isdigit() and int(size) <= LARGE]
    raw = checkout.git(root, "cat-file", "--batch=%(objectsize)", stdin="\n".join([*small, ""]).encode())
    found, at = {}, 0
    for name in small:
        head, _, _ = raw[at : at + 32].partition(b"\n")
        at += len(head) + 1
        found[name] = raw[at : at + int(head)]
        at += int(head) + 1
    return found


def _written(root: Path, commit: str, entries: Sequence[_Entry]) -> dict[str, frozenset[int] | None]:
    """Per path the new lines. Names are not read off the patch: it has the files in the order of the list."""
    patch = checkout.git(root, "diff", "-U0", "--inter-hunk-context=0", *PLAIN, commit, "--")
    sections = [part.split(b"\n") for part in re.split(rb"^diff --git ", patch, flags=re.MULTILINE)[1:]]
    if len(sections) != sum(entry.sections for entry in entries):
        return {}
    found: dict[str, frozenset[int] | None] = {}
    for entry in entries:
        mine = [line for _ in range(entry.sections) for line in sections.pop(0)]
        unshown = any(line.startswith(b"Binary files ") for line in mine)
        spans = [HUNK.match(line) for line in mine]
        numbers = (range(int(s[1]), int(s[1]) + int(s[2] or 1)) for s in spans if s)
        found[entry.path] = None if unshown else frozenset(n for span in numbers for n in span)
    return found
