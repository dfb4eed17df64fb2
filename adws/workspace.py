"""The pool of workspaces: private checkouts outside the repository, re-used warm, bounded in number."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from adws import checkout, git
from adws.checkout import Checkout, remove
from adws.git import Repo

SLOTS = 32
"""Workspaces at work at once on one machine, over all repositories and runs; a further phase waits."""
PORTS = 20_000
"""Slot n owns the 100 ports from PORTS + 100 n."""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """One private checkout, ours until the context that gave it ends."""

    slot: int
    home: Path
    checkout: Checkout
    modules: tuple[Checkout, ...]
    """The checkouts of its submodules, theirs included."""

    @property
    def locks(self) -> tuple[int, ...]:
        """File descriptors: of the slot's lock, and of what else is ours. Who inherits one keeps it taken."""
        return self.checkout.locks

    @property
    def tree(self) -> Path:
        """Where the phase works."""
        return self.checkout.tree

    @property
    def out(self) -> Path:
        """`ADW_OUT`."""
        return self.home / "io" / "out"

    @property
    def tmp(self) -> Path:
        """What it finds as /tmp, in a sandbox."""
        return self.home / "tmp"

    @property
    def io(self) -> Path:
        """What the phase is handed besides the tree: issue, state, prompt, artifacts."""
        return self.home / "io"

    def check(self) -> None:
        """GitError where the phase put something else in the place of the directories it was given."""
        for name, path in (("its workspace", self.tree), ("ADW_OUT", self.out)):
            if not path.is_dir() or path.resolve() != cache_dir().resolve() / path.relative_to(cache_dir()):
                raise git.GitError("add", 1, f"{name} is gone, or something else is in its place")

    def path(self, name: str) -> Path | None:
        """A path in the checkout; None where a link on the way there leads elsewhere."""
        target = self.tree / name
        return target if target.parent.resolve() == (self.tree.resolve() / name).parent else None


def cache_dir() -> Path:
    """Where the pool is; XDG has a relative path ignored."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".cache") / "adws"


@contextlib.contextmanager
def acquire(
    repo: Repo,
    commit: str,
    *,
    deadline: float,
    prefer: Path | None = None,
    first: int | None = None,
    locks: Iterable[int] = (),
) -> Iterator[Workspace]:
    """A workspace with exactly the files of `commit`, and an empty `ADW_OUT`.

    Waits for a free slot until `deadline` (seconds of time.monotonic) and then raises TimeoutError. The slot
    `first` comes first, then those whose home has the path `prefer`. `locks` are held as long as the slot is.
    """
    pool = cache_dir() / hashlib.sha256(os.fsencode(repo.git_dir)).hexdigest()[:12]
    warm = [slot for slot in range(SLOTS) if prefer and (pool / str(slot) / prefer).exists()]
    asked = [] if first is None else [first]
    slot, lock = _free_slot([*asked, *warm, *range(SLOTS)], deadline)
    try:
        home = pool / str(slot)
        try:
            workspace = _prepare(repo, slot, home, commit, (lock, *locks))
        except (git.GitError, OSError):
            # whatever the last user left behind: from nothing, once
            remove(home)
            workspace = _prepare(repo, slot, home, commit, (lock, *locks))
        yield workspace
    finally:
        os.close(lock)


def capture_out(repo: Repo, workspace: Workspace) -> str:
    """The tree of what the phase left in `ADW_OUT`, ignored files and all."""
    if not any(workspace.out.iterdir()):
        return repo.empty_tree
    _artifacts(repo, workspace, workspace.out, "add", "--all", "--force", "--", ".")
    return _artifacts(repo, workspace, workspace.out, "write-tree")


def export(repo: Repo, workspace: Workspace, tree: str, target: Path) -> None:
    """Write the files of a tree of artifacts below `target`."""
    target.mkdir(parents=True, exist_ok=True)
    if tree == repo.empty_tree:
        return
    _artifacts(repo, workspace, target, "read-tree", "--reset", "-u", tree)


def _free_slot(slots: Sequence[int], deadline: float) -> tuple[int, int]:
    locks = cache_dir() / "slots"
    locks.mkdir(parents=True, exist_ok=True)
    while True:
        for slot in slots:
            lock = os.open(
                locks / f"{slot}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
            else:
                return slot, lock
        if time.monotonic() > deadline:
            raise TimeoutError(f"no workspace became free; {SLOTS} are at work")
        time.sleep(0.1)


def _prepare(repo: Repo, slot: int, home: Path, commit: str, locks: Iterable[int]) -> Workspace:
    for name in ("io", "tmp"):
        remove(home / name)
    (home / "io" / "out").mkdir(parents=True)
    (home / "tmp").mkdir(mode=0o700)
    own = Checkout(repo=repo, ours=home / "git", tree=home / "tree", commit=commit, locks=tuple(locks))
    return Workspace(slot=slot, home=home, checkout=own, modules=tuple(checkout.prepare(own)))


def _artifacts(repo: Repo, workspace: Workspace, folder: Path, *args: str) -> str:
    """git on a folder of artifacts, which stay as they are to the byte."""
    index = workspace.io / f"{folder.name}.index"
    env = {
        "GIT_WORK_TREE": str(folder),
        "GIT_OBJECT_DIRECTORY": str(repo.objects),
        "GIT_INDEX_FILE": str(index),
    }
    ours = workspace.checkout.ours
    return git.call(*args, git_dir=ours, env=env, keep=workspace.locks)[1].decode().rstrip("\n")
