"""The user's repository before and after: what no phase may touch, and who touched it.

A phase is handed nothing of the repository, but without a sandbox it can go and look for it. So what decides
about later git commands is compared with how the run found it; and who moved a branch is read off the reflog,
since a phase's git has a committer of its own. Who hides that on purpose cannot be told from the user; that
is what the sandbox is for.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adws import git
from adws.errors import printable
from adws.git import Repo
from adws.model import Pairs

DOMAIN = "adws.invalid"
"""Where the committers of phases live; no real address ends in `.invalid` (RFC 2606)."""

_LOOKS, _PAUSE = 10, 0.05
"""How often a ref and its reflog may differ, and seconds in between, until it is no work in progress."""
_WATCHED = ("info/attributes", "info/exclude", "info/grafts", "objects/info/alternates")


@dataclass(frozen=True, kw_only=True)
class Seal:
    """How a repository was when a run began."""

    settings: Pairs = ()
    files: Pairs = ()
    """(path, digest) of hooks and of what else git obeys."""
    refs: Pairs = ()


def take(repo: Repo) -> Seal:
    settings = git.settings(repo.root)
    return Seal(
        # every `git push -u` of the user changes `branch.*`
        settings=tuple(sorted(pair for pair in settings if not pair[0].startswith("branch."))),
        files=tuple(sorted(_files(repo, dict(settings).get("core.hookspath")))),
        refs=tuple(_refs(repo)),
    )


def broken(repo: Repo, seal: Seal) -> str:
    """What was changed that only the user may change, in their words; empty when nothing was."""
    what = _changed(repo, seal)
    what = printable(what)
    return f"the repository was tampered with: {what}; put that right, then start again" if what else ""


def _changed(repo: Repo, seal: Seal) -> str:
    now = take(repo)
    for before, after, what in (
        (seal.settings, now.settings, "in git's configuration"),
        (seal.files, now.files, f"in {repo.git_dir}"),
    ):
        if changed := sorted({name for name, _ in {*before} ^ {*after}}):
            return f"`{changed[0]}` {what}"
    were, are = dict(seal.refs), dict(now.refs)
    if gone := sorted(ref for ref in were.keys() - are.keys() if ref != "refs/stash"):
        return f"{gone[0]}, which is gone"
    moved = (ref for ref, value in are.items() if were.get(ref) != value)
    return next((ref for ref in moved if _is_foul(repo, ref, were.get(ref))), "")


def _files(repo: Repo, hooks: str | None) -> Iterator[tuple[str, str]]:
    folder = (repo.root / Path(hooks).expanduser()) if hooks else repo.git_dir / "hooks"
    for path in (*(repo.git_dir / name for name in _WATCHED), *folder.glob("*")):
        if path.is_symlink() and not path.exists():
            yield str(path), f"leads to {path.readlink()}"  # where a program may be put later
        elif path.is_file():
            runs = path.stat().st_mode & 0o111 > 0
            yield str(path), hashlib.sha256(path.read_bytes()).hexdigest() + " executable" * runs


def _refs(repo: Repo) -> Iterator[tuple[str, str]]:
    shape = "--format=%(refname) %(objectname) %(HEAD)"
    lines = git.text("for-each-ref", shape, "refs/heads", "refs/stash", git_dir=repo.git_dir).split("\n")
    for ref, oid, head in (line.split(" ", 2) for line in lines if line):
        yield ref, oid
        if head == "*":
            yield "HEAD", ref


def _is_foul(repo: Repo, ref: str, before: str | None) -> bool:
    """Whether a phase moved the ref, or somebody did so behind git's back."""
    asked = ("log", "--walk-reflogs", "--format=%H %ge", "-100", ref, "--")
    for _ in range(_LOOKS):
        entries = [line.split(" ", 1) for line in git.text(*asked, git_dir=repo.git_dir).splitlines()]
        if not entries:
            return False  # the user's git keeps no reflog
        if ref == "HEAD" or entries[0][0] == git.text("rev-parse", ref, git_dir=repo.git_dir):
            break
        time.sleep(_PAUSE)  # git writes the reflog first, and somebody may be moving it right now
    else:
        return True
    for oid, email in entries[: 1 if ref == "HEAD" else None]:
        if oid == before:
            break
        if email.endswith(DOMAIN):
            return True
    return False
