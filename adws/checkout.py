"""The files of one commit under two git directories: the phase's own, and one that it is never told of.

The phase gets `tree/.git`, a private shared clone that is made anew for every use. We capture with our own,
whose index is the pristine one and whose configuration only we wrote. So nothing that a phase does to its git
directory (hooks, filters, index bits, deleting it) reaches a git command of ours. Submodules are checkouts
too, of what the user has of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from adws import git
from adws.git import Repo

_FROM_STDIN = ("--pathspec-from-file=-", "--pathspec-file-nul")
# what tools leave everywhere and nobody means to commit; only untracked files are concerned
_NEVER_CAPTURED = ("/.adws/", "__pycache__/", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".DS_Store")


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """Where the files are, and the commit that they are of; empty where the user has no such submodule."""

    repo: Repo
    ours: Path
    tree: Path
    commit: str
    locks: tuple[int, ...]

    def git(self, *args: str, stdin: str = "", ok: Sequence[int] = (0,)) -> str:
        """git on the files, which look as the user's settings want them."""
        env = {"GIT_WORK_TREE": str(self.tree), "GIT_OBJECT_DIRECTORY": str(self.repo.objects)}
        # a git that outlives us, as after kill -9 of a worker, keeps the slot until it is done
        given = {"stdin": os.fsencode(stdin), "keep": self.locks, "ok": ok}
        out = git.call(*args, git_dir=self.ours, env=env, config=self.repo.config, **given)[1]  # type: ignore[arg-type]
        return os.fsdecode(out).rstrip("\n")


def prepare(checkout: Checkout) -> Iterator[Checkout]:
    """Put exactly the files of the commit there, and those of its submodules, which are returned."""
    ours, tree = checkout.ours, checkout.tree
    if tree.is_symlink():
        tree.unlink()
    tree.mkdir(parents=True, exist_ok=True)
    if not ours.exists():
        _skeleton(checkout.repo, ours, head="ref: refs/heads/none")
    _user_rules(checkout.repo, ours)
    # we hold the slot, so a lock that is still here belongs to a git that was killed
    (ours / "index.lock").unlink(missing_ok=True)
    checkout.git("read-tree", "--reset", "-u", checkout.commit)
    checkout.git("clean", "-ffdxq")
    remove(tree / ".git")
    _skeleton(checkout.repo, tree / ".git", head=checkout.commit)
    _user_rules(checkout.repo, tree / ".git")
    # with its times, else git takes an edit of the same size within the same second for no edit
    shutil.copy2(ours / "index", tree / ".git" / "index")
    for module in _submodules(checkout):
        yield module
        if module.commit:
            yield from prepare(module)
        else:
            remove(module.tree)  # what it had in an earlier use
            module.tree.mkdir()


def set_apart(checkout: Checkout, paths: Sequence[str]) -> None:
    """Have git ignore these paths, ours and the phase's own."""
    lines = [re.sub(r"[\\*?\[ ]", r"\\\g<0>", path) for path in paths if "\n" not in path]
    for git_dir in (checkout.ours, checkout.tree / ".git"):
        with (git_dir / "info/exclude").open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(f"/{line}\n" for line in lines)


def capture(checkout: Checkout, *, apart: Sequence[str] = (), outputs: Iterable[str] = ()) -> str:
    """The tree of what is there now, as an object of the user's repository.

    Without the paths `apart`, and without what git ignores, unless it matches a glob of `outputs`.
    """
    checkout.git("add", "--all", "--", ".")
    if specs := git.pathspecs(outputs):
        paths = checkout.git("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", *specs)
        checkout.git("--literal-pathspecs", "add", "--force", *_FROM_STDIN, stdin=paths)
    if apart:
        # a .gitignore of the project has the last word on what is ignored
        drop = ("--literal-pathspecs", "rm", "-r", "--cached", "--quiet", "--ignore-unmatch", *_FROM_STDIN)
        checkout.git(*drop, stdin="\0".join(apart))
    return checkout.git("write-tree")


def left_out(checkout: Checkout, apart: Sequence[str] = ()) -> list[str]:
    """What is there and a capture leaves out: what git ignores, and what it cannot hold, such as a FIFO.

    Raises OSError for a directory that cannot be read: of that git only warns.
    """
    listed = checkout.git("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
    ignored = [path for path in listed.split("\0") if path and path.rstrip("/") not in apart]
    usual = tuple(f"/{name.lstrip('/')}" for name in _NEVER_CAPTURED)
    skip = {checkout.tree / path for path in (*ignored, *apart, ".git")}
    special = (os.path.relpath(path, checkout.tree) for path in _special(checkout.tree, skip))
    return [*(path for path in ignored if not f"/{path}".endswith(usual)), *special]


def _special(top: Path, skip: Collection[Path]) -> Iterator[str]:
    folders = [top]  # a stack: directories may be nested deeper than Python calls may
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders += [Path(entry.path)] if Path(entry.path) not in skip else []
                elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
                    yield entry.path


def is_as_prepared(checkout: Checkout) -> bool:
    """Whether a submodule, if it is still there, has the files of its commit and nothing else."""
    if not checkout.tree.is_dir():
        return True
    if not checkout.commit:
        return not any(checkout.tree.iterdir())
    tree = checkout.git("rev-parse", f"{checkout.commit}^{{tree}}")
    return _head(checkout.tree / ".git") in ("", checkout.commit) and capture(checkout) == tree


def _head(git_dir: Path) -> str:
    """What a phase's own git directory says is checked out; empty where there is nothing to read."""
    try:
        return (git_dir / "HEAD").read_text().strip()
    except (OSError, ValueError):
        return ""


def _submodules(checkout: Checkout) -> Iterator[Checkout]:
    listing = checkout.tree / ".gitmodules"
    if listing.is_symlink() or not listing.is_file():
        return
    ask = ("config", "--file", str(listing), "--null", "--get-regexp", r"^submodule\..*\.path$")
    for entry in checkout.git(*ask, ok=(0, 1)).split("\0"):
        path = entry.partition("\n")[2].strip("/")
        commit = checkout.git("rev-parse", "--verify", "--quiet", f":{path}", ok=(0, 1)) if path else ""
        if not commit:
            continue
        root, place = checkout.repo.root / path, checkout.tree / path
        ours = checkout.ours.with_name("modules") / hashlib.sha256(os.fsencode(place)).hexdigest()[:12]
        git_dir = git.submodule_dir(root)
        yield Checkout(
            repo=dataclasses.replace(checkout.repo, root=root, git_dir=git_dir or root),
            ours=ours,
            tree=place,
            commit=commit if git_dir else "",
            locks=checkout.locks,
        )


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


def remove(path: Path) -> None:
    """Delete what is at `path`, also where a phase took away the permission to do so; never follow a link."""

    def unlock(_function: object, name: str, _error: object) -> None:
        Path(name).parent.chmod(0o700)
        if not Path(name).is_symlink():
            Path(name).chmod(0o700)
        if Path(name).is_dir() and not Path(name).is_symlink():
            remove(Path(name))  # what is in it may be locked as well
        else:
            Path(name).unlink()

    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        try:
            shutil.rmtree(path, onerror=unlock)
        except RecursionError:  # before Python 3.13 it calls itself for each level
            subprocess.run(["rm", "-rf", "--", path], check=False)
