"""The pool of workspaces: private checkouts outside the user's repository, re-used warm, bounded in number.

A slot holds two git directories for one directory of files. The phase gets `tree/.git`, a private shared
clone that is made anew for every use. We capture with `git/`, which the phase is never told of: its index
is the pristine one, its configuration is ours. So nothing that a phase does to its own git directory
(hooks, filters, index bits, deleting it) reaches a git command of ours.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adws import git
from adws.git import Repo
from adws.model import Pairs

SLOTS = 32
"""Workspaces at work at once on one machine, over all repositories and runs; a further phase waits."""
PORTS = 20_000
"""Slot n owns the 100 ports from PORTS + 100 n."""

# what tools leave everywhere and nobody means to commit; only untracked files are concerned
_NEVER_CAPTURED = ("/.adws/", "__pycache__/", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".DS_Store")


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """One private checkout, ours until the context that gave it ends."""

    slot: int
    home: Path
    lock: int
    """File descriptor of the slot's lock; whoever inherits it keeps the slot taken."""

    @property
    def tree(self) -> Path:
        """Where the phase works."""
        return self.home / "tree"

    @property
    def out(self) -> Path:
        """`ADW_OUT`."""
        return self.home / "io" / "out"

    @property
    def io(self) -> Path:
        """What the phase is handed besides the tree: issue, state, prompt, artifacts."""
        return self.home / "io"


def cache_dir() -> Path:
    """Where the pool is; XDG has a relative path ignored."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".cache") / "adws"


@contextlib.contextmanager
def acquire(repo: Repo, commit: str, *, deadline: float) -> Iterator[Workspace]:
    """A workspace with exactly the files of `commit`, and an empty `ADW_OUT`.

    Waits for a free slot until `deadline` (seconds of time.monotonic) and then raises TimeoutError.
    """
    slot, lock = _free_slot(deadline)
    try:
        pool = cache_dir() / hashlib.sha256(os.fsencode(repo.git_dir)).hexdigest()[:12]
        workspace = Workspace(slot=slot, home=pool / str(slot), lock=lock)
        try:
            _prepare(repo, workspace, commit)
        except (git.GitError, OSError):
            # whatever the last user left behind: from nothing, once
            _remove(workspace.home)
            _prepare(repo, workspace, commit)
        yield workspace
    finally:
        os.close(lock)


def capture(repo: Repo, workspace: Workspace) -> str:
    """The tree of what the phase left in its workspace, as an object of the user's repository."""
    _git(repo, workspace, "add", "--all", "--", ".")
    return _git(repo, workspace, "write-tree")


def capture_out(repo: Repo, workspace: Workspace) -> str:
    """The tree of what the phase left in `ADW_OUT`, ignored files and all."""
    _artifacts(repo, workspace, workspace.out, "add", "--all", "--force", "--", ".")
    return _artifacts(repo, workspace, workspace.out, "write-tree")


def export(repo: Repo, workspace: Workspace, tree: str, target: Path) -> None:
    """Write the files of a tree of artifacts below `target`."""
    target.mkdir(parents=True, exist_ok=True)
    _artifacts(repo, workspace, target, "read-tree", "--reset", "-u", tree)


def _free_slot(deadline: float) -> tuple[int, int]:
    locks = cache_dir() / "slots"
    locks.mkdir(parents=True, exist_ok=True)
    while True:
        for slot in range(SLOTS):
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


def _prepare(repo: Repo, workspace: Workspace, commit: str) -> None:
    _remove(workspace.io)
    workspace.out.mkdir(parents=True)
    if workspace.tree.is_symlink():
        workspace.tree.unlink()
    workspace.tree.mkdir(exist_ok=True)
    own = workspace.home / "git"
    if not own.exists():
        _skeleton(repo, own, head="ref: refs/heads/none")
    _user_rules(repo, own)
    # we hold the slot, so a lock that is still here belongs to a git that was killed
    (own / "index.lock").unlink(missing_ok=True)
    _git(repo, workspace, "read-tree", "--reset", "-u", commit)
    _git(repo, workspace, "clean", "-ffdxq")
    _remove(workspace.tree / ".git")
    _skeleton(repo, workspace.tree / ".git", head=commit)
    _user_rules(repo, workspace.tree / ".git")
    # with its times, else git takes an edit of the same size within the same second for no edit
    shutil.copy2(own / "index", workspace.tree / ".git" / "index")


def _skeleton(repo: Repo, git_dir: Path, *, head: str) -> None:
    """A git directory without objects of its own. By hand: `git init` takes longer and runs templates."""
    for part in ("objects/info", "objects/pack", "refs/heads", "info"):
        (git_dir / part).mkdir(parents=True)
    (git_dir / "objects/info/alternates").write_bytes(os.fsencode(repo.objects) + b"\n")
    version, extension = (
        (0, "") if repo.object_format == "sha1" else (1, "[extensions]\n\tobjectFormat = sha256\n")
    )
    (git_dir / "config").write_text(
        f"[core]\n\trepositoryFormatVersion = {version}\n\tbare = false\n{extension}"
    )
    # last: git takes a directory for a repository only once it has a HEAD
    (git_dir / "HEAD").write_text(head + "\n")


def _user_rules(repo: Repo, git_dir: Path) -> None:
    """What the user's own git directory says about files, as it is today: a slot outlives many runs."""
    for name in ("info/exclude", "info/attributes", "shallow"):
        (git_dir / name).unlink(missing_ok=True)
        if (theirs := repo.git_dir / name).is_file():
            shutil.copy(theirs, git_dir / name)
    with (git_dir / "info/exclude").open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(_NEVER_CAPTURED) + "\n")


def _git(repo: Repo, workspace: Workspace, *args: str) -> str:
    """git on the workspace's files, which look as the user's settings want them."""
    env = {"GIT_WORK_TREE": str(workspace.tree), "GIT_OBJECT_DIRECTORY": str(repo.objects)}
    return _call(workspace, *args, env=env, config=repo.config)


def _artifacts(repo: Repo, workspace: Workspace, folder: Path, *args: str) -> str:
    """git on a folder of artifacts, which stay as they are to the byte."""
    index = workspace.io / f"{folder.name}.index"
    env = {
        "GIT_WORK_TREE": str(folder),
        "GIT_OBJECT_DIRECTORY": str(repo.objects),
        "GIT_INDEX_FILE": str(index),
    }
    return _call(workspace, *args, env=env)


def _call(workspace: Workspace, *args: str, env: dict[str, str], config: Pairs = ()) -> str:
    # a git that outlives us, as after kill -9 of a worker, keeps the slot until it is done
    own = workspace.home / "git"
    return (
        git.call(*args, git_dir=own, env=env, config=config, keep=(workspace.lock,))[1].decode().rstrip("\n")
    )


def _remove(path: Path) -> None:
    """Delete what is at `path`, also where a phase took away the permission to do so; never follow a link."""

    def unlock(_function: object, name: str, _error: object) -> None:
        Path(name).parent.chmod(0o700)
        if not Path(name).is_symlink():
            Path(name).chmod(0o700)
        if Path(name).is_dir() and not Path(name).is_symlink():
            shutil.rmtree(name)
        else:
            Path(name).unlink()

    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path, onerror=unlock)
