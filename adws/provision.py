"""What a phase needs and git does not have: files of the user's checkout, and directories from its last use.

None of it is captured. A kept directory belongs to one phase in one slot, since virtual environments hold
their own path, and since no phase shall work with what another one left there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from adws import git, runs
from adws.checkout import remove
from adws.git import Repo
from adws.model import Phase
from adws.workspace import Workspace


class MissingError(Exception):
    """A phase cannot have what it asks for; `str()` says why, for the user."""


def copy(repo: Repo, place: Workspace, phase: Phase) -> list[str]:
    """Copy the files in, as far as they are there; the paths. What git has at such a path stays."""
    found = []
    for name in git.untracked(repo.root, phase.copy) if phase.copy else ():
        source, target = repo.root / name, place.path(name)
        if target is None or os.path.lexists(target):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy2(source, target, follow_symlinks=False)
        found.append(name)
    return found


def key_of(repo: Repo, phase: Phase, tree: str) -> str:
    """Names the state of all lock files in a tree; empty where nothing is kept. Raises MissingError."""
    made_from = []
    for directory, locks in phase.keep:
        files = runs.matching(repo, tree, locks)
        if not files:
            raise MissingError(f"`keep`: no file matches {', '.join(locks)}, which {directory} is made from")
        made_from.append((directory, files))
    parts = json.dumps([made_from, phase.setup])
    return hashlib.sha256(parts.encode()).hexdigest()[:16] if made_from else ""


def shelf(phase: Phase, key: str) -> Path:
    """Where below a slot's home the directories wait for their next use."""
    return Path("kept", runs.entry(phase.name), key)


def fetch(place: Workspace, phase: Phase, key: str) -> bool:
    """Put the kept directories into the checkout; False where they have to be made first."""
    waiting = place.home / shelf(phase, key)
    for directory, _ in phase.keep:
        target = place.path(directory)
        if target is None or os.path.lexists(target):
            raise MissingError(f"`keep`: {directory} is in git; only what git does not have can be kept")
        if (waiting / directory).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            (waiting / directory).rename(target)
    there = bool(key) and waiting.exists()
    remove(waiting.parent)  # empty by now, or made from other lock files
    return there


def put_away(repo: Repo, place: Workspace, phase: Phase, key: str, tree: str) -> None:
    """Keep the directories for the next use, unless the phase left other lock files in `tree`.

    All of them, or none if we are killed on the way.
    """
    try:
        if key_of(repo, phase, tree) != key:
            return
    except MissingError:
        return
    waiting = place.home / shelf(phase, key)
    half = waiting.with_name(".half")
    half.mkdir(parents=True)
    for directory, _ in phase.keep:
        source = place.path(directory)
        if source and source.is_dir() and not source.is_symlink():
            (half / directory).parent.mkdir(parents=True, exist_ok=True)
            source.rename(half / directory)
    half.rename(waiting)
