"""The one place where a branch moves: from what it was to one commit, or not at all.

A branch that is checked out moves with its files, and git may be killed half-way through that. So what it is
about to do is written down before; whoever comes next, of any run, brings it to its end.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from adws import git, runs
from adws.git import Repo
from adws.runs import Run

_KEYS = ("checkout", "ref", "old", "commit")
_REF_LOCKS = ("HEAD.lock", "ORIG_HEAD.lock")
_GIT_LOCKS = ("index.lock", *_REF_LOCKS)
_HELD = 0.2
"""Seconds; git holds the lock of a ref for a thousandth of that, and that of the index hardly longer."""
_WAITS = 15


def tip(repo: Repo, ref: str) -> str:
    """The commit it is at; empty where it is not there."""
    asked = ("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    return git.call(*asked, git_dir=repo.git_dir, ok=(0, 1))[1].decode().strip()


@contextlib.contextmanager
def turn(repo: Repo, deadline: float, held: int | None = None) -> Iterator[int]:
    """The lock under which all runs move branches, or the one that is held. TimeoutError at `deadline`."""
    if held is not None:
        yield held
        return
    with runs.exclusive(repo, "merge", deadline) as lock:
        yield lock


def move(run: Run, ref: str, commit: str, old: str, held: int | None = None) -> None:
    """Compare and swap: from `old` to `commit`. Raises GitError, and TimeoutError at the run's deadline."""
    repo = run.repo
    with turn(repo, run.deadline, held) as lock:
        _finish(repo, lock)
        if "{adw_id}" in run.pipeline.into:
            # a lock on this run's own branch was left by a git that was killed: we hold the run
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                (repo.git_dir / f"{ref}.lock").unlink()
        symref, checkout = _about(repo, ref)
        if symref:
            raise git.GitError("update-ref", 1, f"it is only another name of {symref}")
        if checkout:
            if (stale := repo.git_dir / f"{ref}.lock").exists():
                # git would move the files first, and only then find that it cannot move the branch
                raise git.GitError("merge", 1, f"Unable to create '{stale}': File exists")
            _forward(repo, lock, Path(checkout), ref, commit, old)
        else:
            git.run("update-ref", "-m", f"adws {run.id}", ref, commit, old, git_dir=repo.git_dir)


def _about(repo: Repo, ref: str) -> tuple[str, str]:
    """What it is only another name of, and where it is checked out; both mostly empty."""
    shape = "--format=%(refname)%00%(symref)%00%(worktreepath)"
    lines = git.run("for-each-ref", shape, ref, git_dir=repo.git_dir).decode(errors="surrogateescape")
    # the pattern also matches what lies below a folder of that name
    found = [line.split("\0") for line in lines.split("\n") if line.startswith(f"{ref}\0")]
    return (found[0][1], found[0][2]) if found else ("", "")


def recover(repo: Repo, held: int | None = None) -> None:
    """Bring to its end what a git that was killed has begun; where somebody is at it, they will."""
    if _journal(repo).exists():
        with contextlib.suppress(TimeoutError), turn(repo, 0.0, held) as lock:
            _finish(repo, lock)


def _forward(repo: Repo, lock: int, checkout: Path, ref: str, commit: str, old: str) -> None:
    with _journal(repo).open("w", encoding="utf-8") as file:
        json.dump(dict(zip(_KEYS, (str(checkout), ref, old, commit), strict=True)), file)
        file.flush()
        os.fsync(file.fileno())
    before = git.looks(checkout, old, commit)
    try:
        _fast_forward(checkout, commit, lock)
        git.sync(checkout, old, commit)
    except git.GitError as error:
        if error.status >= 0 and git.looks(checkout, old, commit) == before:
            _journal(repo).unlink()  # it refused, and nothing was begun that somebody has to finish
        raise
    _unlock(git.dir_of(checkout))
    _journal(repo).unlink()
    if tip(repo, ref) != commit:
        raise git.GitError("merge", 1, f"{checkout} has another branch checked out by now")


def _fast_forward(checkout: Path, commit: str, lock: int) -> None:
    """Wait for the user's own git, which holds the index while it works."""
    left = _WAITS
    while True:
        try:
            git.fast_forward(checkout, commit, lock)
        except git.GitError as error:
            left -= 1
            if not left or "index.lock" not in str(error):
                raise
            time.sleep(_HELD)
        else:
            return


def _unlock(git_dir: Path) -> None:
    """Remove the locks that git is done with and could not remove, of which it says nothing."""
    there = {path: path.stat() for name in _REF_LOCKS if (path := git_dir / name).exists()}
    if there:
        time.sleep(_HELD)  # it may be one of the user's git, at work
    for path, stat in there.items():
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == stat.st_ino:
                path.unlink()


def _finish(repo: Repo, lock: int) -> None:
    """We hold the lock, which git inherits: so if there is a journal, git was killed, and so were we."""
    try:
        about = json.loads(_journal(repo).read_bytes())
        checkout, ref, old, commit = (str(about[key]) for key in _KEYS)
    except FileNotFoundError:
        return
    except (ValueError, TypeError, LookupError):
        checkout = ref = ""  # killed while writing it: git had not begun
    if (
        ref
        and _about(repo, ref)[1] == checkout
        and _is_merge(repo, commit)
        and tip(repo, ref) in (old, commit)
    ):
        since = _journal(repo).stat().st_mtime
        git_dir = git.dir_of(Path(checkout))
        for path in (*(git_dir / name for name in _GIT_LOCKS), repo.git_dir / f"{ref}.lock"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime >= since:
                    path.unlink()
        with contextlib.suppress(git.GitError):  # files of the user in the way: then the merge will say so
            git.take_over(Path(checkout), old, commit)
            if tip(repo, ref) == old:
                git.fast_forward(Path(checkout), commit, lock)
            git.sync(Path(checkout), old, commit)
    _journal(repo).unlink()


def _is_merge(repo: Repo, commit: str) -> bool:
    """Whether it is the commit of one of our runs, and nothing that somebody else put into the journal."""
    asked = ("for-each-ref", "--format=%(objectname)", "refs/adws/*/merge")
    return commit in git.text(*asked, git_dir=repo.git_dir).split()


def _journal(repo: Repo) -> Path:
    return repo.git_dir / "adws" / ".merge.journal"
