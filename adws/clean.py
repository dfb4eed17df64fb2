"""`adws clean`: removes runs whose work is on a branch, and workspaces that nobody holds.

What it cannot prove to be merged, free and old enough stays, and it says why. Killed anywhere, what is half
removed is still recognised as what it was, and the same command goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import itertools
import os
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from adws import call, git, runs, workspace
from adws.checkout import remove
from adws.errors import UserError, suggest, told
from adws.git import Repo

_OPTIONS = ("--older-than", "--unmerged", "--dry-run", "--help")
_HALF = ".removed"
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_USAGE = "adws clean [ADW_ID=id]... [REPO=path] [--older-than AGE] [--unmerged] [--dry-run]"
_ABOUT = """\
Removes the runs of a repository that are merged, and its workspaces that are not in use.

A run is merged when its commit is on a branch, local or remote, and has every result of the run in it. All
other runs are kept and listed, with the reason. A run in progress is never touched, and no branch is. A
workspace, also that of a repository that is gone, holds nothing but saved time. With ADW_ID only these runs
are looked at, and no workspace. What only a removed run needed of git's objects goes with git's own gc."""


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What the command line asks for."""

    ids: tuple[str, ...]
    """The runs to look at; with none it is all, and the workspaces."""
    repo: Path
    before: float
    """Only what was last used before this, in seconds of time.time; without an age infinite."""
    unmerged: bool
    dry: bool
    again: str
    """The command that an ADW_ID can be added to."""


@dataclass(frozen=True, kw_only=True)
class _Thing:
    """What may be removed."""

    what: str
    lock: contextlib.AbstractContextManager[object]
    """Held while it is looked at and removed; UserError when somebody works on it."""
    folders: Sequence[Path]
    used: float = 0.0
    """When, where the newest of its files does not tell."""
    why: str = ""
    """Why it has to stay."""
    forget: Callable[[], None] = lambda: None
    """What comes before the folders."""


class _Ref(NamedTuple):
    commit: str
    date: int
    phases: str
    """Of a merge: the results that are in it, as its commit's trailers name them."""


_Record = Mapping[str, _Ref]
"""The refs of a run, by their names below refs/adws/<id>/."""


def main(argv: Sequence[str]) -> int:
    """Do what the words behind `adws clean` ask for; the exit code."""
    git.clean_environment()
    asked = _read(argv)
    repo = git.open_repo(asked.repo)
    done = ("would remove", "keep", "free") if asked.dry else ("removed", "kept", "freed")
    code, kept, freed = 0, 0, list[int]()
    for thing in itertools.chain(_runs(repo, asked), _workspaces(repo, asked)):
        size, newest = _measure(thing.folders)
        try:
            why = _clean(thing, asked, thing.used or newest)
        except UserError as error:
            why = str(error)
        except (git.GitError, OSError) as error:  # such as what a container left to another user
            code, why = 2, told(error) if isinstance(error, OSError) else str(error)
        print(f"kept {thing.what}: {why}" if why else f"{done[0]} {thing.what}")
        kept, freed = kept + bool(why), freed + [size] * (not why)
    print(f"{done[0]} {len(freed)}, {done[1]} {kept}, {done[2]} {sum(freed) / 1e6:.1f} MB")
    return code


def _clean(thing: _Thing, asked: _Asked, used: float) -> str:
    """Remove it; why not, empty when it is gone."""
    with thing.lock:
        if used > asked.before:
            return f"last used {time.strftime('%Y-%m-%d %H:%M', time.localtime(used))}"
        if thing.why or asked.dry:
            return thing.why
        thing.forget()
        for folder in thing.folders:
            # all at once: a phase would take half of what a workspace keeps for all of it
            remove(_half(folder))
            if os.path.lexists(folder):
                folder.rename(_half(folder))
            remove(_half(folder))
    return ""


def _read(argv: Sequence[str]) -> _Asked:
    parser = argparse.ArgumentParser(
        "adws clean", _USAGE, _ABOUT, allow_abbrev=False, exit_on_error=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    what = "only what was last used longer ago than this, such as 7d or 12h"
    parser.add_argument("--older-than", metavar="AGE", type=_seconds, default=float("-inf"), help=what)
    parser.add_argument("--unmerged", action="store_true", help="also runs that are not merged")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    try:
        options, words = parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise UserError(f"{error}; see adws clean --help") from None
    ids = [word for word in words if word.startswith("ADW_ID=")]
    asked = call.read([*ids[:1], *(word for word in words if word not in ids)], Path.cwd())
    for word in asked.words:
        raise UserError(f"adws clean knows no `{word}`{suggest(word, _OPTIONS) or '; see adws clean --help'}")
    given = [word.partition("=")[2] for word in ids]
    repo = [f"REPO={value}" for name, value in asked.given if name == "REPO"]
    return _Asked(
        ids=tuple(dict.fromkeys(given or filter(None, [os.environ.get("ADW_ID")]))),
        repo=asked.repo,
        before=time.time() - options.older_than,
        unmerged=options.unmerged,
        dry=options.dry_run,
        again=shlex.join(["adws", "clean", *repo]),
    )


def _seconds(age: str) -> int:
    parts = re.fullmatch("([0-9]{1,6})([dhms])", age)
    if not parts:
        raise UserError(f"`{age}` is no age; write days or hours: 7d, 12h")
    return int(parts[1]) * _UNITS[parts[2]]


def _runs(repo: Repo, asked: _Asked) -> Iterator[_Thing]:
    records, logs = _records(repo), _logs(repo)
    known = sorted({*records, *logs})
    for adw_id in asked.ids:
        if adw_id not in known:
            raise UserError(f"run {adw_id} is not known in {repo.root}{suggest(adw_id, known)}")
    merges = [record["merge"].commit for record in records.values() if "merge" in record]
    apart = (
        git.text("rev-list", *merges, "--not", "--branches", "--remotes", git_dir=repo.git_dir)
        if merges
        else ""
    )
    for adw_id in asked.ids or known:
        record = records.get(adw_id, {})
        lock = repo.git_dir / "adws" / f"{adw_id}.lock"
        why = "" if asked.unmerged or not record else _unmerged(record, apart)
        yield _Thing(
            what=f"run {adw_id}" if record else f"the logs of run {adw_id}, which has no record",
            lock=_hold(lock, dry=True) if asked.dry else runs.lock(repo, adw_id),
            folders=logs.get(adw_id, []),
            used=max((ref.date for ref in record.values()), default=0),
            why=why and f"{why}; to remove it all the same: {asked.again} ADW_ID={adw_id} --unmerged",
            forget=functools.partial(_forget, repo, adw_id, record),
        )


def _records(repo: Repo, below: str = "") -> dict[str, dict[str, _Ref]]:
    """What is recorded of all runs, in one question to git."""
    phases = "%(trailers:key=Adws-Phase,valueonly,unfold,separator=%x2C)"
    shape = f"--format=%(refname) %(objectname) %(committerdate:unix) {phases}"
    found: dict[str, dict[str, _Ref]] = {}
    for line in git.run("for-each-ref", shape, f"refs/adws/{below}", git_dir=repo.git_dir).split(b"\n")[:-1]:
        ref, commit, date, named = os.fsdecode(line).split(" ", 3)
        _, _, adw_id, *name = ref.split("/", 3)
        if name:
            found.setdefault(adw_id, {})[name[0]] = _Ref(commit, int(date or 0), named)
    return found


def _unmerged(record: _Record, apart: str) -> str:
    """Why a run is not merged; empty when its commit is on a branch and names every result of the run.

    A commit of another workflow, or from before a phase was done again, does not: what it leaves out would be
    lost. `apart` has the commits that no branch has.
    """
    merge = record.get("merge")
    if merge is None:
        return "nothing of it was merged"
    if merge.commit in apart:
        return f"its commit {merge.commit[:12]} is on no branch"
    results = {name: ref for name, ref in record.items() if "/" not in name and name not in ("run", "merge")}
    late = [name for name, ref in results.items() if ref.commit not in merge.phases]
    return f"the result of phase `{late[0]}` is not in its commit {merge.commit[:12]}" if late else ""


def _forget(repo: Repo, adw_id: str, record: _Record) -> None:
    """Delete the refs, unless the run went on since we looked.

    git deletes packed refs at once and loose ones one by one, so a kill leaves some of them. As long as `run`
    and `merge` are left, the rest is as merged or unmerged as the whole was; so is `merge` alone.
    """
    if _records(repo, f"{adw_id}/").get(adw_id, {}) != record:
        raise UserError("it went on meanwhile")
    ref = {name: f"refs/adws/{adw_id}/{name} {record[name].commit}" for name in record}
    last = [ref.pop(name) for name in ("run", "merge") if name in ref]
    moves = [
        "start",
        *(f"verify {each}" for each in last),
        *(f"delete {each}" for each in ref.values()),
        "commit",
    ]
    for each in last:
        moves += ["start", f"delete {each}", "commit"]
    git.run("update-ref", "--stdin", git_dir=repo.git_dir, stdin=os.fsencode("\n".join([*moves, ""])))


def _logs(repo: Repo) -> dict[str, list[Path]]:
    """The folders of runs, in all checkouts of the repository."""
    lines = os.fsdecode(git.run("worktree", "list", "--porcelain", "-z", git_dir=repo.git_dir)).split("\0")
    found: dict[str, list[Path]] = {}
    for root in sorted({repo.root, *(Path(line[9:]) for line in lines if line.startswith("worktree "))}):
        top = root / ".adws" / "runs"
        # a link could lead anywhere, and a repository can have one there
        for name in _names(top) if not top.is_symlink() and not top.parent.is_symlink() else ():
            with contextlib.suppress(UserError):
                found.setdefault(runs.check_id(name), []).append(top / name)
    return found


def _workspaces(repo: Repo, asked: _Asked) -> Iterator[_Thing]:
    for pool in sorted(workspace.cache_dir().glob("[0-9a-f]" * 12)) if not asked.ids else ():
        for slot in filter(str.isdecimal, _names(pool) if not pool.is_symlink() else ()):
            owner = _owner(pool / slot)
            if owner and owner != repo.objects and owner.exists():
                continue  # that repository's own business
            gone = ", whose repository is gone" if owner and not owner.exists() else ""
            yield _Thing(
                what=f"workspace {pool / slot}{gone}",
                lock=_hold(pool.parent / "slots" / f"{slot}.lock", dry=asked.dry),
                folders=[pool / slot],
            )
        if not asked.dry:
            with contextlib.suppress(OSError):  # it is not empty
                pool.rmdir()


def _owner(home: Path) -> Path | None:
    """The objects that a workspace shares with its repository; None where it did not get that far."""
    with contextlib.suppress(OSError):
        return Path(os.fsdecode((home / "git/objects/info/alternates").read_bytes()).rstrip("\n"))
    return None


@contextlib.contextmanager
def _hold(lock: Path, *, dry: bool) -> Iterator[None]:
    """Hold a lock while it lasts; UserError when somebody else does. A dry one makes no file for it."""
    if not dry:
        lock.parent.mkdir(exist_ok=True)
    with lock.open("ab") if not dry or lock.exists() else tempfile.TemporaryFile() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError("somebody is at work on it") from None
        yield


def _names(folder: Path) -> list[str]:
    """What is in a folder, also what a killed call has half removed."""
    return sorted({path.name.removesuffix(_HALF) for path in folder.iterdir()}) if folder.is_dir() else []


def _half(folder: Path) -> Path:
    return folder.with_name(folder.name + _HALF)


def _measure(folders: Sequence[Path]) -> tuple[int, float]:
    """Bytes on the disk that go with them, and when the newest file in them was written."""
    size, newest = 0, 0.0
    tops = [path for folder in folders for path in (folder, _half(folder)) if not path.is_symlink()]
    for top, _, names in itertools.chain(*map(os.walk, tops)):
        for name in names:
            with contextlib.suppress(OSError):
                about = Path(top, name).lstat()
                size, newest = size + about.st_blocks * 512 // about.st_nlink, max(newest, about.st_mtime)
    return size, newest
