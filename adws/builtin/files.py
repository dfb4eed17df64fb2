"""The text files of a checkout that a person would read: tracked, not foreign, not generated, not huge."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from adws.builtin import checkout

LARGEST = 1 << 20
"""Bytes; a source file above that is data."""
_LOCKS = """
    package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock poetry.lock pdm.lock uv.lock
    pipfile.lock cargo.lock go.sum composer.lock gemfile.lock flake.lock mix.lock packages.lock.json
"""
LOCKS = frozenset(_LOCKS.split())
_FOREIGN = "node_modules bower_components vendor vendored _vendor third_party thirdparty site-packages .adws"
FOREIGN = frozenset(_FOREIGN.split())
UNREAD = re.compile(r"\.(min\.(js|css|mjs)|map|svg|lock|snap|po|pot)$", re.IGNORECASE)
LONG_LINES = 400
"""Bytes a line on average; minified code has thousands, prose without line breaks stays below."""


def texts(root: Path) -> Iterator[tuple[str, str]]:
    """(path, text) of each, in git's order, read one at a time; a path as `checkout.shown` gives it."""
    listed = checkout.git(root, "ls-files", "-z").split(b"\0")
    for raw in dict.fromkeys(listed):  # a conflicted file is listed once per side
        path = checkout.shown(raw)
        if raw and not _passed_over(path):
            text = text_of(root / os.fsdecode(raw))
            if text is not None:
                yield path, text


def text_of(file: Path) -> str | None:
    """The text of a regular file; None where it is none, is binary, minified, or too large."""
    try:
        kind = file.lstat()
        if not stat.S_ISREG(kind.st_mode) or kind.st_size > LARGEST:
            return None
        data = file.read_bytes()
    except OSError:  # listed but deleted, or not ours to read
        return None
    if b"\0" in data[:8192] or len(data) > LONG_LINES * (data.count(b"\n") + 10):
        return None
    return data.decode("utf-8-sig", "replace")


def _passed_over(path: str) -> bool:
    *folders, name = PurePosixPath(path).parts
    return name.lower() in LOCKS or bool(UNREAD.search(name)) or not FOREIGN.isdisjoint(folders)
